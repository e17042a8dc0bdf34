"""The ruler in a worker and on the command line: the anchors measured by the scorer that is configured."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace
from datetime import UTC, datetime
from typing import Final

from sqlalchemy import Connection

from schemas.reading import Reading
from services.monitor import Monitor, RoutePolicy
from services.ports import Publish
from services.ruler.anchors import load_anchors
from services.ruler.core import (
    AnchorMeasurement,
    measure_anchors,
    pack_measurement,
    readings_of,
    unpack_measurement,
)
from services.score.core import ExchangeScorer
from services.settings import Settings
from services.store import ruler
from services.store.engine import Database
from services.store.ruler import StoredMeasurement
from services.stream.runner import Companion
from services.wiring.adapters import scorer

LOG: Final = logging.getLogger("keelwatch.ruler")
RULER_AFTER: Final = 60.0


def anchor_scorer(settings: Settings, watched: Monitor) -> ExchangeScorer:
    """The configured scorer as it measures anchors: all of them embedded, none kept."""
    own = RoutePolicy(embed_share=1.0, keep_text="none")
    return replace(scorer(settings, watched), policy=lambda _route: own)


def measured(made: ExchangeScorer) -> AnchorMeasurement:
    """The anchors by this scorer."""
    return measure_anchors(load_anchors(), made.version, made.score)


def check_ruler(
    settings: Settings, watched: Monitor, database: Database | None
) -> tuple[AnchorMeasurement, AnchorMeasurement | None]:
    """The anchors measured now, and what is stored of them: by this scorer, else by the one that counted last."""
    now = measured(anchor_scorer(settings, watched))
    if database is None:
        return now, None

    def stored(connection: Connection) -> StoredMeasurement | None:
        version = load_anchors().version
        return ruler.of_scorer(connection, version, now.id) or ruler.last(connection, version)

    found = database.query(stored)
    return now, None if found is None else unpack_measurement(found.measured)


def follow_ruler(
    settings: Settings, watched: Monitor, database: Database, now: datetime
) -> tuple[AnchorMeasurement | None, tuple[Reading, ...]]:
    """Measure the anchors if another scorer counted last; what is to be noted, and what is told of the change."""
    made = anchor_scorer(settings, watched)
    version, mine = load_anchors().version, AnchorMeasurement(made.version, {}, {}, {}).id
    last = database.query(lambda connection: ruler.last(connection, version))
    if last is not None and last.scorer == mine:
        return None, ()
    known = database.query(lambda connection: ruler.of_scorer(connection, version, mine))
    found = measured(made) if known is None else unpack_measurement(known.measured)
    return found, () if last is None else readings_of(unpack_measurement(last.measured), found, now)


def note_ruler(database: Database, found: AnchorMeasurement, now: datetime) -> None:
    """From now on the others are held against this measurement."""
    stored = StoredMeasurement(found.id, now, pack_measurement(found))
    database.transact(lambda connection: ruler.put(connection, load_anchors().version, stored))


def ruler_companion(settings: Settings, watched: Monitor, database: Database, after: float = RULER_AFTER) -> Companion:
    """What a worker that records does once after its start: measure the anchors where its scorer is another.

    It is noted only after the readings are with the broker: a process that ends in between says it again.
    """

    async def companion(publish: Publish) -> None:
        while True:
            await asyncio.sleep(after)
            now = datetime.now(UTC)
            try:
                found, told = await asyncio.to_thread(follow_ruler, settings, watched, database, now)
                if told:
                    await publish(told)
                if found is not None:
                    await asyncio.to_thread(note_ruler, database, found, now)
            except Exception as error:  # database or broker are away, or the embedder: tried again
                LOG.warning("the anchors were not measured: %s", type(error).__name__)
                continue
            LOG.info("ruler: %s", "as before" if found is None else f"{len(told)} readings")
            await asyncio.Event().wait()

    return companion
