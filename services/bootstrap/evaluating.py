"""Runs of suites: what asks for them by the clock, and does them when they are due."""

from __future__ import annotations

from datetime import UTC, datetime
from random import Random

from services.evaluate.library import load_suite
from services.evaluate.means import Means, Publish
from services.evaluate.runner import Score
from services.evaluate.scorers import score, versions
from services.evaluate.serving import serve
from services.monitor import Monitor
from services.offload import Offload
from services.score.signals import SIGNALS
from services.settings import secret
from services.store.engine import Database
from services.stream.runner import Companion


def judge() -> tuple[Score, dict[str, str]]:
    """What says whether an answer to a suite is an event, and the versions of that."""
    named = {signal.name: signal for signal in SIGNALS}
    return lambda item, answer: score(item, answer, named), versions(named)


def evaluating(watched: Monitor, database: Database, thread: Offload, instance: str) -> Companion:
    """What a worker that evaluates does beside its topics."""

    async def companion(publish: Publish) -> None:
        await serve(evaluation(watched, database, thread, publish, instance))

    return companion


def evaluation(watched: Monitor, database: Database, thread: Offload, publish: Publish, instance: str) -> Means:
    """What runs are done with; `publish` returns once the broker has the records."""
    scoring, scorers = judge()
    return Means(
        database=database,
        thread=thread,
        monitor=watched,
        suites=load_suite,
        score=scoring,
        scorers=scorers,
        secret=secret,
        publish=publish,
        clock=lambda: datetime.now(UTC),
        instance=instance,
        chance=Random(),  # noqa: S311 -- spreads pauses
    )
