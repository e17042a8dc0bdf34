"""The page of one route: its signals, detectors, identities, slices and incidents over a window."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from urllib.parse import quote, urlencode

from fastapi import APIRouter, Request
from fastapi.responses import Response

from schemas.decision import Silence
from schemas.evaluation import Comparison
from schemas.incident import Incident
from services.api import route_snapshot, route_status
from services.api.annotations import Annotation
from services.api.annotations import AnnotationKind as Kind
from services.api.auth.authorization import needs, who
from services.api.http.problems import Problem, query_store
from services.api.pages.render import PageContext, page
from services.api.resources.coverage import coverage_of
from services.api.resources.route_rates import RatePoint, SignalRate, answered, series, signal_rates
from services.api.route_snapshot import RouteSnapshot
from services.api.route_status import StatusHeading, heading_of
from services.api.time_window import HOURS
from services.charts import Band, Chart, ChartMark, ChartPoint, ChartShare, MarkKind, Rates, rates_chart, shares
from services.monitor import RoutePolicy
from services.specs import COVERAGE_GAP, signal_of
from services.store.baselines import counted_rates
from services.store.scores import StoredExchange
from services.store.tables import LONGEST_KEY
from services.wording import ceilings, nouns, numbers, routes

RANGES: Final[Mapping[int, str]] = {1: "1 hour", 24: "24 hours", 168: "7 days", 720: "30 days"}
_MARKED: Final[Mapping[Kind, MarkKind]] = {
    "observed": "change",
    "suspected": "change",
    "share": "change",
    "provider": "change",
    "announced": "change",
    "pinned": "baseline",
    "opened": "incident",
    "resolved": "evaluation",
    "decided": "evaluation",
}
_WEIGHT: Final[tuple[MarkKind, ...]] = ("change", "baseline", "incident", "evaluation")
_MOST_MARKS: Final = 12
_MOST_SLICES: Final = 40
_MOST_IDENTITIES: Final = 12


@dataclass(frozen=True, slots=True)
class SignalPanel:
    """One watched signal: its rate in the window in words, and its chart; None without a window."""

    name: str
    rate: str
    interval: str
    baseline: str
    scored: str
    ceiling: str
    chart: Chart | None


@dataclass(frozen=True, slots=True)
class RouteIdentity:
    """One identity, with its share of the window's exchanges and when it answered first and last."""

    identity: str
    name: str
    share: str
    n: int
    first: datetime | None
    last: datetime | None


@dataclass(frozen=True, slots=True)
class SliceRow:
    """One slice: its exchanges, and of each signal the rate and its interval."""

    label: str
    href: str
    shown: bool
    n: int
    cells: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Range:
    """A link to another span of time."""

    name: str
    href: str
    shown: bool


@dataclass(frozen=True, slots=True)
class RouteView:
    """The page, from top to bottom; `columns` are the signals of the slices' cells, `hidden` how much is not shown."""

    route: str
    href: str
    state: StatusHeading
    hours: int
    slice: str
    ranges: tuple[Range, ...]
    exchanges: int
    unanswered: int
    since: datetime | None
    until: datetime | None
    signals: tuple[SignalPanel, ...]
    unmarked: int
    streams: tuple[route_status.DetectorRow, ...]
    quiet: int
    identities: tuple[RouteIdentity, ...]
    shares: Chart | None
    columns: tuple[str, ...]
    slices: tuple[SliceRow, ...]
    hidden: int
    samples: tuple[StoredExchange, ...]
    open: Incident | None
    incidents: tuple[Incident, ...]
    comparisons: tuple[Comparison, ...]
    baseline: str | None
    pinned_at: datetime | None
    silences: tuple[Silence, ...]


def view_of_route(file: RouteSnapshot, hours: int, slice: str, policy: RoutePolicy, now: datetime) -> RouteView:
    """The page of a route over its last hours, of one slice or, when that is empty, of the whole."""
    rates = signal_rates(file.rates, counted_rates(file.pinned), policy.objectives)
    n, with_answer = answered(file.rates)
    marks, unmarked = _marks(file.marks)
    columns = tuple(sorted({one.signal for one in rates}))
    slices = _slices(file, rates, columns, hours, slice)
    watched = [one for one in file.readings if one.detector != COVERAGE_GAP]  # it has a section of its own
    streams = route_status.detector_rows(watched, file.models)
    return RouteView(
        route=file.route,
        href=_href(file.route, hours, slice),
        state=heading_of(file, policy, now),
        hours=hours,
        slice=slice,
        ranges=tuple(Range(name, _href(file.route, h, slice), h == hours) for h, name in RANGES.items()),
        exchanges=n,
        unanswered=n - with_answer,
        since=None if file.window is None else file.window.since,
        until=None if file.window is None else file.window.until,
        signals=_signals(file, rates, slice, policy, marks),
        unmarked=unmarked,
        streams=streams[: route_status.MOST_READINGS],
        quiet=len(streams[route_status.MOST_READINGS :]),
        identities=_identities(file, n),
        shares=_shares(file),
        columns=tuple(nouns.signal_title(name) for name in columns),
        slices=slices[:_MOST_SLICES],
        hidden=len(slices[_MOST_SLICES:]),
        samples=file.exchanges,
        open=file.open,
        incidents=tuple(one for one in file.incidents if file.open is None or one.id != file.open.id),
        comparisons=tuple(reversed(file.comparisons)),
        baseline=None if file.pinned is None else file.pinned.baseline,
        pinned_at=None if file.pinned is None else file.pinned.ts,
        silences=file.silences,
    )


def _href(route: str, hours: int, slice: str) -> str:
    asked: dict[str, str | int] = {"hours": hours} | ({"slice": slice} if slice else {})
    return f"/routes/{quote(route)}?{urlencode(asked)}"


def _signals(
    file: RouteSnapshot,
    rates: Sequence[SignalRate],
    slice: str,
    policy: RoutePolicy,
    marks: Sequence[ChartMark],
) -> tuple[SignalPanel, ...]:
    """What moved first, then by name; a watched signal that nothing was scored of is not left out."""
    whole = {one.signal: one for one in rates if one.identity is None and (one.slice or "") == slice}
    over_time = series(file.points)
    pinned = counted_rates(file.pinned) if not slice else {}
    firing = {one.signal for one in file.readings if one.status == "firing"}
    known = {*whole, *over_time, *policy.floors, *policy.objectives}
    names = sorted(known, key=lambda name: (name not in firing, name))
    return tuple(
        _signal(
            name,
            whole.get(name),
            _chart(file, name, over_time.get(name, ()), _band(name, pinned, policy.floors), marks),
            None if slice else policy.objectives.get(name),
        )
        for name in names
    )


def _signal(name: str, one: SignalRate | None, chart: Chart | None, ceiling: float | None) -> SignalPanel:
    return SignalPanel(
        name=nouns.signal_noun(name),
        rate=_value(one),
        interval=_interval(one),
        baseline=numbers.percent(None if one is None else one.baseline),
        scored=_scored(one),
        ceiling=ceilings.ceiling(ceiling),
        chart=chart,
    )


def _chart(
    file: RouteSnapshot, name: str, points: Sequence[RatePoint], band: Band | None, marks: Sequence[ChartMark]
) -> Chart | None:
    if file.drawn is None or signal_of(name).number:
        return None
    drawn = [ChartPoint(one.ts, one.scored, one.rate, one.low, one.high) for one in points]
    return rates_chart(
        Rates(nouns.signal_noun(name), drawn, file.drawn.since, file.drawn.until, file.step, band, marks, file.route)
    )


def _band(name: str, pinned: Mapping[str, float], floors: Mapping[str, float]) -> Band | None:
    """The baseline's rate with the floor around it; an event has no floor."""
    return Band.around(pinned[name], floors.get(name)) if name in pinned else None


def _marks(found: Sequence[Annotation]) -> tuple[tuple[ChartMark, ...], int]:
    """The marks that weigh most, the newest of each kind, and how many are left out."""
    made = [ChartMark(one.ts, one.text, _MARKED[one.kind]) for one in found]
    chosen = sorted(made, key=lambda mark: (_WEIGHT.index(mark.kind), -mark.ts.timestamp()))[:_MOST_MARKS]
    return tuple(sorted(chosen, key=lambda mark: mark.ts)), len(made) - len(chosen)


def _identities(file: RouteSnapshot, total: int) -> tuple[RouteIdentity, ...]:
    """Who answered, the newest first; those of the window before those of earlier."""
    counted = _counted(file)
    found = [
        RouteIdentity(
            identity=identity,
            name=nouns.model_of(identity, file.models),
            share=numbers.percent(counted.get(identity, 0) / total) if total else numbers.UNKNOWN,
            n=counted.get(identity, 0),
            first=file.seen[identity][0] if identity in file.seen else None,
            last=file.seen[identity][1] if identity in file.seen else None,
        )
        for identity in sorted({*file.seen, *counted})
    ]
    newest = sorted(found, key=lambda who: (who.n > 0, "" if who.last is None else who.last.isoformat()), reverse=True)
    return tuple(newest[:_MOST_IDENTITIES])


def _counted(file: RouteSnapshot) -> dict[str, int]:
    return {rate.identity: rate.n for rate in file.rates if not rate.slice and not rate.signal}


def _shares(file: RouteSnapshot) -> Chart | None:
    counted = sorted(_counted(file).items(), key=lambda item: (-item[1], item[0]))
    parts = [ChartShare(nouns.model_of(identity, file.models), n) for identity, n in counted]
    return shares(parts) if parts else None


def _slices(
    file: RouteSnapshot, rates: Sequence[SignalRate], columns: Sequence[str], hours: int, slice: str
) -> tuple[SliceRow, ...]:
    """Those with most exchanges first."""
    by_slice: dict[str, dict[str, SignalRate]] = {}
    for one in rates:
        if one.identity is None and one.slice is not None:
            by_slice.setdefault(one.slice, {})[one.signal] = one
    made = [
        SliceRow(
            label=label,
            href=_href(file.route, hours, label),
            shown=label == slice,
            n=max(one.n for one in found.values()),
            cells=tuple(_cell(found.get(name)) for name in columns),
        )
        for label, found in by_slice.items()
    ]
    return tuple(sorted(made, key=lambda row: (-row.n, row.label)))


def _cell(one: SignalRate | None) -> tuple[str, str]:
    return _value(one), _interval(one)


def _value(one: SignalRate | None) -> str:
    """A rate in percent; of a signal that counts, its mean."""
    if one is not None and one.mean is not None:
        return numbers.each(one.mean)
    return numbers.percent(None if one is None else one.rate)


def _interval(one: SignalRate | None) -> str:
    return "" if one is None else numbers.interval(one.low, one.high)


def _scored(one: SignalRate | None) -> str:
    return routes.rate_of(0, 0, None) if one is None else routes.rate_of(one.n, one.scored, one.unscored)


def routers(parts: PageContext) -> tuple[APIRouter, ...]:
    """The path of the page."""
    made = APIRouter(include_in_schema=False, dependencies=[needs(parts.guard, "viewer")])

    @made.get("/routes/{route:path}")
    async def one(request: Request, route: str) -> Response:
        hours, slice, now = _hours(request), _slice(request), parts.decisions.clock()

        known = "\0" not in route and who(request).sees(route)
        found = (
            await query_store(parts.database, route_snapshot.read_route, route, hours, slice, now) if known else None
        )
        if found is None:
            raise Problem(404, "there is no such route; the fleet shows those that there are")
        policy = parts.policy(route)
        shown = view_of_route(found, hours, slice, policy, now)
        asked = await query_store(parts.database, coverage_of, route, policy, now)
        return page(request, "route.html", {"view": shown, "asked": asked, "now": now})

    return (made,)


def _hours(request: Request) -> int:
    """One of the spans that the page links to; what else is asked for is the usual one."""
    given = request.query_params.get("hours", "")
    return next((hours for hours in RANGES if given == str(hours)), HOURS)


def _slice(request: Request) -> str:
    """As the database keys it: a slice that is named otherwise has no exchange."""
    return request.query_params.get("slice", "").replace("\0", "\N{REPLACEMENT CHARACTER}")[:LONGEST_KEY]
