"""`keelwatch silence`: made, listed, shortened and ended by the running API, and listed from the database."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

import uvicorn

from schemas.decision import Decision
from services.api.app import make
from services.store.engine import Database, open_database
from tests.support.api import Wire, api_on
from tests.support.notify import record
from tests.support.records import ROUTE, alert


@contextmanager
def serving(database: Database) -> Iterator[tuple[str, Wire, object]]:
    """The API on a port of its own, as a process would serve it."""
    wire = Wire()
    api = api_on(database, wire)
    api.decisions.clock = lambda: datetime.now(UTC)
    server = uvicorn.Server(uvicorn.Config(make(api), port=0, log_config=None, lifespan="off"))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started:
            thread.join(0.01)
            assert thread.is_alive()
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}", wire, api
    finally:
        server.should_exit = True
        thread.join()


def test_a_silence_is_made_listed_shortened_and_ended(keelwatch, monkeypatch, tmp_path) -> None:
    database = open_database(f"sqlite:///{tmp_path}/kw.db")
    named = ("--database", f"sqlite:///{tmp_path}/kw.db")
    record(database, alert(index=720))

    def carried(api) -> None:
        """What was written goes to its topic and is recorded."""
        asyncio.run(api.relay.once())
        record(database, *(Decision.decode(one[2]) for one in wire.sent))

    with serving(database) as (url, wire, api):
        monkeypatch.setenv("KEELWATCH_API_URL", url)
        assert keelwatch("silence", "list", *named)[1] == "no silence: people are told of every alert\n"
        code, said, _ = keelwatch("silence", "add", ROUTE, "--reason", "load test", "--actor", "mara")
        assert (code, said[:10]) == (0, "silenced: ")
        id = said.split()[1]
        carried(api)
        [one] = json.loads(keelwatch("silence", "list", "--json", "-", *named)[1])
        assert (one["id"], one["actor"], one["reason"], one["fingerprint"]) == (id, "mara", "load test", None)
        long = one["until"]
        code, _, told = keelwatch("silence", "add", ROUTE, "--reason", "again")
        assert (code, "has decided the same already (silenced until" in " ".join(told.split())) == (1, True)
        assert keelwatch("silence", "end", id, "--reason", "shorter", "--hours", "2")[0] == 0
        carried(api)
        [one] = json.loads(keelwatch("silence", "list", "--json", "-", *named)[1])
        assert (one["until"] < long, one["ended_reason"]) == (True, "shorter")
        assert keelwatch("silence", "end", id, "--reason", "done")[0] == 0
        carried(api)
        assert keelwatch("silence", "list", *named)[1] == "no silence: people are told of every alert\n"
        code, _, told = keelwatch("silence", "end", id, "--reason", "done")
        assert (code, f"no silence of {ROUTE} holds" in told) == (1, True)
        assert keelwatch("silence", "end", "0" * 16, "--reason", "done")[0] == 2
        assert keelwatch("silence", "add", ROUTE, "--reason", "for ever", "--hours", "1000")[0] == 2
    database.close()
