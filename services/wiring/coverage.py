"""How far suites ask what users ask, measured in a worker: with the embedder that scores."""

from __future__ import annotations

import asyncio
import logging
from datetime import UTC, datetime
from typing import Final

from schemas.score import Scorer
from services.evaluate.coverage_watch import CoverageWatch, PromptEmbedder, gap_reading, space_of
from services.evaluate.suite_library import load_suite
from services.monitor import Monitor
from services.ports import Publish
from services.settings import Settings
from services.store.engine import Database
from services.stream.runner import Companion
from services.wiring.adapters import embedder

LOG: Final = logging.getLogger("keelwatch.coverage")
COVERAGE_AFTER: Final = 60.0
COVERAGE_EVERY: Final = 600.0


def coverage_watch(settings: Settings, watched: Monitor, database: Database) -> CoverageWatch:
    """What measures routes over a database; the embedder is loaded when the first route needs it."""

    def embed() -> PromptEmbedder:
        made = embedder(settings)
        return PromptEmbedder(space_of(Scorer(engine=made.engine, precision=made.precision, signals={})), made.embed)

    return CoverageWatch(database, watched.policy, load_suite, embed, lambda: datetime.now(UTC))


def coverage_companion(
    settings: Settings, watched: Monitor, database: Database, after: float = COVERAGE_AFTER
) -> Companion:
    """What a worker that evaluates does every ten minutes: measure the routes of which the answer may be another.

    Of two workers both may measure a route; they write the same.
    """
    watch = coverage_watch(settings, watched, database)

    async def companion(publish: Publish) -> None:
        wait = after
        while True:
            await asyncio.sleep(wait)
            wait = COVERAGE_EVERY
            try:
                n = await measure_all(watch, publish)
            except Exception as error:  # the database is away: tried again
                LOG.warning("coverage was not measured: %s", type(error).__name__)
                continue
            LOG.info("coverage: %d routes measured", n)

    return companion


async def measure_all(watch: CoverageWatch, publish: Publish) -> int:
    """Measure every route of which the answer may be another; how many.

    It is kept only after the reading is with the broker: a process that ends in between says it again. A route that
    cannot be measured is named in the log and tried again the next time; the others are measured.
    """
    done = 0
    for route in await asyncio.to_thread(watch.routes):
        try:
            found = await asyncio.to_thread(watch.examine, route)
            if found is not None:
                await publish([gap_reading(found.report)])
                done += await asyncio.to_thread(watch.keep, found)
        except Exception as error:  # what is wrong with one route keeps no other from being measured
            LOG.warning("coverage of route %s was not measured: %s", route, type(error).__name__)
    return done
