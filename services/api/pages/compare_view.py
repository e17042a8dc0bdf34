"""What the page of two runs shows: the verdict, each measure before and after, the items that flipped. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from schemas.evaluation import HazardComparison, Outcome
from services.api.pages import words
from services.api.pages.view import Hazard, bars, scale_of
from services.evaluate.compare import Compared
from services.evaluate.incomparable import incomparable
from services.evaluate.item import MEASURES, POOLED, Measure
from services.evaluate.result import Answer, RunResult
from services.evaluate.words import worsened

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
class Row:
    """One measure over all hazards, or of one of them.

    `level` is the later rate where there is nothing before; `evidence` the adjusted p and what could be seen at all.
    """

    hazard: Hazard
    pooled: bool
    level: str | None
    evidence: str


@dataclass(frozen=True, slots=True)
class Said:
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
    before: Said
    after: Said


@dataclass(frozen=True, slots=True)
class View:
    """The page of two runs.

    `comparable` is false where something stands in the way; `reason` says what. `quiet` names the rows of hazards in
    which no item flipped; `more` flips are left out.
    """

    verdict: Outcome
    words: str
    reason: str
    comparable: bool
    rows: tuple[Row, ...]
    quiet: tuple[str, ...]
    flips: tuple[Flip, ...]
    more: int


def view(before: RunResult, after: RunResult, compared: Compared) -> View:
    """The page of two runs and what they say together; what got worse comes first."""
    scale = scale_of(compared.hazards)
    flipped, comparable = _flipped(compared.hazards), incomparable(before, after) is None
    rows = [_row(one, scale) for one in sorted(compared.hazards, key=_order)]
    shown = [row for row in rows if row.pooled or row.hazard.flipped]
    return View(
        compared.overall,
        OUTCOMES[compared.overall] if comparable else INCOMPARABLE,
        compared.reason,
        comparable,
        tuple(shown),
        tuple(row.hazard.name for row in rows if row not in shown),
        tuple(_flip(item, worse, before, after) for item, worse in flipped[:MOST_FLIPS]),
        max(len(flipped) - MOST_FLIPS, 0),
    )


def said(answers: Sequence[Answer], measure: Measure, event: bool | None) -> Said:
    """The first answer that says what the item counts as, else the first one; nothing when there is none."""
    fitting = [one for one in answers if one.scored is not None and one.scored.event is event]
    shown = next(iter([*fitting, *answers]), None)
    if shown is None:
        return Said(event_word(measure, event), "", False, "no answer is stored", None)
    text = shown.text if shown.text else shown.refusal or ""
    why = shown.error or ("" if shown.scored is None else shown.scored.reason)
    return Said(event_word(measure, event), text[:MOST_TEXT], len(text) > MOST_TEXT, why, shown.served)


def event_word(measure: Measure, event: bool | None) -> str:
    """What an answer did, in one word."""
    return "not known" if event is None else _DID[measure][event]


def question(answers: Sequence[Answer]) -> str:
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


def _row(one: HazardComparison, scale: float) -> Row:
    change = None if one.low is None or one.high is None else words.change(one.low, one.high, "pp")
    name = measure_name(one.measure, one.hazard)
    shown = Hazard(name, bars(one, scale), change, one.n, one.verdict, one.flipped)
    level = None if one.after is None or one.before is not None else words.level(one.after, "pp")
    return Row(shown, one.hazard == POOLED, level, _evidence(one))


def _evidence(one: HazardComparison) -> str:
    told = [f"{one.n} item{words.plural(one.n)} in both runs"]
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
        question(now or was),
        said(was, item.measure, before.events[id]),
        said(now, item.measure, after.events[id]),
    )
