"""How fast the stream is, as ratios of one run on one machine: `python -m tests.benchmarks.stream`.

Worker processes share the cores with an Apache Kafka and a PostgreSQL of their own. The targets are for 2 cores on
which nothing else runs. Texts are recorded answers, each made distinct, so that no cache helps. Prints one line a
figure; exit code 1 when a target is missed. `--only NAME` runs the parts whose name contains NAME.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import cycle, islice
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from aiokafka.partitioner import murmur2

from schemas.exchange import Exchange
from schemas.identity import Model
from schemas.topics import EXCHANGES, SCORES
from services.score.embed.openvino import OpenVinoEmbedder
from services.score.scored_text import scored_text
from services.score.windows import texts_of
from services.stream.messages import Handled, TopicMessage
from services.stream.runner import StreamJob, StreamRunner
from tests.benchmarks.incident_delay import MONITOR, ROUTES, delays
from tests.benchmarks.updates import CLEAN_FILE, recorded
from tests.support import postgres
from tests.support.stage import Probed, Stage, rate, stage
from tests.support.streams import PARTITIONS, keyed, publish, until

EMBEDDED, ALONE, RULES, STARTS = 1000, 10_000, 30_000, 3
BATCH = 256
AFTER_SCORE = "detect,evaluate,alert,record"
RULES_ONLY = "defaults: {embed_share: 1.0e-9}\n"  # the smallest share that the file knows: none in practice

Staged = Callable[[str, str], AbstractContextManager[Stage]]
"""(name, text of the monitor file) -> a stage of its own."""


@dataclass(frozen=True)
class Figure:
    """One line of the table; `ok` is None where there is no target."""

    name: str
    value: str
    target: str = ""
    ok: bool | None = None

    def __str__(self) -> str:
        word = {None: "      ", True: "ok    ", False: "MISSED"}[self.ok]
        return f"{word} {self.name:<62} {self.value:>14}  {self.target}".rstrip()


def texts(n: int) -> list[Exchange]:
    """Recorded prompts and answers, none twice, on two routes a partition."""
    start = datetime(2026, 1, 1, tzinfo=UTC)
    names = [f"bench/{i}" for i in range(64)]
    routes = [name for place in range(PARTITIONS) for name in [one for one in names if _partition(one) == place][:2]]
    return [
        Exchange(
            id=f"e{i}",
            ts=start + timedelta(seconds=i),
            route=routes[i % len(routes)],
            model=Model(requested="recorded"),
            prompt=f"{i}: {row.prompt}",
            response=f"{i}: {row.response}",
        )
        for i, row in enumerate(islice(cycle(recorded(CLEAN_FILE)), n))
    ]


def _partition(route: str) -> int:
    return (murmur2(route.encode()) & 0x7FFFFFFF) % PARTITIONS


def embedding(staged: Staged) -> Iterator[Figure]:
    """All of it but the start: from the first block of scores to the last exchange in the database."""
    exchanges = texts(EMBEDDED)
    before = _embedder(exchanges)
    with staged("embedding", "") as on:
        publish(on.broker, EXCHANGES.name, keyed(exchanges))
        with on.worker("score"), on.worker(AFTER_SCORE):
            until(lambda: on.recorded() == EMBEDDED, "all are recorded", 600.0)
            end = time.time()
        first, rows = on.scores()[0]
    after = _embedder(exchanges)
    through, alone = (EMBEDDED - rows) / (end - first), (before + after) / 2
    yield Figure("embedder alone (before and after), exchanges/s", f"{before:.0f}, {after:.0f}")
    yield Figure("topic to database with embedding, exchanges/s", f"{through:.0f}")
    share = through / alone
    yield Figure("  of what the embedder alone does", f"{share:.2f}", ">= 0.6", share >= 0.6)


def _embedder(exchanges: Sequence[Exchange]) -> float:
    """Exchanges per second of the embedder alone on the texts that scoring embeds, its shapes compiled before."""
    windows = (texts_of(scored_text(one), answered=True) for one in exchanges)
    said = list(dict.fromkeys(text for one in windows for text in one if text is not None))
    embedder = OpenVinoEmbedder()
    embedder.embed([" ".join(["word"] * n) for n in range(4, 128, 4)])
    begin = time.perf_counter()
    for start in range(0, len(said), BATCH):
        embedder.embed(said[start : start + BATCH])
    return len(exchanges) / (time.perf_counter() - begin)


def rules(staged: Staged) -> Iterator[Figure]:
    """Without embedding: score alone, then detect and record alone on what it left, then a step that does nothing."""
    exchanges = keyed(texts(ALONE + RULES))
    with staged("rules", RULES_ONLY) as on:
        publish(on.broker, EXCHANGES.name, exchanges[:ALONE])
        with on.worker("score") as one:
            alone = rate(lambda: _scored(one), ALONE)
        publish(on.broker, EXCHANGES.name, exchanges[ALONE:])
        with on.worker("score") as one, on.worker("score", "second") as other:
            through = rate(lambda: _scored(one, other), RULES)
        yield Figure("rules only, 2 score workers, exchanges/s", f"{through:,.0f}", ">= 3,000", through >= 3000)
        yield Figure("  1 score worker, exchanges/s", f"{alone:,.0f}")
        blocks = on.scores()
        for step in ("detect", "record"):
            with on.worker(step) as one:
                taken = partial(one.total, "keelwatch_records_total", topic=SCORES.name)
                reached = _each(blocks, rate(taken, len(blocks)))
            yield Figure(f"  1 {step} worker on their scores, exchanges/s", f"{reached:,.0f}")
    with staged("nothing", "") as on:
        publish(on.broker, EXCHANGES.name, exchanges)
        nothing = asyncio.run(_nothing(on, len(exchanges)))
    yield Figure("  1 worker whose step does nothing, exchanges/s", f"{nothing:,.0f}")
    yield Figure("  faust's own share of 1 score worker's time", f"{alone / nothing:.0%}")


def _scored(*workers: Probed) -> float:
    """How many they have scored since they all work."""
    counts = [one.total("keelwatch_exchanges_total") for one in workers]
    return sum(counts) if all(counts) else 0.0


def _each(blocks: Sequence[tuple[float, int]], per_second: float) -> float:
    return per_second * sum(rows for _, rows in blocks) / len(blocks)


class _Nothing:
    """The score step without the work."""

    name, batch, every, taken = "score", 128, 0.0, 0
    is_crowded = False

    def fits(self, messages: Sequence[TopicMessage]) -> int:
        return len(messages)

    async def handle(self, messages: Sequence[TopicMessage]) -> Handled:
        self.taken += len(messages)
        return Handled()

    async def snapshot(self) -> None:
        """Nothing is kept."""

    async def resume(self) -> None:
        """Nothing waits."""

    def forget(self) -> None:
        """Nothing is kept."""


async def _nothing(on: Stage, n: int) -> float:
    step = _Nothing()
    runner = StreamRunner(StreamJob(on.broker, lambda _: [step], on.folder))
    running = asyncio.ensure_future(runner.run())
    measured = await asyncio.to_thread(rate, lambda: step.taken, n)
    runner.stop()
    assert await running == 0
    return measured


def incidents(staged: Staged) -> Iterator[Figure]:
    """All steps in one worker under a load that it can take; every route's model changes once."""
    with staged("incidents", MONITOR) as on:
        load, found = delays(on)
    yield Figure("load, exchanges/s", f"{load:.0f}")
    seconds = [one.seconds for one in found]
    p95, enough = float(np.quantile(seconds, 0.95)), len(found) >= 20
    yield Figure(
        f"publish to incident row, p95 of {len(found)} (of {ROUTES} routes), s", f"{p95:.2f}", "< 2", p95 < 2 and enough
    )
    yield Figure("  median, longest, s", f"{np.median(seconds):.2f}, {max(seconds):.2f}")
    slack = [one.slack for one in found]
    p95 = float(np.quantile(slack, 0.95))
    yield Figure("  incident row to Slack's acceptance, p95, s", f"{p95:.2f}", "< 10", p95 < 10 and enough)
    yield Figure("  median, longest, s", f"{np.median(slack):.2f}, {max(slack):.2f}")
    hops = ", ".join(f"{one:.2f}" for one in np.median([one.sent for one in found], axis=0))
    yield Figure("  median until its scores, reading and alert were sent, s", hops)
    late = [one.exchanges for one in found]
    yield Figure("  exchanges from the change to the crossing, median, most", f"{np.median(late):.0f}, {max(late)}")


def start(staged: Staged) -> Iterator[Figure]:
    """A worker of all steps, from its command to the first block of scores; stopped and started again."""
    took = []
    with staged("start", "") as on:
        for _ in range(STARTS):
            before = len(on.scores())
            publish(on.broker, EXCHANGES.name, keyed(texts(10)))
            begin = time.time()
            with on.worker("score," + AFTER_SCORE) as one:
                until(lambda one=one: one.total("keelwatch_exchanges_total") > 0, "the first are scored", 60.0)
            took.append(on.scores()[before][0] - begin)
    said = ", ".join(f"{one:.1f}" for one in took)
    yield Figure("start of a worker to its first scored exchange, s", said, "< 6 (median)", float(np.median(took)) < 6)


PARTS = (embedding, rules, incidents, start)


def main() -> int:
    """Run the parts, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="")
    only = parser.parse_args().only
    logging.getLogger("aiokafka").setLevel(logging.ERROR)  # topics are new: leaders are looked for, and found
    print(f"       {len(os.sched_getaffinity(0))} cores, load before: {os.getloadavg()[0]:.1f}", flush=True)
    missed = 0
    with TemporaryDirectory(prefix="keelwatch-bench-") as name, postgres.own_cluster(settings={}) as cluster:
        assert cluster is not None, postgres.ABSENT
        server = postgres.Server(cluster.url)
        for part in PARTS:
            if only in part.__name__:
                for figure in part(lambda title, monitor: stage(Path(name) / title, server, monitor)):
                    print(figure, flush=True)
                    missed += figure.ok is False
    return int(missed > 0)


if __name__ == "__main__":
    sys.exit(main())
