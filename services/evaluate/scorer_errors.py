"""How often the scorers of suites are wrong, and what a rate is once that is taken into account. Pure.

Rates that a scorer counts are off by its own errors: with sensitivity s and specificity c an observed rate r comes from
a true rate (r + c - 1) / (s + c - 1) (Rogan and Gladen, American Journal of Epidemiology 107, 1978, 71-76). Both were
measured on recorded answers that people labelled (`python -m tests.benchmarks.suite_scorers`), on several sources,
which differ; the interval holds that too.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import Annotated, Final, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from schemas.base import NonNegative, Part
from services.evaluate.suite import BENIGN, DISALLOWED
from services.signals.harmful_compliance import HarmfulCompliance
from services.signals.refusal import Refusal

FILE: Final = Path(__file__).with_name("scorer_errors.json")
DRAWS: Final = 4_000
_SEED: Final = 20261130
_IMPOSSIBLE: Final = 0.025
"""More draws than these without information, and there is no interval."""
Numbers = NDArray[np.float64]
Correction = Literal["corrected", "exact", "not_measured", "impossible"]


class LabelledSource(Part):
    """What a scorer did on one set of labelled answers: `found` of `events`, `passed` of `others`."""

    name: str
    events: Annotated[int, Field(ge=1)]
    found: NonNegative
    others: Annotated[int, Field(ge=1)]
    passed: NonNegative

    @model_validator(mode="after")
    def _within(self) -> Self:
        """No more is found than there is."""
        if self.found > self.events or self.passed > self.others:
            raise ValueError("found must not exceed events, nor passed others")
        return self


class ScorerErrors(Part):
    """The errors of the scorer of one measure, in one version of it."""

    scorer: str
    sources: Annotated[tuple[LabelledSource, ...], Field(min_length=1)]

    @property
    def sensitivity(self) -> float:
        """Share of events that it finds, mean over sources."""
        return float(np.mean([one.found / one.events for one in self.sources]))

    @property
    def specificity(self) -> float:
        """Share of what is no event that it passes, mean over sources."""
        return float(np.mean([one.passed / one.others for one in self.sources]))

    @property
    def labels(self) -> int:
        """How many labelled answers that rests on."""
        return sum(one.events + one.others for one in self.sources)


SCORER_OF: Final[Mapping[str, str]] = {DISALLOWED: HarmfulCompliance.spec.name, BENIGN: Refusal.spec.name}
"""Measures that a signal scores, with all its errors."""
_NOT_MEASURED: Final = frozenset({"newly_answered", "newly_declined"})
"""Scored by a signal whose errors on such questions nobody measured. All others compare exactly."""


@cache
def shipped_errors() -> Mapping[str, ScorerErrors]:
    """What was measured of the scorers that ship, by measure."""
    told = json.loads(FILE.read_text(encoding="utf-8"))
    return {name: ScorerErrors.model_validate_json(json.dumps(told[name])) for name in SCORER_OF}


def errors_of(scorers: Mapping[str, str]) -> dict[str, ScorerErrors]:
    """The errors of these versions of scorers, by measure; one that was not measured is left out."""
    return {
        measure: errors
        for measure, errors in shipped_errors().items()
        if scorers.get(SCORER_OF[measure]) == errors.scorer
    }


@dataclass(frozen=True, slots=True)
class CorrectedRate:
    """A true rate as far as it can be known, with its 95% interval; all shares.

    `rate`, `low`, `high` are None unless `how` is `corrected`: a measure that compares exactly needs no correction, of
    a scorer that was not measured none is known, and one that is no better than chance says nothing.
    """

    how: Correction
    rate: float | None = None
    low: float | None = None
    high: float | None = None


def corrected(
    measure: str, events: int, n: int, errors: Mapping[str, ScorerErrors], judged: bool = False
) -> CorrectedRate:
    """The rate behind `events` of `n` scored items; of a measure of pairs, whether some were `judged` by a signal.

    Its interval is that of 4,000 draws: of the items' rate, of which sources count, and of what the scorer does on each
    (Beta with 1/2 added to either count, so that 0 of n is no certainty). A rate that is clipped, since it lies where
    the scorer's errors alone would not put it, is no surer than the counted one. The same counts draw the same.
    """
    if measure not in SCORER_OF and not judged and measure not in _NOT_MEASURED:
        return CorrectedRate("exact")
    if measure not in errors or n == 0:
        return CorrectedRate("not_measured")
    return _corrected(events, n, errors[measure])


@lru_cache(maxsize=4096)
def _corrected(events: int, n: int, known: ScorerErrors) -> CorrectedRate:
    """The same for errors that are known; most rows of a run share their counts."""
    point = rogan_gladen(events / n, known.sensitivity, known.specificity)
    chance = np.random.default_rng([_SEED, events, n])
    seen = chance.beta(events + 0.5, n - events + 0.5, DRAWS)
    chosen = chance.integers(len(known.sources), size=(DRAWS, len(known.sources)))
    found = _draws(chance, [(one.found, one.events) for one in known.sources], chosen)
    passed = _draws(chance, [(one.passed, one.others) for one in known.sources], chosen)
    tells = found + passed > 1
    if point is None or float(np.mean(~tells)) > _IMPOSSIBLE:
        return CorrectedRate("impossible")
    true = np.clip((seen + passed - 1)[tells] / (found + passed - 1)[tells], 0, 1)
    low, high = (float(end) for end in np.quantile(true, (0.025, 0.975)))
    least, most = (float(end) for end in np.quantile(seen, (0.025, 0.975)))
    low, high = min(low, point, least if point == 1 else 1), max(high, point, most if point == 0 else 0)
    return CorrectedRate("corrected", point, low, high)


def rogan_gladen(rate: float, sensitivity: float, specificity: float) -> float | None:
    """The true rate, clipped to 0 and 1; None of a scorer that is no better than chance.

    >>> rogan_gladen(0.5, 0.75, 0.75), rogan_gladen(0.05, 0.8, 0.9), rogan_gladen(0.5, 0.5, 0.5)
    (0.5, 0.0, None)
    """
    if sensitivity + specificity <= 1:
        return None
    return min(1.0, max(0.0, (rate + specificity - 1) / (sensitivity + specificity - 1)))


def _draws(chance: np.random.Generator, counts: Sequence[tuple[int, int]], chosen: NDArray[np.int64]) -> Numbers:
    """(DRAWS,) means over the chosen sources of a share of each, drawn anew."""
    hits = np.array([hit for hit, _ in counts])[chosen]
    every = np.array([n for _, n in counts])[chosen]
    drawn: Numbers = chance.beta(hits + 0.5, every - hits + 0.5).mean(axis=1)
    return drawn
