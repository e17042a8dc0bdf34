"""What the evaluate step works with."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import Random
from typing import Final, TypeVar

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from services.evaluate.client import Patience, RunLimits
from services.evaluate.judged_pairs import JudgedPairs
from services.evaluate.result import RunResult
from services.evaluate.runner import Score
from services.evaluate.suite import Suite
from services.evaluate.suite_judge import SuiteJudge
from services.monitor import Monitor
from services.offload import WorkThread
from services.ports import Publish
from services.store.engine import Database

T = TypeVar("T")
Prefer = Callable[[str, RunResult, RunResult], Awaitable[JudgedPairs]]
DATABASE_AWAY: Final = (DBAPIError, PoolTimeout)
"""What a database raises that cannot be used right now."""


@dataclass(frozen=True, slots=True)
class EvaluateDependencies:
    """What runs are done with.

    Attributes:
        thread: does the work on the database. suites: name -> suite, or InputError.
        score: whether an answer is an event. scorers: their versions. judge: whom `score` asks; None: nobody.
        secret: name of an environment variable -> its value. publish: returns once the broker has the records.
        instance: this process among its like. chance: spreads the pauses between attempts.
        prefer: what a judge, by name, prefers of the answers of two runs.
        lease: how long a run is kept from others without word from here; parallel: runs at once.
        poll: seconds between two looks at what is due.
    """

    database: Database
    thread: WorkThread
    monitor: Monitor
    suites: Callable[[str], Suite]
    score: Score
    scorers: dict[str, str]
    secret: Callable[[str], str | None]
    publish: Publish
    clock: Callable[[], datetime]
    instance: str
    chance: Random
    limits: RunLimits = field(default_factory=RunLimits)
    patience: Patience = field(default_factory=Patience)
    commit: str | None = None
    judge: SuiteJudge | None = None
    prefer: Prefer | None = None
    lease: timedelta = timedelta(seconds=60)
    parallel: int = 2
    poll: float = 1.0

    async def transact(self, work: Callable[[Connection], T]) -> T:
        """What `work` returns, in one transaction in the database's thread."""
        return await self.thread.run(lambda: self.database.transact(work))

    async def read(self, work: Callable[[Connection], T]) -> T:
        """What `work` reads, of one state of the database."""

        def reading() -> T:
            with self.database.read() as connection:
                return work(connection)

        return await self.thread.run(reading)
