"""The checks of a worker's readiness: joined, topics, broker, database, and whether it can accept durably."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection
from contextlib import suppress
from typing import Any, Final

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError
from sqlalchemy import create_engine, text
from sqlalchemy.exc import SQLAlchemyError

from services.store.engine import parse_url
from services.stream.config import Broker, options
from services.stream.health import Check
from services.stream.watching import joining

FORGIVEN_AFTER: Final = 30.0
_CONNECT_SECONDS: Final = 4
_CLOSE_SECONDS: Final = 1.0


class Sends:
    """Whether the producer's last sends were acknowledged.

    A failure without any later attempt is forgiven after 30 s: whoever waits for readiness before sending would
    otherwise wait for ever.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._failures = 0
        self._failed: float | None = None

    def acknowledged(self) -> None:
        """The broker has a record."""
        self._failures, self._failed = 0, None

    def failed(self) -> None:
        """A record was not acknowledged in time, or refused for no fault of its own."""
        self._failures, self._failed = self._failures + 1, self._clock()

    async def check(self) -> str | None:
        """Not well while the last send failed."""
        if self._failed is None or self._clock() - self._failed > FORGIVEN_AFTER:
            return None
        return f"the last {self._failures} sends were not acknowledged"


class Cluster:
    """Asks the broker for its topics over one connection that is kept; made again after a failure."""

    def __init__(self, broker: Broker, wanted: Collection[str]) -> None:
        self._broker, self._wanted = broker, frozenset(wanted)
        self._admin: AIOKafkaAdminClient | None = None
        self._missing: Collection[str] | None = None

    async def check(self) -> str | None:
        """Not well while the broker does not answer."""
        try:
            names = set(await (await self._connected()).list_topics())
        except KafkaError as error:
            await self.close()
            return f"{self._broker.bootstrap} does not answer: {type(error).__name__}; run `keelwatch doctor`"
        except BaseException:
            await self.close()
            raise
        self._missing = self._wanted - names
        return None

    async def topics(self) -> str | None:
        """Not well while a topic is missing, as of the last answer."""
        if self._missing is None:
            return "the broker was not asked yet"
        if not self._missing:
            return None
        first, more = min(self._missing), len(self._missing) - 1
        return f"{first}{f' and {more} more' if more else ''} missing; run `keelwatch topics create`"

    async def close(self) -> None:
        """Close the connection."""
        admin, self._admin = self._admin, None
        if admin is not None:
            with suppress(Exception):
                async with asyncio.timeout(_CLOSE_SECONDS):
                    await admin.close()

    async def _connected(self) -> AIOKafkaAdminClient:
        if self._admin is None:
            self._admin = AIOKafkaAdminClient(**options(self._broker).admin)
            await self._admin.start()
        return self._admin


def joined(apps: Callable[[], Collection[Any]]) -> Check:
    """Well when every faust app is a settled member of its group."""

    async def check() -> str | None:
        found = apps()
        waiting = [str(app.conf.id) for app in found if joining(app)]
        if not found:
            return "not started"
        return f"not yet a member of {', '.join(waiting)}" if waiting else None

    return check


class Store:
    """Asks the database for its version over a connection of its own; blocks, so it is for `in_thread`."""

    def __init__(self, url: str) -> None:
        parsed = parse_url(url)
        waits = {} if parsed.drivername == "sqlite" else {"connect_timeout": _CONNECT_SECONDS}
        self._engine = create_engine(parsed, pool_size=1, pool_pre_ping=True, connect_args=waits)

    def ask(self) -> str | None:
        """Not well while the database does not answer."""
        try:
            with self._engine.connect() as connection:
                connection.execute(text("select version_num from alembic_version"))
        except SQLAlchemyError as error:
            why = type(getattr(error, "orig", None) or error).__name__
            return f"the database does not answer: {why}; run `keelwatch doctor`"
        return None

    def close(self) -> None:
        """Close the connection."""
        self._engine.dispose()
