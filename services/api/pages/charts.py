"""An incident's chart: which rate it draws over which time, on its page and as a file.

The course of the rate that moved, around an incident: which one, over which time, with what is marked. Pure.

An incident's chart as a file, for messages, tickets and `<img>`: the rate that moved, with the change marked.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final

from fastapi import APIRouter, Request
from fastapi.responses import Response

from schemas.alert import Alert, rank
from schemas.evaluation import Comparison
from schemas.incident import Incident
from services.api.auth.authorization import needs, who
from services.api.http.etags import etag_of, unchanged
from services.api.http.problems import Problem, call_store
from services.api.pages.render import Parts
from services.api.resources.incidents import HEX_ID
from services.charts import Band, Chart, ChartMark, Picture, Rates, incident_chart, point, rates_chart, rates_picture
from services.charts.png import png
from services.specs import family_of
from services.store import incidents
from services.store.repository import Repository
from services.store.rollups import RollupPoint

_MOST_POINTS: Final = 60
_STEPS: Final = (
    *(timedelta(minutes=n) for n in (5, 10, 30)),
    *(timedelta(hours=n) for n in (1, 2, 4, 12)),
    *(timedelta(days=n) for n in (1, 7)),
)
_SHORTEST: Final = timedelta(hours=6)
_LONGEST: Final = timedelta(days=14)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MARKS: Final = 4


@dataclass(frozen=True, slots=True)
class ChartQuery:
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


def chart_query(incident: Incident, alerts: Sequence[Alert], clock: datetime | None) -> ChartQuery | None:
    """The rate that moved most severely, as long before its incident as after it; None if no rate did."""
    kinds = {alert.family: family_of(alert.family).kind for alert in alerts}
    rates = [alert for alert in alerts if alert.signal is not None and kinds[alert.family] in ("rate", "event")]
    if not rates:
        return None
    worst = min(rates, key=lambda one: (one.status != "firing", kinds[one.family] != "rate", -rank(one.severity)))
    opened = incident.opened_at
    end = incident.resolved_at or max(clock or incident.updated_at, opened)
    span = min(max(end - opened, _SHORTEST), _LONGEST)
    step = next((one for one in _STEPS if 2 * span / one <= _MOST_POINTS), _STEPS[-1])
    since, until = (opened - span - _EPOCH) // step, -(-(min(end, opened + span) - _EPOCH) // step)
    return ChartQuery(worst, worst.signal or "", _EPOCH + since * step, _EPOCH + max(until, since + 1) * step, step)


def page_chart(
    what: ChartQuery, points: Sequence[RollupPoint], incident: Incident, comparisons: Sequence[Comparison]
) -> Chart | None:
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


def _marks(incident: Incident, comparisons: Sequence[Comparison]) -> Iterator[ChartMark]:
    """Changes that its timeline tells of, evaluations, and the opening last: it is what must be there."""
    for entry in incident.timeline:
        if entry.kind == "change":
            pinned = entry.text.startswith("baseline")
            yield ChartMark(entry.ts, "baseline pinned" if pinned else "change", "baseline" if pinned else "change")
    for one in comparisons:
        yield ChartMark(one.ts, f"suite {one.overall}", "evaluation")
    yield ChartMark(incident.opened_at, "incident opened", "incident")


def routers(parts: Parts) -> tuple[APIRouter, ...]:
    """The paths of the files."""
    made = APIRouter(include_in_schema=False, dependencies=[needs(parts.guard, "viewer")])

    @made.get("/incidents/{id}/chart.svg")
    async def svg(request: Request, id: str) -> Response:
        drawn = (await _picture(request, parts.repository, id)).svg.encode()
        headers = etag_of(drawn)
        return unchanged(request, headers) or Response(drawn, media_type="image/svg+xml", headers=headers)

    @made.get("/incidents/{id}/chart.png")
    async def picture(request: Request, id: str) -> Response:
        drawn = (await _picture(request, parts.repository, id)).svg
        headers = etag_of(b"png" + drawn.encode())
        if (known := unchanged(request, headers)) is not None:
            return known
        return Response(await call_store(lambda: _png(drawn)), media_type="image/png", headers=headers)

    return (made,)


@lru_cache(maxsize=32)
def _png(svg: str) -> bytes:
    """Whoever asks again for the same picture costs nothing."""
    return png(svg)


async def _picture(request: Request, repository: Repository, id: str) -> Picture:
    sees = who(request).sees

    def read() -> Picture | None:
        with repository.database.read() as connection:
            incident = incidents.get(connection, id)
            if incident is None or not sees(incident.route):
                return None
            found = incident_chart.read(connection, incident)
            return None if found is None else rates_picture(found.rates)

    found = await call_store(read) if HEX_ID.fullmatch(id) else None
    if found is None:
        raise Problem(404, "there is no chart: no such incident, or no rate moved in it")
    return found
