"""Work beside the caller: in one thread of its own, or as a task while a block runs; and what gets done of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any, Final, Protocol, TypeVar

T = TypeVar("T")

DEFAULT_WAITING: Final = 2


class WorkThread(Protocol):
    """A thread that does one piece of work after the other."""

    async def run(self, work: Callable[[], T]) -> T:
        """What `work` returns, or the exception that it raises."""

    def begin(self, work: Callable[[], object]) -> None:
        """Have `work` done that nobody waits for."""


class Progress:
    """Counts what one step gets done within a batch: an exchange scored, a route stepped, a record sent.

    Any thread may tick. A tick that another thread overwrites is no loss: only whether the count changes matters.
    """

    def __init__(self) -> None:
        self.done = 0
        self._ahead: Offload | None = None

    @property
    def count(self) -> int:
        """Changes when it got something done; while its work waits its turn, also when the thread it waits for did."""
        ahead = self._ahead
        return self.done if ahead is None else self.done + ahead.moved

    @property
    def waits_turn(self) -> bool:
        """Whether its work waits its turn."""
        return self._ahead is not None

    def tick(self) -> None:
        """A piece of work is done."""
        self.done += 1

    def wait_for(self, thread: Offload | None) -> None:
        """Its work waits its turn in this thread, in which others work too; None once it has it."""
        self._ahead = thread


class ProcessProgress:
    """What the steps of a process get done, each counted on its own."""

    def __init__(self) -> None:
        self._steps: dict[str, Progress] = {}

    def of(self, step: str) -> Progress:
        """That of the step with this name."""
        return self._steps.setdefault(step, Progress())

    def done(self) -> int:
        """Changes when any of them got something done."""
        return sum(one.done for one in tuple(self._steps.values()))


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
        self._turns = 0
        self._at_work: Progress | None = None

    @property
    def moved(self) -> int:
        """Changes when a piece of work begins or ends, or the one that runs gets something done."""
        at_work = self._at_work
        return self._turns if at_work is None else self._turns + at_work.done

    def of(self, progress: Progress) -> SharedThread:
        """The thread for a step with this progress: that others have it for long is no standstill of the step."""
        return SharedThread(self, progress)

    @property
    def queued(self) -> int:
        """Pieces of work behind the running one, callers that wait for room not counted."""
        return max(self._taken - 1, 0)

    async def run(self, work: Callable[[], T], progress: Progress | None = None) -> T:
        """What `work` returns, or the exception that it raises. Cancelled before its turn, it never starts.

        `progress` is that of the step whose work it is.

        Raises:
            RuntimeError: after `close`.
        """
        loop = asyncio.get_running_loop()
        await self._room.acquire()
        try:
            future = self._thread.submit(self._turn, work, progress)
        except RuntimeError:
            self._room.release()
            raise
        self._taken += 1
        # Room is made when the thread is done, not when the caller gives up: work that runs cannot be stopped.
        future.add_done_callback(lambda _: self._done(loop))
        return await asyncio.wrap_future(future)

    def begin(self, work: Callable[[], object], progress: Progress | None = None) -> None:
        """Have `work` done that nobody waits for; whoever needs what it failed to do meets the same fault."""
        self._thread.submit(self._turn, work, progress)

    def close(self) -> None:
        """Finish the work that runs, drop what waits, end the thread."""
        self._thread.shutdown(wait=True, cancel_futures=True)

    def _turn(self, work: Callable[[], T], progress: Progress | None) -> T:
        self._turns += 1
        self._at_work = progress
        if progress is not None:
            progress.wait_for(None)
        try:
            return work()
        finally:
            self._at_work = None
            self._turns += 1

    def _done(self, loop: asyncio.AbstractEventLoop) -> None:
        with suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(self._make_room)

    def _make_room(self) -> None:
        self._taken -= 1
        self._room.release()


@dataclass(frozen=True, slots=True)
class SharedThread:
    """A thread as one of the steps has it that share it."""

    thread: Offload
    progress: Progress

    async def run(self, work: Callable[[], T]) -> T:
        """What `work` returns; until its turn comes it is the work ahead of it that has to move."""
        self.progress.wait_for(self.thread)
        try:
            return await self.thread.run(work, self.progress)
        finally:
            self.progress.wait_for(None)

    def begin(self, work: Callable[[], object]) -> None:
        """Have `work` done that nobody waits for."""
        self.thread.begin(work, self.progress)


@asynccontextmanager
async def running(work: Callable[[], Coroutine[Any, Any, None]], name: str) -> AsyncIterator[None]:
    """Run `work` as a task of that name while the block runs; it is cancelled at the end."""
    task = asyncio.create_task(work(), name=name)
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
