"""Exchanges on their way to the broker: decoded, given an id, sent, and told apart by what became of each."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Final, Literal

from pydantic import BaseModel, Field

from schemas.dead_letter import DeadLetter
from schemas.position import Position
from schemas.topics import EXCHANGES
from services.api.batch import records, with_id
from services.api.ids import uuid7
from services.api.problems import LOG, Problem
from services.errors import NotSent, UnknownOutcome
from services.ingest.decode import decode
from services.ports import Received

Send = Callable[[str, bytes | None, bytes], Awaitable[Any]]
"""Sends (topic, key, value); returns when the broker has acknowledged it.

Raises NotSent if it cannot be on the topic, UnknownOutcome if nobody knows, anything else if the broker refused it.
"""

DEADLINE_SECONDS: Final = 10.0
MOST_IN_FLIGHT: Final = 2_000
_MOST_BYTES: Final = EXCHANGES.max_message_bytes - 16 * 1024  # of the broker's limit, for what goes around it
_NOWHERE: Final = Position(cluster="gateway", topic=EXCHANGES.name, partition=0, offset=0)

NOT_ITS_ROUTE: Final = "route: this key sends to other routes; use a key of this one"

Status = Literal["accepted", "invalid", "forbidden", "refused", "unavailable", "unknown"]


class Result(BaseModel):
    """What became of one exchange."""

    index: int = Field(description="Its place in the request, from 0.")
    id: str | None = Field(None, description="Its own id, or the one that was made for it. Keep it to send it again.")
    status: Status = Field(
        description="accepted: the broker has it. invalid: mend the field. forbidden: the key is for other "
        "routes. refused: the broker would not take it. "
        "unavailable: not sent; send it again. unknown: not acknowledged in time, and perhaps there: send it again "
        "with this id, and it counts once."
    )
    field: str | None = Field(None, description="Which field is to blame.")
    detail: str | None = Field(None, description="What is wrong, and the remedy.")
    flags: list[str] = Field([], description="What is odd about it, such as sanitized or truncated text.")


@dataclass(frozen=True, slots=True)
class Prepared:
    """One exchange as it will be sent, or why it will not be: its `fault`, or that its route is not the key's."""

    id: str | None
    key: bytes
    value: bytes
    flags: tuple[str, ...] = ()
    fault: str | None = None
    forbidden: bool = False


def _any_route(_route: str) -> bool:
    return True


class Gateway:
    """Takes exchanges in. At most `most` are on their way at one time; what comes beyond is refused at once."""

    def __init__(self, send: Send, *, deadline: float = DEADLINE_SECONDS, most: int = MOST_IN_FLIGHT) -> None:
        """`deadline`: seconds within which the broker must have acknowledged an exchange."""
        self._send, self._deadline, self._free = send, deadline, most
        # Its own: a database that hangs must not keep exchanges from being read.
        self._thread = ThreadPoolExecutor(1, "gateway")

    async def take(self, body: bytes, lines: bool = False, sees: Callable[[str], bool] = _any_route) -> list[Result]:
        """Send the exchanges of a body that can be read, in order; what became of each, in order.

        `sees` tells whether a route may be sent to.

        Raises:
            BatchError: if it cannot be cut into records.
            Problem: 429 if too many are on their way.
        """
        loop = asyncio.get_running_loop()
        prepared = await loop.run_in_executor(self._thread, prepare_all, body, lines, datetime.now(UTC))
        prepared = [one if one.fault or sees(one.key.decode()) else replace(one, forbidden=True) for one in prepared]
        if len(prepared) > self._free:
            raise Problem.later(
                "too many exchanges on their way to the broker; send again after a pause", 429, seconds=1
            )
        self._free -= len(prepared)
        try:
            return await self._deliver(prepared)
        finally:
            self._free += len(prepared)

    async def _deliver(self, prepared: Sequence[Prepared]) -> list[Result]:
        tasks = {i: asyncio.create_task(self._one(one)) for i, one in enumerate(prepared) if not _is_kept(one)}
        if tasks:
            _, late = await asyncio.wait(tasks.values(), timeout=self._deadline)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)
        return [_kept(i, one) if _is_kept(one) else _outcome(i, one, tasks[i]) for i, one in enumerate(prepared)]

    async def _one(self, prepared: Prepared) -> None:
        await self._send(EXCHANGES.name, prepared.key, prepared.value)


def prepare_all(body: bytes, lines: bool, now: datetime) -> list[Prepared]:
    """Every record of a body as it will be sent.

    Raises:
        BatchError: if it cannot be cut into records.
    """
    milliseconds = int(now.timestamp() * 1000)
    return [prepare(record, uuid7(milliseconds, secrets.token_bytes(10)), now) for record in records(body, lines)]


def prepare(record: bytes, id: str, now: datetime) -> Prepared:
    """One record as it will be sent: the bytes that came, with `id` when it has none.

    It travels as it came, so that `score` sees and flags the original; a form that has no place for an id travels as
    the exchange it was read as.
    """
    item = decode(record, _NOWHERE, received=now, id=id)
    if isinstance(item, DeadLetter):
        return Prepared(None, b"", b"", fault=item.reason)
    exchange = item.exchange
    value = record
    if exchange.id == id:
        value = with_id(record, id)
        again = decode(value, _NOWHERE, received=now)
        if not isinstance(again, Received) or again.exchange.id != id:
            value = exchange.encode()
    if len(value) > _MOST_BYTES:
        fault = f"record: {len(value):,} bytes; the broker takes at most {_MOST_BYTES:,}: send less text"
        return Prepared(exchange.id, b"", b"", fault=fault)
    return Prepared(exchange.id, exchange.route.encode(), value, item.flags)


def _is_kept(prepared: Prepared) -> bool:
    return prepared.fault is not None or prepared.forbidden


def _kept(index: int, prepared: Prepared) -> Result:
    if prepared.forbidden:
        return Result(index=index, id=prepared.id, status="forbidden", field="route", detail=NOT_ITS_ROUTE)
    field, separator, _ = (prepared.fault or "").partition(":")
    named = field if separator and " " not in field else "record"
    return Result(index=index, id=prepared.id, status="invalid", field=named, detail=prepared.fault)


def _outcome(index: int, prepared: Prepared, task: asyncio.Task[None]) -> Result:
    error = asyncio.CancelledError() if task.cancelled() else task.exception()
    status, detail = _told(error)
    return Result(index=index, id=prepared.id, status=status, detail=detail, flags=list(prepared.flags))


def _told(error: BaseException | None) -> tuple[Status, str | None]:
    """What a send came to. Of what the broker said only the class is repeated: its words may quote the exchange."""
    if error is None:
        return "accepted", None
    if isinstance(error, NotSent):
        return "unavailable", "not sent: there is no connection to the broker; send it again"
    if isinstance(error, UnknownOutcome | asyncio.CancelledError):
        return "unknown", "unknown outcome: not acknowledged in time; send it again with this id"
    LOG.warning("an exchange was refused: %s", type(error).__name__)
    return "refused", f"the broker did not take it: {type(error).__name__}"
