"""What detectors cost: `python -m tests.benchmarks.detector_cost`.

Processor time (not the clock: other work may share the machine) of `fit` and of `step` in batches of `--batch`, on
recorded answers drawn with replacement, with every Boolean signal that the answers were scored for; the bytes of
artefact and state as they are stored; and beside the time of a step a yardstick of the same process, one product of
64 x 384 by 384 x 64, so that machines can be compared. A line a detector and size of baseline, then the whole route.
`--blocks`: model_shift with bets that stand for 4, 8 and 16 rows, and how many exchanges each needs after three
recorded updates.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from detectors.model_shift import ModelShift
from detectors.protocol import Baseline, Rows
from detectors.rate_shift import RateShift
from detectors.user_shift import UserShift
from services.store.codec import pack
from tests.benchmarks.change_points import FLOOR, TRUE, UPDATES, stream_of, told
from tests.benchmarks.recorded_scores import recorded

POOL = ("llmdrift_opinionqa", "gpt-4", "0314")
ROWS = 3200


def spent(work: Callable[[], Any], times: int) -> float:
    """Seconds of processor time, the least of `times` tries."""
    tries = []
    for _ in range(times):
        start = time.process_time()
        work()
        tries.append(time.process_time() - start)
    return min(tries)


def walked(detector: Any, artefact: Any, batches: list[Rows]) -> Any:
    """The state after all batches."""
    state = detector.start(artefact)
    for rows in batches:
        state, _ = detector.step(artefact, state, rows)
    return state


def costs(size: int, batch: int, tries: int) -> None:
    """Print a line a detector."""
    every, chance = recorded(POOL[0]), np.random.default_rng(0)
    pool = every.where(*POOL[1:])
    rows, stream = every.rows(chance.choice(pool, size)), every.rows(chance.choice(pool, ROWS), size)
    floors = {name: FLOOR for name, values in every.signals.items() if np.isin(values[~np.isnan(values)], (0, 1)).all()}
    batches = [stream.take(np.arange(at, min(at + batch, ROWS))) for at in range(0, ROWS, batch)]
    whole = 0.0
    for detector in (ModelShift(), UserShift(), RateShift()):
        baseline = Baseline(rows, floors, 1e6)
        fit = spent(lambda: detector.fit(baseline), tries)  # noqa: B023
        artefact = detector.fit(baseline)
        step = spent(lambda: walked(detector, artefact, batches), tries) / ROWS * 1e6  # noqa: B023
        whole += step
        live = getattr(artefact, "watches", None)  # a signal that was never scored has a stream that is blind
        streams = 1 if live is None else sum(watch.expectation is not None for watch in live)
        state = len(pack(walked(detector, artefact, batches))) / 1e3
        print(
            f"baseline {size:5}  {detector.spec.name:12} streams {streams:3}  fit {fit:6.2f} s  "
            f"step {step:7.1f} us an exchange, {step / streams:6.1f} and stream  "
            f"artefact {len(pack(artefact)) / 1e6:5.2f} MB  state {state:6.1f} kB, {state / streams:5.1f} a stream",
            flush=True,
        )
    print(f"baseline {size:5}  the route    {whole:.1f} us an exchange in batches of {batch}")


def frontier(seeds: int, batch: int) -> None:
    """Print what longer blocks cost in delay and save in time."""
    every, chance = recorded(POOL[0]), np.random.default_rng(0)
    pool = every.where(*POOL[1:])
    rows, stream = every.rows(chance.choice(pool, 1000)), every.rows(chance.choice(pool, ROWS), 1000)
    batches = [stream.take(np.arange(at, min(at + batch, ROWS))) for at in range(0, ROWS, batch)]
    for block in (4, 8, 16):
        detector = replace(ModelShift(), evidence=replace(ModelShift().evidence, block=block))
        artefact = detector.fit(Baseline(rows, {}, 1e6))
        step = spent(lambda: walked(detector, artefact, batches), 2) / ROWS * 1e6  # noqa: B023
        delays = []
        for update in (UPDATES[3], UPDATES[0], UPDATES[1]):
            said = [
                told(detector, Baseline(b, {}, 1e3), s) for b, s in (stream_of(update.pools(), k) for k in range(seeds))
            ]
            first = [
                min((at for at, one in one_said if one.status == "firing" and at >= TRUE), default=np.inf)
                for one_said in said
            ]
            delays.append(f"{update.name} {np.median(first) - TRUE + 1:.0f}")
        print(
            f"block {block:2}  {step:6.1f} us an exchange  exchanges until the alarm at ARL 1,000: {', '.join(delays)}",
            flush=True,
        )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--tries", type=int, default=3)
    parser.add_argument("--seeds", type=int, default=5, help="streams an update with --blocks")
    parser.add_argument("--sizes", type=int, nargs="*", default=[1000, 5000])
    parser.add_argument("--blocks", action="store_true")
    options = parser.parse_args()
    one, other = np.ones((64, 384)), np.ones((384, 64))
    print(f"yardstick: {spent(lambda: [one @ other for _ in range(200)], 5) / 200 * 1e6:.0f} us a product")
    for size in options.sizes:
        costs(size, options.batch, options.tries)
    if options.blocks:
        frontier(options.seeds, options.batch)


if __name__ == "__main__":
    main()
