"""A worker that starts without its database says that it waits, and ends at once when it is told to."""

from __future__ import annotations

import json
import socket
import sqlite3
import struct
import time
from contextlib import closing, contextmanager
from threading import Thread

import psycopg
import pytest

from services.store.engine import open_database
from services.stream.broker import Broker
from tests.support.postgres import USER, own_cluster
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
        assert "No such file or directory" in said["reason"]
        assert "hidden" not in worker.log.read_text()
        assert worker.stop() == 0


def test_a_locked_database_too(tmp_path):
    path = tmp_path / "keelwatch.db"
    open_database(f"sqlite:///{path}").close()
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with running(Worker(tmp_path, NOBODY, "record", f"sqlite:///{path}")) as worker:
            said = waits(worker)
            assert str(path) in said["database"]
            assert said["reason"] == "no answer yet"  # SQLite itself waits for the lock, longer than this
            assert worker.stop() == 0


@pytest.fixture(scope="module")
def guarded(postgres):
    """A PostgreSQL that asks everybody but the tests' own user for a password; how to reach it."""
    with own_cluster() as cluster:
        (cluster.data / "pg_hba.conf").write_text(f"local all {USER} trust\nlocal all all scram-sha-256\n")
        with psycopg.connect(cluster.url, autocommit=True) as connection:
            connection.execute("CREATE ROLE app LOGIN PASSWORD 'right'")
            connection.execute("CREATE DATABASE mine OWNER app")
            connection.execute("SELECT pg_reload_conf()")
        yield cluster


@pytest.mark.postgres
@pytest.mark.parametrize(
    ("place", "said", "remedy"),
    [
        ("app:wrong@/mine?host={folder}", "password authentication failed", "correct user and password in"),
        ("app@/mine?host={folder}", "no password supplied", "correct user and password in"),
        ("app:right@/nowhere?host={folder}", 'database "nowhere" does not exist', "create the database"),
        ("app:right@no-such-host.invalid/mine", "failed to resolve host", "correct the host in"),
    ],
)
def test_what_waiting_does_not_mend_is_said_at_once_with_the_remedy(guarded, tmp_path, place, said, remedy):
    url = f"postgresql://{place.format(folder=guarded.folder)}"
    begin = time.monotonic()
    with running(Worker(tmp_path, NOBODY, "record", url)) as worker:
        assert worker.wait(30) == 2
        words = worker.log.read_text()
    assert time.monotonic() - begin < 20
    assert SAID not in words
    assert said in words
    assert f"; {remedy} " in words
    assert ":right@" not in words
    assert ":wrong@" not in words


@pytest.mark.postgres
def test_a_server_that_comes_up_is_waited_for_and_used(guarded, tmp_path):
    """Not there, then as one says that is starting, then there."""
    guarded.stop()
    with running(Worker(tmp_path, NOBODY, "record", f"postgresql://app:right@/mine?host={guarded.folder}")) as worker:
        assert "No such file or directory" in waits(worker)["reason"]
        with starting(guarded.folder):
            until(lambda: "starting up" in worker.log.read_text(), "it says what the server says", 30.0)
        guarded.start()
        until(lambda: '"waits for the broker' in worker.log.read_text(), "it goes on", 30.0)
        assert worker.stop() == 0


@contextmanager
def starting(folder):
    """What a PostgreSQL says to everybody while it starts."""

    def answer():
        while True:
            try:
                client, _ = server.accept()
            except OSError:
                return
            with client:
                client.settimeout(5)
                client.recv(1000)
                told = b"SFATAL\0VFATAL\0C57P03\0Mthe database system is starting up\0\0"
                client.sendall(b"E" + struct.pack(">i", len(told) + 4) + told)

    path = folder / ".s.PGSQL.5432"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen()
        thread = Thread(target=answer, daemon=True)
        thread.start()
        try:
            yield
        finally:
            server.shutdown(socket.SHUT_RDWR)
            thread.join(10)
            path.unlink()
