"""The fence by the exchange's own position, repeated ids, effective identity, event index and clock of one route.

Detect, record and replay use this one core, each with its own saved state, so they count the same exchanges.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from detectors.protocol import Rows
from schemas.identity import Model, identity_of
from schemas.position import Position
from schemas.score import STYLE_WIDTH, VECTOR_WIDTH, ScoreBlock
from services.intake.volatile_fields import Volatility, observe
from services.vectors import to_rows

RECENT_IDS: Final = 1024
STALE_BLOCKS: Final = 3
RECREATED: Final = (
    "the topic seems to have been recreated: rows at positions already counted carry later times; "
    "run `keelwatch topics adopt` to accept the new topic"
)


@dataclass(frozen=True, slots=True)
class IntakeState:
    """What is kept of a route between blocks: a few KB, whatever its traffic.

    Attributes:
        fence: source partition -> highest offset counted.
        recent: hashes of the route's last 1,024 ids, oldest first.
        count: exchanges counted, the event index of the next one.
        duplicates: exchanges dropped because their id had been seen.
        clock: greatest unflagged time, seconds since 1970.
        stale: blocks running whose rows stood at or below the fence with later times.
    """

    route: str
    fence: dict[str, int] = field(default_factory=dict)
    recent: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))
    count: int = 0
    duplicates: int = 0
    clock: float | None = None
    stale: int = 0
    volatility: Volatility = field(default_factory=Volatility)

    @classmethod
    def start(cls, route: str) -> IntakeState:
        """The state of a route that was never seen."""
        return cls(route)


@dataclass(frozen=True, slots=True)
class Intake:
    """The rows of a block that count, in order, with what detect and record need beside the numbers.

    Attributes:
        rows: n rows; source_rows: (n,) their places in the block.
        identity: effective identity of each row, without volatile fields; models: what stands behind it.
        untimed: (n,) the row has no time of its own.
        duplicates: rows dropped for a repeated id; redelivered: rows at or below the fence.
        volatile: (field, row) for each field found volatile at a row.
        blind: why nothing of this topic can be trusted, or None.
    """

    rows: Rows
    source_rows: NDArray[np.int64]
    positions: tuple[Position, ...]
    identity: tuple[str, ...]
    models: dict[str, Model]
    fingerprint: tuple[str | None, ...]
    untimed: NDArray[np.bool_]
    duplicates: int
    redelivered: int
    volatile: tuple[tuple[str, int], ...]
    blind: str | None


def hash_id(id: str) -> int:
    """64 bits of an id, as a signed integer."""
    return int.from_bytes(hashlib.blake2b(id.encode(), digest_size=8).digest(), "little", signed=True)


def step(state: IntakeState, block: ScoreBlock, slices: tuple[str, ...] = ()) -> tuple[IntakeState, Intake]:
    """Take in one score block of the route: the new state and the rows that count.

    Raises:
        ValueError: if a vector holds a number that is not finite.
    """
    ts = np.array([moment.timestamp() for moment in block.ts])
    new, redelivered, stale = _beyond_fence(state, block, ts)
    picked, recent = _unseen(state, block.id, new)
    identity, models, volatility, volatile = _identities(state, block, picked, ts)
    index = np.arange(state.count, state.count + len(picked), dtype=np.int64)
    intake = Intake(
        rows=_rows(block, picked, index, ts, slices),
        source_rows=picked,
        positions=tuple(_position(block, i) for i in picked),
        identity=identity,
        models=models,
        fingerprint=tuple(block.fingerprint[i] if block.fingerprint else None for i in picked),
        untimed=np.array(["no_ts" in block.flags[i] for i in picked], dtype=bool),
        duplicates=len(new) - len(picked),
        redelivered=redelivered,
        volatile=volatile,
        blind=RECREATED if stale >= STALE_BLOCKS else None,
    )
    after = replace(
        state,
        fence=_fence(state, block),
        recent=recent,
        count=state.count + len(picked),
        duplicates=state.duplicates + intake.duplicates,
        clock=_clock(state, block, picked, ts),
        stale=stale,
        volatility=volatility,
    )
    return after, intake


def _source(block: ScoreBlock, partition: int) -> str:
    return f"{block.cluster}/{block.topic}/{partition}"


def _position(block: ScoreBlock, i: int) -> Position:
    return Position(cluster=block.cluster, topic=block.topic, partition=block.partition[i], offset=block.offset[i])


def _beyond_fence(state: IntakeState, block: ScoreBlock, ts: NDArray[np.float64]) -> tuple[list[int], int, int]:
    """The places beyond the fence, how many were not, and the blocks running that look like a recreated topic."""
    new = []
    later = False
    for i, (partition, offset) in enumerate(zip(block.partition, block.offset, strict=True)):
        if offset > state.fence.get(_source(block, partition), -1):
            new.append(i)
        elif state.clock is not None and ts[i] > state.clock and "skew" not in block.flags[i]:
            later = True
    redelivered = len(block.id) - len(new)
    stale = state.stale + 1 if later else 0 if new else state.stale
    return new, redelivered, stale


def _unseen(
    state: IntakeState, ids: tuple[str, ...], places: Iterable[int]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The places whose id is not among the route's last 1,024, and the new list of those."""
    recent = state.recent.tolist()
    known = set(recent)
    picked = []
    for i in places:
        hashed = hash_id(ids[i])
        if hashed in known:
            continue
        picked.append(i)
        recent.append(hashed)
        known.add(hashed)
        if len(recent) > RECENT_IDS:
            known.discard(recent[len(recent) - RECENT_IDS - 1])
    return np.array(picked, dtype=np.int64), np.array(recent[-RECENT_IDS:], dtype=np.int64)


def _identities(
    state: IntakeState, block: ScoreBlock, picked: NDArray[np.int64], ts: NDArray[np.float64]
) -> tuple[tuple[str, ...], dict[str, Model], Volatility, tuple[tuple[str, int], ...]]:
    volatility = state.volatility
    identity: list[str] = []
    models: dict[str, Model] = {}
    found: list[tuple[str, int]] = []
    effective: dict[str, str] = {}
    for row, i in enumerate(picked):
        model = block.identities[block.identity[i]]
        volatility, fields = observe(volatility, model, state.count + row, float(ts[i]))
        if fields:
            effective.clear()
            found += [(name, row) for name in fields]
        raw = block.identity[i]
        if raw not in effective:
            effective[raw] = identity_of(model, volatility.fields)
            models[effective[raw]] = without_volatile(model, volatility.fields)
        identity.append(effective[raw])
    return tuple(identity), models, volatility, tuple(found)


def without_volatile(model: Model, volatile: Iterable[str]) -> Model:
    """The model as identities count it: no fingerprint, no volatile field."""
    left_out: dict[str, str | None] = dict.fromkeys([*volatile, "fingerprint"])
    if "requested" in left_out:
        left_out["requested"] = "(volatile)"
    return model.model_copy(update=left_out)


def _fence(state: IntakeState, block: ScoreBlock) -> dict[str, int]:
    fence = dict(state.fence)
    for partition, offset in zip(block.partition, block.offset, strict=True):
        source = _source(block, partition)
        fence[source] = max(offset, fence.get(source, -1))
    return fence


def _clock(state: IntakeState, block: ScoreBlock, picked: NDArray[np.int64], ts: NDArray[np.float64]) -> float | None:
    times = [float(ts[i]) for i in picked if "skew" not in block.flags[i]]
    known = [] if state.clock is None else [state.clock]
    return max(times + known, default=None)


def _rows(
    block: ScoreBlock,
    picked: NDArray[np.int64],
    index: NDArray[np.int64],
    ts: NDArray[np.float64],
    slices: tuple[str, ...],
) -> Rows:
    tags = [dimension for dimension in slices if dimension.startswith("tags.")]
    return Rows(
        index=index,
        ts=ts[picked],
        prompt=to_rows(block.prompt_vec, VECTOR_WIDTH)[picked],
        response=to_rows(block.response_vec, VECTOR_WIDTH)[picked],
        style=to_rows(block.style, STYLE_WIDTH)[picked],
        embedded=np.array(block.embedded, dtype=bool)[picked],
        answered=np.array(["no_response" not in flags for flags in block.flags], dtype=bool)[picked],
        signals={
            name: np.array([np.nan if value is None else float(value) for value in column.value])[picked]
            for name, column in block.signals.items()
        },
        slices={
            dimension: tuple(block.tags[i].get(dimension.removeprefix("tags.")) for i in picked) for dimension in tags
        },
        ids=tuple(block.id[i] for i in picked),
    )
