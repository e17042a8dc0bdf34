"""`eval compare` as a gate: which outcomes end with exit code 1, and a summary for the page of a build."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Final

import typer

from schemas.evaluation import Outcome
from services.errors import InputError
from services.evaluate.comparison import ComparisonResult, worst_outcome
from services.wording import build_summary
from services.wording.evaluations import TWO_RUNS

FailOnOption = Annotated[
    str | None,
    typer.Option(
        "--fail-on",
        metavar="OUTCOMES",
        help="Exit code 1 when a suite has one of these outcomes, such as regressed,inconclusive; 0 for the others.",
    ),
]
SummaryOption = Annotated[
    str | None,
    typer.Option("--summary", metavar="FILE", help="Append the result to this file as Markdown, for a build's page."),
]
_OUTCOMES: Final[tuple[Outcome, ...]] = tuple(TWO_RUNS)


def failing_outcomes(given: str | None) -> frozenset[Outcome]:
    """The outcomes that `--fail-on` names; none without it.

    >>> sorted(failing_outcomes("regressed, inconclusive"))
    ['inconclusive', 'regressed']

    Raises:
        InputError: if it names something else, or nothing.
    """
    if given is None:
        return frozenset()
    named = [name.strip() for name in given.split(",")]
    wrong = next((name for name in named if name not in _OUTCOMES), None)
    if wrong is not None:
        raise InputError(f"--fail-on: {wrong[:100] or 'nothing'} is no outcome; name some of {', '.join(_OUTCOMES)}")
    return frozenset(one for one in _OUTCOMES if one in named)


def end_gate(found: Sequence[tuple[str, ComparisonResult]], failing: frozenset[Outcome], summary: str | None) -> None:
    """Write the summary, and end with exit code 1 if the outcome of any suite is one of `failing`.

    Raises:
        InputError: if the summary cannot be written.
    """
    if summary is not None:
        _append(
            summary,
            build_summary.comparisons([(suite, one.overall, one.reason) for suite, one in found], worst_outcome(found)),
        )
    if any(one.overall in failing for _, one in found):
        raise typer.Exit(1)


def _append(file: str, text: str) -> None:
    try:
        with Path(file).open("a", encoding="utf-8") as out:
            out.write(text)
    except OSError as error:
        raise InputError(f"--summary {file}: {error.strerror}; name a file that can be written") from None
