"""Two replicas that are killed at random: every fire time is run and recorded once.

`python -m tests.chaos.fire_times [--times 1000]`: kills all along, and some starts with a clock that is seconds off.
Needs PostgreSQL; clocks need Debian's package faketime. Exit code 1 when a fire time was run twice or not at all.
"""

from __future__ import annotations

import argparse
import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from sqlalchemy import func, select

from schemas.evaluation import EVALUATION, Run
from services.store import routes, schedules
from services.store.engine import Database
from services.store.evaluation_queue import EvaluationRow
from services.store.runs import RunRow
from services.store.schedules import FireTimeRow, StoredSchedule
from services.store.tables import table
from tests.chaos.machine import FAKETIME, skewed_environment
from tests.support import endpoint, postgres
from tests.support.databases import opened
from tests.support.endpoint import Endpoint
from tests.support.source import ROOT
from tests.support.streams import until

SCHEDULES: Final = 10
SEED: Final = 20261125
STEPS: Final = ("-4s", "+4s", "+9s")
"""By how much the clock of a replica may be off; a lease lasts 3 s."""


class Replicas:
    """Two processes, each of which is started again as soon as it was killed."""

    def __init__(
        self, database: str, url: str, end: datetime, ledger: Path, chance: random.Random, clocks: bool
    ) -> None:
        self._arguments = {
            name: [database, url, name, str(end.timestamp()), str(ledger)] for name in ("replica-1", "replica-2")
        }
        self._log = ledger.with_suffix(".log").open("ab")
        self._chance, self._clocks = chance, clocks
        self.running = {name: self._start(name) for name in self._arguments}
        self.kills = self.steps = 0

    def _start(self, name: str, ahead: str | None = None) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "tests.evaluate.replica", *self._arguments[name]]
        environment = os.environ | (skewed_environment(ahead) if ahead else {})
        return subprocess.Popen(command, cwd=ROOT, stdout=self._log, stderr=self._log, env=environment)

    def kill(self, name: str) -> None:
        """Kill -9, and start it anew."""
        self.running[name].kill()
        self.running[name].wait()
        ahead = self._chance.choice(STEPS) if self._clocks and self._chance.random() < 1 / 3 else None
        self.running[name] = self._start(name, ahead)
        self.kills += 1
        self.steps += ahead is not None

    def stop(self) -> None:
        """End both."""
        for process in self.running.values():
            process.kill()
            process.wait()
        self._log.close()


@contextmanager
def replicas(*arguments: Any) -> Iterator[Replicas]:
    """Both, ended with the block."""
    both = Replicas(*arguments)
    try:
        yield both
    finally:
        both.stop()


def fire_times(url: str, asked: Endpoint, folder: Path, seconds: int, clocks: bool = False) -> str:
    """Ten schedules that fire each second, for so many seconds; what it came to, in words.

    Raises:
        AssertionError: if a fire time was run twice, or not at all, or nothing was tried.
    """
    chance, wanted, fewest = random.Random(SEED), SCHEDULES * seconds, seconds * 2 // 5
    ledger = folder / "published"
    with opened(url) as (database,):
        since = datetime.fromtimestamp(int(time.time()), UTC)
        end = datetime.fromtimestamp(since.timestamp() + seconds, UTC)
        with database.write() as connection:
            routes.ensure(connection, *(f"route/{n}" for n in range(SCHEDULES)))
            for n in range(SCHEDULES):
                schedules.add(
                    connection, StoredSchedule(f"route/{n}", "s", ("core",), "-", "UTC", True, "command", since)
                )
        with replicas(url, asked.url("slower", "replicas"), end, ledger, chance, clocks) as both:
            until(lambda: count(database, RunRow) > 0, "a first run", 60)
            while count(database, FireTimeRow) < wanted or both.kills < fewest:
                done = finished(database)
                until(lambda: finished(database) > done or done == wanted, "a run between two kills", 60)  # noqa: B023
                time.sleep(chance.uniform(0.0, 2.5))
                both.kill(chance.choice(busy(database) or sorted(both.running)))
                assert both.kills < 60 + 3 * seconds, "it never comes to its end"
            begin = time.monotonic()
            while (left := unfinished(database)) > 0:
                until(lambda: unfinished(database) < left, f"one of {left} runs that are left is done", 60)
            drained = time.monotonic() - begin
        judge(database, ledger, asked, wanted)
    off = f", {both.steps} starts with a clock off by up to 9 s" if clocks else ""
    ran = f"{wanted} runs, none twice, none missing; {drained:.0f} s after the last kill"
    return f"{wanted} fire times, {both.kills} kills of two replicas{off}: {ran}"


def judge(database: Database, ledger: Path, asked: Endpoint, wanted: int) -> None:
    """By sets of ids, in the database and as published."""
    fires, stored, due = table(FireTimeRow), table(RunRow), table(EvaluationRow)
    with database.read() as connection:
        assert connection.execute(select(func.count()).where(fires.c.missed.isnot(None))).scalar() == 0
        ids = set(connection.execute(select(due.c.id)).scalars())
        runs = set(connection.execute(select(stored.c.id).where(stored.c.status == "complete")).scalars())
        most = connection.execute(select(func.max(due.c.token))).scalar() or 0
        states = set(connection.execute(select(due.c.state)).scalars())
    assert (count(database, FireTimeRow), len(ids), len(runs), states) == (wanted, wanted, wanted, {"done"})
    assert ids == runs
    published: dict[str, set[bytes]] = {}
    for line in ledger.read_bytes().splitlines():
        record = EVALUATION.validate_json(line)
        if isinstance(record, Run):
            published.setdefault(record.id, set()).add(line)
    assert set(published) == runs, "every run is published"
    assert {len(lines) for lines in published.values()} == {1}, "and if twice, then the same"
    assert most > 1, "no run was taken over: the kills hit nothing"
    assert wanted <= len(asked.seen("replicas")) <= 2 * wanted


def busy(database: Database) -> list[str]:
    """The replicas that have runs under way: a kill of one that only begins shows little."""
    rows = table(EvaluationRow)
    with database.read() as connection:
        owners = connection.execute(select(rows.c.owner).where(rows.c.state == "running").distinct()).scalars()
        return sorted(str(owner) for owner in owners)


def count(database: Database, model: Any) -> int:
    with database.read() as connection:
        return connection.execute(select(func.count()).select_from(table(model))).scalar() or 0


def finished(database: Database) -> int:
    """Runs that are done."""
    rows = table(EvaluationRow)
    with database.read() as connection:
        return connection.execute(select(func.count()).where(rows.c.state == "done")).scalar() or 0


def unfinished(database: Database) -> int:
    rows = table(EvaluationRow)
    with database.read() as connection:
        return connection.execute(select(func.count()).where(rows.c.state != "done")).scalar() or 0


def main() -> int:
    """Read the command line, start PostgreSQL and an endpoint, run; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--times", type=int, default=1000, help="fire times (default 1000)")
    given = parser.parse_args()
    if not FAKETIME.exists():
        print("clocks: NOT TURNED: needs Debian's package faketime")
    with postgres.running() as server, endpoint.running() as asked, TemporaryDirectory() as folder:
        if server is None:
            print(postgres.ABSENT)
            return 1
        try:
            seconds = -(-given.times // SCHEDULES)
            print(fire_times(server.fresh(), asked, Path(folder), seconds, FAKETIME.exists()))
        except AssertionError as error:
            print(f"VIOLATED: {error}")
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
