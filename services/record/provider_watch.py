"""Looks over the incidents of all routes for one provider event, and tells each of its routes as a change."""

from __future__ import annotations

import asyncio
import logging
from datetime import datetime
from typing import Final

from sqlalchemy import Connection

from schemas.change import Change
from schemas.incident import Incident
from services.incident.provider_event import WITHIN, ProviderEvent, facts_of, groups_of, model_moves, provider_events
from services.ports import Publish
from services.store import baselines, incidents, journal, routes
from services.store.engine import Database
from services.wording.nouns import model_name

LOG: Final = logging.getLogger("keelwatch.record")
EVERY: Final = 30.0
_NEWEST: Final = 500
"""Incidents that are looked at: an event is of hours."""


def read_events(
    connection: Connection, since: datetime | None = None, until: datetime | None = None
) -> tuple[ProviderEvent, ...]:
    """The provider events among the newest incidents that opened in that time.

    The same incidents give the same events.
    """
    newest = incidents.newest(connection, _NEWEST, since, until)
    models = {route: routes.identities(connection, route) for route in sorted({one.route for one in newest})}
    moves = model_moves(newest, models)
    if not groups_of(moves):  # which routes a model answers on is asked only where there is something to tell
        return ()
    pinned = baselines.current_pinnings(connection, routes.names(connection))
    return provider_events(moves, {route: model_name(change.model) for route, change in pinned.items()})


def event_of(connection: Connection, incident: Incident) -> ProviderEvent | None:
    """The provider event that an incident is of."""
    around = incident.opened_at - WITHIN, incident.opened_at + WITHIN
    found = read_events(connection, *around)
    return next((event for event in found if any(one.id == incident.id for one in event.incidents)), None)


class ProviderWatch:
    """It has no state: what was told stands in the journals, so several processes may look."""

    def __init__(self, database: Database) -> None:
        """`database` holds the incidents of all routes."""
        self._database = database

    async def run(self, publish: Publish, every: float = EVERY) -> None:
        """Look until cancelled. A database that is away is asked again later."""
        while True:
            try:
                await self.once(publish)
            except Exception as error:
                LOG.warning("it is not known whether a provider event is on: %s", type(error).__name__)
            await asyncio.sleep(every)

    async def once(self, publish: Publish) -> tuple[Change, ...]:
        """Look once, and tell what no journal holds yet."""
        new = await asyncio.to_thread(self._database.query, untold)
        if new:
            await publish(new)
        return new


def untold(connection: Connection) -> tuple[Change, ...]:
    """What the routes of the events are not told yet."""
    facts = [fact for event in read_events(connection) for fact in facts_of(event)]
    return tuple(fact for fact in facts if fact.id not in journal.known_ids(connection, fact.route, [fact]))
