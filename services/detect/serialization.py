"""A route's state as it is stored, and back: running state, candidate rows and the pinned artefact apart. Pure.

Only the running state, a few KB, is written with every snapshot. Candidate rows are written once, as they come; the
artefact of a baseline is written once, when it is pinned.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from detectors.protocol import Detector, Rows
from detectors.stats.near_repeats import UsualPrompts
from detectors.stats.topic_map import TopicMap
from services.detect.counterparts import BaselineExamples
from services.detect.relearning import budgeted
from services.detect.state import Candidates, DetectState, Pinned, Relearned, SecondReference
from services.store.codec import CodecError, pack, unpack

Detectors = Sequence[Detector[Any, Any]]
ANEW: Final = "anew"
"""In the place of an identity, before the rows of what is learned anew beside the baseline."""
AGAIN: Final = "again:"
"""Before an identity, of the rows of its second reference."""


@dataclass(frozen=True, slots=True)
class Artefacts:
    """What each detector made of a baseline, by its name, and the exchanges of it whose text is kept."""

    made: dict[str, Any] = field(default_factory=dict)
    examples: BaselineExamples | None = None


@dataclass(frozen=True, slots=True)
class CandidateWrites:
    """Candidate rows to write: key -> bytes; `afresh` says that those stored before must go first."""

    afresh: bool
    rows: dict[str, bytes]


def pack_running_state(state: DetectState) -> bytes:
    """All of the state but its rows and artefacts."""
    candidates = {who: replace(kept, chunks=()) for who, kept in state.candidates.items()}
    learning = state.relearning
    if learning is not None:
        learning = replace(learning, candidates=replace(learning.candidates, chunks=()))
    second = {
        who: replace(one, candidates=replace(one.candidates, chunks=()), artefacts={})
        for who, one in state.second.items()
    }
    pinned = _without_artefacts(state.pinned)
    return pack(replace(state, candidates=candidates, pinned=pinned, relearning=learning, second=second))


def _without_artefacts(pinned: Pinned | None) -> Pinned | None:
    if pinned is None:
        return None
    return replace(
        pinned, artefacts={}, examples=None, relearned=tuple(replace(one, artefacts={}) for one in pinned.relearned)
    )


def candidate_writes(before: DetectState | None, after: DetectState) -> CandidateWrites:
    """What must be written of the candidates of `after` when those of `before` are stored."""
    stored = {} if before is None else _chunks(before)
    wanted = _chunks(after)
    afresh = any(wanted.get(key) is not chunk for key, chunk in stored.items())
    return CandidateWrites(afresh, {key: pack(chunk) for key, chunk in wanted.items() if afresh or key not in stored})


Learned = Pinned | Relearned | SecondReference


def pack_artefacts(learned: Learned) -> bytes:
    """The artefacts of a baseline, of what was learned anew beside one, or of a second reference."""
    return pack(Artefacts(learned.artefacts, learned.examples if isinstance(learned, Pinned) else None))


def artefact_writes(before: DetectState | None, after: DetectState) -> dict[str, bytes]:
    """Id -> artefacts of what was learned since `before`, and is not stored yet."""
    stored = {} if before is None else _learned(before)
    return {id: pack_artefacts(one) for id, one in _learned(after).items() if id not in stored}


def artefact_drops(before: DetectState | None, after: DetectState) -> tuple[str, ...]:
    """Ids of second references whose artefacts are stored and that nothing is held against any more."""
    gone = () if before is None else before.second.values()
    kept = _learned(after)
    return tuple(sorted(one.id for one in gone if one.id is not None and one.id not in kept))


def _learned(state: DetectState) -> dict[str, Learned]:
    learned: list[Learned] = [] if state.pinned is None else [state.pinned, *state.pinned.relearned]
    return {one.id: one for one in (*learned, *state.second.values()) if one.id is not None}


def running_state(detectors: Detectors, stored: bytes) -> DetectState:
    """The state of these bytes without its rows and artefacts.

    Raises:
        CodecError: if the bytes are damaged.
    """
    return unpack(DetectState, stored, [detector.state_type for detector in detectors])


def restore_state(
    detectors: Detectors, stored: bytes, rows: Mapping[str, bytes], artefact: Callable[[str], bytes | None]
) -> DetectState:
    """The state of these bytes. `artefact` gives the bytes of a baseline by its id.

    Raises:
        CodecError: if the bytes are damaged, or a part of the state is missing.
    """
    state = running_state(detectors, stored)
    candidates = {who: _with_rows(who, kept, rows) for who, kept in state.candidates.items()}
    learning = state.relearning
    if learning is not None:
        learning = replace(learning, candidates=_with_rows(ANEW, learning.candidates, rows))
    second = {who: _restored(detectors, who, one, rows, artefact) for who, one in state.second.items()}
    pinned = _with_artefacts(detectors, state.pinned, artefact)
    return replace(state, candidates=candidates, pinned=pinned, relearning=learning, second=second)


def _chunks(state: DetectState) -> dict[str, Rows]:
    of = dict(state.candidates)
    if state.relearning is not None:
        of[ANEW] = state.relearning.candidates
    of.update({f"{AGAIN}{who}": one.candidates for who, one in state.second.items()})
    return {f"{who}/{place:06d}": chunk for who, kept in of.items() for place, chunk in enumerate(kept.chunks)}


def _with_rows(who: str, kept: Candidates, rows: Mapping[str, bytes]) -> Candidates:
    mine = sorted(key for key in rows if key.startswith(f"{who}/"))
    chunks = tuple(unpack(Rows, rows[key]) for key in mine)
    if sum(len(chunk) for chunk in chunks) != kept.n:
        raise CodecError(f"candidates of {who}: {kept.n} rows were counted, others are stored")
    return replace(kept, chunks=chunks)


def _with_artefacts(
    detectors: Detectors, pinned: Pinned | None, artefact: Callable[[str], bytes | None]
) -> Pinned | None:
    if pinned is None:
        return None

    def made(id: str) -> Artefacts:
        return _artefacts(detectors, id, artefact)

    relearned = tuple(replace(one, artefacts=made(one.id).made) for one in pinned.relearned)
    own = made(pinned.id)
    return budgeted(replace(pinned, artefacts=own.made, examples=own.examples, relearned=relearned))


def _artefacts(detectors: Detectors, id: str, artefact: Callable[[str], bytes | None]) -> Artefacts:
    data = artefact(id)
    if data is None:
        raise CodecError(f"baseline {id} is pinned, but its artefact is not stored")
    return unpack(Artefacts, data, [*(one.artefact_type for one in detectors), TopicMap, UsualPrompts])


def _restored(
    detectors: Detectors,
    who: str,
    one: SecondReference,
    rows: Mapping[str, bytes],
    artefact: Callable[[str], bytes | None],
) -> SecondReference:
    """A second reference with its rows, or with its artefacts.

    Those of one that stood for long are deleted like an old baseline's: it is gathered anew, the baseline goes on.
    """
    kept = _with_rows(f"{AGAIN}{who}", one.candidates, rows)
    if one.id is not None and artefact(one.id) is None:
        return SecondReference(one.after, one.ts)
    made = {} if one.id is None else _artefacts(detectors, one.id, artefact).made
    return replace(one, candidates=kept, artefacts=made)
