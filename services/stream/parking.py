"""One route whose records a step cannot take ends nobody: what failed, where, and what is taken one after the other.

A fault of ours on one route (a detector or a fold that raises, a vector that is no number, a state that cannot be
read) parks that route's records in the database, in order. They are tried again when a person asks for it or another
release runs; a record that then fails alone once more is a dead letter, and the route goes on.
"""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from typing import Final, Generic, TypeVar

from schemas.base import Record
from services.store.engine import Conflict
from services.store.parks import ParkedRecord, ParkFault, Waiting
from services.stream.clients import is_dependency
from services.stream.messages import TopicMessage, Undecodable, decode_record

LOG: Final = logging.getLogger("keelwatch.stream")
RETRIED: Final = 512
RETRIED_BYTES: Final = 8 * 1024 * 1024
NO_ROOM: Final = "no room left among the records of this route that wait for `keelwatch route retry`"
_OURS: Final = ("services.", "detectors.", "schemas.")

S = TypeVar("S")
Item = tuple[TopicMessage, Record]
"""A message and the record in it."""


@cache
def release() -> str:
    """The version of Keelwatch that runs: another one tries again what this one could not take."""
    try:
        return version("keelwatch")
    except PackageNotFoundError:  # run from a folder that was never installed
        return "not known"


def is_of_route(error: BaseException) -> bool:
    """Whether a fault lies in one route's records or state: the machine and what we depend on are not to blame."""
    return not (is_dependency(error) or isinstance(error, MemoryError | Conflict))


def fault_of(step: str, route: str, error: BaseException, tries: int = 1) -> ParkFault:
    """What failed and where, without a word of content: messages of exceptions may repeat what people wrote."""
    name, line = "", 0
    for frame, number in traceback.walk_tb(error.__traceback__):
        module = frame.f_globals.get("__name__", "")
        if not name or module.startswith(_OURS):
            name, line = module, number
    reason = f"{type(error).__name__} in {name}, line {line}"
    where = "".join(traceback.format_tb(error.__traceback__))
    LOG.error("%s: parks %s: %s\n%s", step, route, reason, where)
    return ParkFault(reason, release(), tries)


def parked_record(message: TopicMessage) -> ParkedRecord:
    """A message as it is parked."""
    return ParkedRecord(message.topic, message.partition, message.offset, message.ts, message.value)


def message_of(record: ParkedRecord) -> TopicMessage:
    """A parked record as the broker had it."""
    return TopicMessage(record.topic, record.partition, record.offset, record.value, record.ts)


@dataclass(frozen=True, slots=True)
class Taken(Generic[S]):
    """How far a route's records were taken.

    Attributes:
        state: after the records that were. n: how many were. fault: of the one after these; None when all were.
        dead: records that failed alone once more, with the reason.
    """

    state: S
    n: int
    fault: ParkFault | None = None
    dead: tuple[tuple[TopicMessage, str], ...] = ()


def take_in_order(
    step: str, route: str, state: S, items: Sequence[Item], take: Callable[[S, Sequence[Record]], S]
) -> Taken[S]:
    """Take all records at once; where that fails, one after the other up to the one that fails alone."""
    try:
        return Taken(take(state, [record for _, record in items]), len(items))
    except Exception as error:
        if not is_of_route(error):
            raise
    for place, (_, record) in enumerate(items):
        try:
            state = take(state, [record])
        except Exception as error:
            if not is_of_route(error):
                raise
            return Taken(state, place, fault_of(step, route, error))
    return Taken(state, len(items))


def take_again(step: str, state: S, waiting: Waiting, take: Callable[[S, Sequence[Record]], S]) -> Taken[S]:
    """Take what waits, one after the other. The first record is a dead letter when it has failed alone before.

    Only that one: a fault that is not mended would otherwise make dead letters of all that wait.
    """
    tries, dead = waiting.park.tries, []
    for place, (_, parked) in enumerate(waiting.records):
        record = decode_record(parked.topic, parked.value)
        try:
            if isinstance(record, Undecodable):  # an earlier release could read it
                dead.append((message_of(parked), record.reason))
                continue
            state = take(state, [record])
        except Exception as error:
            if not is_of_route(error):
                raise
            fault = fault_of(step, waiting.park.route, error)
            if place or not tries:
                return Taken(state, place, fault, tuple(dead))
            dead.append((message_of(parked), f"failed twice: {fault.reason}"))
    return Taken(state, len(waiting.records), None, tuple(dead))
