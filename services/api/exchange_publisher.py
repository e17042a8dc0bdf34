"""Exchanges on their way to the broker: decoded, given an id, sent, each with what became of it."""

from __future__ import annotations

import asyncio
import secrets
import uuid
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final, Literal, ParamSpec

from pydantic import BaseModel, Field

from schemas.dead_letter import DeadLetter
from schemas.exchange import Exchange
from schemas.position import Position
from schemas.topics import EXCHANGES
from services.api.http.batch import BatchError, split_records, with_id
from services.api.http.problems import LOG, Problem
from services.api.ingest_limits import NO_LIMITS, Excess, IngestLimiter
from services.errors import NotSent, UnknownOutcome
from services.ingest.decode import RecordArrival, decode, decode_all, decode_calls
from services.ingest.envelopes import without_context
from services.ingest.explain import lacking
from services.ingest.formats.otlp import OTLP
from services.ingest.reading import NO_CALL, is_protobuf
from services.ingest.routing import NOTHING, Carriage
from services.ports import Received


def uuid7(milliseconds: int, chance: bytes) -> str:
    """A UUIDv7 of a time since 1970 and 10 random bytes: ids sort by time, and say nothing of the content.

    >>> uuid7(1_732_471_200_000, bytes(10))
    '01935f54-9900-7000-8000-000000000000'
    """
    value = (milliseconds & (2**48 - 1)) << 80 | int.from_bytes(chance[:10])
    value = value & ~(0xF << 76) | 0x7 << 76
    value = value & ~(0x3 << 62) | 0x2 << 62
    return str(uuid.UUID(int=value))


P = ParamSpec("P")
Send = Callable[[str, bytes | None, bytes], Awaitable[Any]]
"""Sends (topic, key, value); returns when the broker has acknowledged it.

Raises NotSent if it cannot be on the topic, UnknownOutcome if nobody knows, anything else if the broker refused it.
"""

DEADLINE_SECONDS: Final = 10.0
MOST_IN_FLIGHT: Final = 2_000
MOST_OF_EXPORT: Final = 10_000
"""Calls in one body of OTLP: an exporter never sends again what is refused, and the Collector sends 8,192 spans."""
_SLICE: Final = 1_000
_MOST_BYTES: Final = EXCHANGES.max_message_bytes - 16 * 1024  # of the broker's limit, for what goes around it
_NOWHERE: Final = Position(cluster="gateway", topic=EXCHANGES.name, partition=0, offset=0)

NOT_ITS_ROUTE: Final = "route: this key sends to other routes; use a key of this one"

Status = Literal["accepted", "invalid", "forbidden", "refused", "unavailable", "unknown"]


_LATER: Final = frozenset[Status]({"unavailable", "unknown"})


class ExchangeResult(BaseModel):
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
    retry_after: int | None = Field(
        None, description="Of `unavailable`, where it is beyond a limit: seconds after which it may be sent again."
    )
    flags: list[str] = Field([], description="What is odd about it, such as sanitized or truncated text.")


@dataclass(frozen=True, slots=True)
class PreparedExchange:
    """One exchange as it will be sent, or why it will not be: its `fault`, or that its route is not the key's.

    `excess`: it is beyond a limit of its key or route, and may come later. `format`, `lacks` and `not_monitored` are
    for the report of what came in: what it came as, and does not tell.
    """

    id: str | None
    key: bytes
    value: bytes
    flags: tuple[str, ...] = ()
    fault: str | None = None
    forbidden: bool = False
    format: str = ""
    lacks: tuple[str, ...] = ()
    not_monitored: frozenset[str] = frozenset()
    excess: Excess | None = None


Note = Callable[[str | None, Sequence[PreparedExchange], Sequence[ExchangeResult], str], None]
"""Is told who sent what, what became of each, and the format of what could not be read, where it is known."""


def _any_route(_route: str) -> bool:
    return True


class ExchangePublisher:
    """Takes exchanges in. At most `most` are on their way at one time; what comes beyond is refused at once."""

    def __init__(
        self,
        send: Send,
        *,
        deadline: float = DEADLINE_SECONDS,
        most: int = MOST_IN_FLIGHT,
        note: Note = lambda _sender, _prepared, _results, _form: None,
        limits: IngestLimiter = NO_LIMITS,
    ) -> None:
        """`deadline`: seconds within which the broker must have acknowledged an exchange; `note` counts what came."""
        self._limits = limits
        self._note = note
        self._send, self._deadline, self._free, self._most = send, deadline, most, most
        # Its own: a database that hangs must not keep exchanges from being read.
        self._thread = ThreadPoolExecutor(1, "gateway")

    async def take(
        self,
        body: bytes,
        lines: bool = False,
        sees: Callable[[str], bool] = _any_route,
        carriage: Carriage = NOTHING,
        sender: str | None = None,
    ) -> list[ExchangeResult]:
        """Send the exchanges of a body that can be read, in order; what became of each, in order.

        `sees` tells whether a route may be sent to; `carriage` is what came with the request; `sender` names the key.

        Raises:
            BatchError: if it cannot be cut into records, or holds more exchanges than may ever be on their way.
            Problem: 429 if too many are on their way.
        """
        found = await self._in_thread(prepare_all, body, lines, datetime.now(UTC), carriage, self._most)
        found = _permitted(found, sees)
        sendable = [one for one in found if not _is_unsendable(one)]
        beyond = iter(self._limits.take_each(sender, [one.key.decode() for one in sendable]))
        limited = [one if _is_unsendable(one) else replace(one, excess=next(beyond)) for one in found]
        return await self._sent(limited, sender)

    async def take_calls(
        self,
        body: bytes,
        sees: Callable[[str], bool] = _any_route,
        carriage: Carriage = NOTHING,
        sender: str | None = None,
    ) -> list[ExchangeResult]:
        """Send the calls of models in one body of OTLP; what became of each, in order: nothing where it holds none.

        They are sent in slices, up to the first of which a part may succeed later: then all is to be sent again.

        Raises:
            FormatError: if the body is not OTLP, or holds too many calls.
            Problem: 429 if too many are on their way, or they are beyond a limit: none is sent then.
        """
        found = _permitted(await self._in_thread(prepare_calls, body, datetime.now(UTC), carriage), sees)
        routes = [one.key.decode() for one in found if not _is_unsendable(one)]
        excess = self._limits.take_all(sender, routes)
        if excess is not None:
            whole = [one if _is_unsendable(one) else replace(one, excess=excess) for one in found]
            self._note(sender, whole, [_result_unsent(i, one) for i, one in enumerate(whole)], OTLP.name)
            raise Problem.later(excess.words, 429, excess.seconds)
        results: list[ExchangeResult] = []
        for start in range(0, len(found), _SLICE):
            sent = await self._sent(found[start : start + _SLICE], sender, OTLP.name)
            results += [one.model_copy(update={"index": start + one.index}) for one in sent]
            if any(one.status in _LATER for one in sent):
                break
        return results

    async def _in_thread(
        self, work: Callable[P, list[PreparedExchange]], *args: P.args, **kwargs: P.kwargs
    ) -> list[PreparedExchange]:
        return await asyncio.get_running_loop().run_in_executor(self._thread, partial(work, *args, **kwargs))

    async def _sent(self, prepared: list[PreparedExchange], sender: str | None, form: str = "") -> list[ExchangeResult]:
        if len(prepared) > self._free:
            raise Problem.later(
                "too many exchanges on their way to the broker; send again after a pause", 429, seconds=1
            )
        self._free -= len(prepared)
        try:
            results = await self._deliver(prepared)
        finally:
            self._free += len(prepared)
        self._note(sender, prepared, results, form)
        return results

    async def _deliver(self, prepared: Sequence[PreparedExchange]) -> list[ExchangeResult]:
        tasks = {i: asyncio.create_task(self._one(one)) for i, one in enumerate(prepared) if not _is_unsendable(one)}
        if tasks:
            _, late = await asyncio.wait(tasks.values(), timeout=self._deadline)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)
        return [
            _result_unsent(i, one) if _is_unsendable(one) else _result_sent(i, one, tasks[i])
            for i, one in enumerate(prepared)
        ]

    async def _one(self, prepared: PreparedExchange) -> None:
        await self._send(EXCHANGES.name, prepared.key, prepared.value)


def prepare_all(
    body: bytes, lines: bool, now: datetime, carriage: Carriage = NOTHING, most: int = MOST_IN_FLIGHT
) -> list[PreparedExchange]:
    """Every exchange of a body as it will be sent: a record of traces may hold several, or none.

    Raises:
        BatchError: if it cannot be cut into records, or holds more than `most` exchanges.
    """
    milliseconds = int(now.timestamp() * 1000)
    records = [body] if is_protobuf(carriage) else split_records(body, lines)
    if len(records) > 1:
        carriage = replace(carriage, headers=without_context(carriage.headers))
    found: list[PreparedExchange] = []
    for record in records:
        found += prepare(record, uuid7(milliseconds, secrets.token_bytes(10)), now, carriage)
        if len(found) > most:
            raise BatchError(f"body: more than {most:,} exchanges; send fewer records or spans in one request")
    return found


_EMPTY: Final = frozenset({b"", b"{}"})
"""Requests of OTLP that hold nothing."""


def prepare_calls(body: bytes, now: datetime, carriage: Carriage = NOTHING) -> list[PreparedExchange]:
    """Every call of a body of OTLP as it will be sent.

    Raises:
        FormatError: if the body is not OTLP, or refused as a whole.
    """
    if body.strip() in _EMPTY:
        return []
    items = decode_calls(
        body, RecordArrival(_NOWHERE, received=now), carriage, (OTLP,), most=MOST_OF_EXPORT, letters=False
    )
    return [_prepared(item, None, "", now) for item in items]


def prepare(record: bytes, id: str, now: datetime, carriage: Carriage = NOTHING) -> list[PreparedExchange]:
    """The exchanges of a record as they will be sent; `id` is for one that has none.

    A native one travels as it came, so that `score` sees and flags the original; a form that has no place for an id,
    or whose route a header says, travels as the exchange it was read as.
    """
    items = decode_all(record, RecordArrival(_NOWHERE, received=now, id=id), carriage)
    if not items:
        return [PreparedExchange(None, b"", b"", fault=NO_CALL)]
    return [_prepared(item, record if len(items) == 1 else None, id, now) for item in items]


def _prepared(item: Received | DeadLetter, record: bytes | None, id: str, now: datetime) -> PreparedExchange:
    """What is sent of an item: its `record` as it came where it holds nothing else and reads the same without headers.

    To read a record once for each of its spans would take time by the square of them.
    """
    if isinstance(item, DeadLetter):
        return PreparedExchange(None, b"", b"", fault=item.reason)
    exchange = item.exchange
    value = None if record is None else _as_it_came(record, exchange, id, now)
    if value is None:
        value = exchange.encode()
    if len(value) > _MOST_BYTES:
        fault = f"record: {len(value):,} bytes; the broker takes at most {_MOST_BYTES:,}: send less text"
        return PreparedExchange(exchange.id, b"", b"", fault=fault)
    silent = exchange.answer.not_monitored.union(*(one.not_monitored for one in exchange.messages))
    told = (item.format, lacking(item), frozenset(map(str, silent)))
    return PreparedExchange(exchange.id, exchange.route.encode(), value, item.flags, None, False, *told)


def _as_it_came(record: bytes, exchange: Exchange, id: str, now: datetime) -> bytes | None:
    value = with_id(record, id) if exchange.id == id and record.rstrip().endswith(b"}") else record
    again = decode(value, _NOWHERE, received=now)
    return value if isinstance(again, Received) and again.exchange == exchange else None


def _permitted(prepared: list[PreparedExchange], sees: Callable[[str], bool]) -> list[PreparedExchange]:
    return [one if one.fault or sees(one.key.decode()) else replace(one, forbidden=True) for one in prepared]


def _is_unsendable(prepared: PreparedExchange) -> bool:
    return prepared.fault is not None or prepared.forbidden or prepared.excess is not None


def _result_unsent(index: int, prepared: PreparedExchange) -> ExchangeResult:
    if prepared.forbidden:
        return ExchangeResult(index=index, id=prepared.id, status="forbidden", field="route", detail=NOT_ITS_ROUTE)
    if prepared.excess is not None:
        words, seconds = prepared.excess.words, prepared.excess.seconds
        return ExchangeResult(index=index, id=prepared.id, status="unavailable", detail=words, retry_after=seconds)
    field, separator, _ = (prepared.fault or "").partition(":")
    named = field if separator and " " not in field else "record"
    return ExchangeResult(index=index, id=prepared.id, status="invalid", field=named, detail=prepared.fault)


def _result_sent(index: int, prepared: PreparedExchange, task: asyncio.Task[None]) -> ExchangeResult:
    error = asyncio.CancelledError() if task.cancelled() else task.exception()
    status, detail = _send_outcome(error)
    return ExchangeResult(index=index, id=prepared.id, status=status, detail=detail, flags=list(prepared.flags))


def _send_outcome(error: BaseException | None) -> tuple[Status, str | None]:
    """What a send came to. Of what the broker said only the class is repeated: its words may quote the exchange."""
    if error is None:
        return "accepted", None
    if isinstance(error, NotSent):
        return "unavailable", "not sent: there is no connection to the broker; send it again"
    if isinstance(error, UnknownOutcome | asyncio.CancelledError):
        return "unknown", "unknown outcome: not acknowledged in time; send it again with this id"
    LOG.warning("an exchange was refused: %s", type(error).__name__)
    return "refused", f"the broker did not take it: {type(error).__name__}"
