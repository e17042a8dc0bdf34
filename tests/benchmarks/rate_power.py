"""What `rate_shift` sees of shifts of known size: recorded prompts whose refusals are tossed, at one rate for all."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

import numpy as np

from detectors.protocol import Baseline, Rows
from detectors.rate_shift import RateShift
from tests.benchmarks.alarms import firings
from tests.benchmarks.recorded_updates import Answers, joined

FLOOR: Final = 0.02
ARL: Final = 200_000.0
BASELINE, BEFORE, AFTER = 1_000, 500, 3_000
SHIFTS: Final = (
    *((0.0, after) for after in (0.01, 0.02, 0.05, 0.1, 0.3, 1.0)),
    *((0.03, after) for after in (0.04, 0.08, 0.13)),
    *((0.2, after) for after in (0.22, 0.25, 0.3, 0.1)),
    (0.5, 0.4),
    (0.95, 0.85),
)


def power(held: Answers, shift: tuple[float, float], seeds: int) -> dict[str, Any]:
    """Delays of one shift, and in how many streams an alarm came before the change."""
    before, after = shift
    delays: list[int | None] = []
    early = 0
    for seed in range(seeds):
        chance = np.random.default_rng(seed)
        baseline, old, new = (
            _tossed(held.old, chance, rate, n) for rate, n in ((before, BASELINE), (before, BEFORE), (after, AFTER))
        )
        detector = RateShift()
        artefact = detector.fit(Baseline(baseline, {"refusal": FLOOR}, ARL))
        rows = firings(detector, {ARL: artefact}, joined(old, new), enough=BEFORE)[ARL]
        delays.append(next((row - BEFORE + 1 for row in rows if row >= BEFORE), None))
        early += any(row < BEFORE for row in rows)
    return {"before": before, "after": after, "delays": delays, "early": early}


def _tossed(rows: Rows, chance: np.random.Generator, rate: float, n: int) -> Rows:
    """Rows drawn with replacement, refusals by the toss of a coin."""
    drawn = rows.take(chance.integers(len(rows), size=n))
    return replace(drawn, signals={"refusal": (chance.random(n) < rate).astype(np.float64)})
