"""Pure core of incident: a set of facts of one route -> its incidents, their timelines and notifications."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final, NamedTuple

from schemas.alert import Alert, rank
from schemas.base import hash16, iso
from schemas.change import Change
from schemas.decision import Decision, silences_of
from schemas.evaluation import Comparison, Run
from schemas.fact import Fact
from schemas.incident import TimelineEntry
from services.incident.decisions import apply_decision
from services.incident.lifecycle import (
    absorbed,
    calmed,
    caused,
    closed,
    compared,
    edited,
    lapses_at,
    lasted,
    lasts_at,
    opened,
    reopens,
    woken,
)
from services.incident.state import Case, Notification, NotificationKind, RouteIncidents, entry
from services.incident.timeline import background, remembered, timeline_entry
from services.wording import decisions
from services.wording.incidents import one_line

_KEPT_PARKED: Final = 64
KEPT_STANDING: Final = 8
"""Of so many of a route's last incidents it is watched how long what they tell of goes on."""


def fold(route: str, facts: Iterable[Fact], now: datetime | None = None) -> RouteIncidents:
    """The incidents of `route`, made of a set of facts: their order and repetition change nothing.

    Timers (24 h without a new alert, the end of a snooze) take effect when they are due by the next fact or by
    `now`, with the time at which they were due.
    """
    state = folded(route, facts).state
    return tick(state, now)


FactOrder = tuple[datetime, int, int, bool, str]


@dataclass(frozen=True, slots=True)
class FoldCheckpoint:
    """What a set of facts was folded into, before any timer; `last` is where the newest of them stands."""

    state: RouteIncidents
    last: FactOrder | None = None


def folded(route: str, facts: Iterable[Fact]) -> FoldCheckpoint:
    """The checkpoint of all these facts."""
    checkpoint = _stepped(FoldCheckpoint(RouteIncidents.start(route)), _in_order(route, facts))
    assert checkpoint is not None
    return checkpoint


def resumed(checkpoint: FoldCheckpoint, facts: Iterable[Fact]) -> FoldCheckpoint | None:
    """The checkpoint with more facts; None where one is not newer than all before: then all are folded again."""
    return _stepped(checkpoint, _in_order(checkpoint.state.route, facts))


def _stepped(checkpoint: FoldCheckpoint, facts: Iterable[Fact]) -> FoldCheckpoint | None:
    state, last = checkpoint.state, checkpoint.last
    for fact in facts:
        place = _order(fact)
        if last is not None and place <= last:
            return None
        state, last = step(state, fact), place
    return FoldCheckpoint(state, last)


def step(state: RouteIncidents, fact: Fact) -> RouteIncidents:
    """Take in one fact that is not older than any before it."""
    state = tick(state, fact.ts)
    if isinstance(fact, Alert) and fact.shadow:  # it is tried out: kept, and no matter of people
        return state
    if isinstance(fact, Alert):
        return _fire(state, fact) if fact.status == "firing" else _calm(state, fact)
    if isinstance(fact, Decision):
        return _decide(state, fact)
    state = replace(state, context=remembered(state.context, fact))
    if state.open is None:
        return state
    case = edited(state.open, timeline_entry(fact))
    return _put(state, state.open, compared(case, fact) if isinstance(fact, Comparison) else case)


def tick(state: RouteIncidents, now: datetime | None) -> RouteIncidents:
    """Whatever is due by `now`, in the order in which it was due; the same state where nothing is."""
    if now is None:
        return state
    while True:
        due = [timer for timer in _timers(state) if timer.at <= now]
        if not due:
            return state
        timer = min(due, key=lambda one: one.at)
        state = _put(state, timer.case, timer.apply(timer.case, timer.at))


class _Timer(NamedTuple):
    at: datetime
    case: Case
    apply: Callable[[Case, datetime], Case]


def _timers(state: RouteIncidents) -> Iterator[_Timer]:
    """What time alone does to the incidents of a route; of those at one time the first comes first."""
    if (case := state.open) is not None:
        if (at := _wakes(case)) is not None:
            yield _Timer(at, case, _woken)
        if (at := _lapses(case)) is not None:
            yield _Timer(at, case, _lapsed)
    for one in state.cases[-KEPT_STANDING:]:
        if (at := lasts_at(one)) is not None:
            yield _Timer(at, one, lasted)


def _woken(case: Case, at: datetime) -> Case:
    return woken(case, at, decisions.SNOOZE_ENDED)


def _lapsed(case: Case, at: datetime) -> Case:
    return closed(case, entry(at, "resolved", decisions.BY_ITSELF), by_itself=True)


def _in_order(route: str, facts: Iterable[Fact]) -> list[Fact]:
    """Each fact of the route once, by time. Of two forms of one fact the lesser stands, whichever came first."""
    once: dict[tuple[int, str], Fact] = {}
    for fact in facts:
        key = (_rank(fact), fact.id)
        if fact.route == route and (key not in once or fact.encode() < once[key].encode()):
            once[key] = fact
    return sorted(once.values(), key=_order)


def _rank(fact: Fact) -> int:
    """At one time: first what changed, then what people decided, then evaluations and the alerts that follow."""
    if isinstance(fact, Alert):
        return 4
    if isinstance(fact, Change):
        return 0
    if isinstance(fact, Decision):
        return 1
    return 2 if isinstance(fact, Run) else 3


def _order(fact: Fact) -> FactOrder:
    if isinstance(fact, Alert):
        later = f"{fact.again is not None:d}{fact.id}"  # a further change comes after the alert that carries it
        return fact.ts, _rank(fact), fact.event_index, fact.status == "resolved", later
    return fact.ts, _rank(fact), 0, isinstance(fact, Decision) and fact.kind == "end_silence", fact.id


def _fire(state: RouteIncidents, alert: Alert) -> RouteIncidents:
    case = state.open or _reopened(state, alert)
    if case is not None:
        state, after = _taken_over(state, case, absorbed(case, alert), alert.fingerprint)
        return _put(state, case, caused(after, state.context, alert), alert)
    made = caused(opened(alert, background(state, alert)), state.context, alert)
    state, made = _taken_over(state, None, made, alert.fingerprint)
    state = _put(state, None, made, alert)
    waiting = [decision for decision in state.parked if decision.incident == made.incident.id]
    for decision in waiting:
        state = _apply(state, decision, alert.ts)
    return replace(state, parked=tuple(decision for decision in state.parked if decision not in waiting))


def _taken_over(state: RouteIncidents, was: Case | None, made: Case, name: str) -> tuple[RouteIncidents, Case]:
    """An alert that fires on since an incident which closed by itself is of this one, with its time.

    `was` is the incident as it stands among all; None: it is new.
    """
    others = [case for case in state.cases if case is not was and name in case.standing]
    if not others:
        return state, made
    since = min(case.standing[name] for case in others)
    lasted = made.lasted or any(case.lasted for case in others)
    return _over_elsewhere(state, was, name), replace(made, standing={**made.standing, name: since}, lasted=lasted)


def _over_elsewhere(state: RouteIncidents, owner: Case | None, name: str) -> RouteIncidents:
    """The alert of this name stands in no incident but its owner's."""
    cases = tuple(
        replace(case, standing={other: ts for other, ts in case.standing.items() if other != name})
        if case is not owner and name in case.standing
        else case
        for case in state.cases
    )
    return replace(state, cases=cases)


def _reopened(state: RouteIncidents, alert: Alert) -> Case | None:
    """The newest resolved incident that this alert reopens: of its fingerprint within 24 h, or of its very id."""
    for case in reversed(state.cases):
        resolved_at = case.incident.resolved_at
        assert resolved_at is not None
        if reopens(alert, case.incident.id, case.alerts, resolved_at):
            return case
    return None


def _calm(state: RouteIncidents, alert: Alert) -> RouteIncidents:
    owners = [case for case in state.cases if alert.fingerprint in case.alerts]
    if not owners:
        return state
    owner = next((case for case in owners if case.is_open), owners[-1])
    state = _over_elsewhere(state, owner, alert.fingerprint)
    return _put(state, owner, calmed(owner, alert), alert)


def _decide(state: RouteIncidents, decision: Decision) -> RouteIncidents:
    if decision.kind in ("announce", "silence", "end_silence"):
        state = replace(state, context=remembered(state.context, decision))
        state = replace(state, silences=silences_of([decision], state.silences))
    known = decision.incident is None or any(case.incident.id == decision.incident for case in state.cases)
    if not known:
        return replace(state, parked=(*state.parked, decision)[-_KEPT_PARKED:])
    return _apply(state, decision, decision.ts)


def _apply(state: RouteIncidents, decision: Decision, ts: datetime) -> RouteIncidents:
    """A decision on the incident that it names, or on the open one; without one it only stands in the context."""
    case = state.open
    if decision.incident is not None:
        case = next(case for case in state.cases if case.incident.id == decision.incident)
    return state if case is None else _put(state, case, apply_decision(case, decision, ts))


def _wakes(case: Case) -> datetime | None:
    return case.incident.snoozed_until if case.incident.state == "snoozed" else None


def _lapses(case: Case) -> datetime | None:
    return lapses_at(case.incident.severity, case.last_fired)


def _put(state: RouteIncidents, was: Case | None, case: Case, alert: Alert | None = None) -> RouteIncidents:
    """The state with `case` in the place of `was`, and what is told of it."""
    case, notification = notify_of(was, case, alert)
    cases = (*state.cases, case) if was is None else tuple(case if kept is was else kept for kept in state.cases)
    if notification is None or _is_told(state, notification):
        return replace(state, cases=cases)
    return replace(state, cases=cases, notifications=(*state.notifications, notification))


def _is_told(state: RouteIncidents, notification: Notification) -> bool:
    """Whether it is among those of its time: they are in order, and the time is part of what names it."""
    for told in reversed(state.notifications):
        if told.id == notification.id:
            return True
        if told.ts < notification.ts:
            break
    return False


_CONTEXT = ("change", "evaluation")


def notify_of(before: Case | None, after: Case, alert: Alert | None) -> tuple[Case, Notification | None]:
    """What to tell of the entries that `after` has more than `before`, and the incident with that noted.

    A firing `alert` posts what was not told yet, and is broadcast with a mention when it raises what was told to
    warning or above, or reopens a resolved incident there. Everything else updates in place. No silence is known here:
    whoever sends knows what is to be kept back, and for how long.
    """
    told = before.incident.timeline if before else ()
    new = after.incident.timeline[len(told) :]
    if told and not new and after.incident.timeline[-1] is not told[-1]:
        new = after.incident.timeline[-1:]  # the line of a flapping alert, in place of the one before
    if not new:
        return after, None
    kind = _kind(before, after, alert)
    if kind is None:
        return after, None
    if alert is not None and alert.status == "firing":
        posted = alert.severity if after.posted is None else max(after.posted, alert.severity, key=rank)
        after = replace(after, posted=posted)
    return after, _notification(after, new, kind, alert)


def _kind(before: Case | None, after: Case, alert: Alert | None) -> NotificationKind | None:
    fires = alert is not None and alert.status == "firing"
    if after.posted is None:
        return "post" if fires else None
    if not fires or alert is None or not _is_loud(alert):
        return "update"
    reopened = before is not None and not before.is_open and not after.flaps_with(alert)
    return "broadcast" if reopened or rank(alert.severity) > rank(after.posted) else "update"


def _is_loud(alert: Alert | None) -> bool:
    return alert is not None and rank(alert.severity) >= rank("warning")


def _notification(
    case: Case, new: tuple[TimelineEntry, ...], kind: NotificationKind, alert: Alert | None
) -> Notification:
    incident = case.incident
    told = next((entry for entry in new if entry.kind not in _CONTEXT), new[0])
    return Notification(
        id=hash16([incident.id, told.kind, iso(told.ts), told.ref, told.text]),
        kind=kind,
        incident=incident.id,
        route=incident.route,
        ts=told.ts,
        severity=incident.severity,
        mention=kind != "update" and _is_loud(alert),
        text=told.text if kind == "update" else one_line(incident),
        fingerprint=None if alert is None else alert.fingerprint,
        fired=alert.severity if alert is not None and alert.status == "firing" else None,
        silenced=alert is not None and alert.silenced,
    )
