"""Dead letters sent again, in the background: one step at a time, and never twice the same."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from typing import Final, Literal

from pydantic import BaseModel, Field

from services.api.http.problems import LOG, Problem
from services.store.engine import is_unavailable

MOST_SECONDS: Final = 600.0
ReplayFunction = Callable[[str], Awaitable[tuple[int, Mapping[str, int]]]]
"""Sends again what one step could not read: how many, and reason -> how many were left."""
NoteFunction = Callable[["ReplayStatus"], None]
"""Writes into the audit log who asks for a replay, and what became of it."""


class ReplayStatus(BaseModel):
    """One replay of a step's dead letters, and what became of it."""

    step: str = Field(examples=["score"])
    state: Literal["running", "done", "failed"] = Field(description="What it is now.", examples=["done"])
    actor: str | None = Field(description="The key of who asked for it; null without keys.", examples=["ops"])
    started: datetime
    ended: datetime | None = None
    sent: int = Field(0, description="How many were sent again.", examples=[12])
    left: dict[str, int] = Field(
        default_factory=dict,
        description="Why others were not -> how many.",
        examples=[{"failed once more after an earlier run had sent it: mend it, and publish it anew": 3}],
    )
    fault: str | None = Field(None, description="Why it failed; what was sent before counts once.")


class DeadLetterReplays:
    """Begins replays, and tells of the last one. What an earlier one has sent, none sends again."""

    def __init__(self, replay: ReplayFunction, note: NoteFunction, most: float = MOST_SECONDS) -> None:
        """`most`: seconds after which a replay is broken off; the next one goes on from there."""
        self._replay, self._note, self._most = replay, note, most
        self._task: asyncio.Task[None] | None = None
        self.last: ReplayStatus | None = None

    def begin(self, step: str, actor: str | None) -> ReplayStatus:
        """Begin to send the step's dead letters again.

        Raises:
            Problem: 409 while one is running.
        """
        running = self.last
        if running is not None and self._task is not None and not self._task.done():
            by = f" ({running.actor})" if running.actor else ""
            raise Problem(
                409, f"the dead letters of {running.step} are being sent again already{by}: nothing more to do"
            )
        self.last = ReplayStatus(step=step, state="running", actor=actor, started=datetime.now(UTC))
        self._task = asyncio.create_task(self._run(self.last), name="dead letters")
        return self.last

    async def settled(self, seconds: float) -> ReplayStatus | None:
        """The last one, once it has ended, or after so many seconds."""
        if self._task is not None:
            await asyncio.wait([self._task], timeout=seconds)
        return self.last

    async def _run(self, replay: ReplayStatus) -> None:
        try:
            # Nothing is sent of which the audit log does not say who asked for it.
            await asyncio.to_thread(self._note, replay)
            async with asyncio.timeout(self._most):
                sent, left = await self._replay(replay.step)
            changed = {"state": "done", "sent": sent, "left": dict(left)}
        except TimeoutError:
            changed = {"state": "failed", "fault": f"not done within {self._most:g} s; press again to go on"}
        except Exception as error:
            LOG.warning("dead letters of %s were not sent again: %s", replay.step, type(error).__name__)
            changed = {"state": "failed", "fault": _failure_words(error)}
        ended = replay.model_copy(update={**changed, "ended": datetime.now(UTC)})
        try:
            await asyncio.to_thread(self._note, ended)
        except Exception as error:  # the log says who asked for it; what became of it shows in what is scored
            LOG.warning("the end of a replay is not in the audit log: %s", type(error).__name__)
        self.last = ended


def _failure_words(error: Exception) -> str:
    if is_unavailable(error):
        return "the database does not answer, and nothing is sent again that its audit log does not show; try again"
    return f"the broker does not answer ({type(error).__name__}); try again, `keelwatch doctor` says why"
