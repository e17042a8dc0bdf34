"""Runs of suites: what asks for them by the clock, and does them when they are due."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime
from random import Random
from typing import Final

from services.evaluate import scorers
from services.evaluate.executor import Executor
from services.evaluate.item import Item
from services.evaluate.library import load_suite
from services.evaluate.means import Means
from services.evaluate.result import Answer, Scored
from services.evaluate.schedule import Schedules
from services.monitor import Monitor
from services.offload import Offload
from services.ports import Signal
from services.score.signals import SIGNALS
from services.settings import secret
from services.store.engine import Database
from services.stream.runner import Companion, Publish

_BY_NAME: Final[Mapping[str, Signal]] = {signal.name: signal for signal in SIGNALS}


def executor(watched: Monitor, database: Database, thread: Offload, instance: str) -> Companion:
    """What asks for runs by the clock, does those that are due, and publishes what they bring."""

    async def companion(publish: Publish) -> None:
        means = Means(
            database,
            thread,
            watched,
            load_suite,
            score,
            scorers.versions(_BY_NAME),
            _secret,
            publish,
            lambda: datetime.now(UTC),
            instance,
            Random(),  # noqa: S311 -- spreads pauses, guards nothing
        )
        async with asyncio.TaskGroup() as group:
            group.create_task(Executor(means).run())
            group.create_task(Schedules(means).run())

    return companion


def score(item: Item, answer: Answer) -> Scored:
    """Whether an answer is an event, by the product's own signals."""
    return scorers.score(item, answer, _BY_NAME)


def _secret(name: str) -> str | None:
    value = secret(name)
    return None if value is None else value.get_secret_value()
