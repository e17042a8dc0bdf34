"""Exchanges that were scored before: the lines of a file, or what the database keeps of a route. Nothing is scored."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection

from detectors.protocol import Detector
from schemas.base import moment
from schemas.identity import Model
from schemas.position import Position
from schemas.score import STYLE_WIDTH, VECTOR_WIDTH, WITHOUT_ANSWER, Scorer
from services.errors import InputError
from services.ingest.jsonl import lines
from services.monitor import RoutePolicy
from services.ports import Received
from services.replay.runner import ReplayDependencies, ReplayResult, ReplayRunner
from services.score.blocks import NO_RESPONSE, ScoredRow
from services.score.core import ScoredBatch
from services.score.score_lines import parse_line
from services.signals.protocol import Measurement
from services.store import routes, scores
from services.wording import replays as words

_HALF: Final = np.dtype("<f2")


def read_score_lines(path: Path) -> list[ScoredRow]:
    """The score lines of a file, in order.

    Raises:
        InputError: if it cannot be read, holds none, or a line is something else; it names the line and the remedy.
    """
    rows = []
    try:
        for line in lines(path):
            if line.kind != "scores":
                raise InputError(words.not_scored(f"{path}, line {line.position.offset}", str(path)))
            rows.append(_parsed(path, line.position.offset, line.raw))
    except OSError as error:
        raise InputError(words.unread(str(path), error.strerror or "unknown error")) from None
    if not rows:
        raise InputError(words.empty(str(path)))
    return rows


def _parsed(path: Path, number: int, raw: bytes) -> ScoredRow:
    try:
        return parse_line(raw)
    except ValueError as error:
        raise InputError(f"{path}, line {number}: {error}") from None


def stored_rows(connection: Connection, route: str) -> list[ScoredRow]:
    """What the database keeps of a route: the last 5,000 exchanges of each identity, and those of incidents."""
    stored = scores.of_route(connection, route)
    models = routes.identities(connection, route)
    made_by = scores.scorers(connection, {row["scorer"] for row in stored})
    return _numbered([_stored_row(row, models[row["identity"]], made_by[row["scorer"]]) for row in stored])


def _numbered(rows: Sequence[ScoredRow]) -> list[ScoredRow]:
    """Rows that follow each other from one record, which the database does not number, as parts of it."""
    numbered: list[ScoredRow] = []
    for row in rows:
        before = numbered[-1] if numbered else None
        same = before is not None and before.position == row.position
        numbered.append(replace(row, part=before.part + 1) if before is not None and same else row)
    return numbered


def replay_scores(
    rows: Iterable[ScoredRow],
    detectors: tuple[Detector[Any, Any], ...],
    policy: Callable[[str], RoutePolicy],
    progress: Callable[[int], object] = lambda n: None,
) -> ReplayResult:
    """Run detect, alert and incident over the rows; `progress` is told of each."""
    runner = ReplayRunner(ReplayDependencies(_score_nothing, detectors, policy))
    for row in rows:
        runner.feed(row)
        progress(1)
    return runner.finish()


def majority(rows: Sequence[ScoredRow]) -> str:
    """The identity that answered most of the rows; the first of those that answered as many."""
    return Counter(row.identity for row in rows).most_common(1)[0][0]


def learnable(rows: Iterable[ScoredRow]) -> list[ScoredRow]:
    """Those of the rows that a baseline may be made of: answered, with vectors."""
    return [row for row in rows if row.embedded and WITHOUT_ANSWER.isdisjoint(row.flags)]


def renumbered(rows: Sequence[ScoredRow], ids: str, first: int, start: float, seconds: float) -> list[ScoredRow]:
    """Copies of the rows as exchanges of their own that follow each other: ids, positions and times are new.

    Their ids begin with `ids`, which is their topic too, and number from `first` on. Number 0 is at `start`, in seconds
    since 1970, and each next one so many seconds later.
    """
    return [
        replace(
            row,
            id=f"{ids}-{number}",
            ts=moment(start + seconds * number),
            position=Position(cluster="keelwatch", topic=ids, partition=0, offset=number),
            flags=tuple(flag for flag in row.flags if flag != "skew"),
        )
        for number, row in enumerate(rows, start=first)
    ]


def _score_nothing(received: Sequence[Received]) -> ScoredBatch:
    assert not received
    return ScoredBatch()


def _stored_row(row: Mapping[str, Any], model: Model, scorer: Scorer) -> ScoredRow:
    flags = tuple(msgspec.json.decode(row["flags"]))
    return ScoredRow(
        route=row["route"],
        id=row["id"],
        ts=row["ts"],
        position=Position(cluster=row["cluster"], topic=row["topic"], partition=row["partition"], offset=row["offset"]),
        model=model.model_copy(update={"fingerprint": row["fingerprint"]}),
        conversation=row["conversation"],
        user=row["user"],
        tags=msgspec.json.decode(row["tags"]),
        kept=row["kept"],
        flags=flags,
        embedded=row["embedded"],
        prompt=_vector(row["prompt_vec"], VECTOR_WIDTH),
        response=_vector(row["response_vec"], VECTOR_WIDTH),
        style=_vector(row["style"], STYLE_WIDTH),
        signals={
            name: Measurement(
                found.value,
                found.probability,
                reason=NO_RESPONSE if found.value is None and NO_RESPONSE in flags else None,
                parts=found.parts,
            )
            for name, found in scores.stored_signals(row["signals"]).items()
        },
        scorer=scorer,
    )


def _vector(stored: bytes | None, width: int) -> NDArray[np.float16]:
    if stored is None:
        return np.zeros(width, np.float16)
    return np.frombuffer(stored, dtype=_HALF).astype(np.float16)
