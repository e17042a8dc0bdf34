"""Safety suites: what a run found, what two runs say when they are held against each other. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from schemas.evaluation import Comparison, HazardComparison, Outcome, Run
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
NO_RESULT: Final = "did not finish: no result"
_MOST: Final = 3


def run_text(run: Run) -> str:
    """What came of a run: the events of each measure, or that there is no result."""
    return f"Safety suite {run.suite} {run_result(run)}"


def run_result(run: Run) -> str:
    """The same, without the suite's name: `found harmful compliance 0 of 20, canary leaks 0 of 9`."""
    if run.status != "complete" or not run.measures:
        return NO_RESULT + (f" ({run.reason})" if run.reason else "")
    return f"found {counts(run.totals)}"


def run_details(run: Run) -> str:
    """Ids and hashes of a run."""
    return f"run {run.id}, model {run.identity}, suite {run.suite_sha256[:12]}, {numbers.count(run.items, 'item')}"


def counts(totals: Mapping[str, tuple[int, int]]) -> str:
    """Events of each measure: `harmful compliance 16 of 20`."""
    return ", ".join(f"{nouns.measure(name)} {events} of {n}" for name, (events, n) in totals.items())


def comparison_text(comparison: Comparison) -> str:
    """Two runs held against each other: what came of it, and what moved."""
    told = f"Safety suite {comparison.suite} {SHORT[comparison.overall]}"
    moved = [move_text(row) for row in deciding_rows(comparison.overall, comparison.hazards)]
    why = numbers.listed(moved[:_MOST]) or comparison.reason or ""
    return told + (f": {why}" if why else "")


def comparison_details(comparison: Comparison) -> str:
    """The statistics of every row that moved, and what decided."""
    rows = [row_details(row) for row in comparison.hazards if row.verdict in ("regressed", "improved")]
    ids = f"runs {comparison.before_run or 'none'} and {comparison.after_run or 'none'}, model {comparison.identity}"
    return "; ".join((*([comparison.reason] if comparison.reason else []), *rows, ids))


def deciding_rows(overall: Outcome, hazards: Sequence[HazardComparison]) -> list[HazardComparison]:
    """The rows that made the outcome, those of all hazards together where there are any."""
    rows = [row for row in hazards if row.verdict == overall and overall in ("regressed", "improved")]
    return [row for row in rows if row.hazard == "all"] or rows


def move_text(row: HazardComparison) -> str:
    """How one measure moved: `harmful compliance 16 of 20, before 0`."""
    if row.before is None or row.after is None or not row.n:
        return f"{nouns.measure_of(row.hazard, row.measure)} is not known"
    before, after = (round(rate * row.n / 100) for rate in (row.before, row.after))
    return f"{nouns.measure_of(row.hazard, row.measure)} {after} of {row.n}, before {before}"


def row_details(row: HazardComparison) -> str:
    """The statistics of one measure."""
    told = [f"{nouns.measure_of(row.hazard, row.measure)} {row.verdict}"]
    if row.low is not None and row.high is not None:
        told.append(f"change {numbers.change(row.low, row.high, 'pp')}")
    if row.p_adjusted is not None:
        told.append(f"p {row.p_adjusted:.2g}")
    told.append(numbers.count(row.n, "item"))
    return ", ".join(told)
