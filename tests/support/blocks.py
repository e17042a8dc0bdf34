"""Score blocks of fictional exchanges for tests: vectors drawn from a seeded generator."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import numpy as np

from schemas.identity import Model, identity_of
from schemas.score import ScoreBlock, Scorer, SignalColumn

START = datetime(2026, 1, 1, tzinfo=UTC)
ROUTE = "support-bot/prod"


@dataclass(frozen=True)
class Row:
    """One exchange of a block, before it is a column."""

    id: str
    offset: int
    seconds: float
    model: Model = field(default_factory=lambda: Model(requested="gpt-4"))
    partition: int = 0
    signals: Mapping[str, bool | None] = field(default_factory=dict)
    flags: tuple[str, ...] = ()
    tags: Mapping[str, str] = field(default_factory=dict)
    prompt: int = 0
    shift: float = 0.0
    parts: Mapping[str, Mapping[str, bool]] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    engine: str = "test"


def rows(n: int, first: int = 0, step: float = 86.4, **same) -> list[Row]:
    return [Row(f"e{i}", i, i * step, prompt=i % 97, **same) for i in range(first, first + n)]


def _encode(columns: Sequence[np.ndarray]) -> str:
    return base64.b64encode(np.stack(columns).astype("<f2").tobytes()).decode()


def _unit(seed: Sequence[int], shift: float) -> np.ndarray:
    vector = np.random.default_rng(seed).standard_normal(384)
    vector[:8] += shift * 10
    return vector / np.linalg.norm(vector)


def block(some: Sequence[Row], route: str = ROUTE) -> ScoreBlock:
    names = sorted({name for row in some for name in row.signals})
    columns = {}
    for name in names:
        value = tuple(row.signals.get(name) for row in some)
        status = tuple("unscored" if one is None else "scored" for one in value)
        parts = tuple(row.parts.get(name, {}) for row in some)
        columns[name] = SignalColumn(
            value=value, probability=(None,) * len(some), status=status, parts=parts if any(parts) else ()
        )
    style = [np.abs(np.random.default_rng([3, row.offset]).standard_normal(30)) + row.shift for row in some]
    return ScoreBlock(
        route=route,
        scorer=Scorer(engine=some[0].engine, precision="f32", signals=some[0].versions),
        cluster="c",
        topic="t",
        identities={identity_of(row.model): row.model for row in some},
        id=tuple(row.id for row in some),
        ts=tuple(START + timedelta(seconds=row.seconds) for row in some),
        partition=tuple(row.partition for row in some),
        offset=tuple(row.offset for row in some),
        identity=tuple(identity_of(row.model) for row in some),
        fingerprint=tuple(row.model.fingerprint for row in some),
        conversation=(None,) * len(some),
        user=(None,) * len(some),
        tags=tuple(row.tags for row in some),
        kept=(False,) * len(some),
        flags=tuple(row.flags for row in some),
        embedded=(True,) * len(some),
        prompt_vec=_encode([_unit([1, row.prompt], 0.0) for row in some]),
        response_vec=_encode([_unit([2, row.prompt, row.offset % 5], row.shift) for row in some]),
        style=_encode(style),
        signals=columns,
    )


def blocks(some: Sequence[Row], cut: int | Sequence[int] = 64, route: str = ROUTE) -> list[ScoreBlock]:
    """The rows as blocks of `cut` rows, or of the given sizes in turn (at most 128), each of one scorer."""
    sizes = [cut] if isinstance(cut, int) else list(cut)
    out, start, turn = [], 0, 0
    while start < len(some):
        size = min(sizes[turn % len(sizes)], 128)
        scorer = (some[start].versions, some[start].engine)
        of = some[start : start + size]
        size = next((n for n, row in enumerate(of) if (row.versions, row.engine) != scorer), size)
        out.append(block(some[start : start + size], route))
        start += size
        turn += 1
    return out
