"""That something of a route changed, told to pages that are open: one watcher a process, however many listen."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Final

from services.api.auth.authorization import Principal
from services.api.http.problems import Problem, call_store

EVERYTHING: Final = ""
"""Stands for what is of no route, in marks: only who sees every route is told of it."""
_MOST_NAMES: Final = 50

ChangeMarks = Mapping[str, str]
"""Route -> a text that is another one once something of the route changed."""


@dataclass(slots=True, eq=False)
class Listener:
    """One open page. What changed since it was last told is kept as a set: it cannot grow beyond the routes."""

    sees: Callable[[str], bool]
    everything: bool
    name: str | None = None
    changed: set[str] = field(default_factory=set)
    woken: asyncio.Event = field(default_factory=asyncio.Event)

    def note(self, changed: set[str]) -> None:
        """That these changed, as far as it may know."""
        mine = {route for route in changed if (self.everything if route == EVERYTHING else self.sees(route))}
        if mine:
            self.changed |= mine
            self.woken.set()

    def take(self) -> str:
        """What changed since the last time, as the data of an event: its routes, or null where there are many."""
        routes, self.changed = sorted(self.changed), set()
        self.woken.clear()
        return json.dumps({"routes": None if EVERYTHING in routes or len(routes) > _MOST_NAMES else routes})


class LiveUpdates:
    """Looks while somebody listens, and wakes those whose routes changed.

    Args:
        look: the marks of all routes; cheap, since it is asked every `every` seconds.
        most: how many may listen. each: how many of them with one key. beat: seconds between two signs of
            life; who asks is looked at again with each.
    """

    def __init__(
        self,
        look: Callable[[], ChangeMarks],
        *,
        most: int = 100,
        each: int = 20,
        every: float = 1.0,
        beat: float = 15.0,
    ) -> None:
        self._look, self._most, self._each, self._every, self._beat = look, most, each, every, beat
        self._listeners: set[Listener] = set()
        self._task: asyncio.Task[None] | None = None
        self._closed = asyncio.Event()

    def close(self) -> None:
        """Let every stream end now: the server stops."""
        self._closed.set()
        for listener in self._listeners:
            listener.woken.set()

    @property
    def listeners(self) -> int:
        """How many listen."""
        return len(self._listeners)

    async def events(self, again: Callable[[], Awaitable[Principal]], who: Principal) -> AsyncIterator[str]:
        """Server-sent events for `who`, until the server stops or `again` says that they may no longer look.

        There are none where too many listen, which `check` says before.
        """
        if self._refusal(who) is not None:
            return
        now = asyncio.get_running_loop().time
        async with self._listening(who) as listener:
            yield "event: ready\ndata: {}\n\n"
            due = now() + self._beat
            while not self._closed.is_set():
                with suppress(TimeoutError):
                    async with asyncio.timeout_at(due):
                        await listener.woken.wait()
                if now() >= due:
                    if not await _may_still_look(again, listener):
                        return
                    due = now() + self._beat
                    yield ": still here\n\n"
                elif not self._closed.is_set():
                    yield f"event: changed\ndata: {listener.take()}\n\n"

    def check(self, who: Principal) -> None:
        """That one more may listen.

        Raises:
            Problem: 503 if too many do, or the server stops; 429 if too many do with this key.
        """
        if (refusal := self._refusal(who)) is not None:
            raise refusal

    def _refusal(self, who: Principal) -> Problem | None:
        if self._closed.is_set() or len(self._listeners) >= self._most:
            return Problem.later(f"{self._most} pages are live already; this one shows what was when it was loaded")
        if sum(one.name == who.name for one in self._listeners) >= self._each:
            return Problem.later(f"{self._each} pages are live with this key already; close one of them", 429)
        return None

    @asynccontextmanager
    async def _listening(self, who: Principal) -> AsyncIterator[Listener]:
        listener = Listener(who.sees, who.sees_all, who.name)
        self._listeners.add(listener)
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._watch(), name="live")
        try:
            yield listener
        finally:
            self._listeners.discard(listener)
            if not self._listeners and self._task is not None:
                self._task.cancel()
                self._task = None

    async def _watch(self) -> None:
        before: ChangeMarks | None = None
        while True:
            with suppress(Problem):  # the database is away: pages keep what they have until it is back
                now = await call_store(self._look)
                if before is not None:
                    self._tell({route for route in before.keys() | now.keys() if before.get(route) != now.get(route)})
                before = now
            await asyncio.sleep(self._every)

    def _tell(self, changed: set[str]) -> None:
        if changed:
            for listener in self._listeners:
                listener.note(changed)


async def _may_still_look(again: Callable[[], Awaitable[Principal]], listener: Listener) -> bool:
    """Whether who listens may still look, and at what; a database that is away takes nobody's right."""
    try:
        who = await again()
    except Problem as problem:
        return problem.status >= 500
    listener.sees, listener.everything = who.sees, who.sees_all
    return True
