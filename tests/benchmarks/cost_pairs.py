"""What detectors cost in this checkout beside another one: `python -m tests.benchmarks.cost_pairs --against CHECKOUT`.

Two processes, one a checkout, take the same recorded exchanges in turns (`--rounds`), so that what else the machine
does disturbs both. Each is processor time of its thread with one thread of linear algebra, of each batch the least of
the rounds: microseconds an exchange, of each detector of a default route and of the route, a baseline of 1,000.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

HERE: Final = Path(__file__).resolve().parents[2]
ROWS: Final = 1600


def answer(batch: int) -> None:
    """In a process of its own: fit, and take the exchanges once for each line that comes."""
    import numpy as np  # noqa: PLC0415 -- of the checkout that this process is of
    from threadpoolctl import threadpool_limits  # noqa: PLC0415

    from detectors import DETECTORS  # noqa: PLC0415
    from tests.benchmarks import detector_cost as cost  # noqa: PLC0415

    threadpool_limits(1)
    rows, stream = cost.route_rows(1000, ROWS)
    full, batches = cost.default_baseline(rows), cost.cut(stream, batch)
    every = []
    for one in DETECTORS:
        baseline = full if one.learns else replace(full, rows=rows.take(np.arange(0)))
        every.append((one, cost.stored_artefact(one, one.fit(baseline))))
    named = {**{one.spec.name: ((one, artefact),) for one, artefact in every}, "the route": tuple(every)}
    for _ in sys.stdin:
        print(json.dumps({name: cost._timed(some, batches) for name, some in named.items()}), flush=True)


def started(checkout: Path, batch: int) -> subprocess.Popen[str]:
    """A process of a checkout that answers each line with the times of its batches."""
    command = [sys.executable, "-P", str(Path(__file__).resolve()), "--answer", "--batch", f"{batch}"]
    environment = {**os.environ, "PYTHONPATH": str(checkout), "OPENBLAS_NUM_THREADS": "1"}
    return subprocess.Popen(
        command, cwd=checkout, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


def asked(process: subprocess.Popen[str]) -> dict[str, list[float]]:
    """Its next answer: seconds of each batch, by detector."""
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write("again\n")
    process.stdin.flush()
    line = process.stdout.readline()
    if not line:
        raise SystemExit(f"a measuring process ended with status {process.wait()}")
    times: dict[str, list[float]] = json.loads(line)
    return times


def least(rounds: list[dict[str, list[float]]]) -> dict[str, float]:
    """Microseconds an exchange, by detector, of each batch the least."""
    return {name: sum(map(min, zip(*(one[name] for one in rounds), strict=True))) / ROWS * 1e6 for name in rounds[0]}


def measured(against: Path, rounds: int, batch: int) -> Iterator[tuple[str, float, float]]:
    """Of each detector what it costs there and here."""
    both = [started(checkout, batch) for checkout in (against.resolve(), HERE)]
    answers: list[list[dict[str, Any]]] = [[], []]
    for _ in range(rounds):
        for process, some in zip(both, answers, strict=True):
            some.append(asked(process))
    for process in both:
        process.communicate()
    there, here = map(least, answers)
    for name, cost in here.items():
        yield name, there.get(name, float("nan")), cost


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--against", type=Path, help="another checkout, with its own recorded scores")
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--answer", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.answer:
        answer(options.batch)
    elif options.against is None:
        parser.error("--against: which checkout")
    else:
        for name, there, here in measured(options.against, options.rounds, options.batch):
            print(f"{name:24} there {there:6.1f} us, here {here:6.1f}, {here / there:.2f} of it", flush=True)


if __name__ == "__main__":
    main()
