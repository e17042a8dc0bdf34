"""Accepting a topic that was deleted and made anew: the fences of its old exchanges go, all that was learned stays."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Final

from sqlalchemy import Connection

from detectors import registered
from schemas.position import Position
from services.detect.state import DetectState
from services.errors import InputError
from services.ingest.decode import id_of
from services.intake.core import IntakeState, hash_id
from services.record.recorder import STEP as RECORD
from services.store import dead_letters, step_states
from services.store.codec import pack, unpack
from services.store.engine import Conflict, Database
from services.stream.stateful import DETECT

MOST_IDS: Final = 500_000
"""So many of the last positions of a partition are looked for among the ids that routes remember."""

_TRIES: Final = 10


@dataclass(frozen=True, slots=True)
class Adopted:
    """How many routes had a fence on the topic."""

    routes: int


def of_topic(state: IntakeState, topic: str) -> dict[str, int]:
    """The fences of the state that belong to `topic`: source -> offset."""
    return {source: offset for source, offset in state.fence.items() if source.rsplit("/", 2)[1:2] == [topic]}


def made_of(fences: Mapping[str, int]) -> set[int]:
    """Hashes of the ids that exchanges without one got from their places, up to these fences, newest first."""
    made = set()
    for source, last in fences.items():
        cluster, topic, partition = source.rsplit("/", 2)
        for offset in range(max(0, last - MOST_IDS), last + 1):
            place = Position.model_construct(cluster=cluster, topic=topic, partition=int(partition), offset=offset)
            made.add(hash_id(id_of(place)))
    return made


def cleared(state: IntakeState, topic: str, made: Iterable[int] = ()) -> IntakeState:
    """The state without its fences on `topic`, and without the ids `made` of places there. Pure.

    A place of the new topic gives the same id as that place of the old one, and must not count as a repetition.
    """
    forgotten = set(made)
    return replace(
        state,
        fence={source: offset for source, offset in state.fence.items() if source not in of_topic(state, topic)},
        parts={source: part for source, part in state.parts.items() if source not in of_topic(state, topic)},
        recent=state.recent[[int(hashed) not in forgotten for hashed in state.recent]],
        stale=0,
    )


def adopt(database: Database, topic: str) -> Adopted:
    """Clear the fences of `topic` in the saved states of detect and record, while workers may be running.

    A worker that has a route in memory finds that its state was saved by another, drops it and loads this one.

    Raises:
        InputError: if no route has a fence on the topic.
    """
    for _ in range(_TRIES):
        try:
            with database.write() as connection:
                routes = _clear(connection, topic)
        except Conflict:
            continue
        if not routes:
            raise InputError(f"{topic}: no route has read it; name the topic of exchanges that was made anew")
        return Adopted(routes)
    raise InputError(f"{topic}: workers save faster than this; stop them, and try again")


def _clear(connection: Connection, topic: str) -> int:
    found = _states(connection)
    fences: dict[str, int] = {}
    for _, saved in found.values():
        for source, offset in of_topic(_intake(saved), topic).items():
            fences[source] = max(offset, fences.get(source, -1))
    made = made_of(fences)
    touched = set()
    for (step, route), (version, state) in found.items():
        if of_topic(_intake(state), topic):
            step_states.save(connection, step, route, version, pack(_cleared(state, topic, made)))
            touched.add(route)
    dead_letters.forget(connection, topic)
    return len(touched)


def _states(connection: Connection) -> dict[tuple[str, str], tuple[int, IntakeState | DetectState]]:
    """(step, route) -> version and state. Of detect it is the running state, as it stands in the table."""
    known = [detector.state_type for detector in registered()]
    found: dict[tuple[str, str], tuple[int, IntakeState | DetectState]] = {}
    for step in (DETECT, RECORD):
        for route, (version, blob) in step_states.all_of(connection, step).items():
            state = unpack(DetectState, blob, known) if step == DETECT else unpack(IntakeState, blob)
            found[step, route] = version, state
    return found


def _intake(state: IntakeState | DetectState) -> IntakeState:
    return state.intake if isinstance(state, DetectState) else state


def _cleared(state: IntakeState | DetectState, topic: str, made: set[int]) -> IntakeState | DetectState:
    if isinstance(state, DetectState):
        return replace(state, intake=cleared(state.intake, topic, made))
    return cleared(state, topic, made)
