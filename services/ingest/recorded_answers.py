"""Recorded answers -> native exchanges: simulated traffic whose model is replaced at a known exchange. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import numpy as np
from pydantic import TypeAdapter, ValidationError

from schemas.exchange import Exchange, Route
from schemas.identity import Model
from services.errors import InputError
from services.ingest import json_text
from services.ingest.errors import FormatError

START: Final = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class RecordedAnswer:
    """One recorded answer, in the form `{source, model, version, prompt, response, labels}`."""

    model: str
    version: str
    prompt: str
    response: str
    source: str = ""
    labels: Mapping[str, Any] | None = None

    @classmethod
    def of(cls, row: Any, number: int) -> RecordedAnswer:
        """Read line `number` of a file of recorded answers.

        Raises:
            InputError: if a field is missing or of another type.
        """
        row, _ = json_text.sanitise(row)
        if not isinstance(row, dict):
            raise InputError(f"line {number}: must be a JSON object of a recorded answer")
        for name in ("model", "version", "prompt", "response"):
            if not isinstance(row.get(name), str):
                raise InputError(f"line {number}: {name} must be text; this is no file of recorded answers")
        labels = row.get("labels") or {}
        if not isinstance(labels, dict):
            raise InputError(f"line {number}: labels must be an object")
        source = str(row.get("source", ""))
        return cls(row["model"], row["version"], row["prompt"], row["response"], source, labels)


@dataclass(frozen=True, slots=True)
class Draw:
    """`count` answers of one model and version, drawn with replacement."""

    model: str
    version: str
    count: int

    @classmethod
    def of(cls, model_at_version: str, count: int) -> Draw:
        """From `MODEL@VERSION`; the version is what follows the first `@` and may hold spaces.

        Raises:
            InputError: if a part is missing or `count` is below 1.
        """
        model, at, version = model_at_version.partition("@")
        if not (model and at and version):
            raise InputError(f"--model {model_at_version}: write MODEL@VERSION, for example gpt-4@0314")
        if count < 1:
            raise InputError(f"--draw {count}: must be at least 1")
        return cls(model, version, count)


@dataclass(frozen=True, slots=True)
class Conversion:
    """What traffic is made.

    Attributes:
        draws: in order of time. route: of every exchange.
        where: (key, value): only answers with `str(labels[key]) == value`; None takes all.
        step: seconds between exchanges, from 2026-01-01.
        announced: whether the identity says who answers; otherwise all claim to be the first draw's model.
    """

    draws: tuple[Draw, ...]
    route: str
    seed: int
    where: tuple[str, str] | None = None
    step: float = 86.4
    announced: bool = False


def read_recorded(lines: Iterable[bytes]) -> tuple[RecordedAnswer, ...]:
    """The recorded answers of a JSONL file, line by line; blank lines are skipped.

    Raises:
        InputError: names the line that cannot be read, and why.
    """
    rows = []
    for number, raw in enumerate(lines, start=1):
        if raw.strip():
            try:
                rows.append(RecordedAnswer.of(json_text.parse(json_text.unicode_of(raw)[0]), number))
            except FormatError as error:
                raise InputError(f"line {number}: {error}") from None
    return tuple(rows)


def parse_draws(models: Sequence[str], counts: str) -> tuple[Draw, ...]:
    """`--model` (once or more) and `--draw N[,N2]` as draws.

    >>> parse_draws(["gpt-4@0314", "gpt-4@0613"], "1500,1000")[1]
    Draw(model='gpt-4', version='0613', count=1000)

    Raises:
        InputError: if there are not as many counts as models, or one of either cannot be read.
    """
    parts = counts.split(",")
    if not models or len(parts) != len(models):
        raise InputError(f"--draw {counts}: give one number per --model ({len(models)}), for example 1500,1000")
    if not all(part.strip().isascii() and part.strip().isdigit() and len(part.strip()) <= 9 for part in parts):
        raise InputError(f"--draw {counts}: must be whole numbers, for example 1500,1000")
    return tuple(Draw.of(model, int(part)) for model, part in zip(models, parts, strict=True))


def parse_where(text: str) -> tuple[str, str]:
    """`KEY=VALUE` of `--where`.

    Raises:
        InputError: if there is no `=` or no key.
    """
    key, equals, value = text.partition("=")
    if not (key and equals):
        raise InputError(f"--where {text}: write KEY=VALUE, for example prompt_harmful=1")
    return key, value


def convert(rows: Sequence[RecordedAnswer], wanted: Conversion) -> Iterator[Exchange]:
    """Exchanges drawn from `rows` with `numpy.random.default_rng(seed)`; the same input gives the same exchanges.

    Raises:
        InputError: at once, if a model, version or label is not among `rows`, or a time would leave [2000, 2100).
    """
    _check(wanted)
    pools = [_pool(rows, draw, wanted.where) for draw in wanted.draws]
    return _drawn(pools, wanted)


def _check(wanted: Conversion) -> None:
    count = sum(draw.count for draw in wanted.draws)
    if not 0 <= wanted.step * count < 70 * 365 * 86400:
        raise InputError(f"--step {wanted.step}: {count} exchanges must fit between 2026 and 2096")
    if wanted.seed < 0:
        raise InputError(f"--seed {wanted.seed}: must be at least 0")
    try:
        TypeAdapter(Route).validate_python(wanted.route, strict=True)
    except ValidationError:
        raise InputError(
            f"--route {wanted.route}: must be 1-200 characters of [a-z0-9._/-], without a segment named safety, "
            "profile or metrics, and not under _keelwatch/"
        ) from None


def _drawn(pools: Sequence[Sequence[RecordedAnswer]], wanted: Conversion) -> Iterator[Exchange]:
    rng = np.random.default_rng(wanted.seed)
    index = 0
    for pool, draw in zip(pools, wanted.draws, strict=True):
        named = draw if wanted.announced else wanted.draws[0]
        model = Model(requested=named.model, served=f"{named.model}-{named.version}")
        for choice in rng.integers(len(pool), size=draw.count):
            yield _exchange(pool[choice], model, index, wanted)
            index += 1


def _exchange(row: RecordedAnswer, model: Model, index: int, wanted: Conversion) -> Exchange:
    recorded = {"source": row.source, "model": row.model, "version": row.version, "labels": dict(row.labels or {})}
    return Exchange(
        id=f"{wanted.seed}-{index}",
        ts=START + timedelta(seconds=wanted.step * index),
        route=wanted.route,
        model=model,
        prompt=row.prompt,
        response=row.response,
        extra={"recorded": recorded},
    )


def _pool(rows: Sequence[RecordedAnswer], draw: Draw, where: tuple[str, str] | None) -> list[RecordedAnswer]:
    pool = [row for row in rows if (row.model, row.version) == (draw.model, draw.version)]
    if not pool:
        known = sorted({f"{row.model}@{row.version}" for row in rows})
        raise InputError(
            f"--model {draw.model}@{draw.version}: not in the file, which has {', '.join(known) or 'nothing'}"
        )
    if where is None:
        return pool
    key, value = where
    chosen = [row for row in pool if key in (row.labels or {}) and str((row.labels or {})[key]) == value]
    if not chosen:
        raise InputError(_no_match(pool, draw, key, value))
    return chosen


def _no_match(pool: Sequence[RecordedAnswer], draw: Draw, key: str, value: str) -> str:
    values = sorted({str((row.labels or {})[key]) for row in pool if key in (row.labels or {})})
    name = f"{draw.model}@{draw.version}"
    if values:
        return f"--where {key}={value}: no answer of {name}; {key} is one of {', '.join(values[:20])}"
    keys = sorted({known for row in pool for known in row.labels or {}})
    return f"--where {key}={value}: answers of {name} have no label {key}, only {', '.join(keys) or 'none'}"
