"""Exchanges of a JSONL file, native or recorded answers, with the labels that stand beside them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

from schemas.dead_letter import DeadLetter
from schemas.exchange import Exchange
from schemas.identity import Model
from services.errors import InputError
from services.ingest import json_text
from services.ingest.decode import decode
from services.ingest.errors import FormatError
from services.ingest.jsonl import FileLine, lines
from services.ingest.recorded_answers import START, RecordedAnswer
from services.ports import Received

ROUTE: Final = "labelled/file"


@dataclass(frozen=True, slots=True)
class LabelledExchange:
    """One exchange; `labels` are empty where there are none, `label` of a line is that of every name (``""``)."""

    received: Received
    labels: Mapping[str, Any]

    def label(self, *names: str) -> bool | None:
        """Whether people say yes, under one of these names, else in `label`; None where they say nothing."""
        for name in (*names, ""):
            value = self.labels.get(name)
            if isinstance(value, bool) or (isinstance(value, (int, float)) and value in (0, 1)):
                return bool(value)
        return None


def read_labelled(path: Path) -> tuple[list[LabelledExchange], int]:
    """The exchanges of a file in order, and how many lines were none.

    Raises:
        InputError: if the file cannot be read, or holds no exchange.
    """
    try:
        found = list(_read(path))
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}; name a JSONL file of exchanges") from None
    known = [one for one in found if isinstance(one, LabelledExchange)]
    if not known:
        why = next((one for one in found if isinstance(one, str)), "is empty")
        raise InputError(f"{path}: holds no exchange: {why}")
    return known, len(found) - len(known)


def _read(path: Path) -> Iterator[LabelledExchange | str]:
    for line in lines(path):
        if line.kind == "scores":
            yield "holds scores, not texts; name the file that was scored"
            continue
        yield _recorded(line) or _native(line)


def _recorded(line: FileLine) -> LabelledExchange | None:
    """A recorded answer; None where the line is none."""
    try:
        row, _ = json_text.sanitise(json_text.parse(json_text.unicode_of(line.raw)[0]))
        if not (isinstance(row, dict) and isinstance(row.get("model"), str) and isinstance(row.get("version"), str)):
            return None
        answer = RecordedAnswer.of(row, line.position.offset)
    except (FormatError, InputError):
        return None
    number = line.position.offset
    exchange = Exchange(
        id=f"{line.position.topic}/{number}",
        ts=START + timedelta(seconds=number),
        route=ROUTE,
        model=Model(requested=answer.model, served=f"{answer.model}-{answer.version}"),
        prompt=answer.prompt,
        response=answer.response,
    )
    return LabelledExchange(Received(exchange, line.position), _labels(row))


def _native(line: FileLine) -> LabelledExchange | str:
    item = decode(line.raw, line.position)
    if isinstance(item, DeadLetter):
        return f"line {line.position.offset}: {item.reason}"
    return LabelledExchange(item, _labels(item.exchange.extra))


def _labels(of: Mapping[str, Any]) -> dict[str, Any]:
    named = of.get("labels")
    found = dict(named) if isinstance(named, Mapping) else {}
    return {**found, "": of["label"]} if "label" in of else found
