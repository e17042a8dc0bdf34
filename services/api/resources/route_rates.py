"""`/v1/routes/{route}/safety` and `/metrics`: rates with Wilson intervals, 95%, now and over time.

Of nothing that was scored a rate is not known: null, with a null interval. So is the rate of a signal that is no
Boolean, whose values add up to no count.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any, Final, TypeVar

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response
from pydantic import AwareDatetime, BaseModel, Field
from sqlalchemy import Connection

from detectors.stats.intervals import wilson
from schemas.change import Change
from services.api.annotations import Annotation, marks
from services.api.auth.authorization import Guard, needs, who
from services.api.http.etags import tagged
from services.api.http.openapi import FAULTS, UNCHANGED
from services.api.http.problems import Problem, ProblemBody, query_store
from services.api.time_window import HOURS, MOST_HOURS, StepName, Window, WindowQuery, step_of, window_of
from services.monitor import RoutePolicy
from services.specs import signal_of
from services.store import baselines, rollups, routes
from services.store.baselines import counted_rates
from services.store.engine import Database
from services.store.rollups import RollupPoint, RollupRate

Sums = tuple[int, int, float]


class RateEstimate(BaseModel):
    """How often a signal was true: `rate` of the `scored` among `n` exchanges."""

    n: int = Field(description="Exchanges.", examples=[1200])
    scored: int = Field(description="Exchanges of which the signal could be measured.", examples=[1188])
    unscored: float | None = Field(description="Share that could not be measured; null without an exchange.")
    rate: float | None = Field(description="Share of the scored ones; null when none was: not known.", examples=[0.158])
    low: float | None = Field(description="Lower end of Wilson's 95% interval of the rate.", examples=[0.138])
    high: float | None = Field(description="Upper end of it.", examples=[0.18])
    mean: float | None = Field(description="Of a signal that counts, the mean of the scored ones; null of others.")


class SignalRate(RateEstimate):
    """A signal's rate over the window, of one identity and slice; null stands for all of them."""

    signal: str = Field(examples=["refusal"])
    identity: str | None = Field(description="Who answered; null: whoever did.", examples=["a1b2c3d4e5f60718"])
    slice: str | None = Field(description="dimension=value; null: the whole route.", examples=["tags.locale=de"])
    baseline: float | None = Field(description="The rate that was pinned; null where none was, as of slices.")
    ceiling: float | None = Field(
        description="What the rate must not exceed, from the monitor file; null without one, as of slices.",
        examples=[0.005],
    )


class RatePoint(RateEstimate):
    """A signal's rate in the step of time that begins at `ts`."""

    ts: datetime


def rate_estimate(n: int, scored: int, value: float, *, counts: bool = False) -> dict[str, Any]:
    """The fields of `RateEstimate`, of sums; what `counts` has a mean and no rate.

    >>> made = rate_estimate(10, 8, 2.0)
    >>> made["unscored"], made["rate"], round(made["low"], 3), round(made["high"], 3)
    (0.2, 0.25, 0.071, 0.591)
    >>> rate_estimate(3, 0, 0.0)["rate"] is rate_estimate(3, 0, 0.0)["high"] is None
    True
    """
    mean = value / scored if counts and scored else None
    known = {"n": n, "scored": scored, "unscored": (n - scored) / n if n else None, "mean": mean}
    if counts or scored == 0 or not 0 <= value <= scored or value != int(value):
        return {**known, "rate": None, "low": None, "high": None}
    low, high = wilson(value, scored)
    return {**known, "rate": value / scored, "low": low, "high": high}


def signal_rates(
    rates: Iterable[RollupRate], pinned: Mapping[str, float], ceilings: Mapping[str, float]
) -> tuple[SignalRate, ...]:
    """Every signal of the whole, of each identity, of each slice, and of each identity in each slice, in that order.

    `pinned` are the baseline's rates by signal, `ceilings` what the route's must not exceed.
    """
    found: dict[tuple[str, str, str], Sums] = {}
    for rate in rates:
        for identity in ("", rate.identity):
            key = (identity, rate.slice, rate.signal)
            n, scored, value = found.get(key, (0, 0, 0.0))
            found[key] = (n + rate.n, scored + rate.scored, value + rate.sum)
    return tuple(
        SignalRate.model_construct(
            **rate_estimate(*sums, counts=signal_of(signal).number),
            signal=signal,
            identity=identity or None,
            slice=label or None,
            baseline=None if label or signal_of(signal).number else pinned.get(signal),
            ceiling=None if label else ceilings.get(signal),
        )
        for (identity, label, signal), sums in sorted(found.items(), key=_order)
        if signal
    )


def answered(rates: Iterable[RollupRate]) -> tuple[int, int]:
    """How many exchanges the whole route had, and how many of them were answered."""
    whole = [rate for rate in rates if not rate.slice and not rate.signal]
    return sum(rate.n for rate in whole), sum(rate.scored for rate in whole)


def series(points: Sequence[RollupPoint]) -> dict[str, tuple[RatePoint, ...]]:
    """Signal -> its points in order of time; of the signals, not of the exchanges themselves."""
    found: dict[str, list[RatePoint]] = {}
    for one in points:
        if one.signal:
            counts = signal_of(one.signal).number
            made = RatePoint.model_construct(ts=one.ts, **rate_estimate(one.n, one.scored, one.sum, counts=counts))
            found.setdefault(one.signal, []).append(made)
    return {signal: tuple(found[signal]) for signal in sorted(found)}


def _order(item: tuple[tuple[str, str, str], Sums]) -> tuple[bool, bool, str, str, str]:
    identity, label, signal = item[0]
    return bool(label), bool(identity), label, identity, signal


T = TypeVar("T")

LONGEST_KEY: Final = 500
"""Characters of a key in the database; what is longer is none."""
_ANSWERS: Final[dict[int | str, dict[str, Any]]] = {
    **UNCHANGED,
    404: {"model": ProblemBody, "description": "There is no such route."},
    **FAULTS,
}
Since = Annotated[AwareDatetime | None, Query(description="First minute.", examples=["2026-11-24T12:00:00Z"])]
Until = Annotated[
    AwareDatetime | None, Query(description="First minute after it; else the route's clock, its newest exchange's.")
]
Hours = Annotated[int | None, Query(description=f"The last ones before `until`, else {HOURS}.", ge=1, le=MOST_HOURS)]


class ReferenceBaseline(BaseModel):
    """The baseline that rates are held against."""

    id: str
    identity: str
    n: int | None = Field(description="Exchanges that it was made of.")
    ts: datetime = Field(description="When it was pinned.")


class RouteSafety(BaseModel):
    """Live rates of a route over [since, until)."""

    route: str
    since: datetime | None = Field(description="Null, with `until`, while no exchange has told the route's time.")
    until: datetime | None
    interval: str = "Wilson, 95%"
    exchanges: int
    answered: int
    baseline: ReferenceBaseline | None = Field(description="Null while the route learns.")
    rates: list[SignalRate]


class SignalSeries(BaseModel):
    """One signal over time; steps without an exchange are left out."""

    signal: str
    points: list[RatePoint]


class RouteMetrics(BaseModel):
    """Rates over [since, until) in steps, and what happened in that time."""

    route: str
    since: datetime | None
    until: datetime | None
    step: int | None = Field(description="Seconds.", examples=[600])
    interval: str = "Wilson, 95%"
    series: list[SignalSeries]
    marks: list[Annotation] = Field(description="Changes, incidents and decisions, the newest 100 of each.")


def router(database: Database, guard: Guard, policy: Callable[[str], RoutePolicy]) -> APIRouter:
    """The paths, for those whom `guard` lets view; `policy` is what the monitor file says of a route."""
    made = APIRouter(prefix="/v1/routes", tags=["routes"], dependencies=[needs(guard, "viewer")])
    _add_safety(made, database, policy)
    _add_metrics(made, database)
    return made


def _add_safety(made: APIRouter, database: Database, policy: Callable[[str], RoutePolicy]) -> None:
    @made.get(
        "/{route:path}/safety",
        operation_id="getRouteSafety",
        summary="Read live rates",
        responses={200: {"model": RouteSafety}, **_ANSWERS},
    )
    async def safety(
        request: Request, route: str, since: Since = None, until: Until = None, hours: Hours = None
    ) -> Response:
        """How often each signal was true, with confidence intervals, by identity and slice, beside the baseline.

        A rate of which nothing was scored is null: not known, and never safe.
        """
        asked = WindowQuery(since, until, hours)
        found = await _read_route(
            request, database, route, lambda connection: rates_now(connection, route, asked, policy(route).objectives)
        )
        return tagged(request, found.model_dump(mode="json"))


def _add_metrics(made: APIRouter, database: Database) -> None:
    @made.get(
        "/{route:path}/metrics",
        operation_id="getRouteMetrics",
        summary="Read rates over time",
        responses={200: {"model": RouteMetrics}, **_ANSWERS},
    )
    async def metrics(
        request: Request,
        route: str,
        signal: Annotated[str | None, Query(description="Only this one.", max_length=LONGEST_KEY)] = None,
        identity: Annotated[str | None, Query(description="Only where this one answered.", max_length=16)] = None,
        slice: Annotated[
            str | None, Query(description="Only of this slice, dimension=value.", max_length=LONGEST_KEY)
        ] = None,
        since: Since = None,
        until: Until = None,
        hours: Hours = None,
        step: Annotated[
            StepName | None, Query(description="How long a point is; else the finest of at most 200.")
        ] = None,
    ) -> Response:
        """The rate of each signal over time with its confidence interval, and what happened on the same axis.

        The window is widened to whole steps.
        """
        asked = WindowQuery(since, until, hours)
        where = {"slice": slice or "", "identity": identity, "signal": signal}
        if any("\0" in text for text in where.values() if text):
            where = {"slice": "\N{REPLACEMENT CHARACTER}", "identity": None, "signal": None}  # nothing is called so
        found = await _read_route(
            request, database, route, lambda connection: _metrics(connection, route, asked, step, where)
        )
        return tagged(request, found.model_dump(mode="json"))


def rates_now(connection: Connection, route: str, asked: WindowQuery, ceilings: Mapping[str, float]) -> RouteSafety:
    """The rates of a route over a window, the last 24 hours where none is asked for, beside those of its baseline."""
    window = window_of(asked, routes.clock(connection, route))
    pinned = baselines.current_pinnings(connection, (route,)).get(route)
    rates = () if window is None else rollups.rates(connection, route, window.since, window.until, None)
    return _safety(route, window, rates, pinned, ceilings)


def rates_of_routes(
    connection: Connection, clocks: Mapping[str, datetime | None], policy: Callable[[str], RoutePolicy]
) -> dict[str, RouteSafety]:
    """What `rates_now` says of each route, by its clock, but of slices; the statements do not grow with the routes."""
    windows = {route: window_of(WindowQuery(), clock) for route, clock in clocks.items()}
    spans = {route: (window.since, window.until) for route, window in windows.items() if window is not None}
    pinned = baselines.current_pinnings(connection, sorted(windows))
    rates = rollups.rates_of_routes(connection, spans)
    return {
        route: _safety(route, window, rates.get(route, ()), pinned.get(route), policy(route).objectives)
        for route, window in windows.items()
    }


def _safety(
    route: str,
    window: Window | None,
    rates: Sequence[RollupRate],
    pinned: Change | None,
    ceilings: Mapping[str, float],
) -> RouteSafety:
    exchanges, with_answer = answered(rates)
    return RouteSafety(
        route=route,
        since=None if window is None else window.since,
        until=None if window is None else window.until,
        exchanges=exchanges,
        answered=with_answer,
        baseline=None if pinned is None else _baseline(pinned),
        rates=list(signal_rates(rates, counted_rates(pinned), ceilings)),
    )


def _metrics(
    connection: Connection, route: str, asked: WindowQuery, wanted: StepName | None, where: dict[str, Any]
) -> RouteMetrics:
    window = window_of(asked, routes.clock(connection, route))
    if window is None:
        return RouteMetrics(route=route, since=None, until=None, step=None, series=[], marks=[])
    step = step_of(window, wanted)
    whole = window.whole(step)
    points = rollups.points(connection, route, (whole.since, whole.until), step, **where)
    return RouteMetrics(
        route=route,
        since=whole.since,
        until=whole.until,
        step=int(step.total_seconds()),
        series=[SignalSeries(signal=name, points=list(found)) for name, found in series(points).items()],
        marks=list(marks(connection, route, whole)),
    )


def _baseline(pinned: Change) -> ReferenceBaseline:
    n = None if pinned.pinning is None else pinned.pinning.n
    return ReferenceBaseline(id=pinned.baseline or "", identity=pinned.to_identity, n=n, ts=pinned.ts)


async def _read_route(request: Request, database: Database, route: str, work: Callable[[Connection], T]) -> T:
    """What `work` reads of a route that exists for whoever asks, in one state of the database."""

    def read(connection: Connection) -> T | None:
        return work(connection) if routes.exists(connection, route) else None

    found = await query_store(database, read) if "\0" not in route and who(request).sees(route) else None
    if found is None:
        raise Problem(404, "there is no such route, or nothing came of it yet; GET /v1/routes lists them")
    return found
