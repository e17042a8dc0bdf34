"""What publishing costs an application: `python -m tests.benchmarks.client [--calls N] [--seconds S]`.

Prints microseconds a call of `publish` and of a wrapped client's whole call, as processor time of the calling thread
and by the clock (median and p99 of each), beside an empty call in the same rhythm: 50 calls in a row, then 5 ms of
rest. With an API that takes all, one that hangs, one that says 503, and none.
Then there is no API for --seconds under load: how far memory grew, what was delivered once it was back, and what was
dropped. Goal: under 50 us a call, and a p99 under 1 ms.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from types import SimpleNamespace
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "sdk"))

from keelwatch_client import Publisher, wrap  # noqa: E402 -- it lies beside, not in the environment

MESSAGES = [{"role": "system", "content": "Be brief. " * 40}, {"role": "user", "content": "Where is my parcel? " * 20}]
ANSWER = {"content": "It left our warehouse this morning. " * 30, "finish_reason": "stop"}
EXCHANGE = {"model": {"requested": "gpt-4"}, "prompt": MESSAGES, "response": ANSWER}
COMPLETION = {"model": "gpt-4-0613", "choices": [{"message": ANSWER, "finish_reason": "stop"}], "usage": {}}
IN_A_ROW, REST = 50, 0.005


@contextmanager
def api(mode: str) -> Iterator[str]:
    """A server of its own process that behaves so; of `dead` only the address."""
    command = [sys.executable, "-m", "tests.support.exchange_taker", "take" if mode == "dead" else mode]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        url = f"http://127.0.0.1:{int(process.stdout.readline())}"
        if mode == "dead":
            process.communicate()
        try:
            yield url
        finally:
            if process.poll() is None:
                process.communicate()


def measured(call: Callable[[], Any], calls: int) -> tuple[list[int], list[int]]:
    """Nanoseconds of each call: processor time of this thread, and by the clock."""
    spent, taken = [], []
    for i in range(calls):
        if i % IN_A_ROW == 0:
            time.sleep(REST)
        clock, processor = time.perf_counter_ns(), time.thread_time_ns()
        call()
        spent.append(time.thread_time_ns() - processor)
        taken.append(time.perf_counter_ns() - clock)
    return sorted(spent), sorted(taken)


def row(name: str, call: Callable[[], Any], calls: int) -> None:
    """One line of the table."""
    spent, taken = measured(call, calls)
    figures = (median(spent), spent[int(calls * 0.99)], median(taken), taken[int(calls * 0.99)])
    print(f"{name:28}" + "".join(f"{figure / 1000:12.1f}" for figure in figures))


def cost(calls: int) -> None:
    """The table of costs."""
    print(f"{'microseconds a call':28}{'processor':>12}{'its p99':>12}{'clock':>12}{'its p99':>12}")
    row("an empty call", lambda: None, calls)
    model: Any = SimpleNamespace(
        chat=SimpleNamespace(completions=SimpleNamespace(create=lambda **_: COMPLETION)), base_url="https://x/v1"
    )
    for mode in ("take", "hang", "503", "dead"):
        with api(mode) as url, Publisher(url, route="a/b", exit_seconds=0) as publisher:
            row(f"publish, API: {mode}", lambda p=publisher: p.publish(EXCHANGE), calls)
            client = wrap(model, publisher)
            row("wrapped call", lambda c=client: c.chat.completions.create(model="gpt-4", messages=MESSAGES), calls)


def outage(seconds: float) -> None:
    """Nobody answers for so long, under load; then somebody does."""
    with api("dead") as url:
        port = url.rpartition(":")[2]
    publisher = Publisher(url, route="a/b", buffer_exchanges=2_000)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    until = time.monotonic() + seconds
    spent: list[int] = []
    while time.monotonic() < until:
        spent += measured(lambda: publisher.publish(EXCHANGE), 1_000)[1]
    spent.sort()
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    stats = publisher.stats()
    p99 = spent[int(len(spent) * 0.99)] / 1000
    print(f"\n{seconds:.0f} s without an API: {stats.published} published, p99 {p99:.0f} us by the clock")
    print(f"waiting {stats.buffered} ({stats.buffered_bytes / 2**20:.1f} MiB), memory grew by {grown:.1f} MiB")
    command = [sys.executable, "-m", "tests.support.exchange_taker", "take", port]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        process.stdout.readline()
        publisher.flush(60)
        publisher.close()
        told = json.loads(process.communicate()[0])
    print(f"then {told['taken']} taken, {told['repeated']} of them twice; {publisher.stats()}")


def main() -> None:
    """Print both."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=5_000)
    parser.add_argument("--seconds", type=float, default=60.0)
    given = parser.parse_args()
    cost(given.calls)
    outage(given.seconds)


if __name__ == "__main__":
    main()
