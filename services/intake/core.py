"""The fence by the exchange's own position, repeated ids, effective identity, event index and clock of one route.

Detect, record and replay use this one core, each with its own saved state, so they count the same exchanges.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from detectors.protocol import Rows, part_column, probability_column
from schemas.identity import Model, identity_of
from schemas.position import Position
from schemas.score import MEASURES, STYLE_WIDTH, VECTOR_WIDTH, WITHOUT_ANSWER, ScoreBlock
from services.intake.slice_values import bounded, bounded_sets, hash_text
from services.intake.volatile_fields import Volatility, meant_identity, observe
from services.specs import dimensions, signal_of
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
        parts: source partition -> highest part counted of the record at its fence; none is 0.
        recent: hashes of the route's last 1,024 ids, oldest first.
        count: exchanges counted, the event index of the next one.
        duplicates: exchanges dropped because their id had been seen.
        clock: greatest unflagged time, seconds since 1970.
        stale: blocks running whose rows stood at or below the fence with later times.
        values: dimension of a slice -> the values that it had last, see `slice_values`.
    """

    route: str
    fence: dict[str, int] = field(default_factory=dict)
    recent: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))
    count: int = 0
    duplicates: int = 0
    clock: float | None = None
    stale: int = 0
    volatility: Volatility = field(default_factory=Volatility)
    values: dict[str, dict[int, int]] = field(default_factory=dict)
    parts: dict[str, int] = field(default_factory=dict)

    @classmethod
    def start(cls, route: str) -> IntakeState:
        """The state of a route that was never seen."""
        return cls(route)


@dataclass(frozen=True, slots=True)
class Intake:
    """The rows of a block that count, in order, with what detect and record need beside the numbers.

    Attributes:
        rows: n rows; source_rows: (n,) their places in the block. The time of a row that is flagged `skew` is the
            route's clock: a time from outside that nobody believes decides nothing here or after.
        identity: effective identity of each row, without volatile fields; models: what stands behind it.
        unserved: (n,) the call failed, and nobody is known who might have answered it: its identity is no new one.
        untimed: (n,) the row has no time of its own.
        duplicates: rows dropped for a repeated id; redelivered: rows at or below the fence.
        volatile: (field, row) for each field found volatile at a row.
        forgotten: (identity, row) for each identity that was idle and gave way to a new one at a row.
        blind: why nothing of this topic can be trusted, or None.
    """

    rows: Rows
    source_rows: NDArray[np.int64]
    positions: tuple[Position, ...]
    identity: tuple[str, ...]
    models: dict[str, Model]
    fingerprint: tuple[str | None, ...]
    untimed: NDArray[np.bool_]
    unserved: NDArray[np.bool_]
    duplicates: int
    redelivered: int
    volatile: tuple[tuple[str, int], ...]
    forgotten: tuple[tuple[str, int], ...]
    blind: str | None


def hash_id(id: str) -> int:
    """64 bits of an id, as a signed integer."""
    return hash_text(id)


def step(state: IntakeState, block: ScoreBlock, slices: tuple[str, ...] = ()) -> tuple[IntakeState, Intake]:
    """Take in one score block of the route: the new state and the rows that count.

    Raises:
        ValueError: if a vector holds a number that is not finite.
    """
    claimed = np.array([moment.timestamp() for moment in block.ts])
    new, redelivered, stale = _beyond_fence(state, block, claimed)
    picked, recent = _unseen(state, block.id, new)
    ts, clock = _believed(state, block, picked, claimed)
    who = _identities(state, block, picked, ts)
    index = np.arange(state.count, state.count + len(picked), dtype=np.int64)
    labels, values = _slices(state, block, picked, slices)
    parts, names = _parts(state, block, picked, slices)
    intake = Intake(
        rows=_rows(block, picked, index, ts, labels, parts),
        source_rows=picked,
        positions=tuple(_position(block, i) for i in picked),
        identity=tuple(who.identity),
        models=who.models,
        fingerprint=tuple(block.fingerprint[i] if block.fingerprint else None for i in picked),
        untimed=np.array(["no_ts" in block.flags[i] for i in picked], dtype=bool),
        unserved=np.array(who.unserved, dtype=bool),
        duplicates=len(new) - len(picked),
        redelivered=redelivered,
        volatile=tuple(who.volatile),
        forgotten=tuple(who.forgotten),
        blind=RECREATED if stale >= STALE_BLOCKS else None,
    )
    fence, fenced_parts = _fence(state, block)
    after = replace(
        state,
        fence=fence,
        parts=fenced_parts,
        recent=recent,
        count=state.count + len(picked),
        duplicates=state.duplicates + intake.duplicates,
        clock=clock,
        stale=stale,
        volatility=who.volatility,
        values={**values, **names},
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
        source = _source(block, partition)
        if offset > state.fence.get(source, -1) or _follows(state, block, i, source):
            new.append(i)
        elif state.clock is not None and ts[i] > state.clock and "skew" not in block.flags[i]:
            later = True
    redelivered = len(block.id) - len(new)
    stale = state.stale + 1 if later else 0 if new else state.stale
    return new, redelivered, stale


def _follows(state: IntakeState, block: ScoreBlock, i: int, source: str) -> bool:
    """Whether a row is a further part of the record at the fence: a record of traces may be cut over blocks."""
    at_fence = block.offset[i] == state.fence.get(source)
    return at_fence and bool(block.part) and block.part[i] > state.parts.get(source, 0)


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


@dataclass(slots=True)
class _Identities:
    """Who answered the rows of a block, and what that changed."""

    volatility: Volatility
    identity: list[str] = field(default_factory=list)
    unserved: list[bool] = field(default_factory=list)
    models: dict[str, Model] = field(default_factory=dict)
    volatile: list[tuple[str, int]] = field(default_factory=list)
    forgotten: list[tuple[str, int]] = field(default_factory=list)

    def meant(self, model: Model) -> None:
        """Take in a call that failed before anybody answered: it was meant for who is known to answer such calls."""
        who = meant_identity(self.volatility, model)
        known = self.volatility.identities.get(who or "")
        self.unserved.append(known is None)
        self.identity.append(who or identity_of(model, self.volatility.fields))
        if known is not None:
            self.models[self.identity[-1]] = known.model


def _identities(
    state: IntakeState, block: ScoreBlock, picked: NDArray[np.int64], ts: NDArray[np.float64]
) -> _Identities:
    found = _Identities(state.volatility)
    for row, i in enumerate(picked):
        model = block.identities[block.identity[i]]
        if model.served is None and not WITHOUT_ANSWER.isdisjoint(block.flags[i]):
            found.meant(model)
            continue
        found.unserved.append(False)
        found.volatility, one = observe(found.volatility, model, state.count + row, float(ts[row]))
        found.identity.append(one.identity)
        found.models[one.identity] = found.volatility.identities[one.identity].model
        found.volatile += [(name, row) for name in one.fields]
        if one.forgotten is not None:
            found.forgotten.append((one.forgotten, row))
    return found


def _fence(state: IntakeState, block: ScoreBlock) -> tuple[dict[str, int], dict[str, int]]:
    """The highest offset of each source, and the highest part of its record."""
    fence, parts = dict(state.fence), dict(state.parts)
    for i, (partition, offset) in enumerate(zip(block.partition, block.offset, strict=True)):
        source, part = _source(block, partition), block.part[i] if block.part else 0
        at, last = max((offset, part), (fence.get(source, -1), parts.get(source, 0)))
        fence[source] = at
        parts.pop(source, None)
        if last:
            parts[source] = last
    return fence, parts


def _believed(
    state: IntakeState, block: ScoreBlock, picked: NDArray[np.int64], claimed: NDArray[np.float64]
) -> tuple[NDArray[np.float64], float | None]:
    """The times by which the rows count, and the clock after them. Before there is a clock a row has its own time."""
    clock = state.clock
    times = []
    for i in picked:
        ts = float(claimed[i])
        if "skew" not in block.flags[i]:
            clock = ts if clock is None else max(clock, ts)
        elif clock is not None:
            ts = clock
        times.append(ts)
    return np.array(times, dtype=np.float64), clock


def _slices(
    state: IntakeState, block: ScoreBlock, picked: NDArray[np.int64], slices: tuple[str, ...]
) -> tuple[dict[str, tuple[str | None, ...]], dict[str, dict[int, int]]]:
    """Dimension -> value of each row, and the values that are known of it; of dimensions not asked for none is."""
    labels, known = {}, {}
    for dimension in slices:
        values = _values(block, picked, dimension)
        if values is not None:
            known[dimension], labels[dimension] = bounded(state.values.get(dimension, {}), values, state.count)
    return labels, known


def _values(block: ScoreBlock, picked: NDArray[np.int64], dimension: str) -> list[str | None] | None:
    """The tag, or the category that a signal of this name found; None: this block knows no such dimension."""
    if dimension.startswith("tags."):
        name = dimension.removeprefix("tags.")
        return [block.tags[i].get(name) for i in picked]
    column = block.signals.get(dimension)
    if column is None:
        return None
    return [value if isinstance(value := column.value[i], str) else None for i in picked]


def _parts(
    state: IntakeState, block: ScoreBlock, picked: NDArray[np.int64], slices: tuple[str, ...]
) -> tuple[dict[str, NDArray[np.float64]], dict[str, dict[int, int]]]:
    """A column of each signal and tool or guardrail, and the names that are known; of what is asked for alone.

    A block without calls keeps the names that are known: where blocks are cut decides nothing.
    """
    columns: dict[str, NDArray[np.float64]] = {}
    known: dict[str, dict[int, int]] = {}
    for dimension in sorted(dimensions().intersection(slices)):
        told = {
            name: [column.parts[i] for i in picked]
            for name, column in block.signals.items()
            if column.parts and signal_of(name).dimension == dimension
        }
        names: list[set[str]] = [set().union(*row) for row in zip(*told.values(), strict=True)]
        known[dimension], called = bounded_sets(state.values.get(dimension, {}), names, state.count)
        for name, rows in told.items():
            columns.update(_part_columns(name, dimension, rows, called))
    return columns, known


def _part_columns(
    signal: str, dimension: str, rows: Sequence[Mapping[str, bool]], called: Sequence[Mapping[str, str]]
) -> dict[str, NDArray[np.float64]]:
    """NaN where a row has no such part; of several that are called alike, whether one of them was true."""
    made: dict[str, NDArray[np.float64]] = {}
    for i, (row, names) in enumerate(zip(rows, called, strict=True)):
        for part, value in row.items():
            column = part_column(signal, f"{dimension}={names[part]}")
            values = made.setdefault(column, np.full(len(rows), np.nan))
            values[i] = max(float(value), np.nan_to_num(values[i]))
    return made


def _rows(
    block: ScoreBlock,
    picked: NDArray[np.int64],
    index: NDArray[np.int64],
    ts: NDArray[np.float64],
    slices: dict[str, tuple[str | None, ...]],
    parts: dict[str, NDArray[np.float64]],
) -> Rows:
    return Rows(
        index=index,
        ts=ts,
        prompt=to_rows(block.prompt_vec, VECTOR_WIDTH)[picked],
        response=to_rows(block.response_vec, VECTOR_WIDTH)[picked],
        style=to_rows(block.style, STYLE_WIDTH)[picked],
        embedded=np.array(block.embedded, dtype=bool)[picked],
        answered=np.array([WITHOUT_ANSWER.isdisjoint(flags) for flags in block.flags], dtype=bool)[picked],
        signals={
            name: np.array([np.nan if value is None else float(value) for value in column.value])[picked]
            for name, column in block.signals.items()
            if not signal_of(name).category and not any(isinstance(value, str) for value in column.value)
        }
        | _probabilities(block, picked)
        | parts,
        slices=slices,
        ids=tuple(block.id[i] for i in picked),
        measures={name: _numbers(getattr(block, name), picked) for name in MEASURES if getattr(block, name)},
        user=_pseudonyms(block.user, picked),
        conversation=_pseudonyms(block.conversation, picked),
    )


def _probabilities(block: ScoreBlock, picked: NDArray[np.int64]) -> dict[str, NDArray[np.float64]]:
    """A column of each signal that comes with a probability; a category's belongs to a value that changes."""
    return {
        probability_column(name): _numbers(column.probability, picked)
        for name, column in block.signals.items()
        if not signal_of(name).category and any(one is not None for one in column.probability)
    }


def _numbers(column: Sequence[float | None], picked: NDArray[np.int64]) -> NDArray[np.float64]:
    return np.array([np.nan if one is None else float(one) for one in column], dtype=np.float64)[picked]


def _pseudonyms(names: Sequence[str | None], picked: NDArray[np.int64]) -> NDArray[np.int64] | None:
    """(n,) 64 bits of each name, 0 of none; None where no row has one."""
    if not any(names):
        return None
    return np.array([0 if names[i] is None else hash_text(names[i] or "") for i in picked], dtype=np.int64)
