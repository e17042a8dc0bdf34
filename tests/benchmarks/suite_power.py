"""What each suite shows with a chance of 80% after Holm: python -m tests.benchmarks.suite_power [--draws N].

Simulated: one row of a suite's family of tests gets worse by a change, all others stay; every answer of both runs
flips by chance with probability `noise`. Printed is the smallest change, on a grid of whole points, that is called
`regressed` in at least 80% of the draws. Recorded (with recorded data): items drawn from the pairs of an update of
XSTest, labelled by people, each with the answers of before and after in such a share, else twice those of before, that
the expected change is the goal; printed is how often that is called `regressed`, among rows that do not move.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from services.evaluate.comparison import FLOOR
from services.evaluate.paired_statistics import POWER, TAIL, holm, tail
from services.evaluate.suite import BENIGN, DISALLOWED, POOLED, Suite
from services.evaluate.suite_library import load_suite
from services.evaluate.suite_lint import SuitePower, power_of
from tests.benchmarks.compare import UPDATES, recorded

SEED: Final = 20261130
NOISES: Final = (0.0, 0.02, 0.05)
GOALS: Final = {("core", True): 12, ("core-wide", False): 25}
"""Points that a suite must show: over a side (True), or in each hazard."""
Counts = NDArray[np.int64]


def regressed(worse: Sequence[int], better: Sequence[int], sizes: Sequence[int], at: int) -> bool:
    """Whether the row `at` of a family is called regressed, as a comparison of two runs calls it."""
    adjusted = holm([tail(one, other) for one, other in zip(worse, better, strict=True)])
    return adjusted[at] <= TAIL and worse[at] - better[at] >= FLOOR / 100 * sizes[at]


def power(sizes: Sequence[int], at: int, change: float, noise: float, draws: int) -> float:
    """Share of draws in which a row that got worse by `change` is called regressed."""
    rng = np.random.default_rng([SEED, at, int(1000 * change), int(1000 * noise), len(sizes)])
    once, twice = noise * (1 - noise), noise * noise
    hits = 0
    for _ in range(draws):
        moved = [int(rng.binomial(n, change)) if i == at else 0 for i, n in enumerate(sizes)]
        still = [rng.multinomial(n - k, [once, once, 1 - 2 * once]) for n, k in zip(sizes, moved, strict=True)]
        gone = [rng.multinomial(k, [(1 - noise) ** 2, twice, 2 * once]) for k in moved]
        worse = [int(one[0] + other[0]) for one, other in zip(still, gone, strict=True)]
        better = [int(one[1] + other[1]) for one, other in zip(still, gone, strict=True)]
        hits += regressed(worse, better, sizes, at)
    return hits / draws


def least(sizes: Sequence[int], at: int, noise: float, draws: int) -> int | None:
    """The smallest change, in points, that is seen with a chance of 80%; None when none is."""
    low, high = 0, 101
    while high - low > 1:
        middle = (low + high) // 2
        if power(sizes, at, middle / 100, noise, draws) >= POWER:
            high = middle
        else:
            low = middle
    return None if high > 100 else high


def family(suite: Suite, pooled: bool) -> list[SuitePower]:
    """The tests of a suite over all hazards, or in each."""
    return [one for one in power_of(suite) if (one.hazard == POOLED) == pooled]


def simulated(names: Sequence[str], draws: int) -> Iterator[str]:
    """Markdown: a line for each suite, side, and kind of row; of hazards the one with the fewest items."""
    yield "| suite | row | items | tests | " + " | ".join(f"noise {100 * n:.0f}%" for n in NOISES) + " | goal |"
    yield "|---" * (5 + len(NOISES)) + "|"
    for name in names:
        suite = load_suite(name)
        for pooled in (True, False):
            rows = family(suite, pooled)
            sizes = [one.n for one in rows]
            chosen: dict[tuple[str, int], int] = {}
            for at, one in enumerate(rows):
                if pooled or one.measure in (DISALLOWED, BENIGN):
                    chosen.setdefault((one.measure, one.n), at)
            for (measure, n), at in chosen.items():
                shown = [least(sizes, at, noise, draws) for noise in NOISES]
                cells = " | ".join("none" if one is None else f"{one} points" for one in shown)
                goal = GOALS.get((name, pooled)) if measure in (DISALLOWED, BENIGN) else None
                met = "" if goal is None else f"{goal} points: {'yes' if (shown[1] or 101) <= goal else '**no**'}"
                where = "all hazards" if pooled else "one hazard"
                yield f"| {name} | {measure}, {where} | {n} | {len(rows)} | {cells} | {met} |"


def of_recorded(folder: Path, draws: int) -> Iterator[str]:
    """Markdown: how often a recorded update that is thinned to the goal is called regressed."""
    said = recorded(folder)
    yield "| recorded update | side | its change | core, 12 points over the side | core-wide, 25 points in one hazard |"
    yield "|---" * 5 + "|"
    for model, old, new in UPDATES:
        for safe, measure in ((False, DISALLOWED), (True, BENIGN)):
            keys = sorted(key for key in said[model, old] if key[0] == safe)
            before, after = (np.array([said[model, one][key] == safe for key in keys]) for one in (old, new))
            change = float(after.mean() - before.mean())
            cells = [
                "-"
                if change < goal / 100
                else f"{100 * thinned(name, pooled, measure, before, after, goal, draws):.0f}%"
                for (name, pooled), goal in GOALS.items()
            ]
            if change > 0:
                named = f"{model} {old[:9]} -> {new[:9]} | {measure} | {100 * change:+.0f} points"
                yield f"| {named} | {' | '.join(cells)} |"


def thinned(
    name: str, pooled: bool, measure: str, before: NDArray[np.bool_], after: NDArray[np.bool_], goal: int, draws: int
) -> float:
    """Share of draws of a suite's size that are called regressed."""
    rows = family(load_suite(name), pooled)
    sizes = [one.n for one in rows]
    at = next(i for i, one in enumerate(rows) if one.measure == measure)
    share = goal / 100 / float(after.mean() - before.mean())
    rng, hits = np.random.default_rng([SEED, goal, len(before)]), 0
    for _ in range(draws):
        drawn = rng.integers(len(before), size=sizes[at])
        moved = rng.random(sizes[at]) < share
        was, now = before[drawn], np.where(moved, after[drawn], before[drawn])
        worse, better = [0] * len(sizes), [0] * len(sizes)
        worse[at], better[at] = int((now & ~was).sum()), int((was & ~now).sum())
        hits += regressed(worse, better, sizes, at)
    return hits / draws


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--draws", type=int, default=500)
    parser.add_argument("--recorded", action="store_true", help="of recorded updates alone")
    told = parser.parse_args()
    draws = told.draws
    if not told.recorded:
        for line in simulated(("smoke", "core", "core-wide"), draws):
            print(line, flush=True)
    folder = Path(os.environ.get("KEELWATCH_DATA") or "../shared/data")
    if not (folder / "xstest.jsonl").is_file():
        print(f"recorded updates: not run, no {folder}/xstest.jsonl; set KEELWATCH_DATA")
        return
    print()
    for line in of_recorded(folder, draws):
        print(line, flush=True)


if __name__ == "__main__":
    main()
