"""Memory that attacks take of whole processes: `python -m tests.benchmarks.attacked [--only NAME]`.

`keelwatch worker --only score`, a worker of all later steps and `keelwatch api`, on an Apache Kafka and a PostgreSQL of
their own. Idle is what each takes once 2,000 ordinary exchanges went through. Then one attack after the other, each
taken to its end: no record waits for a step, no request for its answer. Prints for each process the most above idle;
exit code 1 when that is more than 256 MiB, or a process ended.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from schemas.exchange import Exchange
from schemas.topics import EXCHANGES, SCORES
from tests.benchmarks.stream import AFTER_SCORE, texts
from tests.support import postgres
from tests.support.blocks import blocks, rows
from tests.support.forged import Forged, send_forged
from tests.support.served import Served, served
from tests.support.stage import Stage, stage
from tests.support.streams import STEPS, keyed, lag, publish, until

BOUND_MIB = 256
"""Of docs/promises.md, P8."""
WARM, ROUTES, LEARNED = 2000, 300, 960
MIB = 1 << 20
MARKS = {"role": "system", "content": "\u201c" * 65_000}


@dataclass(frozen=True)
class Attacked:
    """The processes, by name, and where they can be reached."""

    on: Stage
    api: Served
    pids: dict[str, int]

    def settled(self) -> bool:
        """Whether every step has committed all that lies on its topics."""
        return lag(self.on.broker, STEPS) == 0


def resident(pid: int, name: str = "VmRSS") -> float:
    """MiB of a process: now, or with VmHWM the most since `forget_peak`."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name)) / 1024


def forget_peak(pid: int) -> None:
    """The most begins anew at what there is now."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")


def bombs(to: Attacked) -> None:
    """Eight batches of 0.7 MB that each unpack to 700 MB."""
    for place in range(8):
        asyncio.run(send_forged(to.on.broker, EXCHANGES.name, place % 4, [Forged(bytes(700 << 20))], 1))


def quotation_marks(to: Attacked) -> None:
    """400 exchanges of 195 KB each, whose system prompts are 65,000 opening quotation marks."""
    publish(
        to.on.broker, EXCHANGES.name, keyed(_large("marks", 400, {"prompt": (MARKS, {"role": "user", "content": "p"})}))
    )


def largest(to: Attacked) -> None:
    """200 exchanges of nearly as much text as the topic takes, on as many routes."""
    publish(to.on.broker, EXCHANGES.name, keyed(_large("large", 200, {"response": "word " * 190_000})))


def _large(name: str, n: int, fields: Mapping[str, Any]) -> Iterator[Exchange]:
    for i in range(n):
        one = {"id": f"{name}-{i}", "route": f"{name}/{i}", "model": {"requested": "m"}, "prompt": "p", "response": "a"}
        yield Exchange.model_validate({**one, **fields})


def learning_routes(to: Attacked) -> None:
    """300 routes that learn, 960 exchanges each, dealt in turn."""
    story = [one.encode() for one in blocks(rows(LEARNED), 64)]
    names = [b"attack/%d" % i for i in range(ROUTES)]
    publish(
        to.on.broker,
        SCORES.name,
        ((name, raw.replace(b'"support-bot/prod"', b'"%s"' % name)) for raw in story for name in names),
    )


def tiny_lists(to: Attacked) -> None:
    """Eight bodies of 7 MiB of empty lists at once, four times, to the API."""
    body = b'{"route":"r","model":{"requested":"m"},"prompt":"p","response":"a","extra":[' + b"[]," * (7 * MIB // 3)
    body += b"[]]}"

    def post(_: int) -> int:
        headers = {"content-type": "application/json"}
        return to.api.ask("POST", "/v1/exchanges", content=body, headers=headers).status_code

    with ThreadPoolExecutor(8) as pool:
        said = set(pool.map(post, range(32)))
    assert said <= {400, 413, 422, 429, 503}, said


ATTACKS: dict[str, Callable[[Attacked], None]] = {
    "bombs": bombs,
    "quotation-marks": quotation_marks,
    "largest": largest,
    "learning-routes": learning_routes,
    "tiny-lists": tiny_lists,
}


def attacked(to: Attacked, only: str) -> Iterator[tuple[str, str, float]]:
    """(attack, process, MiB above idle at most), one after the other."""
    publish(to.on.broker, EXCHANGES.name, keyed(texts(WARM)))
    until(lambda: to.on.recorded() == WARM and to.settled(), "the ordinary exchanges are recorded", 300)
    until(to.api.ready, "the API is ready", 60)
    idle = {name: resident(pid) for name, pid in to.pids.items()}
    for name, mib in idle.items():
        yield "idle", name, mib
    for title, attack in ATTACKS.items():
        if only in title:
            for pid in to.pids.values():
                forget_peak(pid)
            attack(to)
            until(to.settled, f"{title}: every record has its end", 600)
            for name, pid in to.pids.items():
                yield title, name, resident(pid, "VmHWM") - idle[name]


def main() -> int:
    """Run the attacks and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="")
    only, worst = parser.parse_args().only, 0.0
    with TemporaryDirectory(prefix="keelwatch-attacked-") as name, postgres.own_cluster(settings={}) as cluster:
        assert cluster is not None, postgres.ABSENT
        with ExitStack() as stack:
            on = stack.enter_context(stage(Path(name) / "stage", postgres.Server(cluster.url)))
            score = stack.enter_context(on.worker("score"))
            later = stack.enter_context(on.worker(AFTER_SCORE))
            api = stack.enter_context(served(Path(name), on.broker.bootstrap, on.database))
            assert score.worker.process is not None
            assert later.worker.process is not None
            pids = {"score": score.worker.process.pid, "later steps": later.worker.process.pid, "api": api.process.pid}
            for title, process, mib in attacked(Attacked(on, api, pids), only):
                if title != "idle":
                    worst = max(worst, mib)
                print(f"{title:16} {process:12} {'' if title == 'idle' else '+'}{mib:.0f} MiB", flush=True)
            assert api.process.poll() is None, api.log.read_text()[-3000:]
    return int(worst > BOUND_MIB)


if __name__ == "__main__":
    sys.exit(main())
