"""The stream says what replay says, on 20,000 exchanges of recorded answers: `python -m tests.benchmarks.parity`.

Six routes, four of them with a silent update, are published to Apache Kafka (4 partitions) and go through worker
processes, one a step and two of score, on PostgreSQL. The topic is then captured and replayed into another database.
Alerts with their event indexes, incidents and rollups must be the same: floats within 1e-9. Exit code 1 if not.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from sqlalchemy import select

from schemas.alert import Alert
from schemas.exchange import Exchange
from schemas.topics import EXCHANGES
from services.ingest.recorded_answers import Conversion, Draw, convert
from services.replay.report import alert_object
from services.store import journal, routes
from services.store.engine import open_database
from services.store.rollups import RollupRow
from services.store.tables import table
from tests.benchmarks.updates import UPDATES, Update, recorded
from tests.support import kafka, postgres
from tests.support.command import keelwatch
from tests.support.streams import Worker, incidents_of, lag, make_topics, running, until

UPDATED, CLEAN = UPDATES[:4], UPDATES[2:4]
"""The routes: with a silent update, and with the old model for good."""

STEPS = ("score", "detect", "evaluate", "alert", "record")
WITHIN = 1e-9
SHOWN = 20


@dataclass(frozen=True)
class Found:
    """What a database says: everything that must be the same."""

    alerts: list[Any]
    incidents: list[Any]
    rollups: dict[tuple[Any, ...], tuple[int, int, float]]

    @property
    def exchanges(self) -> int:
        """How many were counted."""
        return sum(n for (*_, slice, signal), (n, _, _) in self.rollups.items() if (slice, signal) == ("", ""))


def traffic(n: int) -> list[Exchange]:
    """The exchanges of all routes, in the order of their time; an updated route's model changes after 60% of them."""
    share, rest = divmod(n, len(UPDATED) + len(CLEAN))
    made: list[Exchange] = []
    for place, case in enumerate((*UPDATED, *CLEAN)):
        count = share + (place < rest)
        before = count * 3 // 5 if place < len(UPDATED) else count
        made += _route(case, place, before, count - before)
    return sorted(made, key=lambda one: (one.ts, one.route))


def _route(case: Update, place: int, before: int, after: int) -> Iterator[Exchange]:
    draws = (Draw(*case.old, before), *([Draw(*case.new, after)] if after else []))
    return convert(recorded(case.file), Conversion(draws, _name(place), place, case.where))


def _name(place: int) -> str:
    return f"parity/updated-{place}" if place < len(UPDATED) else f"parity/clean-{place - len(UPDATED)}"


def streamed(folder: Path, exchanges: list[Exchange], database: str, capture: Path) -> float:
    """Send them through the stream, and capture the topic; seconds until every step had committed everything."""
    file = folder / "exchanges.jsonl"
    file.write_bytes(b"".join(one.encode() + b"\n" for one in exchanges))
    with kafka.apache_kafka() as server, ExitStack() as stack:
        assert server is not None, kafka.ABSENT
        broker = kafka.cluster_of(server.bootstrap, server).broker
        make_topics(broker)
        print(keelwatch(folder, "publish", str(file), "--bootstrap", broker.bootstrap).strip())
        begin = time.monotonic()
        workers = []
        for place, step in enumerate(("score", *STEPS)):
            (own := folder / f"{place}-{step}").mkdir()
            name = {"KEELWATCH_INSTANCE": f"parity-{place}"}
            workers.append(stack.enter_context(running(Worker(own, broker, step, database, environment=name))))
        until(lambda: _alive(workers) and all(b"running" in one.log.read_bytes() for one in workers), "workers run")
        until(lambda: _alive(workers) and lag(broker, STEPS) == 0, "all is committed", 600.0)
        seconds = time.monotonic() - begin
        codes = [one.stop() for one in workers]
        assert codes == [0] * len(workers), codes
        words = ("--topic", EXCHANGES.name, "--out", str(capture), "--from-beginning", "--until-idle", "2")
        keelwatch(folder, "capture", "--bootstrap", broker.bootstrap, *words)
    return seconds


def _alive(workers: list[Worker]) -> bool:
    for one in workers:
        assert one.process is not None
        assert one.process.poll() is None, one.log.read_text()[-3000:]
    return True


def found(url: str) -> Found:
    """What the database says."""
    database = open_database(url, create=False)
    try:
        names = database.query(routes.names)
        facts = [fact for route in names for fact in database.query(journal.facts, route)]
        alerts = [alert for alert in facts if isinstance(alert, Alert)]
        alerts.sort(key=lambda alert: (alert.ts, alert.route, alert.fingerprint))
        incidents = [one for route in names for one in incidents_of(database, route)]
        rows = table(RollupRow).c
        with database.read() as connection:
            counted = connection.execute(
                select(rows.route, rows.minute, rows.identity, rows.slice, rows.signal, rows.n, rows.scored, rows.sum)
            ).all()
    finally:
        database.close()
    rollups = {tuple(row[:5]): (row[5], row[6], row[7]) for row in counted}
    return Found([alert_object(one) for one in alerts], incidents, rollups)


def differences(one: Any, other: Any, at: str = "") -> Iterator[str]:
    """Every place where the two differ; floats only if by more than 1e-9, relative to large ones."""
    if isinstance(one, float) and isinstance(other, float):
        if not abs(one - other) <= WITHIN * max(1.0, abs(one), abs(other)):  # NaN is never the same
            yield f"{at}: {one!r}, {other!r}"
    elif isinstance(one, dict) and isinstance(other, dict) and one.keys() == other.keys():
        for key in one:
            yield from differences(one[key], other[key], f"{at}.{key}")
    elif isinstance(one, list | tuple) and isinstance(other, list | tuple) and len(one) == len(other):
        for place, pair in enumerate(zip(one, other, strict=True)):
            yield from differences(*pair, f"{at}[{place}]")
    elif one != other:
        yield f"{at}: {_short(one)}, {_short(other)}"


def _short(value: Any) -> str:
    if isinstance(value, dict):
        return f"{len(value)} entries"
    return f"{len(value)} of them" if isinstance(value, list) else repr(value)


def main() -> int:
    """Run both, compare, and print what was compared."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--exchanges", type=int, default=20_000)
    exchanges = traffic(parser.parse_args().exchanges)
    with TemporaryDirectory(prefix="keelwatch-parity-") as name, postgres.running() as server:
        assert server is not None, postgres.ABSENT
        folder, url = Path(name), server.fresh()
        capture, replayed = folder / "captured.jsonl", f"sqlite:///{folder / 'replayed.db'}"
        seconds = streamed(folder, exchanges, url, capture)
        print(f"stream: {len(exchanges):,} exchanges through {len(STEPS) + 1} workers in {seconds:.0f} s", flush=True)
        begin = time.monotonic()
        keelwatch(folder, "replay", str(capture), "--database", replayed)
        print(f"replay: of the captured topic in {time.monotonic() - begin:.0f} s", flush=True)
        return compared(len(exchanges), found(url), found(replayed))


def compared(n: int, stream: Found, replay: Found) -> int:
    """Print the comparison; the exit code."""
    differ = 0
    for name in ("alerts", "incidents", "rollups"):
        one, other = getattr(stream, name), getattr(replay, name)
        places = list(differences(one, other))
        differ += len(places)
        print(f"{'DIFFER' if places else 'same  '} {name}: {len(one):,} of the stream, {len(other):,} of replay")
        for place in places[:SHOWN]:
            print(f"         {place}")
    seen = {one["route"] for one in replay.incidents} & {_name(place) for place in range(len(UPDATED))}
    complete, enough = stream.exchanges == n, len(seen) == len(UPDATED)
    print(f"{'ok    ' if complete else 'MISSED'} exchanges counted by the stream: {stream.exchanges:,} of {n:,}")
    print(f"{'ok    ' if enough else 'MISSED'} updated routes with an incident: {len(seen)} of {len(UPDATED)}")
    return int(differ > 0 or not complete or not enough)


if __name__ == "__main__":
    sys.exit(main())
