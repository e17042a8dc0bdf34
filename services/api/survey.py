"""What broker and database say of the system, looked at again and again in the background.

A page or a probe never asks the world: it tells what was last seen, and what was seen too long ago is not known.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, Generic, TypeVar

from services.api.problems import LOG
from services.ports import Behind
from services.store.repository import Repository
from services.store.standing import Standing

T = TypeVar("T")

EVERY: Final = 5.0
PATIENCE: Final = 8.0
STALE_AFTER: Final = 30.0
NOT_YET: Final = "not looked at yet; wait a few seconds"


@dataclass(frozen=True, slots=True)
class Sight(Generic[T]):
    """What was seen, or why nothing was.

    Attributes:
        value: None when it is not known. fault: why it is not, in one line.
        at: when, by the clock on the wall; took: seconds that the answer took.
    """

    value: T | None = None
    fault: str | None = NOT_YET
    at: datetime | None = None
    took: float = 0.0


class Survey:
    """Looks at broker and database.

    Args:
        repository: the database. behind: asks the broker how far the steps are behind.
        tell: is called after each look. every, patience: seconds between looks, and for one.
    """

    def __init__(
        self,
        repository: Repository,
        behind: Callable[[], Awaitable[Sequence[Behind]]],
        tell: Callable[[Survey], object] = lambda _: None,
        *,
        every: float = EVERY,
        patience: float = PATIENCE,
    ) -> None:
        self._repository, self._behind, self._tell = repository, behind, tell
        self._every, self._patience = every, patience
        # Its own: a database that hangs must not keep other work from being done.
        self._thread = ThreadPoolExecutor(1, "survey")
        self._asking: asyncio.Future[Standing] | None = None
        self._broker: Sight[Sequence[Behind]] = Sight()
        self._database: Sight[Standing] = Sight()

    @property
    def broker(self) -> Sight[Sequence[Behind]]:
        """How far the steps are behind."""
        return _current(self._broker)

    @property
    def database(self) -> Sight[Standing]:
        """What waits and what failed."""
        return _current(self._database)

    async def run(self) -> None:
        """Look until cancelled."""
        try:
            await asyncio.gather(self._again(self.look_at_broker), self._again(self.look_at_database))
        finally:
            self._thread.shutdown(wait=False, cancel_futures=True)

    async def look(self) -> None:
        """Ask both once."""
        await asyncio.gather(self.look_at_broker(), self.look_at_database())

    async def look_at_broker(self) -> None:
        """Ask the broker once."""
        self._broker = await self._seen("the broker", self._behind)
        self._tell(self)

    async def look_at_database(self) -> None:
        """Ask the database once. While one question hangs no second one is asked."""
        self._database = await self._seen("the database", self._standing)
        self._tell(self)

    async def _standing(self) -> Standing:
        if self._asking is None or self._asking.done():
            work = self._repository.standing
            self._asking = asyncio.get_running_loop().run_in_executor(self._thread, work, datetime.now(UTC))
            self._asking.add_done_callback(lambda done: done.cancelled() or done.exception())
        return await asyncio.shield(self._asking)

    async def _seen(self, what: str, ask: Callable[[], Awaitable[T]]) -> Sight[T]:
        begin = time.monotonic()
        try:
            async with asyncio.timeout(self._patience):
                value = await ask()
        except TimeoutError:
            return Sight(None, f"{what} does not answer within {self._patience:g} s", datetime.now(UTC))
        except Exception as error:  # whatever it is, it is not known: the page says so
            LOG.warning("%s does not answer: %s", what, type(error).__name__)
            return Sight(None, f"{what} does not answer: {type(error).__name__}", datetime.now(UTC))
        return Sight(value, None, datetime.now(UTC), time.monotonic() - begin)

    async def _again(self, look: Callable[[], Awaitable[Any]]) -> None:
        while True:
            await look()
            await asyncio.sleep(self._every)


def _current(sight: Sight[T]) -> Sight[T]:
    if sight.at is None:
        return sight
    age = (datetime.now(UTC) - sight.at).total_seconds()
    return sight if age <= STALE_AFTER else Sight(None, f"not looked at for {age:.0f} s", sight.at)
