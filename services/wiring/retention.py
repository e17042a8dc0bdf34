"""What runs beside the steps so that nothing grows for ever: the sweep of the database, and the limit of routes."""

from __future__ import annotations

import asyncio
import logging
from datetime import UTC, datetime
from functools import partial
from typing import Final

from services.monitor import Monitor
from services.monitor.route_limit import RouteLimit
from services.ports import Publish
from services.record.retention_timer import RetentionTimer
from services.store import routes
from services.store.engine import Database
from services.store.route_deletion import RouteBound
from services.stream.runner import Companion
from services.stream.stateful import Threads

LOG: Final = logging.getLogger("keelwatch.stream")
_EVERY_SECONDS: Final = 15.0


def bound_of(watched: Monitor) -> RouteBound:
    """Which routes may be evicted."""
    return RouteBound(watched.lists, watched.max_routes)


def sweeping(database: Database, threads: Threads, watched: Monitor) -> Companion:
    """What a worker that records does beside its topics."""
    timer = RetentionTimer(database, threads.database, bound_of(watched))

    async def companion(_publish: Publish) -> None:
        await timer.run()

    return companion


def route_limit(watched: Monitor, database: Database | None) -> RouteLimit:
    """Which routes may be new, with what the database knows of now. A process without one knows what it has seen."""
    limit = RouteLimit(watched)
    if database is not None:
        limit.know(database.query(routes.arrivals), datetime.now(UTC))
    return limit


def following_routes(limit: RouteLimit, database: Database, threads: Threads) -> Companion:
    """Keeps a limit to what is stored: other processes take places too, and routes are deleted."""

    async def companion(_publish: Publish) -> None:
        while True:
            await asyncio.sleep(_EVERY_SECONDS)
            try:
                found = await threads.database.run(partial(database.query, routes.arrivals))
            except Exception as error:  # what was known holds until the database is back
                LOG.warning("which routes there are is not known: %s", type(error).__name__)
                continue
            # In the thread that scores: it asks, exchange by exchange.
            await threads.cpu.run(partial(limit.know, found, datetime.now(UTC)))

    return companion
