"""What is told of an incident's new entries: a post, a broadcast, an update in place, or nothing."""

from __future__ import annotations

from dataclasses import replace

from schemas.alert import Alert, rank
from schemas.base import hash16, iso
from schemas.incident import TimelineEntry
from services.incident.state import Case, Notification, NotificationKind

_CONTEXT = ("change", "evaluation")


def tell(before: Case | None, after: Case, alert: Alert | None) -> tuple[Case, Notification | None]:
    """What to tell of the entries that `after` has more than `before`, and the incident with that noted.

    A firing `alert` posts what was not told yet, and is broadcast with a mention when it raises what was told to
    warning or above, or reopens a resolved incident there. Everything else updates in place; a silenced alert
    tells nothing, and so does what happens to an incident of which nothing was told.
    """
    new = after.incident.timeline[len(before.incident.timeline) if before else 0 :]
    if not new or (alert is not None and alert.silenced):
        return after, None
    kind = _kind(before, after, alert)
    if kind is None:
        return after, None
    if alert is not None and alert.status == "firing":
        posted = alert.severity if after.posted is None else max(after.posted, alert.severity, key=rank)
        after = replace(after, posted=posted)
    return after, _notification(after, new, kind, mention=kind != "update" and _is_loud(alert))


def _kind(before: Case | None, after: Case, alert: Alert | None) -> NotificationKind | None:
    fires = alert is not None and alert.status == "firing"
    if after.posted is None:
        return "post" if fires else None
    if not fires or alert is None or not _is_loud(alert):
        return "update"
    reopened = before is not None and not before.is_open
    return "broadcast" if reopened or rank(alert.severity) > rank(after.posted) else "update"


def _is_loud(alert: Alert | None) -> bool:
    return alert is not None and rank(alert.severity) >= rank("warning")


def _notification(case: Case, new: tuple[TimelineEntry, ...], kind: NotificationKind, *, mention: bool) -> Notification:
    incident = case.incident
    told = next((entry for entry in new if entry.kind not in _CONTEXT), new[0])
    text = told.text if kind == "update" else f"[{incident.severity}] {incident.headline}; verdict {incident.verdict}"
    return Notification(
        id=hash16([incident.id, told.kind, iso(told.ts), told.ref, told.text]),
        kind=kind,
        incident=incident.id,
        route=incident.route,
        ts=told.ts,
        severity=incident.severity,
        mention=mention,
        text=text,
    )
