"""What a scorer says of the anchors, held against what another said of them. Pure.

The anchors are frozen, so there is no chance in it: one that is answered otherwise is a fact about the scorer. Whether
the answers moved one way (the exact test of McNemar) says how a rate on traffic is going to move with them.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from schemas.base import hash16
from schemas.exchange import RULER_ROUTE
from schemas.position import Position
from schemas.reading import Direction, Effect, Evidence, Reading, ReadingStatus, reading_id
from schemas.score import VECTOR_WIDTH, ScoreBlock, Scorer
from services.ports import Received
from services.ruler.anchors import Anchors
from services.specs import RULER
from services.vectors import to_rows
from services.wording import ruler as words

VECTORS: Final = ("prompt_vec", "response_vec")
TURNED: Final = 0.999
"""Cosine below which a vector is another one: float16 rounds by less, another precision or model turns by more."""
SURER: Final = 0.05
"""Change of a probability that is worth telling."""

Value = bool | float | str | None


@dataclass(frozen=True, slots=True)
class AnchorMeasurement:
    """What a scorer says of every anchor, in their order.

    Attributes:
        scorer: who measured.
        values, probabilities: signal -> one an anchor; None where it was not scored, or has no probability.
        vectors: `prompt_vec` and `response_vec` -> (n, 384) float16.
    """

    scorer: Scorer
    values: Mapping[str, tuple[Value, ...]]
    probabilities: Mapping[str, tuple[float | None, ...]]
    vectors: Mapping[str, NDArray[np.float16]]

    @property
    def id(self) -> str:
        """The scorer's id: the same versions measure the same."""
        return hash16(self.scorer.model_dump(mode="json"))


@dataclass(frozen=True, slots=True)
class SignalMove:
    """How far a signal's answers moved.

    Attributes:
        name: of the signal; before, now: its versions. n: anchors.
        up, down: anchors that became true, that ceased to be; other: answered otherwise in another way (scored now and
            not before, another category).
        p: of so many on one side by chance alone (McNemar, exact, two-sided); 1 where none moved.
        surer: anchors with the same answer whose probability moved by more than `SURER`; largest: the largest move.
        rate_before, rate_now: share of anchors for which it is true.
    """

    name: str
    before: str
    now: str
    n: int
    up: int
    down: int
    other: int
    p: float
    surer: int
    largest: float
    rate_before: float
    rate_now: float

    @property
    def flips(self) -> int:
        """Anchors that are answered otherwise."""
        return self.up + self.down + self.other


@dataclass(frozen=True, slots=True)
class VectorMove:
    """How far vectors turned: of `n` anchors `turned` lie below a cosine of `TURNED`; `least` is the lowest."""

    name: str
    before: str
    now: str
    n: int
    turned: int
    least: float


@dataclass(frozen=True, slots=True)
class LabelAgreement:
    """How a signal's answers agree with the anchors' labels.

    Of `n` labelled anchors that it scored, `right` are answered as labelled, and those `missed` are not; `unscored`
    is how many labelled ones more it did not score, which says neither.
    """

    name: str
    version: str
    n: int
    right: int
    unscored: int
    missed: tuple[str, ...]


def measure_anchors(anchors: Anchors, scorer: Scorer, score: Callable[[Sequence[Received]], Any]) -> AnchorMeasurement:
    """Let a scorer measure every anchor, a few at a time, so that nothing waits long for it.

    Raises:
        ValueError: if it cannot measure one of them.
    """
    received = [one.received for one in anchors.anchors]
    blocks: list[ScoreBlock] = []
    for start in range(0, len(received), 32):
        blocks += score(received[start : start + 32]).blocks
    if [id for block in blocks for id in block.id] != [one.exchange.id for one in received]:
        raise ValueError("the scorer did not measure every anchor in its order")
    names = sorted({name for block in blocks for name in block.signals})
    return AnchorMeasurement(
        scorer=scorer,
        values={name: tuple(v for block in blocks for v in block.signals[name].value) for name in names},
        probabilities={name: tuple(p for block in blocks for p in block.signals[name].probability) for name in names},
        vectors={
            name: np.concatenate([to_rows(getattr(block, name), VECTOR_WIDTH) for block in blocks]) for name in VECTORS
        },
    )


def signal_moves(before: AnchorMeasurement, now: AnchorMeasurement) -> tuple[SignalMove, ...]:
    """How far every signal moved that both measured, in the order of their names."""
    names = sorted(before.values.keys() & now.values.keys())
    return tuple(_move(name, before, now) for name in names)


def vector_moves(before: AnchorMeasurement, now: AnchorMeasurement) -> tuple[VectorMove, ...]:
    """How far prompts and responses turned."""
    return tuple(_turn(name, before, now) for name in VECTORS)


def agreements(anchors: Anchors, found: AnchorMeasurement) -> tuple[LabelAgreement, ...]:
    """How every signal agrees with the labels, in the order of their names; one that no anchor is labelled for, not."""
    return tuple(one for name in sorted(found.values) if (one := _agreement(anchors, found, name)).n)


def readings_of(before: AnchorMeasurement, now: AnchorMeasurement, ts: datetime) -> tuple[Reading, ...]:
    """What is told of a change of the scorer: a reading of each signal that moved, or whose version did.

    It fires where an anchor is answered otherwise or a vector turned. Two processes that see the same in one minute
    say it once.
    """
    told = []
    for move in signal_moves(before, now):
        if move.flips or move.surer or move.before != move.now:
            told.append(_signal_reading(move, ts))
    for turn in vector_moves(before, now):
        if turn.turned or turn.before != turn.now:
            told.append(_vector_reading(turn, ts))
    return tuple(told)


def pack_measurement(found: AnchorMeasurement) -> bytes:
    """A measurement as bytes: the same one gives the same bytes."""
    kept = {
        "scorer": found.scorer.model_dump(mode="json"),
        "values": {name: list(values) for name, values in sorted(found.values.items())},
        "probabilities": {name: list(values) for name, values in sorted(found.probabilities.items())},
        "vectors": {name: found.vectors[name].astype("<f2").tobytes() for name in VECTORS},
    }
    return zlib.compress(msgspec.msgpack.encode(kept), 6)


def unpack_measurement(data: bytes) -> AnchorMeasurement:
    """The measurement of these bytes."""
    kept = msgspec.msgpack.decode(zlib.decompress(data))
    vectors = {name: np.frombuffer(raw, "<f2").reshape(-1, VECTOR_WIDTH) for name, raw in kept["vectors"].items()}
    return AnchorMeasurement(
        scorer=Scorer.model_validate(kept["scorer"]),
        values={name: tuple(values) for name, values in kept["values"].items()},
        probabilities={name: tuple(values) for name, values in kept["probabilities"].items()},
        vectors=vectors,
    )


def _move(name: str, before: AnchorMeasurement, now: AnchorMeasurement) -> SignalMove:
    old, new = before.values[name], now.values[name]
    pairs = list(zip(old, new, strict=True))
    up = sum(1 for a, b in pairs if a is False and b is True)
    down = sum(1 for a, b in pairs if a is True and b is False)
    other = sum(1 for a, b in pairs if a != b or type(a) is not type(b)) - up - down
    moves = _probability_moves(pairs, before.probabilities[name], now.probabilities[name])
    return SignalMove(
        name=name,
        before=before.scorer.signals.get(name, ""),
        now=now.scorer.signals.get(name, ""),
        n=len(pairs),
        up=up,
        down=down,
        other=other,
        p=_both_ways(up, down),
        surer=sum(1 for move in moves if move > SURER),
        largest=max(moves, default=0.0),
        rate_before=_rate(old),
        rate_now=_rate(new),
    )


def _both_ways(up: int, down: int) -> float:
    """The exact two-sided p of a fair coin for moves `up` and `down`."""
    if not up + down:
        return 1.0
    from scipy.stats import binomtest  # noqa: PLC0415 -- a second, and few processes hold scorers against each other

    return float(binomtest(up, up + down).pvalue)


def _probability_moves(
    pairs: Sequence[tuple[Value, Value]], old: Sequence[float | None], new: Sequence[float | None]
) -> list[float]:
    """Of the anchors with the same answer."""
    same = [(p, q) for (a, b), p, q in zip(pairs, old, new, strict=True) if a == b]
    return [abs(q - p) for p, q in same if p is not None and q is not None]


def _rate(values: Iterable[Value]) -> float:
    scored = [value for value in values if value is not None]
    return sum(1 for value in scored if value is True) / len(scored) if scored else 0.0


def _turn(name: str, before: AnchorMeasurement, now: AnchorMeasurement) -> VectorMove:
    old, new = before.vectors[name].astype(np.float64), now.vectors[name].astype(np.float64)
    sizes = np.linalg.norm(old, axis=1) * np.linalg.norm(new, axis=1)
    there = sizes > 0
    cosine = np.einsum("ij,ij->i", old[there], new[there]) / sizes[there]
    return VectorMove(
        name=name,
        before=f"{before.scorer.engine}/{before.scorer.precision}",
        now=f"{now.scorer.engine}/{now.scorer.precision}",
        n=int(there.sum()),
        turned=int((cosine < TURNED).sum()),
        least=float(cosine.min()) if len(cosine) else 1.0,
    )


def _agreement(anchors: Anchors, found: AnchorMeasurement, name: str) -> LabelAgreement:
    labelled = [
        (one.received.exchange.id or "", value, one.labels[name])
        for one, value in zip(anchors.anchors, found.values[name], strict=True)
        if name in one.labels
    ]
    scored = [(id, value == label) for id, value, label in labelled if value is not None]
    missed = tuple(id for id, right in scored if not right)
    version = found.scorer.signals.get(name, "")
    return LabelAgreement(name, version, len(scored), len(scored) - len(missed), len(labelled) - len(scored), missed)


def _signal_reading(move: SignalMove, ts: datetime) -> Reading:
    direction: Direction | None = None if move.up == move.down else "up" if move.up > move.down else "down"
    reason = words.still(move.name, move.n, move.now)
    if move.flips:
        reason = words.moved(move.name, move.flips, move.up, move.down, move.n, move.before, move.now)
    elif move.surer:
        reason = words.shifted(move.name, move.surer, move.largest, move.before, move.now)
    effect = Effect(name="rate on the anchors", before=100 * move.rate_before, after=100 * move.rate_now, unit="pp")
    status: ReadingStatus = "firing" if move.flips else "quiet"
    return _reading(move.name, f"version={move.now}", status, reason, ts, move.n, direction, effect)


def _vector_reading(turn: VectorMove, ts: datetime) -> Reading:
    reason = words.turned(turn.name, turn.turned, turn.n, turn.least, turn.before, turn.now)
    status: ReadingStatus = "firing" if turn.turned else "quiet"
    return _reading(turn.name, f"version={turn.now}", status, reason, ts, turn.n, None, None)


def _reading(
    name: str,
    slice_: str,
    status: ReadingStatus,
    reason: str,
    ts: datetime,
    n: int,
    direction: Direction | None,
    effect: Effect | None,
) -> Reading:
    minute = int(ts.timestamp() // 60)
    return Reading(
        id=reading_id(RULER_ROUTE, None, RULER.name, name, slice_, direction, None, minute, status),
        route=RULER_ROUTE,
        detector=RULER.name,
        signal=name,
        slice=slice_,
        direction=direction,
        status=status,
        effect=effect,
        evidence=Evidence(n=n),
        event_index=minute,
        ts=ts,
        source=Position(cluster="ruler", topic="anchors", partition=0, offset=0),
        reason=reason,
    )
