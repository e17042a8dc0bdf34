"""The alerts of each recent incident, by the incident core's own rules: a decision must not touch another one's."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Final

from schemas.alert import Alert, rank
from schemas.decision import Decision
from services.alert.state import AlertState, Group
from services.incident.lifecycle import id_of, lapses_at, reopens

KEPT_GROUPS: Final = 8


def add_to_groups(groups: tuple[Group, ...], alert: Alert) -> tuple[Group, ...]:
    """The groups after one alert: an open one absorbs it, a recent one reopens, or a new one begins."""
    groups = lapse(groups, alert.ts)
    if alert.status == "resolved":
        return tuple(_calmed(group, alert) for group in groups)
    owner = _owner(groups, alert)
    others = tuple(group for group in groups if group is not owner)
    return (*others, _absorbed(owner, alert))[-KEPT_GROUPS:]


def lapse(groups: tuple[Group, ...], ts: datetime) -> tuple[Group, ...]:
    """The groups at `ts`: an info incident without a new alert for 24 h has resolved itself."""
    return tuple(_lapsed(group, ts) for group in groups)


def fingerprints_of_decision(state: AlertState, decision: Decision) -> tuple[str, ...]:
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


def _lapsed(group: Group, ts: datetime) -> Group:
    due = lapses_at(group.severity, group.last_fired) if group.resolved_at is None else None
    return group if due is None or due > ts else replace(group, firing=(), resolved_at=due)


def _owner(groups: tuple[Group, ...], alert: Alert) -> Group | None:
    for group in reversed(groups):
        if group.resolved_at is None:
            return group
    for group in reversed(groups):
        assert group.resolved_at is not None
        if reopens(alert, group.id, group.fingerprints, group.resolved_at):
            return group
    return None


def _absorbed(group: Group | None, alert: Alert) -> Group:
    if group is None:
        name = (alert.fingerprint,)
        return Group(id_of(alert), name, name, alert.severity, alert.ts)
    return replace(
        group,
        fingerprints=_with(group.fingerprints, alert.fingerprint),
        firing=_with(group.firing, alert.fingerprint),
        severity=max(group.severity, alert.severity, key=rank),
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
