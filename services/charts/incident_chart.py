"""The rate that an incident is about, over time: what its chart shows, on pages and in messages."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from sqlalchemy import Connection

from schemas.alert import Alert, rank
from schemas.base import hash16
from schemas.change import Change
from schemas.decision import Decision
from schemas.evaluation import Comparison
from schemas.fact import Fact
from schemas.incident import Incident
from services.charts.values import Band, ChartMark, ChartPoint, Rates, point
from services.specs import family_of
from services.store import baselines, journal, rollups
from services.store.baselines import counted_rates
from services.store.tables import key_of
from services.wording import charts, nouns
from services.wording.notifications import picture
from services.wording.timeline import change_mark

_BEFORE: Final = timedelta(hours=24)
_LONGEST: Final = timedelta(days=7)
_MOST_POINTS: Final = 72
_STEPS: Final = (
    *(timedelta(minutes=n) for n in (1, 2, 5, 10, 15, 30)),
    *(timedelta(hours=n) for n in (1, 2, 3, 6, 12, 24)),
)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_NOTICED: Final = 10


@dataclass(frozen=True, slots=True)
class IncidentChart:
    """An incident's rate as a chart's numbers.

    Attributes:
        words: what moved by how much, in one line.
        key: changes when a person would see another picture: another alert or verdict, another mark, or a rate since
            the opening that is a tenth of the axis away.
    """

    rates: Rates
    words: str
    key: str


def read(connection: Connection, incident: Incident, now: datetime | None = None) -> IncidentChart | None:
    """The worst rate that moved within the incident, from a day before it opened; None if no rate is known.

    `now` is the route's clock, for who looks at it now; left out it is shown as it was when it last changed.
    """
    length = min(max(now or incident.updated_at, incident.updated_at) - incident.opened_at, _LONGEST)
    facts = journal.facts(connection, incident.route, incident.opened_at - _BEFORE - length)
    alert = worst(incident, facts)
    if alert is None:
        return None
    since, until = window(incident, alert, now)
    step = next((one for one in _STEPS if (until - since) / one <= _MOST_POINTS), _STEPS[-1])
    since, until = _floored(since, step), _floored(until, step) + step
    found = rollups.points(
        connection, incident.route, (since, until), step, slice=key_of(alert.slice or ""), signal=alert.signal
    )
    points = [point(one.ts, min(one.sum, one.scored), one.scored) for one in found]
    if not any(one.n for one in points):
        return None
    held = alert.evidence.baseline
    pinned = None if held is None else baselines.pinning_of(connection, held)
    return build(incident, alert, facts, Rates(_name(alert), points, _begin(points, since), until, step), pinned)


def worst(incident: Incident, facts: Iterable[Fact]) -> Alert | None:
    """The newest alert of each rate of the incident, and of these the one that fires, as a rate, with most weight."""
    newest: dict[str, Alert] = {}
    for fact in facts:
        of_it = isinstance(fact, Alert) and fact.fingerprint in incident.fingerprints and not fact.shadow
        if isinstance(fact, Alert) and of_it and fact.signal is not None:
            before = newest.get(fact.fingerprint)
            drawn = family_of(fact.family).kind in ("rate", "ceiling", "event")
            if drawn and (before is None or (fact.again is None and fact.event_index >= before.event_index)):
                newest[fact.fingerprint] = fact
    return max(newest.values(), key=_weight, default=None)


def _weight(alert: Alert) -> tuple[bool, bool, int, bool, str]:
    rate, whole = family_of(alert.family).kind in ("rate", "ceiling"), alert.slice is None
    return rate, alert.status == "firing", rank(alert.severity), whole, alert.fingerprint


def window(incident: Incident, alert: Alert, now: datetime | None = None) -> tuple[datetime, datetime]:
    """From a day before the incident opened, or as long as it has lasted, to `now` or what is known of it last."""
    known = incident.updated_at if now is None else max(now, incident.updated_at)
    end = max(incident.resolved_at or known, alert.ts)
    length = min(end - incident.opened_at, _LONGEST)
    return incident.opened_at - max(_BEFORE, length), min(end, incident.opened_at + 2 * _LONGEST)


def build(
    incident: Incident, alert: Alert, facts: Iterable[Fact], rates: Rates, pinned: Change | None = None
) -> IncidentChart:
    """The chart with its marks and the baseline that was pinned. Pure."""
    marks = tuple(mark for mark in _marks(incident, facts) if rates.since <= mark.ts <= rates.until)
    words = charts.move(alert)
    whole = Rates(
        rates.name,
        rates.points,
        rates.since,
        rates.until,
        rates.step,
        _baseline(alert, pinned),
        marks,
        f"{incident.route}{f', {alert.slice}' if alert.slice else ''}: {words}",
    )
    told = picture(rates.name, whole.where, incident.opened_at)
    key = hash16([alert.id, incident.verdict, _noticed(whole, incident), [f"{mark.ts} {mark.text}" for mark in marks]])
    return IncidentChart(whole, told, key)


def _noticed(rates: Rates, incident: Incident) -> int:
    """The rate since the opening, in tenths of the greatest rate shown."""
    after = [one for one in rates.points if one.ts >= incident.opened_at and one.rate is not None]
    n = sum(one.n for one in after)
    top = max((one.rate or 0.0 for one in rates.points), default=0.0)
    return round(_NOTICED * sum(one.n * (one.rate or 0.0) for one in after) / n / top) if n and top else -1


def _floored(at: datetime, step: timedelta) -> datetime:
    return _EPOCH + (at - _EPOCH) // step * step


def _begin(points: Sequence[ChartPoint], since: datetime) -> datetime:
    """A route that was not there yet has no gap."""
    return max(since, points[0].ts) if points else since


def _name(alert: Alert) -> str:
    return nouns.signal_noun(alert.signal)


def _baseline(alert: Alert, pinned: Change | None) -> Band | None:
    """The counted rate of the baseline; of a slice, or where it is not stored, what was expected of the prompts."""
    counted = counted_rates(pinned).get(alert.signal or "") if alert.slice is None else None
    effect = alert.effect
    if family_of(alert.family).kind == "ceiling":
        return None if counted is None else Band(counted, 0.0, alert.floor)
    if counted is None and effect is not None and effect.before is not None and effect.unit == "pp":
        counted = effect.before / 100
    return None if counted is None else Band.around(counted, alert.floor)


def _marks(incident: Incident, facts: Iterable[Fact]) -> Iterator[ChartMark]:
    yield ChartMark(incident.opened_at, charts.OPENED, "incident")
    for fact in facts:
        if isinstance(fact, Change):
            yield _changed(fact)
        elif isinstance(fact, Comparison):
            yield ChartMark(fact.ts, charts.suite_mark(fact), "evaluation")
        elif isinstance(fact, Decision) and fact.kind == "announce":
            yield ChartMark(fact.ts, charts.ANNOUNCED)


def _changed(change: Change) -> ChartMark:
    return ChartMark(change.ts, change_mark(change), "baseline" if change.kind == "pinned" else "change")
