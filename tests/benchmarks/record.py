"""How long the record sink takes for 10,000 exchanges in batches of 128: `python -m tests.benchmarks.record`.

Six signals and one slice an exchange, 86.4 s apart (each in a minute of its own: the most rollup rows), with the text
of each (about 1 KB), readings and alerts beside them, into a new SQLite file and into a new PostgreSQL server with its
own settings, on a Unix socket. Making the records is not counted.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path

import psycopg

from schemas.base import Record
from schemas.sample import Sample, SampleBlock, Why
from services.monitor import RoutePolicy
from services.record.recorder import Recorder
from services.store.engine import open_database
from tests.record.stories import ROUTES, alert, reading, sample
from tests.support.blocks import Row, blocks
from tests.support.postgres import ABSENT, own_cluster

ROUTE = ROUTES[0]
SIGNALS = ("refusal", "pii_leak", "secret_leak", "system_prompt_leak", "response_length", "code")


def batches(n: int) -> Iterator[list[Record]]:
    rows = [
        Row(f"e{i}", i, i * 86.4, signals=dict.fromkeys(SIGNALS, False), tags={"locale": "de"}, prompt=i % 97)
        for i in range(n)
    ]
    for k, block in enumerate(blocks(rows, 128, ROUTE)):
        samples = [_sample(k * 128 + i, ts) for i, ts in enumerate(block.ts)]
        readings = [reading(ROUTE, k * 128 + j) for j in range(20)]
        yield [
            block,
            SampleBlock(route=ROUTE, samples=tuple(samples)),
            *readings,
            *([alert(ROUTE, "rate_shift", k)] if k % 5 == 0 else []),
        ]


def _sample(n: int, ts: datetime) -> Sample:
    """The text of every exchange travels: of one in 16 to be kept, of others as one of the last, or for a baseline."""
    why: Why = "kept" if n % 16 == 0 else "baseline" if n % 5 == 0 else "ring"
    made = sample(ROUTE, n, why=why).model_copy(update={"ts": ts})
    return made.model_copy(update={"prompt": made.prompt * 10, "response": made.response * 30})


def main(n: int = 10_000) -> None:
    made = list(batches(n))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "keelwatch.db"
        seconds = measured(f"sqlite:///{path}", made)
        size = path.stat().st_size
        print(f"SQLite: {n:,} exchanges in {seconds:.1f} s ({n / seconds:,.0f}/s), file {size / 1e6:.0f} MB")
    with own_cluster(settings={}) as cluster:
        if cluster is None:
            print(f"PostgreSQL: not measured: {ABSENT}")
            return
        seconds = measured(cluster.url, made)
        with psycopg.connect(cluster.url) as connection:
            (size,) = connection.execute("SELECT pg_database_size(current_database())").fetchone() or (0,)
        print(f"PostgreSQL: {n:,} exchanges in {seconds:.1f} s ({n / seconds:,.0f}/s), database {size / 1e6:.0f} MB")


def measured(url: str, made: Sequence[Sequence[Record]]) -> float:
    """Seconds that recording the batches takes."""
    database = open_database(url)
    sink = Recorder(database, lambda route: RoutePolicy(slices=("tags.locale",)))
    start = time.perf_counter()
    for batch in made:
        sink.apply(batch)
    seconds = time.perf_counter() - start
    database.close()
    return seconds


if __name__ == "__main__":
    main(*(int(argument) for argument in sys.argv[1:2]))
