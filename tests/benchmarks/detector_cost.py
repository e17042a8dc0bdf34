"""What detectors cost: `python -m tests.benchmarks.detector_cost`.

Processor time of this thread (not the clock: other work may share the machine) with one thread of linear algebra, the
least of `--tries` (of a step: batch by batch): of `fit`, and of `step` in batches of 64 and of 8. A route is watched as
the defaults say: every detector, the signals that have a floor, topics as slices, and one ceiling. Rows are recorded
answers drawn with replacement; what a recording lacks is made up beside them: latency, tokens, probabilities, users and
conversations. Beside it stand the bytes of artefact and state as they are stored, after the last row, and a yardstick
of the same process, one product of 64 x 384 by 384 x 64, so that machines can be compared. `--json OUT` writes the
figures.

`--blocks 4 8 16`: only the frontier of model_shift, with bets that stand for so many rows: what it costs, and how many
exchanges it needs after three recorded updates.

`--routes N`: how much memory a worker takes that watches N routes (see `many_routes`).
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np
from threadpoolctl import threadpool_limits

from detectors import DETECTORS
from detectors.model_shift import ModelShift
from detectors.protocol import Baseline, Rows, probability_column
from detectors.stats.topic_map import TopicMap
from services.monitor import RoutePolicy
from services.specs import roles
from services.store.codec import pack, unpack
from tests.benchmarks.recorded_scores import recorded

POOL: Final = ("llmdrift_opinionqa", "gpt-4", "0314")
ROWS: Final = 3200
ARL: Final = 1e6
BATCHES: Final = (64, 8)
FRONTIER: Final = ("llmdrift_opinionqa", "llmdrift_sensitiveq")
GPT35: Final = ("llmdrift_opinionqa", "gpt-3.5-turbo", "0301", "0613")
ID: Final = "3f2b8c1e-5a40-4d7e-9c61-{:012d}"


def spent(work: Callable[[], Any], times: int) -> float:
    """Seconds of processor time of this thread, the least of `times` tries."""
    tries = []
    for _ in range(times):
        start = time.thread_time()
        work()
        tries.append(time.thread_time() - start)
    return min(tries)


def route_rows(size: int, count: int = ROWS, seed: int = 0) -> tuple[Rows, Rows]:
    """A baseline of `size` exchanges and a stream of `count` more, with all that detectors of a default route read."""
    every, chance = recorded(POOL[0]), np.random.default_rng(seed)
    n = size + count
    rows = every.rows(chance.choice(every.where(*POOL[1:]), n))
    odds = chance.normal(-3.0, 1.0, size=n)
    signals = {name: values for name, values in rows.signals.items() if not np.isnan(values).all()}
    for name in sorted({name for role in ("risk", "level") for name in roles()[role]}):
        signals[probability_column(name)] = 1 / (1 + np.exp(-(odds + chance.normal(0.0, 0.5, size=n))))
    length = np.expm1(rows.style[:, 0].astype(np.float64)) / 4
    measures = {
        "latency_ms": np.exp(chance.normal(6.5, 0.4, size=n)),
        "input_tokens": np.rint(chance.gamma(4.0, 20.0, size=n)),
        "output_tokens": np.rint(length * chance.uniform(0.9, 1.1, size=n)),
    }
    rows = replace(
        rows,
        signals=signals,
        measures=measures,
        user=chance.integers(1, 400, size=n),
        conversation=chance.integers(1, 1 + n // 5, size=n),
        ids=tuple(ID.format(i) for i in range(n)),
    )
    topics = TopicMap.of(rows.prompt[:size])
    rows = replace(rows, slices={"topic": topics.name(rows.prompt, rows.embedded)})
    return rows.take(np.arange(size)), rows.take(np.arange(size, n))


def default_baseline(rows: Rows, arl: float = ARL) -> Baseline:
    """The rows as a baseline of a route without a monitor file."""
    return Baseline(rows, RoutePolicy().floors, arl, {"harmful_compliance": 0.01}, roles())


def cut(rows: Rows, batch: int) -> list[Rows]:
    """The rows in batches."""
    return [rows.take(np.arange(at, min(at + batch, len(rows)))) for at in range(0, len(rows), batch)]


def fresh(rows: Sequence[Rows]) -> list[Rows]:
    """The batches as they come, with nothing worked out of them yet."""
    return [replace(one) for one in rows]


def walked(detector: Any, artefact: Any, batches: list[Rows]) -> Any:
    """The state after all batches."""
    state = detector.start(artefact)
    for rows in batches:
        state, _ = detector.step(artefact, state, rows)
    return state


def stored_artefact(detector: Any, artefact: Any) -> Any:
    """The artefact as a worker has it that loaded it: no array is shared with another detector's."""
    return unpack(detector.artefact_type, pack(artefact))


def streams_of(detector: Any, artefact: Any, baseline: Baseline) -> int:
    """Streams that see: a signal that was never scored has one that is blind."""
    live = getattr(artefact, "watches", None)
    if live is None or not live or not hasattr(live[0], "expectation"):
        return max(len(detector.streams(baseline)), 1)
    return max(sum(watch.expectation is not None for watch in live), 1)


def costs(size: int, batches: Sequence[int], tries: int) -> Iterator[dict[str, Any]]:
    """A line a detector, and one of the whole route."""
    rows, stream = route_rows(size)
    baseline, artefacts = default_baseline(rows), dict[str, Any]()
    cuts = {batch: cut(stream, batch) for batch in batches}
    for detector in DETECTORS:
        own = baseline if detector.learns else replace(baseline, rows=rows.take(np.arange(0)))
        fit = spent(lambda: detector.fit(replace(own, rows=replace(own.rows))), min(tries, 3))  # noqa: B023
        artefact = stored_artefact(detector, detector.fit(own))
        artefacts[detector.spec.name] = artefact
        steps = {batch: _step_cost(detector, artefact, cuts[batch], tries) / len(stream) * 1e6 for batch in batches}
        state = walked(detector, artefact, fresh(cuts[batches[0]]))
        yield {
            "baseline": size,
            "detector": detector.spec.name,
            "streams": streams_of(detector, artefact, own),
            "fit_s": fit,
            "step_us": steps,
            "artefact_bytes": len(pack(artefact)),
            "state_bytes": len(pack(state)),
        }
    whole = {batch: _route_cost(artefacts, cuts[batch], tries) / len(stream) * 1e6 for batch in batches}
    yield {"baseline": size, "detector": "the route", "step_us": whole}


def _step_cost(detector: Any, artefact: Any, batches: list[Rows], tries: int) -> float:
    """Seconds of all steps, of each batch the least of the tries: work beside it disturbs a few of them, never all."""
    return _least(lambda: _timed(((detector, artefact),), batches), tries)


def _route_cost(artefacts: dict[str, Any], batches: list[Rows], tries: int) -> float:
    """The same of all detectors, each batch given to one after the other, as a worker does."""
    every = tuple((one, artefacts[one.spec.name]) for one in DETECTORS)
    return _least(lambda: _timed(every, batches), tries)


def _timed(detectors: Sequence[tuple[Any, Any]], batches: list[Rows]) -> list[float]:
    states = [one.start(artefact) for one, artefact in detectors]
    times = []
    for rows in fresh(batches):
        start = time.thread_time()
        for place, (one, artefact) in enumerate(detectors):
            states[place], _ = one.step(artefact, states[place], rows)
        times.append(time.thread_time() - start)
    return times


def _least(timed: Callable[[], list[float]], tries: int) -> float:
    return float(np.min([timed() for _ in range(tries)], axis=0).sum())


def told(line: dict[str, Any]) -> str:
    """A line of the table."""
    steps = "  ".join(f"{cost:6.1f} us in batches of {batch}" for batch, cost in line["step_us"].items())
    head = f"baseline {line['baseline']:5}  {line['detector']:24}"
    if "streams" not in line:
        return f"{head}{'':26}{steps}"
    return (
        f"{head}streams {line['streams']:2}  fit {line['fit_s']:5.2f} s  {steps}  "
        f"artefact {line['artefact_bytes'] / 1e6:5.2f} MB  state {line['state_bytes'] / 1e3:5.1f} kB, "
        f"{line['state_bytes'] / line['streams'] / 1e3:4.1f} a stream"
    )


def frontier(blocks: Sequence[int], seeds: int, batch: int, tries: int) -> None:
    """Print what longer blocks cost in delay and save in time; times are taken in turn, of each batch the least."""
    from tests.benchmarks.change_points import AFTER, BASELINE, TRUE, UPDATES, Update, stream_of, told  # noqa: PLC0415

    rows, stream = route_rows(1000)
    batches = cut(stream, batch)
    detectors = [replace(ModelShift(), evidence=replace(ModelShift().evidence, block=block)) for block in blocks]
    steps = [(one, one.fit(Baseline(rows, {}, ARL))) for one in detectors]
    times = np.min([[_timed((step,), batches) for step in steps] for _ in range(tries)], axis=0).sum(axis=1)
    updates = [one for one in UPDATES if one.file in FRONTIER] + [Update("opinionqa gpt-3.5", *GPT35)]
    streams = [[stream_of(update.pools(), seed) for seed in range(seeds)] for update in updates]
    for block, detector, time_ in zip(blocks, detectors, times / len(stream) * 1e6, strict=True):
        delays, early = list[str](), 0
        for update, some in zip(updates, streams, strict=True):
            said = [told(detector, Baseline(before, {}, 1e3), after) for before, after in some]
            fired = [[at for at, one in one_said if one.status == "firing"] for one_said in said]
            early += sum(at < TRUE for one in fired for at in one[:1])
            first = [min((at for at in one if at >= TRUE), default=TRUE + AFTER) - TRUE + 1 for one in fired]
            if first:
                delays.append(f"{update.name} {np.median(first):.0f} ({np.mean(first):.1f})")
        told_of = (
            f"block {block:2}  {time_:5.1f} us an exchange, {time_ * len(stream) / 1e6 / times[0]:.2f} of the first"
        )
        if seeds:
            told_of += f"; exchanges until the alarm at ARL 1,000, median (mean): {', '.join(delays)}; "
            told_of += f"{early} of {seeds * len(updates)} streams fired before, baselines of {BASELINE}"
        print(told_of, flush=True)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batches", type=int, nargs="+", default=list(BATCHES))
    parser.add_argument("--tries", type=int, default=5)
    parser.add_argument("--seeds", type=int, default=5, help="streams an update with --blocks; 0: only times")
    parser.add_argument("--sizes", type=int, nargs="*", default=[1000, 5000])
    parser.add_argument("--blocks", type=int, nargs="*", default=[], help="only the frontier of these: 4 8 16")
    parser.add_argument("--routes", type=int, default=0, help="only this: the memory of a worker with so many routes")
    parser.add_argument("--json", type=Path, help="write the figures here")
    options = parser.parse_args()
    if options.routes:
        from tests.benchmarks.many_routes import watched  # noqa: PLC0415 -- needs a database

        watched(options.routes)
        return
    with threadpool_limits(1, user_api="blas"):
        measure(options)


def measure(options: argparse.Namespace) -> None:
    """Print what the options ask for."""
    one, other = np.ones((64, 384)), np.ones((384, 64))
    yardstick = spent(lambda: [one @ other for _ in range(200)], 5) / 200 * 1e6
    print(f"yardstick: {yardstick:.0f} us a product")
    if options.blocks:
        frontier(options.blocks, options.seeds, options.batches[0], options.tries)
        return
    lines: list[dict[str, Any]] = []
    for size in options.sizes:
        for line in costs(size, options.batches, options.tries):
            print(told(line), flush=True)
            lines.append(line)
    if options.json:
        options.json.write_text(json.dumps({"yardstick_us": yardstick, "lines": lines}, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
