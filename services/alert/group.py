"""Which alerts belong to one incident: the rules of the incident core, as far as decisions on alerts need them.

A decision that names an incident must not touch another one's alerts. The steps meet in topics and do not import
each other, so the rules stand here a second time; a test holds both to the same incidents.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from schemas.alert import SEVERITIES, Alert
from schemas.decision import Decision
from schemas.incident import incident_id
from services.alert.state import AlertState, Group

REOPENS_WITHIN: Final = timedelta(hours=24)
INFO_LASTS: Final = timedelta(hours=24)
KEPT_GROUPS: Final = 8


def sort_in(groups: tuple[Group, ...], alert: Alert) -> tuple[Group, ...]:
    """The groups after one alert: an open one absorbs it, a recent one reopens, or a new one begins."""
    groups = lapse(groups, alert.ts)
    if alert.status == "resolved":
        return tuple(_calmed(group, alert) for group in groups)
    owner = _owner(groups, alert)
    others = tuple(group for group in groups if group is not owner)
    return (*others, _absorbed(owner, alert))[-KEPT_GROUPS:]


def lapse(groups: tuple[Group, ...], ts: datetime) -> tuple[Group, ...]:
    """The groups at `ts`: an info incident without a new alert for 24 h has resolved itself."""
    return tuple(
        replace(group, firing=(), resolved_at=group.last_fired + INFO_LASTS) if _has_lapsed(group, ts) else group
        for group in groups
    )


def meant(state: AlertState, decision: Decision) -> tuple[str, ...]:
    """Fingerprints that a decision is about; none when it names an incident that is not the open one.

    When no incident is open, one that resolved itself may be named: its alerts may still fire. Without an incident
    a decision is about all of the route. A new baseline is a matter of the whole route.
    """
    groups = lapse(state.groups, decision.ts)
    standing = [group for group in groups if group.resolved_at is None] or list(groups)
    named = [group for group in standing if decision.incident in (None, group.id)][-1:]
    if not named and decision.incident is not None:
        return ()
    fingerprints = {name for group in named for name in group.fingerprints}
    if decision.incident is None or decision.kind == "accept_baseline":
        fingerprints |= set(state.active)
    if decision.fingerprint is not None and decision.kind != "accept_baseline":
        fingerprints &= {decision.fingerprint}
    return tuple(sorted(fingerprints))


def _has_lapsed(group: Group, ts: datetime) -> bool:
    return group.resolved_at is None and group.severity == "info" and group.last_fired + INFO_LASTS <= ts


def _owner(groups: tuple[Group, ...], alert: Alert) -> Group | None:
    for group in reversed(groups):
        if group.resolved_at is None:
            return group
    for group in reversed(groups):
        assert group.resolved_at is not None
        recent = alert.ts - group.resolved_at <= REOPENS_WITHIN
        if group.id == _first_id(alert) or (recent and alert.fingerprint in group.fingerprints):
            return group
    return None


def _first_id(alert: Alert) -> str:
    identity = alert.identities[0] if alert.identities else None
    return incident_id(alert.route, alert.fingerprint, identity, alert.event_index)


def _absorbed(group: Group | None, alert: Alert) -> Group:
    if group is None:
        name = (alert.fingerprint,)
        return Group(_first_id(alert), name, name, alert.severity, alert.ts)
    return replace(
        group,
        fingerprints=_with(group.fingerprints, alert.fingerprint),
        firing=_with(group.firing, alert.fingerprint),
        severity=max(group.severity, alert.severity, key=SEVERITIES.index),
        last_fired=max(group.last_fired, alert.ts),
        resolved_at=None,
    )


def _calmed(group: Group, alert: Alert) -> Group:
    if group.resolved_at is not None or alert.fingerprint not in group.firing:
        return group
    firing = tuple(name for name in group.firing if name != alert.fingerprint)
    return replace(group, firing=firing, resolved_at=None if firing else alert.ts)


def _with(names: tuple[str, ...], name: str) -> tuple[str, ...]:
    return names if name in names else (*names, name)
