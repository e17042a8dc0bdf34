"""The evaluate step's own work beside its topic: runs that are due, and the clock that asks for some."""

from __future__ import annotations

import asyncio

from services.evaluate.executor import Executor
from services.evaluate.means import Means
from services.evaluate.schedule import Schedules


async def serve(means: Means) -> None:
    """Do what is due, and watch the clock, until cancelled; what was under way is left to others at once."""
    async with asyncio.TaskGroup() as group:
        group.create_task(Executor(means).run())
        group.create_task(Schedules(means).run())
