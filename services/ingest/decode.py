"""The chain from raw bytes to exchanges: record, format, schema, id and time. Pure, and it never raises."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final

from pydantic import ValidationError

from schemas.base import EARLIEST, LATEST
from schemas.dead_letter import KEPT_BYTES, DeadLetter
from schemas.exchange import Exchange
from schemas.position import Position
from schemas.score import Flag
from services.ingest import errors, json_text
from services.ingest.errors import FormatError
from services.ingest.formats import FORMATS
from services.ingest.formats.protocol import Draft, Format, Json
from services.ingest.reading import ReadRecord, finished, read_record
from services.ingest.routing import NOTHING, Carriage
from services.ports import Received

STEP: Final = "score"
FILE_CLUSTER: Final = "file"
FILE_SKEW: Final = timedelta(days=30)
KAFKA_SKEW: Final = timedelta(hours=1)
MOST_CALLS: Final = 1_000
"""Calls of models in one record: the exchanges of a record are in memory together."""
_MANY: Final = (
    "record: more than {:,} calls of models; send fewer spans a record, for example by send_batch_max_size "
    "of the Collector's batch processor"
)


@dataclass(frozen=True, slots=True)
class RecordArrival:
    """Where a record lies and when it came: what its exchanges get that have no id or time of their own.

    Attributes:
        position: its own place in its source; gives the id when it has none.
        received: Kafka's timestamp, or that of a header; None for a line of a file. Gives a missing `ts`, unless it
            has yet to come: then that is `now`, flagged `skew`.
        now: the broker's time, or our own where the broker keeps the producer's; `received` without it. A `ts` more
            than 1 h after it is flagged `skew`, and the exchange counts from its arrival.
        previous: in a file the `ts` of the exchange before. Gives `ts` + 1 s when the exchange has none (flag `no_ts`:
            no measured time); one more than 30 days after it is flagged `skew`, unless that was there before.
        clock: in a file the latest `ts` so far that was not flagged.
        origin: where a dead letter that is replayed stood at first. Its id is made of that place, and a new dead
            letter names it, so that it stays one exchange; the fence goes by `position`.
        id: the id when it has none, of whoever gives one before it has a place.
    """

    position: Position
    received: datetime | None = None
    now: datetime | None = None
    previous: datetime | None = None
    clock: datetime | None = None
    origin: Position | None = None
    id: str | None = None


def decode(
    raw: bytes,
    position: Position,
    *,
    received: datetime | None = None,
    now: datetime | None = None,
    previous: datetime | None = None,
    clock: datetime | None = None,
    origin: Position | None = None,
    id: str | None = None,
    formats: tuple[Format, ...] = FORMATS,
) -> Received | DeadLetter:
    """The one exchange in `raw`, or the dead letter that says why there is none, or that there are others.

    The arguments are those of `RecordArrival` and `decode_all`.
    """
    arrival = RecordArrival(position, received, now or received, previous, clock, origin, id)
    found = decode_all(raw, arrival, formats=formats)
    if len(found) == 1:
        return found[0]
    return _letter(raw, f"record: holds {len(found)} calls of models; send one exchange", arrival)


def decode_all(
    raw: bytes, arrival: RecordArrival, carriage: Carriage = NOTHING, formats: tuple[Format, ...] = FORMATS
) -> list[Received | DeadLetter]:
    """The exchanges in `raw` with `id` and `ts` filled in, or the dead letters that say why there are none; in order.

    Most formats have one a record. Traces have any number up to 1,000, also none; one that cannot be read costs no
    other. Only where the dead letters of the parts would be larger than the record twice over, since each repeats what
    the parts share, there is one of the whole: none of it becomes an exchange, so that none counts twice once it is
    sent again.

    Args:
        raw: one JSON object of a known format in UTF-8, also in an envelope, or traces in protobuf.
        arrival: where it lies and when it came.
        carriage: headers, and rules for what names no route.
        formats: those it may be of.
    """
    try:
        return decode_calls(raw, arrival, carriage, formats)
    except FormatError as error:
        return [_letter(raw, str(error), arrival)]


def decode_calls(
    raw: bytes,
    arrival: RecordArrival,
    carriage: Carriage = NOTHING,
    formats: tuple[Format, ...] = FORMATS,
    *,
    most: int = MOST_CALLS,
    letters: bool = True,
) -> list[Received | DeadLetter]:
    """As `decode_all`, but what is refused as a whole is told apart from calls that are refused each by itself.

    Without `letters` a letter holds the reason alone, for who keeps none: then no number of faults is too large. It
    holds at most `most` calls.

    Raises:
        FormatError: if none of the record was read.
    """
    if arrival.now is None and arrival.received is not None:
        arrival = replace(arrival, now=arrival.received)
    try:
        opened = read_record(raw, carriage, formats)
        if opened.fields is not None:
            return [_exchange(opened.fields, opened.flags, arrival, opened.form.name, len(raw))]
        return _of_drafts(raw, opened, carriage, arrival, most, letters)
    except FormatError:
        raise
    except Exception as error:  # the step would fall over this record for ever, and read nothing behind it
        raise FormatError(errors.own_fault(error)) from error


def _of_drafts(
    raw: bytes, opened: ReadRecord, carriage: Carriage, arrival: RecordArrival, most: int, letters: bool
) -> list[Received | DeadLetter]:
    """What the calls of a record become.

    Raises:
        FormatError: if there are too many, or their dead letters would be too large: nothing of it counts then.
    """
    found: list[Received | DeadLetter] = []
    left = max(2 * len(raw), KEPT_BYTES)
    for part, draft in enumerate(opened.drafts):
        if part == most:
            raise FormatError(_MANY.format(most))
        try:
            item = _of_draft(draft, opened, carriage, arrival, part)
        except FormatError as error:
            piece = b"" if not letters else raw if draft.piece is None else draft.piece()
            left -= len(piece)
            if left < 0:
                raise FormatError(f"record: refused as a whole, its faults are too many; the last: {error}") from None
            found.append(_letter(piece, str(error), arrival))
            continue
        found.append(item)
        if arrival.received is None:
            arrival = replace(arrival, previous=item.exchange.ts)
    return found


def _of_draft(draft: Draft, opened: ReadRecord, carriage: Carriage, arrival: RecordArrival, part: int) -> Received:
    product = draft.product or opened.form.product
    fields, flags, size = finished(draft, opened, carriage)
    try:
        return _exchange(fields, flags, arrival, opened.form.name, size, part, draft.made)
    except FormatError as error:
        raise FormatError(f"{product}: {error}") from None


def _exchange(
    fields: Json,
    flags: tuple[Flag, ...],
    arrival: RecordArrival,
    form: str,
    size: int,
    part: int = 0,
    made: datetime | None = None,
) -> Received:
    """`size`: characters of all that it was read from, so that no text is longer; `made`: as of a draft."""
    received, now, previous = arrival.received, arrival.now, arrival.previous
    fields.setdefault("id", arrival.id or id_of(arrival.origin or arrival.position))
    if received is None and made is not None and EARLIEST <= made < LATEST:
        fields.setdefault("ts", made)
    own = "ts" in fields
    arrived = received if own or received is None else _arrival(received, now)
    if not own:
        fields["ts"] = arrived or _next(previous)
    if json_text.may_be_cut(size) and _truncate(fields):
        flags += ("truncated",)
    exchange = _validated(fields)
    if not own and received is None:
        flags += ("no_ts",)
    reference = _latest(previous if own else None, arrival.clock) if now is None else now
    skew = FILE_SKEW if now is None else KAFKA_SKEW
    ahead = reference is not None and exchange.ts is not None and exchange.ts - reference > skew
    if ahead or (not own and arrived != received):
        flags += ("skew",)
    if ahead and now is not None:  # it counts from when it came: else all that is kept by time keeps it last
        arrived = _earlier(received, now) or now
        exchange = _validated({**fields, "ts": arrived}) if EARLIEST <= arrived < LATEST else exchange
    return Received(exchange, arrival.position, flags, part, form)


def _letter(raw: bytes, reason: str, arrival: RecordArrival) -> DeadLetter:
    seen = _earlier(arrival.received, arrival.now)
    return DeadLetter.of(raw, STEP, errors.shortened(reason), arrival.origin or arrival.position, seen)


def _earlier(received: datetime | None, now: datetime | None) -> datetime | None:
    return received if received is None or now is None else min(received, now)


def id_of(position: Position) -> str:
    """The id of an exchange that came without one: its place, never its content (equal greetings are two)."""
    if position.cluster == FILE_CLUSTER:
        return f"f:{position.topic}/{position.offset}"
    return f"k:{position.source}/{position.offset}"


def _arrival(received: datetime, now: datetime | None) -> datetime:
    """Kafka's timestamp; one that has yet to come is that of a clock that is wrong, and counts as now."""
    if not EARLIEST <= received < LATEST:
        raise FormatError(
            "ts: missing, and Kafka's timestamp of the record is outside [2000, 2100); send ts as ISO 8601, "
            "or Kafka's timestamp in milliseconds"
        )
    return received if now is None or received <= now + KAFKA_SKEW else now


def _next(previous: datetime | None) -> datetime:
    """One second on; at the end of all time it stands still, so that one far-off line kills none after it."""
    return EARLIEST if previous is None else min(previous + timedelta(seconds=1), LATEST - timedelta(seconds=1))


def _latest(previous: datetime | None, clock: datetime | None) -> datetime | None:
    """A single old line makes those after it no less plausible; a time made from a skewed one is skewed too."""
    times = [time for time in (previous, clock) if time is not None]
    return max(times, default=None)


def _validated(fields: Json) -> Exchange:
    try:
        return Exchange.model_validate(fields)
    except ValidationError as error:
        raise FormatError(errors.violation_message(error, fields)) from None


def _truncate(fields: Json) -> bool:
    """Cut the texts that are scored; the fields may still be of any type. Says whether one was cut."""
    cut_any = False
    for holder, name in _scored_texts(fields):
        whole = holder[name]
        holder[name] = json_text.truncate_text(whole)
        cut_any = cut_any or holder[name] is not whole
    return cut_any


def _scored_texts(fields: Json) -> list[tuple[Json, str]]:
    """Where the texts of prompt and response stand: (object, key)."""
    places = [(fields, "prompt"), (fields, "response")]
    response = fields.get("response")
    for name in ("prompt", "documents"):
        several = fields.get(name)
        for one in several if isinstance(several, tuple) else ():
            places += _content_texts(one)
    if isinstance(response, dict):
        places += [*_content_texts(response), (response, "refusal")]
    return [(holder, name) for holder, name in places if isinstance(holder.get(name), str)]


def _content_texts(holder: Any) -> list[tuple[Json, str]]:
    """Where the text of a content stands, or that of its parts."""
    if not isinstance(holder, dict):
        return []
    parts = holder.get("content")
    among = [(part, "text") for part in parts if isinstance(part, dict)] if isinstance(parts, tuple) else []
    return [(holder, "content"), *among]
