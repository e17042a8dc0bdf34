"""What a check of the audit log tells people: one alert for one set of findings. Pure."""

from __future__ import annotations

from dataclasses import astuple
from datetime import datetime

from schemas.alert import Alert, fingerprint_of
from schemas.base import hash16
from schemas.exchange import AUDIT_ROUTE
from schemas.reading import Evidence
from services.specs import AUDIT
from services.store.audit_check import AuditReport
from services.wording import audit


def alert_of(report: AuditReport, now: datetime) -> Alert | None:
    """The alert of what was found; None where all is as it was written.

    The same findings give the same alert however often they are found: a person who resolved its incident is not told
    again. It never resolves by itself.
    """
    if not report.problems:
        return None
    told = [audit.problem(one.fault, one.thing, one.key, one.words) for one in report.problems]
    fingerprint = fingerprint_of(AUDIT_ROUTE, AUDIT.name, None)
    return Alert(
        id=hash16([fingerprint, sorted(map(repr, map(astuple, report.problems)))]),
        route=AUDIT_ROUTE,
        family=AUDIT.name,
        fingerprint=fingerprint,
        status="firing",
        severity=AUDIT.severity,
        event_index=report.entries,
        ts=now,
        evidence=Evidence(),
        reason=audit.broken(told),
    )
