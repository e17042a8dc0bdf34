"""A worker that starts without its database says that it waits, and ends at once when it is told to."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing

import pytest

from services.store.engine import open_database
from services.stream.broker import Broker
from tests.support.streams import Worker, running, until

pytestmark = pytest.mark.processes
NOBODY = Broker("127.0.0.1:9")
SAID = '"waits for the database"'


def waits(worker):
    """What it said of its waiting, once it has."""
    until(lambda: SAID in worker.log.read_text(), "it says that it waits", 30.0)
    line = next(line for line in worker.log.read_text().splitlines() if SAID in line)
    return json.loads(line)


def test_an_absent_database_is_waited_for_aloud_and_sigterm_ends_the_wait(tmp_path):
    url = f"postgresql://someone:hidden@/nothing?host={tmp_path}"
    with running(Worker(tmp_path, NOBODY, "record", url)) as worker:
        said = waits(worker)
        assert (said["level"], said["most"]) == ("warning", 120.0)
        assert "hidden" not in worker.log.read_text()
        assert worker.stop() == 0


def test_a_locked_database_too(tmp_path):
    path = tmp_path / "keelwatch.db"
    open_database(f"sqlite:///{path}").close()
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with running(Worker(tmp_path, NOBODY, "record", f"sqlite:///{path}")) as worker:
            assert str(path) in waits(worker)["database"]
            assert worker.stop() == 0
