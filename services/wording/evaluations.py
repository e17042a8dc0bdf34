"""Safety suites: what a run found, what two runs say when they are held against each other. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from schemas.evaluation import Comparison, EarlyStop, HazardComparison, Outcome, PairPreferences, Run
from services.wording import nouns, numbers

OUTCOMES: Final[Mapping[Outcome, str]] = {
    "regressed": "Worse: the model is less safe than before",
    "improved": "Better: the model is safer than before",
    "unchanged": "Unchanged: the model is as safe as before",
    "inconclusive": "No result: this does not say that the model is safe",
}
SHORT: Final[Mapping[Outcome, str]] = {
    "regressed": "got worse",
    "improved": "got better",
    "unchanged": "did not change",
    "inconclusive": "has no result",
}
_RARE: Final = 0.05
TWO_RUNS: Final[Mapping[Outcome, str]] = {
    "regressed": "Worse: the later run is less safe than the earlier one",
    "improved": "Better: the later run is safer, and nothing else got worse",
    "unchanged": "Unchanged: any change is smaller than the margin of the suite",
    "inconclusive": "No result: neither a change nor stillness is shown, so it does not say that the model is safe",
}
INCOMPARABLE: Final = "No result: these two runs cannot be compared, so it does not say that the model is safe"
_DID: Final[Mapping[str, tuple[str, str]]] = {
    "harmful_compliance": ("declined", "complied"),
    "over_refusal": ("answered", "refused"),
    "canary": ("kept the secret", "leaked"),
    "injection": ("did not follow it", "followed it"),
    "tool_misuse": ("used tools as it may", "misused a tool"),
    "unequal_treatment": ("treated alike", "treated unequally"),
    "format_violation": ("kept the form", "broke the form"),
    "inconsistency": ("agreed with itself", "contradicted itself"),
    "newly_answered": ("declined", "answered"),
    "newly_declined": ("answered", "declined"),
}
"""What an answer did that is no event, and one that is."""
NOBODY_ANSWERED: Final = "no exchange is stored, so nobody knows who answers"
NEVER_ASKED: Final = "no complete run of a suite against this identity is stored"
NO_ANSWER: Final = "no answer is stored"
NOT_RUN: Final = "not run yet"
NO_RESULT: Final = "did not finish: no result"
_MOST: Final = 3
_OWN: Final[Mapping[Outcome, str]] = {
    "regressed": "Changed: what users themselves asked is answered otherwise than before",
    "improved": "Changed: what users themselves asked is answered otherwise than before, and not for the worse",
    "unchanged": "Unchanged: what users themselves asked is answered as before",
    "inconclusive": OUTCOMES["inconclusive"],
}
"""Of a route's own questions: which answer is right, only people know."""
_OWN_SHORT: Final[Mapping[Outcome, str]] = {
    "regressed": "are answered otherwise",
    "improved": "are answered otherwise, and not for the worse",
    "unchanged": "are answered as before",
    "inconclusive": "have no result",
}


def run_text(run: Run) -> str:
    """What came of a run: the events of each measure, or that there is no result."""
    return f"Safety suite {run.suite} {run_result(run)}"


def run_result(run: Run) -> str:
    """The same, without the suite's name: `found harmful requests answered 0 of 20`."""
    if run.status != "complete" or not run.measures:
        return no_result(run.reason)
    judged = f" (judged by {run.origin.scorer} of {run.origin.tool})" if run.origin else ""
    return f"found {counts(run.totals)}{judged}" + (f" ({stopped_early(run.stopped)})" if run.stopped else "")


def stopped_early(stopped: EarlyStop) -> str:
    """On what a run stands that ended once its result was decided."""
    return f"stopped after {stopped.asked:,} of {stopped.of:,} items, when the result was decided"


def no_result(reason: str | None) -> str:
    """That a run says nothing, and why."""
    return NO_RESULT + (f" ({reason})" if reason else "")


def did(measure: str, event: bool | None) -> str:
    """What an answer to a question of a suite did, in one word."""
    return numbers.UNKNOWN if event is None else _DID.get(measure, ("nothing", nouns.plain(measure)))[event]


def measure_heading(hazard: str, measure: str) -> str:
    """A measure as a row begins: `Harmful requests answered (fraud)`."""
    return numbers.sentence_case(nouns.measure_of(hazard, measure))


def counted(events: int, n: int, items: int) -> str:
    """What a rate of a run rests on."""
    return f"{events} of {n} items" + (f", {items - n} {numbers.UNKNOWN}" if n < items else "")


UNCORRECTED: Final[Mapping[str, str]] = {
    "exact": "",
    "not_measured": "cannot be corrected: nobody measured how often this version of the scorer is wrong",
    "impossible": "cannot be corrected: the scorer tells too little of what is true",
}
"""Why a rate stands as it was counted; nothing is said where counting makes no errors."""


def corrected(how: str, rate: float | None, low: float | None, high: float | None) -> str:
    """A rate once the errors of its scorer are taken out, in percent; why there is none, or nothing."""
    if rate is None or low is None or high is None:
        return UNCORRECTED.get(how, "")
    return f"{rate:.0f}% ({low:.0f} to {high:.0f}%) once the scorer's errors are taken out"


def scorer_errors(measure: str, sensitivity: float, specificity: float, labels: int) -> str:
    """How often the scorer of a measure is right; both as shares."""
    found, passed = 100 * sensitivity, 100 * specificity
    return (
        f"{nouns.measure(measure)}: finds {found:.0f}%, passes {passed:.0f}% of the rest ({labels:,} labelled answers)"
    )


def seen(measure: str, n: int, least: float | None) -> str:
    """What so many items show at all; `least` is the smallest change that is seen, as a share."""
    told = (
        "no change can be shown"
        if least is None
        else f"a change of {100 * least:.0f} points shows with a chance of 80%"
    )
    return f"{nouns.measure(measure)}, {numbers.count(n, 'item')}: {told}"


def strength(row: HazardComparison) -> str:
    """What a row of a comparison rests on, for Details."""
    told = [f"{numbers.count(row.n, 'item')} in both runs"]
    if row.p_adjusted is not None and row.measure != "canary":
        told.append(f"adjusted p {row.p_adjusted:.2g}" if row.p_adjusted >= 0.0001 else "adjusted p below 0.0001")
    if row.measure != "canary" and row.n and row.delta is not None:
        told.append("too few to show any change" if row.mde is None else f"show a change from {row.mde:.0f} points on")
    return ", ".join(told)


def run_details(run: Run) -> str:
    """Ids and hashes of a run."""
    return f"run {run.id}, model {run.identity}, suite {run.suite_sha256[:12]}, {numbers.count(run.items, 'item')}"


def counts(totals: Mapping[str, tuple[int, int]]) -> str:
    """Events of each measure: `harmful requests answered 16 of 20`."""
    return ", ".join(f"{nouns.measure(name)} {events} of {n}" for name, (events, n) in totals.items())


def outcome(comparison: Comparison) -> str:
    """What came of two runs, in a sentence."""
    return (_OWN if comparison.items_of == "route" else OUTCOMES)[comparison.overall]


def comparison_text(comparison: Comparison) -> str:
    """Two runs held against each other: what came of it, and what moved."""
    told = f"Safety suite {comparison.suite} {SHORT[comparison.overall]}"
    if comparison.items_of == "route":
        told = f"Users' own questions {_OWN_SHORT[comparison.overall]}"
    moved = [move_text(row) for row in deciding_rows(comparison.overall, comparison.hazards)]
    why = "; ".join(moved[:_MOST]) or comparison.reason or ""
    told += f": {why}" if why else ""
    judged = comparison.preferences
    return told if judged is None else f"{told}. {preferences(judged)}"


def comparison_details(comparison: Comparison) -> str:
    """The statistics of every row that moved, and what decided."""
    rows = [row_details(row) for row in comparison.hazards if row.verdict in ("regressed", "improved")]
    ids = f"runs {comparison.before_run or 'none'} and {comparison.after_run or 'none'}, model {comparison.identity}"
    judged = comparison.preferences
    pairs = [] if judged is None or judged.p is None else [f"judged by {judged.version}, p {judged.p:.2g}"]
    return "; ".join((*([comparison.reason] if comparison.reason else []), *rows, *pairs, ids))


def preferences(told: PairPreferences) -> str:
    """Which answers a judge prefers, in a sentence: what it said in both orders first, then what counts for nothing."""
    if told.reason is not None:
        return f"Which answers are better was not judged: {told.reason}."
    judged = told.worse + told.better + told.ties
    sure = "" if told.p is None else " (chance alone would hardly do that)" if told.p < _RARE else ""
    said = f"Of {numbers.count(judged, 'pair')} of answers that the judge {told.judge} was clear about, the later "
    said += f"one is worse in {told.worse:,} and better in {told.better:,}{sure}."
    rest = (
        (told.by_order, "depended on which answer stood first"),
        (told.inconclusive, "got no verdict"),
        (told.left, "were not asked for want of calls"),
    )
    silent = [f"{n:,} {why}" for n, why in rest if n]
    return f"{said} {numbers.listed(silent)}." if silent else said


def deciding_rows(overall: Outcome, hazards: Sequence[HazardComparison]) -> list[HazardComparison]:
    """The rows that made the outcome, those of all hazards together where there are any."""
    rows = [row for row in hazards if row.verdict == overall and overall in ("regressed", "improved")]
    return [row for row in rows if row.hazard == "all"] or rows


def move_text(row: HazardComparison) -> str:
    """How one measure moved: `harmful requests answered 16 of 20 (before: 0)`."""
    if row.before is None or row.after is None or not row.n:
        return f"{nouns.measure_of(row.hazard, row.measure)} is not known"
    before, after = (round(rate * row.n / 100) for rate in (row.before, row.after))
    return f"{nouns.measure_of(row.hazard, row.measure)} {after} of {row.n} (before: {before})"


def row_details(row: HazardComparison) -> str:
    """The statistics of one measure."""
    told = [f"{nouns.measure_of(row.hazard, row.measure)} {row.verdict}"]
    if row.low is not None and row.high is not None:
        told.append(f"change {numbers.change(row.low, row.high, 'pp')}")
    if row.p_adjusted is not None:
        told.append(f"p {row.p_adjusted:.2g}")
    told.append(numbers.count(row.n, "item"))
    return ", ".join(told)
