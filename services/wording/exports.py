"""What exported runs say to people who read them in other tools. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from schemas.evaluation import HazardComparison
from services.wording import numbers

WHOLE_RUN: Final = "the run is complete"
COMPARABLE: Final = "the two runs can be compared"
NOT_AGAIN: Final = (
    "the earlier run has this suite, and the later one lacks it; run it again, or name others with --suite"
)
ALL_HAZARDS: Final = "all hazards"
RATE: Final = "rate"
NOT_SCORED: Final = "unknown: no answer of it was scored"
NOT_ASKED_DECIDED: Final = "not asked: the run stopped once its comparison was decided"
NO_OBJECT: Final = "its arguments are no JSON object"
_SHOWN: Final = 50


def rate_of(hazard: str) -> str:
    """The rate of events of one hazard."""
    return f"rate of {hazard}"


def not_asked(reason: str | None) -> str:
    """That a question was never sent."""
    return f"not asked: {reason}" if reason else "not asked"


def moved(row: HazardComparison) -> str:
    """How far a measure went the wrong way."""
    told = f"{_percent(row.before)} to {_percent(row.after)} of {numbers.count(row.n, 'item')}"
    if row.delta is None or row.low is None or row.high is None:
        return f"regressed: {told}"
    return f"regressed: {told} ({row.delta:+.0f} points, {row.low:+.0f} to {row.high:+.0f})"


def open_still(row: HazardComparison) -> str:
    """That so many items cannot tell."""
    if row.low is None or row.high is None:
        return ""
    return f"inconclusive: between {row.low:+.0f} and {row.high:+.0f} points, of {numbers.count(row.n, 'item')}"


def flipped(ids: Sequence[str]) -> str:
    """The items that are answered otherwise now."""
    more = "" if len(ids) <= _SHOWN else f"\nand {len(ids) - _SHOWN} more"
    return "answered differently:\n" + "\n".join(ids[:_SHOWN]) + more if ids else ""


def written(file: str, runs: int, kind: str) -> str:
    """That the file is there, and what erasing does not reach."""
    counted = numbers.count(runs, "run")
    return f"{file}: {counted} as {kind}. It may hold what was asked and answered; `keelwatch erase` does not reach it"


def no_format(said: str, known: Sequence[str]) -> str:
    """That `--to` names no format."""
    return f"--to {said}: must be {', '.join(known[:-1])} or {known[-1]}"


def one_run_only(run: str, kind: str, suites: Sequence[str]) -> str:
    """That a file of this format holds one run."""
    return f"{run}: holds {len(suites)} runs, and a file for {kind} holds one; name it with --suite {'|'.join(suites)}"


def no_suite(run: str, said: str, suites: Sequence[str]) -> str:
    """That there is no run of this suite."""
    return f"--suite {said}: {run} has no run of it; it has {', '.join(suites)}"


def _percent(rate: float | None) -> str:
    return "-" if rate is None else f"{rate:.0f}%"
