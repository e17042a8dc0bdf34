"""Work beside the caller: in one thread of its own, or as a task while a block runs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from typing import Any, Final, TypeVar

T = TypeVar("T")

DEFAULT_WAITING: Final = 2


class Offload:
    """Runs work of one event loop in one dedicated thread, one piece after the other.

    At most `waiting` pieces queue behind the running one; the next caller waits, which is what slows its source.
    """

    def __init__(self, name: str, waiting: int = DEFAULT_WAITING) -> None:
        if waiting < 0:
            raise ValueError(f"a queue cannot hold {waiting} pieces of work")
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix=name)
        self._room = asyncio.Semaphore(waiting + 1)
        self._taken = 0

    @property
    def queued(self) -> int:
        """Pieces of work behind the running one, callers that wait for room not counted."""
        return max(self._taken - 1, 0)

    async def run(self, work: Callable[[], T]) -> T:
        """What `work` returns, or the exception that it raises. Cancelled before its turn, it never starts.

        Raises:
            RuntimeError: after `close`.
        """
        loop = asyncio.get_running_loop()
        await self._room.acquire()
        try:
            future = self._thread.submit(work)
        except RuntimeError:
            self._room.release()
            raise
        self._taken += 1
        # Room is made when the thread is done, not when the caller gives up: work that runs cannot be stopped.
        future.add_done_callback(lambda _: self._done(loop))
        return await asyncio.wrap_future(future)

    def begin(self, work: Callable[[], object]) -> None:
        """Have `work` done that nobody waits for; whoever needs what it failed to do meets the same fault."""
        self._thread.submit(work)

    def close(self) -> None:
        """Finish the work that runs, drop what waits, end the thread."""
        self._thread.shutdown(wait=True, cancel_futures=True)

    def _done(self, loop: asyncio.AbstractEventLoop) -> None:
        with suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(self._make_room)

    def _make_room(self) -> None:
        self._taken -= 1
        self._room.release()


@asynccontextmanager
async def running(work: Callable[[], Coroutine[Any, Any, None]], name: str) -> AsyncIterator[None]:
    """Run `work` as a task of that name while the block runs; it is cancelled at the end."""
    task = asyncio.create_task(work(), name=name)
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
