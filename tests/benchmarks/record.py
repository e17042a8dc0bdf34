"""How long the record sink takes for 10,000 exchanges in batches of 128: `python -m tests.benchmarks.record`.

Six signals and one slice an exchange, 86.4 s apart (each in a minute of its own: the most rollup rows), with samples,
readings and alerts beside them, into a new SQLite file. Making the records is not counted.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from schemas.base import Record
from services.monitor import RoutePolicy
from services.record.sink import Recorder
from services.store.engine import open_database
from tests.record.stories import ROUTES, alert, reading, sample
from tests.support.blocks import Row, blocks

ROUTE = ROUTES[0]
SIGNALS = ("refusal", "pii_leak", "secret_leak", "system_prompt_leak", "response_length", "code")


def batches(n: int) -> Iterator[list[Record]]:
    rows = [
        Row(f"e{i}", i, i * 86.4, signals=dict.fromkeys(SIGNALS, False), tags={"locale": "de"}, prompt=i % 97)
        for i in range(n)
    ]
    for k, block in enumerate(blocks(rows, 128, ROUTE)):
        samples = [sample(ROUTE, i).model_copy(update={"ts": block.ts[0]}) for i in range(k * 128, k * 128 + 8)]
        readings = [reading(ROUTE, k * 128 + j) for j in range(20)]
        yield [block, *samples, *readings, *([alert(ROUTE, "rate_shift", k)] if k % 5 == 0 else [])]


def main(n: int = 10_000) -> None:
    made = list(batches(n))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "keelwatch.db"
        database = open_database(f"sqlite:///{path}")
        sink = Recorder(database, lambda route: RoutePolicy(slices=("tags.locale",)))
        start = time.perf_counter()
        for batch in made:
            sink.apply(batch)
        seconds = time.perf_counter() - start
        database.close()
        print(f"{n:,} exchanges in {seconds:.1f} s ({n / seconds:,.0f}/s), file {path.stat().st_size / 1e6:.0f} MB")


if __name__ == "__main__":
    main(*(int(argument) for argument in sys.argv[1:2]))
