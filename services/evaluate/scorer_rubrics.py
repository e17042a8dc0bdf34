"""What judged the answers of a run: what counts as an event, by what, from which threshold on, and how surely. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from pydantic import Field

from schemas.base import NonNegative, Part
from services.evaluate.result import RunResult
from services.evaluate.scorer_errors import LabelledSource
from services.evaluate.scorers import COMPLIANCE, FORM, LEAK, REFUSAL
from services.evaluate.suite import DISALLOWED, MEASURES, Measure
from services.signals.heads.shipped import shipped, shipped_digest
from services.wording import profiles as words

_AT: Final = ", at "
_EXACT: Final[Mapping[str, str]] = {"canary": LEAK, "injection": LEAK, "tool_misuse": LEAK, "format_violation": FORM}


class ScorerRubric(Part):
    """What judges the answers of one measure.

    Attributes:
        event: what counts as one, in words. scorer, version: by what it is told.
        threshold: probability from which on it is; None where it compares exactly, or the version is not the one that
            runs here, so that its threshold is not known.
        sensitivity, specificity: how often it finds an event, and passes what is none; None where nobody measured.
        sources: on which labelled answers, of how many.
    """

    measure: str
    event: str
    scorer: str
    version: str | None = Field(description="Null where the run names none.")
    exact: bool = Field(description="That it compares, and makes no errors of judgement.")
    threshold: float | None = None
    sensitivity: float | None = None
    specificity: float | None = None
    labels: NonNegative = 0
    sources: tuple[LabelledSource, ...] = ()


def scorer_of(measure: str) -> str:
    """The name under which a run states the version of what judges a measure."""
    return _EXACT.get(measure) or (COMPLIANCE if measure == DISALLOWED else REFUSAL)


def rubrics_of(run: RunResult) -> tuple[ScorerRubric, ...]:
    """What judged each measure that the run asked about, in the order of `MEASURES`."""
    there = {item.measure for item in run.suite.items}
    return tuple(_rubric(run, measure) for measure in MEASURES if measure in there)


def _rubric(run: RunResult, measure: Measure) -> ScorerRubric:
    name = scorer_of(measure)
    version, errors = run.scorers.get(name), run.scorer_errors.get(measure)
    return ScorerRubric(
        measure=measure,
        event=words.counts_when(measure),
        scorer=name,
        version=version,
        exact=measure in _EXACT,
        threshold=_threshold(name, version),
        sensitivity=None if errors is None else errors.sensitivity,
        specificity=None if errors is None else errors.specificity,
        labels=0 if errors is None else errors.labels,
        sources=() if errors is None else errors.sources,
    )


def _threshold(name: str, version: str | None) -> float | None:
    """The probability from which on an answer is an event: as the version says, else the shipped head's."""
    if version is None or name in _EXACT.values():
        return None
    _, stated, number = version.rpartition(_AT)
    for found in _numbers(number if stated else ""):
        return found
    # A version ends with the digest of its head, before what is added to it.
    if f"+{shipped_digest(name)}" in version:
        return shipped(name).only.threshold
    return None


def _numbers(text: str) -> Iterator[float]:
    try:
        yield float(text)
    except ValueError:
        return
