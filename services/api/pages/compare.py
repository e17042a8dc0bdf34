"""Two runs of a route held against each other: verdict, measures before and after, flipped items."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from fastapi import APIRouter, Request
from fastapi.responses import Response
from sqlalchemy import Connection

from schemas.evaluation import HazardComparison, Outcome
from schemas.identity import Model
from services.api.auth.authorization import needs, visible_globs, who
from services.api.http.paging import is_id
from services.api.http.parameters import PageText
from services.api.http.problems import call_store, query_store
from services.api.pages.bars import HazardChange, bars, common_scale
from services.api.pages.render import PageContext, page
from services.api.resources.evaluations import two_runs
from services.evaluate.comparison import ComparisonResult, compare, incomparable, worsened
from services.evaluate.result import RunResult, SuiteAnswer
from services.evaluate.suite import MEASURES, POOLED, Measure
from services.store import routes
from services.store import runs as store_runs
from services.store.runs import RequestedRun, RunFilter
from services.wording import evaluations, numbers

MOST_FLIPS: Final = 50
MOST_TEXT: Final = 2_000


@dataclass(frozen=True, slots=True)
class ComparisonRow:
    """One measure over all hazards, or of one of them.

    `level` is the later rate where there is nothing before; `evidence` the adjusted p and what could be seen at all.
    """

    hazard: HazardChange
    pooled: bool
    level: str | None
    evidence: str


@dataclass(frozen=True, slots=True)
class AnswerExcerpt:
    """What one run said to an item: its first answer that decided; `event` None is unknown."""

    event: str
    text: str
    cut: bool
    why: str
    served: str | None


@dataclass(frozen=True, slots=True)
class Flip:
    """One item that flipped, with the question and what was said before and after."""

    item: str
    what: str
    worse: bool
    asked: str
    before: AnswerExcerpt
    after: AnswerExcerpt


@dataclass(frozen=True, slots=True)
class ComparisonView:
    """The page of two runs.

    `comparable` is false where something stands in the way; `reason` says what. `quiet` names the rows of hazards in
    which no item flipped; `more` flips are left out.
    """

    verdict: Outcome
    words: str
    reason: str
    comparable: bool
    rows: tuple[ComparisonRow, ...]
    quiet: tuple[str, ...]
    flips: tuple[Flip, ...]
    more: int


def view_of_comparison(before: RunResult, after: RunResult, compared: ComparisonResult) -> ComparisonView:
    """The page of two runs and what they say together; what got worse comes first."""
    scale = common_scale(compared.hazards)
    flipped, comparable = _flipped(compared.hazards), incomparable(before, after) is None
    rows = [_row(one, scale) for one in sorted(compared.hazards, key=_order)]
    shown = [row for row in rows if row.pooled or row.hazard.flipped]
    return ComparisonView(
        compared.overall,
        evaluations.TWO_RUNS[compared.overall] if comparable else evaluations.INCOMPARABLE,
        compared.reason,
        comparable,
        tuple(shown),
        tuple(row.hazard.name for row in rows if row not in shown),
        tuple(_flip(item, worse, before, after) for item, worse in flipped[:MOST_FLIPS]),
        max(len(flipped) - MOST_FLIPS, 0),
    )


def answer_excerpt(answers: Sequence[SuiteAnswer], measure: Measure, event: bool | None) -> AnswerExcerpt:
    """The first answer that says what the item counts as, else the first one; nothing when there is none."""
    fitting = [one for one in answers if one.scored is not None and one.scored.event is event]
    shown = next(iter([*fitting, *answers]), None)
    if shown is None:
        return AnswerExcerpt(evaluations.did(measure, event), "", False, evaluations.NO_ANSWER, None)
    text = shown.text if shown.text else shown.refusal or ""
    why = shown.error or ("" if shown.scored is None else shown.scored.reason)
    return AnswerExcerpt(evaluations.did(measure, event), text[:MOST_TEXT], len(text) > MOST_TEXT, why, shown.served)


def question_asked(answers: Sequence[SuiteAnswer]) -> str:
    """The last user message that was sent."""
    asked = [one.content for answer in answers[:1] for one in answer.messages if one.role == "user"]
    return asked[-1][:MOST_TEXT] if asked else ""


def _order(one: HazardComparison) -> tuple[int, bool, str]:
    measures: Sequence[str] = MEASURES
    known = measures.index(one.measure) if one.measure in measures else len(measures)
    return known, one.hazard != POOLED, one.hazard


def _row(one: HazardComparison, scale: float) -> ComparisonRow:
    change, name = numbers.change(one.low, one.high, "pp"), evaluations.measure_heading(one.hazard, one.measure)
    shown = HazardChange(name, bars(one, scale), change, one.n, one.verdict, one.flipped)
    level = None if one.after is None or one.before is not None else numbers.level(one.after, "pp")
    return ComparisonRow(shown, one.hazard == POOLED, level, evaluations.strength(one))


def _flipped(hazards: Sequence[HazardComparison]) -> list[tuple[str, bool]]:
    """(item, whether it got worse) of every measure, those that got worse first."""
    pooled = [one for one in hazards if one.hazard == POOLED]
    worse = [item for one in pooled for item in worsened(one)]
    better = [item for one in pooled for item in one.flipped[len(worsened(one)) :]]
    return [*((item, True) for item in worse), *((item, False) for item in better)]


def _flip(id: str, worse: bool, before: RunResult, after: RunResult) -> Flip:
    item = next(one for one in after.suite.items if one.id == id)
    was, now = ([one for one in run.answers if one.item == id] for run in (before, after))
    return Flip(
        id,
        evaluations.measure_heading(item.hazard, item.measure),
        worse,
        question_asked(now or was),
        answer_excerpt(was, item.measure, before.events[id]),
        answer_excerpt(now, item.measure, after.events[id]),
    )


_MOST_RUNS: Final = 100
_EMPTY: Final = ""


def routers(parts: PageContext) -> tuple[APIRouter, ...]:
    """The path of the page."""
    made = APIRouter(include_in_schema=False, dependencies=[needs(parts.guard, "viewer")])

    @made.get("/compare")
    async def two(
        request: Request, route: PageText = _EMPTY, before: PageText = _EMPTY, after: PageText = _EMPTY
    ) -> Response:
        principal = who(request)
        told: dict[str, Any] = {"view": None, "earlier": None, "later": None, "models": {}}
        if is_id(before) and is_id(after):
            earlier, later = await two_runs(parts.database, principal, before, after)
            shown = await call_store(lambda: view_of_comparison(earlier, later, compare(earlier, later)))
            route = later.route
            told |= {"view": shown, "earlier": earlier, "later": later}
        seen = visible_globs(principal, route or None)
        choices = await query_store(parts.database, _choices, seen)
        told |= {"route": route, "before": before, "after": after, "choices": choices}
        if told["later"] is not None:
            told["models"] = await query_store(parts.database, _models, told["earlier"], told["later"])
        return page(request, "compare.html", told)

    return (made,)


def _choices(connection: Connection, seen: tuple[str, ...]) -> tuple[RequestedRun, ...]:
    """Runs that have a result, the newest first."""
    found = store_runs.page(connection, RunFilter(seen, states=("done", "failed")), None, _MOST_RUNS)
    return tuple(one for one in found if one.status is not None)


def _models(connection: Connection, *runs: RunResult) -> dict[str, Model]:
    """Identity -> what stands behind it, of the runs' routes."""
    found: dict[str, Model] = {}
    for route in {run.route for run in runs}:
        found |= routes.identities(connection, route)
    return found
