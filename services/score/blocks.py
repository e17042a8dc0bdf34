"""Scored exchanges as rows, and rows as blocks of columns: one route, one topic and one scorer a block."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import groupby
from typing import Final

import numpy as np
from numpy.typing import NDArray

from schemas.exchange import Exchange
from schemas.identity import Model, identity_of
from schemas.position import Position
from schemas.score import MAX_ROWS, MEASURES, STYLE_WIDTH, VECTOR_WIDTH, Flag, ScoreBlock, Scorer, SignalColumn
from services.signals.protocol import Measurement
from services.vectors import to_rows, to_text

NO_RESPONSE: Final = "no_response"
NATIVE: Final = "native"
# Ids, tags and model names are free text. At 6 bytes of JSON a character a block with its vectors stays under 4 MiB.
MAX_FREE_CHARACTERS: Final = 512 * 1024


@dataclass(frozen=True, slots=True)
class ScoredRow:
    """One scored exchange, as a block or a score line holds it.

    Attributes:
        model: who answered, with the exchange's own fingerprint.
        prompt, response: (384,) vectors, zero where not `embedded`. style: (30,) likewise.
        measures: those of `schemas.score.MEASURES` that its publisher told.
        part: its number among the exchanges of its record.
        format: in which it came. lacks: what of an exchange it does not tell.
    """

    route: str
    id: str
    ts: datetime
    position: Position
    model: Model
    conversation: str | None
    user: str | None
    tags: Mapping[str, str]
    kept: bool
    flags: tuple[Flag, ...]
    embedded: bool
    prompt: NDArray[np.float16]
    response: NDArray[np.float16]
    style: NDArray[np.float16]
    signals: Mapping[str, Measurement]
    scorer: Scorer
    measures: Mapping[str, float] = field(default_factory=dict)
    part: int = 0
    format: str = NATIVE
    lacks: tuple[str, ...] = ()

    @property
    def identity(self) -> str:
        """Hash of who answered."""
        return identity_of(self.model)


def free_characters(one: ScoredRow | Exchange) -> int:
    """Characters of what publishers may write at any length and a block carries as it is."""
    texts = (one.id, one.conversation, one.user, *one.tags, *one.tags.values(), *vars(one.model).values())
    parts = [name for said in one.signals.values() for name in said.parts] if isinstance(one, ScoredRow) else []
    return sum(len(text) for text in (*texts, *parts) if text)


def blocks_of(rows: Iterable[ScoredRow]) -> Iterator[ScoreBlock]:
    """Rows that follow each other and fit into one block, together; at most 128 rows a block."""
    for _, alike in groupby(rows, key=_kind):
        for part in _parts(alike):
            yield _block(part)


def rows_of(block: ScoreBlock) -> Iterator[ScoredRow]:
    """The rows of a block; `blocks_of` makes the same block of them again.

    Raises:
        ValueError: if a vector holds a number that is not finite.
    """
    prompts, responses = to_rows(block.prompt_vec, VECTOR_WIDTH), to_rows(block.response_vec, VECTOR_WIDTH)
    styles = to_rows(block.style, STYLE_WIDTH)
    for i, id in enumerate(block.id):
        fingerprint = block.fingerprint[i] if block.fingerprint else None
        yield ScoredRow(
            route=block.route,
            id=id,
            ts=block.ts[i],
            position=Position(
                cluster=block.cluster, topic=block.topic, partition=block.partition[i], offset=block.offset[i]
            ),
            model=block.identities[block.identity[i]].model_copy(update={"fingerprint": fingerprint}),
            conversation=block.conversation[i],
            user=block.user[i],
            tags=block.tags[i],
            kept=block.kept[i],
            flags=block.flags[i],
            embedded=block.embedded[i],
            prompt=prompts[i],
            response=responses[i],
            style=styles[i],
            signals={name: _measurement(column, i, block.flags[i]) for name, column in block.signals.items()},
            scorer=block.scorer,
            measures={
                name: column[i] for name in MEASURES if (column := getattr(block, name)) and column[i] is not None
            },
            part=block.part[i] if block.part else 0,
            format=block.format[i] if block.format else NATIVE,
            lacks=block.lacks[i] if block.lacks else (),
        )


def _kind(row: ScoredRow) -> tuple[str, str, str, Scorer, tuple[str, ...]]:
    return row.route, row.position.cluster, row.position.topic, row.scorer, tuple(row.signals)


def _parts(rows: Iterable[ScoredRow]) -> Iterator[Sequence[ScoredRow]]:
    """Cut where a block would get too many rows or too much free text."""
    part: list[ScoredRow] = []
    free = 0
    for row in rows:
        more = free_characters(row)
        if part and (len(part) == MAX_ROWS or free + more > MAX_FREE_CHARACTERS):
            yield part
            part, free = [], 0
        part.append(row)
        free += more
    yield part


def _block(rows: Sequence[ScoredRow]) -> ScoreBlock:
    first = rows[0]
    fingerprints = tuple(row.model.fingerprint for row in rows)
    identities = tuple(row.identity for row in rows)
    models = {identity: row.model for identity, row in zip(identities, rows, strict=True)}
    return ScoreBlock(
        route=first.route,
        scorer=first.scorer,
        cluster=first.position.cluster,
        topic=first.position.topic,
        identities={name: model.model_copy(update={"fingerprint": None}) for name, model in models.items()},
        id=tuple(row.id for row in rows),
        ts=tuple(row.ts for row in rows),
        partition=tuple(row.position.partition for row in rows),
        offset=tuple(row.position.offset for row in rows),
        part=tuple(row.part for row in rows) if any(row.part for row in rows) else (),
        format=tuple(row.format for row in rows) if any(row.format != NATIVE for row in rows) else (),
        lacks=tuple(row.lacks for row in rows) if any(row.lacks for row in rows) else (),
        identity=identities,
        fingerprint=fingerprints if any(fingerprints) else (),
        conversation=tuple(row.conversation for row in rows),
        user=tuple(row.user for row in rows),
        tags=tuple(row.tags for row in rows),
        kept=tuple(row.kept for row in rows),
        flags=tuple(row.flags for row in rows),
        embedded=tuple(row.embedded for row in rows),
        prompt_vec=_column(rows, lambda row: row.prompt),
        response_vec=_column(rows, lambda row: row.response),
        style=_column(rows, lambda row: row.style),
        signals={name: _signal(rows, name) for name in first.signals},
        latency_ms=_measure(rows, "latency_ms"),
        input_tokens=_measure(rows, "input_tokens"),
        output_tokens=_measure(rows, "output_tokens"),
    )


def _column(rows: Sequence[ScoredRow], vector: Callable[[ScoredRow], NDArray[np.float16]]) -> str:
    return to_text(np.stack([vector(row) for row in rows]))


def _signal(rows: Sequence[ScoredRow], name: str) -> SignalColumn:
    said = [row.signals[name] for row in rows]
    return SignalColumn(
        value=tuple(one.value for one in said),
        probability=tuple(one.probability for one in said),
        status=tuple(one.status for one in said),
        parts=tuple(one.parts for one in said) if any(one.parts for one in said) else (),
    )


def _measure(rows: Sequence[ScoredRow], name: str) -> tuple[float | None, ...]:
    """A column, empty where no row has a number."""
    told = tuple(row.measures.get(name) for row in rows)
    return () if all(one is None for one in told) else told


def _measurement(column: SignalColumn, i: int, flags: Sequence[Flag]) -> Measurement:
    reason = NO_RESPONSE if column.value[i] is None and NO_RESPONSE in flags else None
    parts = column.parts[i] if column.parts else {}
    return Measurement(column.value[i], column.probability[i], reason=reason, parts=parts)
