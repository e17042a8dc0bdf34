"""Two runs of a route held against each other: verdict, measures before and after, flipped items.

What the page of two runs shows: the verdict, each measure before and after, the items that flipped. Pure.

Two runs of a route held against each other: chosen by a form, shown measure by measure.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Final

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response
from sqlalchemy import Connection

from schemas.base import HEX16
from schemas.evaluation import HazardComparison, Outcome
from schemas.identity import Model
from services.api import wording
from services.api.auth.authorization import needs, visible_globs, who
from services.api.http.problems import call_store
from services.api.pages.bars import HazardChange, bars, common_scale
from services.api.pages.render import Parts, page
from services.api.resources.evaluations import two_runs
from services.evaluate.comparison import ComparisonResult, compare, incomparable, worsened
from services.evaluate.result import RunResult, SuiteAnswer
from services.evaluate.suite import MEASURES, POOLED, Measure
from services.store import routes
from services.store import runs as store_runs
from services.store.runs import RequestedRun, RunFilter

MOST_FLIPS: Final = 50
MOST_TEXT: Final = 2_000
OUTCOMES: Final[Mapping[Outcome, str]] = {
    "regressed": "Regressed: the later run is less safe than the earlier one",
    "improved": "Improved: the later run is safer, and nothing else got worse",
    "unchanged": "Unchanged: any change is smaller than the margin of the suite",
    "inconclusive": "Inconclusive: neither a change nor stillness is shown, so it does not say that the model is safe",
}
INCOMPARABLE: Final = "Inconclusive: these two runs cannot be compared, so it does not say that the model is safe"
_DID: Final[Mapping[Measure, tuple[str, str]]] = {
    "harmful_compliance": ("declined", "complied"),
    "over_refusal": ("answered", "refused"),
    "canary": ("kept the secret", "leaked"),
}
"""What an answer did that is no event, and one that is."""


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
        OUTCOMES[compared.overall] if comparable else INCOMPARABLE,
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
        return AnswerExcerpt(event_word(measure, event), "", False, "no answer is stored", None)
    text = shown.text if shown.text else shown.refusal or ""
    why = shown.error or ("" if shown.scored is None else shown.scored.reason)
    return AnswerExcerpt(event_word(measure, event), text[:MOST_TEXT], len(text) > MOST_TEXT, why, shown.served)


def event_word(measure: Measure, event: bool | None) -> str:
    """What an answer did, in one word."""
    return "not known" if event is None else _DID[measure][event]


def question_asked(answers: Sequence[SuiteAnswer]) -> str:
    """The last user message that was sent."""
    asked = [one.content for answer in answers[:1] for one in answer.messages if one.role == "user"]
    return asked[-1][:MOST_TEXT] if asked else ""


def measure_name(measure: str, hazard: str) -> str:
    """A row as people say it."""
    return f"{measure}{'' if hazard == POOLED else f': {hazard}'}".replace("_", " ")


def _order(one: HazardComparison) -> tuple[int, bool, str]:
    measures: Sequence[str] = MEASURES
    known = measures.index(one.measure) if one.measure in measures else len(measures)
    return known, one.hazard != POOLED, one.hazard


def _row(one: HazardComparison, scale: float) -> ComparisonRow:
    change = None if one.low is None or one.high is None else wording.change(one.low, one.high, "pp")
    name = measure_name(one.measure, one.hazard)
    shown = HazardChange(name, bars(one, scale), change, one.n, one.verdict, one.flipped)
    level = None if one.after is None or one.before is not None else wording.level(one.after, "pp")
    return ComparisonRow(shown, one.hazard == POOLED, level, _evidence(one))


def _evidence(one: HazardComparison) -> str:
    told = [f"{one.n} item{wording.plural(one.n)} in both runs"]
    if one.p_adjusted is not None and one.measure != "canary":
        told.append(f"adjusted p {one.p_adjusted:.2g}" if one.p_adjusted >= 0.0001 else "adjusted p below 0.0001")
    if one.measure != "canary" and one.n and one.delta is not None:
        told.append("too few to show any change" if one.mde is None else f"show a change from {one.mde:.0f} points on")
    return ", ".join(told)


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
        measure_name(item.measure, item.hazard),
        worse,
        question_asked(now or was),
        answer_excerpt(was, item.measure, before.events[id]),
        answer_excerpt(now, item.measure, after.events[id]),
    )


_MOST_RUNS: Final = 100
_EMPTY: Final = ""
Given = Annotated[str, Query(max_length=200)]


def routers(parts: Parts) -> tuple[APIRouter, ...]:
    """The path of the page."""
    made = APIRouter(include_in_schema=False, dependencies=[needs(parts.guard, "viewer")])

    @made.get("/compare")
    async def two(request: Request, route: Given = _EMPTY, before: Given = _EMPTY, after: Given = _EMPTY) -> Response:
        principal = who(request)
        told: dict[str, Any] = {"view": None, "earlier": None, "later": None, "models": {}}
        if re.fullmatch(HEX16, before) and re.fullmatch(HEX16, after):
            earlier, later = await two_runs(parts.repository, principal, before, after)
            shown = await call_store(lambda: view_of_comparison(earlier, later, compare(earlier, later)))
            route = later.route
            told |= {"view": shown, "earlier": earlier, "later": later}
        seen = visible_globs(principal, route or None)
        choices = await call_store(lambda: parts.repository.read(lambda connection: _choices(connection, seen)))
        told |= {"route": route, "before": before, "after": after, "choices": choices}
        if told["later"] is not None:
            told["models"] = await call_store(
                lambda: parts.repository.read(lambda connection: _models(connection, told["earlier"], told["later"]))
            )
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
