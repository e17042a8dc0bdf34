"""The API of `tests.support.api` on a port of its own, as a process would serve it, for commands that ask it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

import uvicorn

from schemas.decision import Decision
from services.api.app import Api, make
from services.store.engine import Database
from tests.support.api import Wire, api_on
from tests.support.notify import record


@dataclass
class Listening:
    """Where it listens, and what it is made of."""

    url: str
    wire: Wire
    api: Api

    def carry(self) -> None:
        """What was decided goes to its topic, and is recorded."""
        asyncio.run(self.api.relay.once())
        record(self.api.database, *(Decision.decode(one[2]) for one in self.wire.sent))


@contextmanager
def listening(database: Database) -> Iterator[Listening]:
    """The API, started, and gone at the end whatever happens; its decisions go by the clock on the wall."""
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
        yield Listening(f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}", wire, api)
    finally:
        server.should_exit = True
        thread.join()
