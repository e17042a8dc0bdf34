"""Patterns that people write themselves (in the monitor file), found by hyperscan alone: linear whatever they wrote.

`re` would backtrack: `(a+)+b` takes it hours, hyperscan not. So spans come from hyperscan too.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple

from services.signals._hyperscan import CompiledPatterns

MAX_PATTERN: Final = 500
_REMEDIES: Final = (
    ("matches empty buffer", "it matches the empty text; ask for at least one character, with + or {1,}"),
    ("Zero-width", "look-ahead and look-behind are not read; leave them out, borders are looked at by themselves"),
    ("Back-reference", "back-references are not read; write out what is meant"),
    ("too large", "a repetition is too large; bound it lower, for example {20,200}"),
    ("too complex", "it is too complex; split it into several"),
)


class PatternRefused(ValueError):  # noqa: N818 -- a state of the world, like FileExistsError's
    """A pattern that cannot be used. The message says why and what to write instead."""


class Found(NamedTuple):
    """Characters `start` to `end` of the text that a pattern fits."""

    name: str
    start: int
    end: int


class OwnPatterns:
    """Patterns compiled together, once, at the first look; safe to use from several threads.

    They are matched with regard to case. Of what begins at one character the longest counts that ends at a border
    (no letter, digit or underscore on either side of the match); what overlaps an earlier match of the same pattern
    is left out.

    Args:
        patterns: name to source, in hyperscan's subset of PCRE: no look-around, no back-references.
    """

    def __init__(self, patterns: Mapping[str, str]) -> None:
        self._names = tuple(patterns)
        self._compiled = _compiled(tuple(patterns.values()))

    def find(self, text: str) -> Iterator[Found]:
        """What the patterns fit in `text`, pattern by pattern, from left to right."""
        if not self._names:
            return
        raw = text.encode("ascii", "replace")  # one byte a character, so that offsets are those of the text
        ends: dict[tuple[int, int], int] = {}

        def collect(pattern: int, start: int, end: int) -> None:
            if not _inside_word(raw, start) and not _inside_word(raw, end):
                ends[pattern, start] = max(end, ends.get((pattern, start), 0))

        self._compiled.scan(raw, collect)
        last = (-1, 0)
        for (pattern, start), end in sorted(ends.items()):
            if (pattern, start) >= last:
                last = pattern, end
                yield Found(self._names[pattern], start, end)


def _inside_word(raw: bytes, at: int) -> bool:
    """Whether a word goes on across byte `at`; letters beyond ASCII are no part of it, keys have none."""
    return 0 < at < len(raw) and _is_word(raw[at - 1]) and _is_word(raw[at])


def _is_word(byte: int) -> bool:
    return byte == 0x5F or 0x30 <= byte <= 0x39 or 0x41 <= byte <= 0x5A or 0x61 <= byte <= 0x7A


def _compiled(sources: tuple[str, ...]) -> CompiledPatterns:
    return CompiledPatterns(sources, ("HS_FLAG_SOM_LEFTMOST", "HS_FLAG_DOTALL"))


def check_pattern(source: str) -> None:
    """Whether a pattern can be used.

    Raises:
        PatternRefused: if it is empty, too long, fits the empty text, or is not in the subset that is linear.
    """
    import hyperscan  # noqa: PLC0415

    if not source or len(source) > MAX_PATTERN:
        raise PatternRefused(f"must be 1 to {MAX_PATTERN} characters")
    if not source.isascii():
        raise PatternRefused("must be ASCII; write other characters as what surrounds them, or leave them out")
    try:
        _compiled((source,)).compile()
    except hyperscan.error as fault:
        told = str(fault)
        said = next((remedy for words, remedy in _REMEDIES if words in told), None)
        raise PatternRefused(said or f"not a pattern: {told.rstrip('.')}") from None
