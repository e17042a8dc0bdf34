"""Score blocks as lines, one JSON object an exchange, and lines as rows again: what files of scores hold.

`block_lines` is read by people and by other programs; with vectors, `parse_line` and `blocks_of` undo it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Final

import numpy as np
from numpy.typing import NDArray
from pydantic import ConfigDict, Field, ValidationError

from schemas.base import Hash16, NonNegative, Part, Timestamp, iso
from schemas.exchange import Route
from schemas.identity import Model, identity_of
from schemas.position import Position
from schemas.score import STYLE_WIDTH, VECTOR_WIDTH, Category, Flag, Parts, ScoreBlock, Scorer, Status
from services.score.blocks import ScoredRow, rows_of
from services.signals.protocol import Measurement
from services.specs import signal_of
from services.vectors import to_rows, to_text

_NO_VERSION: Final = "unknown"
_NEEDED: Final = frozenset({"embedded", "kept", "prompt_vec", "response_vec", "style", "source", "scorer"})
LINE_FIELDS: Final = (
    "id",
    "route",
    "ts",
    "identity",
    "model",
    "conversation",
    "user",
    "tags",
    "flags",
    "signals",
)
"""The fields of a line without vectors."""
_VECTORS: Final = {"prompt_vec": VECTOR_WIDTH, "response_vec": VECTOR_WIDTH, "style": STYLE_WIDTH}


class LineSignal(Part):
    """One signal of one exchange; `reason` says why it is unscored, where that is known; `parts` as in blocks."""

    value: bool | float | Category | None
    probability: float | None = None
    status: Status
    reason: str | None = None
    version: str
    parts: Parts = Field(default_factory=dict)


class ScoreLine(Part):
    """One exchange of a score block: the form of `score --vectors` and `capture`. Unknown fields are ignored."""

    model_config = ConfigDict(extra="ignore")

    id: Annotated[str, Field(min_length=1)]
    route: Route
    ts: Timestamp
    identity: Hash16
    model: Model
    conversation: str | None = None
    user: str | None = None
    tags: Mapping[str, str] = Field(default_factory=dict)
    flags: tuple[Flag, ...] = ()
    signals: Mapping[str, LineSignal]
    embedded: bool
    kept: bool
    prompt_vec: str
    response_vec: str
    style: str
    source: tuple[str, str, NonNegative, NonNegative]
    part: NonNegative = 0
    scorer: Scorer
    measures: Mapping[str, Annotated[float, Field(ge=0)]] = Field(default_factory=dict)


def block_lines(block: ScoreBlock, *, vectors: bool) -> Iterator[dict[str, Any]]:
    """One JSON object an exchange; `vectors` adds all that `parse_line` needs."""
    for row in rows_of(block):
        line = _numbers(row)
        yield {**line, **_vectors(row)} if vectors else line


def parse_line(raw: bytes | str) -> ScoredRow:
    """The exchange of one line with vectors.

    Raises:
        ValueError: names the field that is wrong; never repeats content.
    """
    try:
        line = ScoreLine.model_validate_json(raw)
    except ValidationError as error:
        raise ValueError(_violation(error)) from None
    return _row(line)


def _numbers(row: ScoredRow) -> dict[str, Any]:
    return {
        "id": row.id,
        "route": row.route,
        "ts": iso(row.ts),
        "identity": row.identity,
        "model": row.model.model_dump(mode="json"),
        "conversation": row.conversation,
        "user": row.user,
        "tags": dict(row.tags),
        "flags": list(row.flags),
        "signals": {
            name: _signal(measured, row.scorer.signals.get(name, _NO_VERSION)) for name, measured in row.signals.items()
        },
    }


def _signal(measured: Measurement, version: str) -> dict[str, Any]:
    told = {
        "value": measured.value,
        "probability": measured.probability,
        "status": measured.status,
        "reason": measured.reason,
        "version": version,
    }
    return {**told, "parts": dict(measured.parts)} if measured.parts else told


def _vectors(row: ScoredRow) -> dict[str, Any]:
    at = row.position
    measures = {"measures": dict(row.measures)} if row.measures else {}
    return {
        **measures,
        **({"part": row.part} if row.part else {}),
        "embedded": row.embedded,
        "kept": row.kept,
        "prompt_vec": to_text(row.prompt),
        "response_vec": to_text(row.response),
        "style": to_text(row.style),
        "source": [at.cluster, at.topic, at.partition, at.offset],
        "scorer": row.scorer.model_dump(mode="json"),
    }


def _row(line: ScoreLine) -> ScoredRow:
    if identity_of(line.model) != line.identity:
        raise ValueError("identity: is not that of `model`; the line was changed by hand")
    cluster, topic, partition, offset = line.source
    prompt, response, style = (_vector(line, column, width) for column, width in _VECTORS.items())
    return ScoredRow(
        route=line.route,
        id=line.id,
        ts=line.ts,
        position=Position(cluster=cluster, topic=topic, partition=partition, offset=offset),
        model=line.model,
        conversation=line.conversation,
        user=line.user,
        tags=line.tags,
        kept=line.kept,
        flags=line.flags,
        embedded=line.embedded,
        prompt=prompt,
        response=response,
        style=style,
        signals={name: _measurement(name, measured, line.scorer) for name, measured in line.signals.items()},
        scorer=line.scorer,
        measures=line.measures,
        part=line.part,
    )


def _vector(line: ScoreLine, column: str, width: int) -> NDArray[np.float16]:
    try:
        rows = to_rows(getattr(line, column), width)
    except ValueError as error:
        raise ValueError(f"{column}: {error}") from None
    if len(rows) != 1:
        raise ValueError(f"{column}: holds {len(rows)} rows of {width} numbers instead of one")
    row: NDArray[np.float16] = rows[0]
    return row


def _measurement(name: str, measured: LineSignal, scorer: Scorer) -> Measurement:
    if isinstance(measured.value, str) and not signal_of(name).category:
        raise ValueError(
            f"signals.{name}.value: a text is the value of a category alone; true, false, a number or null"
        )
    measurement = Measurement(measured.value, measured.probability, reason=measured.reason, parts=measured.parts)
    if measurement.status != measured.status:
        raise ValueError(f"signals.{name}.status: a value is scored, null is unscored")
    if scorer.signals.get(name, _NO_VERSION) != measured.version:
        raise ValueError(f"signals.{name}.version: is not the one that `scorer` names")
    return measurement


def _violation(error: ValidationError) -> str:
    """The first violation: path, what is wrong, how many more there are."""
    found = error.errors(include_url=False, include_input=False)
    path = ".".join(str(step) for step in found[0]["loc"]) or "line"
    missing = found[0]["type"] == "missing" and path in _NEEDED
    wrong = "is missing; write the file with `keelwatch score --vectors`" if missing else found[0]["msg"]
    return f"{path}: {wrong}" + (f" (and {len(found) - 1} more)" if len(found) > 1 else "")
