"""Which alerts belong to one incident. Alert asks as well: a decision on an incident must reach its alerts alone."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Final

from schemas.alert import Alert, Severity
from schemas.incident import incident_id

REOPENS_WITHIN: Final = timedelta(hours=24)
INFO_LASTS: Final = timedelta(hours=24)
# A new baseline makes neither a leaked secret nor missing data all right: people resolve events, data ends blindness.
NOT_OF_A_BASELINE: Final = frozenset({"events", "blind"})


def id_of(alert: Alert) -> str:
    """The id of the incident that this alert would open."""
    identity = alert.identities[0] if alert.identities else None
    return incident_id(alert.route, alert.fingerprint, identity, alert.event_index)


def reopens(alert: Alert, id: str, fingerprints: Collection[str], resolved_at: datetime) -> bool:
    """Whether a firing alert opens incident `id` again: it is of one of its fingerprints within 24 h, or its opener."""
    recent = alert.ts - resolved_at <= REOPENS_WITHIN
    return id == id_of(alert) or (recent and alert.fingerprint in fingerprints)


def lapses_at(severity: Severity, last_fired: datetime) -> datetime | None:
    """When an open incident resolves itself: one of severity info, 24 h after its newest firing alert."""
    return last_fired + INFO_LASTS if severity == "info" else None
