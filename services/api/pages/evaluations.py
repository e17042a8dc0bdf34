"""Evaluations and schedules, the page of one run, and the forms that ask for a run or plan one."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response
from pydantic import ValidationError
from sqlalchemy import Connection

from schemas.evaluation import Comparison
from services.api.auth import csrf
from services.api.auth.authorization import Principal, needs, visible_globs, who
from services.api.http.problems import Problem, problem_of_violation, query_store
from services.api.pages import forms
from services.api.pages.compare import AnswerExcerpt, answer_excerpt, question_asked
from services.api.pages.render import PageContext, page
from services.api.resources.evaluations import found_run
from services.api.schedules import (
    EvaluationPlanner,
    NewRun,
    NewSchedule,
    ScheduleStatus,
    schedule_statuses,
    unknown_route,
)
from services.evaluate.asking_plan import asking_plan, plan_lines
from services.evaluate.profile import ProfileRate, profile_of
from services.evaluate.profile_label import LabelRate
from services.evaluate.result import AskedItem, RunResult
from services.evaluate.suite_library import questions_asked, suite_names
from services.monitor import Monitor, RoutePolicy
from services.monitor.known_routes import known_routes
from services.store import journal, routes, runs
from services.store.runs import RequestedRun, RunFilter
from services.wording import evaluations, importing, numbers, schedules
from services.wording.schedules import cron_in_words

MOST_ITEMS: Final = 50
_FULL: Final = 100.0


@dataclass(frozen=True, slots=True)
class RateLevel:
    """One rate with its interval, in percent of the width; `text` says it, and None is not known.

    `corrected` is what stands behind it once the errors of its scorer are taken out, or why that is not known.
    """

    name: str
    pooled: bool
    counted: str
    corrected: str
    text: str
    share: float | None
    low: float
    high: float
    bad: bool


@dataclass(frozen=True, slots=True)
class NotableItem:
    """One item that is an event, or that nobody could score."""

    id: str
    what: str
    asked: str
    answer: AnswerExcerpt


@dataclass(frozen=True, slots=True)
class RunView:
    """The page of one run; `more` items are left out. `facts` are name and value."""

    levels: tuple[RateLevel, ...]
    shown: tuple[NotableItem, ...]
    more: int
    facts: tuple[tuple[str, str], ...]


def view_of_run(run: RunResult) -> RunView:
    """The page of a run's result."""
    events = run.events
    wanted = [item for item in run.asked if events[item.id] is not False]
    wanted.sort(key=lambda item: (events[item.id] is None, item.measure, item.id))
    return RunView(
        tuple(rate_level(one) for one in profile_of(run)),
        tuple(_notable_item(run, item) for item in wanted[:MOST_ITEMS]),
        max(len(wanted) - MOST_ITEMS, 0),
        tuple(_facts(run)),
    )


def rate_level(one: ProfileRate | LabelRate) -> RateLevel:
    """One rate of a run, or of a profile."""
    name, counted = (
        evaluations.measure_heading(one.hazard, one.measure),
        evaluations.counted(one.events, one.n, one.items),
    )
    corrected = evaluations.corrected(one.correction, one.true_rate, one.true_low, one.true_high)
    if one.rate is None or one.low is None or one.high is None:
        return RateLevel(name, one.hazard == "all", counted, "", numbers.UNKNOWN, None, 0, _FULL, False)
    text = f"{numbers.level(one.rate, 'pp')} ({one.low:.0f} to {one.high:.0f}%)"
    ends = (round(one.rate, 2), round(one.low, 2), round(one.high, 2))
    return RateLevel(name, one.hazard == "all", counted, corrected, text, *ends, one.events > 0)


def _notable_item(run: RunResult, item: AskedItem) -> NotableItem:
    answers = [one for one in run.answers if one.item == item.id]
    what, event = evaluations.measure_heading(item.hazard, item.measure), run.events[item.id]
    return NotableItem(item.id, what, question_asked(answers), answer_excerpt(answers, item.measure, event))


def _facts(run: RunResult) -> list[tuple[str, str]]:
    served = sorted({one.served for one in run.answers if one.served is not None})
    settings = ", ".join(f"{name} {json.dumps(value)[:80]}" for name, value in sorted(run.settings.items()))
    told = [
        ("asked for", run.target.model),
        ("answered", ", ".join(served[:3]) or "does not say"),
        ("endpoint", run.target.url),
        ("settings", settings or "none"),
        ("seed", None if run.seed is None else str(run.seed)),
        ("made elsewhere", None if run.origin is None else importing.made_elsewhere(run.origin)),
        ("suite", f"{run.suite.name} {run.suite.version}, {len(run.suite.items)} items, {len(run.answers)} answers"),
        ("asked", None if run.stopped is None else evaluations.stopped_early(run.stopped)),
        ("margin", f"{run.suite.margin:g} points"),
        ("suite hash", run.suite.sha256),
        ("system prompt hash", run.target.system_prompt_sha256),
        ("scorers", ", ".join(f"{name} {version}" for name, version in sorted(run.scorers.items()))),
        ("scorers are right", "; ".join(_right(run)) or None),
        ("took", f"{(run.ended - run.started).total_seconds():,.0f} s"),
    ]
    return [(name, value) for name, value in told if value is not None]


def _right(run: RunResult) -> Iterator[str]:
    """How often the scorers of a run are right, as far as that was measured."""
    for measure, known in sorted(run.scorer_errors.items()):
        yield evaluations.scorer_errors(measure, known.sensitivity, known.specificity, known.labels)


RECENT: Final = timedelta(days=7)
"""What failed or was missed within this needs a look."""
MOST_OF_ROUTE: Final = 5


@dataclass(frozen=True, slots=True)
class RunLine:
    """One run in a list.

    Attributes:
        why: what asked for it, in words. said: what became of it, or why nothing did. bad: whether it needs a look.
        verdict: its comparison with the baseline's run in one word, None where there is none.
        before: the run that it was compared with.
    """

    run: RequestedRun
    why: str
    said: str
    bad: bool
    verdict: str | None = None
    before: str | None = None


@dataclass(frozen=True, slots=True)
class ScheduleLine:
    """One schedule: when in words, and what became of its last fire time."""

    plan: ScheduleStatus
    when: str
    said: str
    bad: bool
    rules: str


@dataclass(frozen=True, slots=True)
class PlannedAsking:
    """Routes that the monitor file has asked in the same way, and what that is, as `check-config` says it."""

    routes: tuple[str, ...]
    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class EvaluationsView:
    """The page, from top to bottom; `of_routes` are the newest runs that ended, by route."""

    heading: str
    lead: str
    now: tuple[RunLine, ...]
    wrong: tuple[RunLine, ...]
    clocks: tuple[ScheduleLine, ...]
    of_routes: tuple[tuple[str, tuple[RunLine, ...]], ...]


@dataclass(frozen=True, slots=True)
class EvaluationLists:
    """What the page is made of: each list the newest first, and the comparisons by their later run."""

    open: Sequence[RequestedRun]
    wrong: Sequence[RequestedRun]
    ended: Sequence[RequestedRun]
    plans: Sequence[ScheduleStatus]
    outcomes: Mapping[str, Comparison]


def view_of_evaluations(found: EvaluationLists, now: datetime) -> EvaluationsView:
    """The page of what was found."""
    wrong = [one for one in found.wrong if now - one.ts <= RECENT]
    open = [
        run_line(one, now) for one in sorted(found.open, key=lambda one: (one.state != "running", one.ts, one.place))
    ]
    by_route: dict[str, list[RunLine]] = {}
    for one in found.ended:
        of_it = by_route.setdefault(one.route, [])
        if len(of_it) < MOST_OF_ROUTE:
            of_it.append(run_line(one, now, found.outcomes.get(one.id or "")))
    regressed = sum(one.overall == "regressed" and now - one.ts <= RECENT for one in found.outcomes.values())
    any_known = bool(found.plans or found.ended or found.open or found.wrong)
    clocks = tuple(_schedule_line(plan) for plan in found.plans)
    return EvaluationsView(
        _heading(open, wrong, regressed, any_known),
        _lead(open) if any_known else "",
        tuple(open),
        tuple(run_line(one, now) for one in wrong),
        clocks,
        tuple((route, tuple(lines)) for route, lines in sorted(by_route.items())),
    )


def asking_of(watched: Monitor, names: Iterable[str], now: datetime) -> tuple[PlannedAsking, ...]:
    """What the monitor file has these routes asked from now on; those without a target are left out."""
    alike: list[tuple[RoutePolicy, list[str]]] = []
    for name in sorted(set(names)):
        policy = watched.policy(name)
        those = next((found for known, found in alike if known == policy), None)
        if those is None:
            alike.append((policy, those := []))
        those.append(name)
    told = ((found, tuple(plan_lines(asking_plan(policy, questions_asked, now)))) for policy, found in alike)
    return tuple(PlannedAsking(tuple(found), lines) for found, lines in told if lines)


def run_line(one: RequestedRun, now: datetime, compared: Comparison | None = None) -> RunLine:
    """One run in words."""
    said, bad = _run_outcome(one, now)
    if compared is None:
        return RunLine(one, schedules.cause(one.moment), said, bad)
    bad = bad or compared.overall == "regressed"
    return RunLine(one, schedules.cause(one.moment), said, bad, compared.overall, compared.before_run)


def _run_outcome(one: RequestedRun, now: datetime) -> tuple[str, bool]:
    """What became of a run, or why nothing did, and whether it needs a look."""
    if one.state in ("missed", "failed"):
        return schedules.came_to_nothing(one.state, one.reason), True
    if one.state == "due":
        return schedules.waiting(one.ts, one.until, one.reason, now)
    if one.status == "incomplete":
        return evaluations.no_result(one.reason), True
    return (schedules.RUNNING if one.state == "running" else schedules.ANSWERED), False


def _schedule_line(plan: ScheduleStatus) -> ScheduleLine:
    said = schedules.last_time(plan.outcome, plan.reason)
    rules = schedules.rules(plan.schedule.overlap, plan.schedule.catch_up)
    return ScheduleLine(plan, cron_in_words(plan.schedule.cron), said, plan.outcome in ("missed", "failed"), rules)


def _heading(open: Sequence[RunLine], wrong: Sequence[RequestedRun], regressed: int, any_known: bool) -> str:
    """The worst first; that nothing failed is only said where something was asked."""
    return schedules.heading(
        regressed,
        sum(line.bad for line in open),
        sum(one.state == "failed" for one in wrong),
        sum(one.state == "missed" for one in wrong),
        sum(line.run.state == "running" for line in open),
        any_known,
    )


def _lead(open: Sequence[RunLine]) -> str:
    running = sum(one.run.state == "running" for one in open)
    return schedules.lead(running, len(open) - running, RECENT.days)


_MOST_RUNS: Final = 100
_MOST_WRONG: Final = 30
_MOST_PLANS: Final = 200
_FIELDS: Final = ("route", "name", "cron", "timezone", "suite")


def routers(parts: PageContext) -> tuple[APIRouter, ...]:
    """The paths of the pages."""
    planning = EvaluationPlanner(parts.database, parts.decisions.clock, parts.watched)
    return _reading(parts), _planning(parts, planning)


def _reading(parts: PageContext) -> APIRouter:
    made = APIRouter(include_in_schema=False, dependencies=[needs(parts.guard, "viewer")])

    @made.get("/evaluations")
    async def overview(request: Request) -> Response:
        return await _overview_page(request, parts)

    @made.get("/evaluations/{id}")
    async def evaluation(request: Request, id: str) -> Response:
        one, result = await found_run(parts.database, who(request), id)
        now = parts.decisions.clock()
        compared, others = await query_store(parts.database, _compared_and_others, one)
        told = {"line": run_line(one, now, compared), "compared": compared, "others": others, "now": now}
        return page(request, "evaluation.html", told | {"view": None if result is None else view_of_run(result)})

    return made


def _planning(parts: PageContext, planning: EvaluationPlanner) -> APIRouter:
    made = APIRouter(include_in_schema=False, dependencies=[needs(parts.guard, "operator")])

    @made.post("/evaluations")
    async def run_now(request: Request) -> Response:
        fields = await forms.read_form(request, parts.budget)
        try:
            route, _, suite = fields.get("what", "").partition(" ")
            wanted = _checked(NewRun, {"route": route, "suite": suite})
            _must_see(who(request), wanted.route)
            one, _ = await planning.ask(wanted)
        except Problem as problem:
            return await _overview_page(request, parts, problem)
        return RedirectResponse(f"/evaluations/{one.id}", 303)

    @made.post("/evaluations/schedules")
    async def plan(request: Request) -> Response:
        fields = await forms.read_form(request, parts.budget)
        try:
            if fields.get("do") == "remove":
                _must_see(who(request), fields.get("route", ""))
                await planning.remove(fields.get("route", ""), fields.get("name", ""))
            else:
                wanted = _checked(NewSchedule, _schedule_fields(fields))
                _must_see(who(request), wanted.route)
                await planning.add(wanted, who(request).sees)
        except Problem as problem:
            return await _overview_page(request, parts, problem, fields)
        return RedirectResponse("/evaluations#schedules", 303)

    return made


async def _overview_page(
    request: Request, parts: PageContext, problem: Problem | None = None, fields: Mapping[str, str] | None = None
) -> Response:
    now, token, seen = parts.decisions.clock(), csrf.token_of(request), visible_globs(who(request))

    def read(
        connection: Connection,
    ) -> tuple[EvaluationLists, tuple[tuple[str, str, str], ...], tuple[PlannedAsking, ...]]:
        open = runs.page(connection, RunFilter(seen, states=("due", "running")), None, _MOST_RUNS)
        wrong = runs.page(connection, RunFilter(seen, states=("failed", "missed")), None, _MOST_WRONG)
        ended = runs.page(connection, RunFilter(seen, states=("done", "failed")), None, _MOST_RUNS)
        outcomes = _outcomes(connection, ended)
        found = EvaluationLists(
            open, wrong, ended, schedule_statuses(connection, seen, ("", ""), _MOST_PLANS, now), outcomes
        )
        named = known_routes(parts.watched, routes.names(connection), who(request).sees)
        return found, runs.targets(connection, seen), asking_of(parts.watched, named, now)

    found, targets, asks = await query_store(parts.database, read)
    kept = {name: (fields or {}).get(name, "") for name in _FIELDS}
    told: dict[str, Any] = {"view": view_of_evaluations(found, now), "targets": targets, "now": now, "token": token}
    told |= {
        "asks": asks,
        "problem": problem,
        "fields": kept,
        "suites": suite_names(),
        "may": who(request).may("operator"),
    }
    made = page(request, "evaluations.html", told, 200 if problem is None else problem.status)
    csrf.keep(made, token, secure=request.url.scheme == "https")
    return made


def _outcomes(connection: Connection, ended: tuple[RequestedRun, ...]) -> dict[str, Comparison]:
    """Of those runs, by id, what they say against the baseline's."""
    times = {one.ended for one in ended if one.ended is not None}
    found = journal.comparisons_by_run(connection, sorted({one.route for one in ended}), times)
    return {one.id: found[one.id] for one in ended if one.id in found}


def _compared_and_others(
    connection: Connection, one: RequestedRun
) -> tuple[Comparison | None, tuple[RequestedRun, ...]]:
    """The comparison of a run with the baseline's, and other runs of its suite that it can be held against."""
    compared = _outcomes(connection, (one,)).get(one.id or "") if one.ended else None
    wanted = RunFilter((one.route,), one.suite, ("done",))
    found = runs.page(connection, wanted, None, _MOST_RUNS)
    return compared, tuple(other for other in found if other.id != one.id and other.status == "complete")


def _schedule_fields(fields: Mapping[str, str]) -> dict[str, Any]:
    given: dict[str, Any] = {name: " ".join(fields.get(name, "").split()) for name in ("route", "name", "cron")}
    suite = fields.get("suite", "")
    return {**given, "timezone": fields.get("timezone", "").strip() or "UTC", "suites": (suite,) if suite else None}


def _checked(model: Any, given: Mapping[str, Any]) -> Any:
    try:
        return model.model_validate(given)
    except ValidationError as error:
        raise problem_of_violation(error) from None


def _must_see(principal: Principal, route: str) -> None:
    if not principal.sees(route):
        raise unknown_route()
