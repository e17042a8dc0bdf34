"""Broken and hostile lines, made by code, each with what must become of it: the bad-input corpus.

`CORPUS` is for every step that reads raw exchanges: `decode`, `score`, `replay`, the stream. No line holds a line
feed, ids differ (but for the cases about ids), and times are those of `TS`, so that a file of them in any order is
as good as each alone, but for the flag `skew` (it depends on the line before).
"""

from __future__ import annotations

from typing import Final

from tests.support import corpus_bytes, corpus_fields, corpus_numbers, corpus_text
from tests.support.case import Case, exchange, line

__all__ = ["CORPUS", "Case", "exchange", "line", "neighbour", "with_neighbours"]

CORPUS: Final[tuple[Case, ...]] = tuple(
    case
    for make in (
        corpus_bytes.not_json,
        corpus_bytes.not_an_exchange,
        corpus_bytes.encodings,
        corpus_text.invalid_characters,
        corpus_text.strange_but_valid,
        corpus_fields.wrong_types,
        corpus_fields.missing,
        corpus_numbers.numbers,
        corpus_numbers.times,
        corpus_fields.routes_and_ids,
        corpus_fields.unknown_fields,
        corpus_bytes.twice,
        corpus_bytes.deep,
        corpus_text.long,
    )
    for case in make()
)
"""Every case, in a fixed order; `len(CORPUS)` is well over 200."""


def neighbour(name: str) -> bytes:
    """A valid line to stand before or after a case, with the time `TS`."""
    return line(exchange(f"neighbour-{name}"))


def with_neighbours(cases: tuple[Case, ...] = CORPUS) -> bytes:
    """A JSONL file in which every case stands between two valid lines: line 2i + 2 (from 1) is case i."""
    lines = [neighbour("first")]
    for i, case in enumerate(cases):
        lines += [case.raw, neighbour(str(i))]
    return b"\n".join(lines) + b"\n"
