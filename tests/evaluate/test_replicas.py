"""Two replicas that are killed at random: every fire time is run and recorded once."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import func, select

from schemas.evaluation import EVALUATION, Run
from services.store import routes, schedules
from services.store.engine import Database
from services.store.evaluation_queue import EvaluationRow
from services.store.runs import RunRow
from services.store.schedules import FireTimeRow, StoredSchedule
from services.store.tables import table
from tests.support.databases import opened
from tests.support.endpoint import Endpoint
from tests.support.source import ROOT
from tests.support.streams import until

SCHEDULES, SECONDS = 10, 20
WANTED = SCHEDULES * SECONDS
SEED = 20261125


class Replicas:
    """Two processes, each of which is started again as soon as it was killed."""

    def __init__(self, database: str, url: str, end: datetime, ledger: Path) -> None:
        self._arguments = {
            name: [database, url, name, str(end.timestamp()), str(ledger)] for name in ("replica-1", "replica-2")
        }
        self._log = ledger.with_suffix(".log").open("ab")
        self.running = {name: self._start(name) for name in self._arguments}
        self.kills = 0

    def _start(self, name: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "tests.evaluate.replica", *self._arguments[name]]
        return subprocess.Popen(command, cwd=ROOT, stdout=self._log, stderr=self._log)

    def kill(self, name: str) -> None:
        """Kill -9, and start it anew."""
        self.running[name].kill()
        self.running[name].wait()
        self.running[name] = self._start(name)
        self.kills += 1

    def stop(self) -> None:
        for process in self.running.values():
            process.kill()
            process.wait()
        self._log.close()


@contextmanager
def replicas(*arguments: Any) -> Iterator[Replicas]:
    both = Replicas(*arguments)
    try:
        yield both
    finally:
        both.stop()


def test_two_hundred_fire_times_under_random_kills_are_two_hundred_runs(
    postgres: Any, endpoint: Endpoint, tmp_path: Path
) -> None:
    url, chance = postgres.fresh(), random.Random(SEED)
    ledger = tmp_path / "published"
    with opened(url) as (database,):
        since = datetime.fromtimestamp(int(time.time()), UTC)
        end = datetime.fromtimestamp(since.timestamp() + SECONDS, UTC)
        with database.write() as connection:
            routes.ensure(connection, *(f"route/{n}" for n in range(SCHEDULES)))
            for n in range(SCHEDULES):
                schedules.add(
                    connection, StoredSchedule(f"route/{n}", "s", ("core",), "-", "UTC", True, "command", since)
                )
        with replicas(url, endpoint.url("slower", "replicas"), end, ledger) as both:
            until(lambda: count(database, RunRow) > 0, "a first run", 60)
            while count(database, FireTimeRow) < WANTED or both.kills < 8:
                time.sleep(chance.uniform(0.5, 3.0))
                both.kill(chance.choice(busy(database) or sorted(both.running)))
                assert both.kills < 60, "it never comes to its end"
            until(lambda: unfinished(database) == 0, "all that was due is done", 90)
            assert both.kills >= 8
        judge(database, ledger, endpoint)
        postgres.take_back(url)


def judge(database: Database, ledger: Path, endpoint: Endpoint) -> None:
    fires, stored, due = table(FireTimeRow), table(RunRow), table(EvaluationRow)
    with database.read() as connection:
        assert connection.execute(select(func.count()).where(fires.c.missed.isnot(None))).scalar() == 0
        ids = set(connection.execute(select(due.c.id)).scalars())
        runs = set(connection.execute(select(stored.c.id).where(stored.c.status == "complete")).scalars())
        most = connection.execute(select(func.max(due.c.token))).scalar() or 0
        states = set(connection.execute(select(due.c.state)).scalars())
    assert (count(database, FireTimeRow), len(ids), len(runs), states) == (WANTED, WANTED, WANTED, {"done"})
    assert ids == runs
    published: dict[str, set[bytes]] = {}
    for line in ledger.read_bytes().splitlines():
        record = EVALUATION.validate_json(line)
        if isinstance(record, Run):
            published.setdefault(record.id, set()).add(line)
    assert set(published) == runs, "every run is published"
    assert {len(lines) for lines in published.values()} == {1}, "and if twice, then the same"
    assert most > 1, "no run was taken over: the kills hit nothing"
    assert WANTED <= len(endpoint.seen("replicas")) <= 2 * WANTED


def busy(database: Database) -> list[str]:
    """The replicas that have runs under way: a kill of one that only begins shows little."""
    rows = table(EvaluationRow)
    with database.read() as connection:
        owners = connection.execute(select(rows.c.owner).where(rows.c.state == "running").distinct()).scalars()
        return sorted(str(owner) for owner in owners)


def count(database: Database, model: Any) -> int:
    with database.read() as connection:
        return connection.execute(select(func.count()).select_from(table(model))).scalar() or 0


def unfinished(database: Database) -> int:
    rows = table(EvaluationRow)
    with database.read() as connection:
        return connection.execute(select(func.count()).where(rows.c.state != "done")).scalar() or 0
