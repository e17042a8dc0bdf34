"""The course of the rate that moved, around an incident: which one, over which time, with what is marked. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from schemas.alert import Alert, rank
from schemas.evaluation import Comparison
from schemas.incident import Incident
from services.charts import Band, Chart, Mark, Rates, point, rates_chart
from services.store.rollups import Point

_MOST_POINTS: Final = 60
_STEPS: Final = (
    *(timedelta(minutes=n) for n in (5, 10, 30)),
    *(timedelta(hours=n) for n in (1, 2, 4, 12)),
    *(timedelta(days=n) for n in (1, 7)),
)
_LEAST: Final = timedelta(hours=6)
_MOST: Final = timedelta(days=14)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MARKS: Final = 4


@dataclass(frozen=True, slots=True)
class Asked:
    """Which rate of which time is to be read: [since, until) in whole steps."""

    alert: Alert
    signal: str
    since: datetime
    until: datetime
    step: timedelta

    @property
    def slice(self) -> str:
        """The slice as rollups name it."""
        return self.alert.slice or ""


def asked(incident: Incident, alerts: Sequence[Alert], clock: datetime | None) -> Asked | None:
    """The rate that moved most severely, as long before its incident as after it; None if no rate did."""
    rates = [alert for alert in alerts if alert.signal is not None and alert.family in ("rate_shift", "events")]
    if not rates:
        return None
    worst = min(rates, key=lambda one: (one.status != "firing", one.family != "rate_shift", -rank(one.severity)))
    opened = incident.opened_at
    end = incident.resolved_at or max(clock or incident.updated_at, opened)
    span = min(max(end - opened, _LEAST), _MOST)
    step = next((one for one in _STEPS if 2 * span / one <= _MOST_POINTS), _STEPS[-1])
    since, until = (opened - span - _EPOCH) // step, -(-(min(end, opened + span) - _EPOCH) // step)
    return Asked(worst, worst.signal or "", _EPOCH + since * step, _EPOCH + max(until, since + 1) * step, step)


def drawn(what: Asked, points: Sequence[Point], incident: Incident, comparisons: Sequence[Comparison]) -> Chart | None:
    """The chart; None when nothing was counted: a rate that is not known is not drawn."""
    counted = [point(one.ts, one.sum, one.scored) for one in points]
    if not any(one.n for one in counted):
        return None
    where = f" [{what.alert.slice}]" if what.alert.slice else ""
    marks = [one for one in _marks(incident, comparisons) if what.since <= one.ts < what.until]
    return rates_chart(
        Rates(
            f"{what.signal.replace('_', ' ')} rate{where}",
            counted,
            what.since,
            what.until,
            what.step,
            _band(what.alert),
            marks[-_MARKS:],
        )
    )


def _band(alert: Alert) -> Band | None:
    effect = alert.effect
    if effect is None or effect.before is None or effect.unit != "pp":
        return None
    rate, floor = effect.before / 100, alert.floor or 0.0
    return Band(rate, max(rate - floor, 0.0), min(rate + floor, 1.0))


def _marks(incident: Incident, comparisons: Sequence[Comparison]) -> Iterator[Mark]:
    """Changes that its timeline tells of, evaluations, and the opening last: it is what must be there."""
    for entry in incident.timeline:
        if entry.kind == "change":
            pinned = entry.text.startswith("baseline")
            yield Mark(entry.ts, "baseline pinned" if pinned else "change", "baseline" if pinned else "change")
    for one in comparisons:
        yield Mark(one.ts, f"suite {one.overall}", "evaluation")
    yield Mark(incident.opened_at, "incident opened", "incident")
