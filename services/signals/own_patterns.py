"""Patterns that people write themselves (in the monitor file), found by RE2 alone: linear whatever they wrote.

`re` would backtrack: `(a+)+b` takes it hours. Hyperscan does not tell where a match begins without a mode of its own
that crashes on ordinary patterns (seen with 0.9.1: `(ab)+c`), so what needs both ends is not found by it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any, Final, NamedTuple

MAX_PATTERN: Final = 500
_REMEDIES: Final = (
    ("(?=", "look-ahead and look-behind are not read; leave them out, borders are looked at by themselves"),
    ("(?!", "look-ahead and look-behind are not read; leave them out, borders are looked at by themselves"),
    ("(?<", "look-ahead and look-behind are not read; leave them out, borders are looked at by themselves"),
    (
        "invalid escape sequence: \\",
        "back-references and escapes of other engines are not read; write out what is meant",
    ),
    ("repetition size", "a repetition is too large; bound it lower, for example {20,200}"),
    ("too large", "a repetition is too large; bound it lower, for example {20,200}"),
)
_BEFORE: Final = r"(?:\b|\A|[^A-Za-z0-9_])"
_AFTER: Final = r"(?:\b|\z|[^A-Za-z0-9_])"


class PatternRefused(ValueError):  # noqa: N818 -- a state of the world, like FileExistsError's
    """A pattern that cannot be used. The message says why and what to write instead."""


class Found(NamedTuple):
    """Characters `start` to `end` of the text that a pattern fits."""

    name: str
    start: int
    end: int


class OwnPatterns:
    """Patterns that find what stands between borders; safe to use from several threads.

    They are matched with regard to case. Of what begins at one character the longest counts that ends at a border
    (no letter, digit or underscore goes on across either end of the match); what overlaps an earlier match of the same
    pattern is left out.

    Args:
        patterns: name to source, as RE2 reads it: no look-around, no back-references.
    """

    def __init__(self, patterns: Mapping[str, str]) -> None:
        self._patterns = dict(patterns)

    def find(self, text: str) -> Iterator[Found]:
        """What the patterns fit in `text`, pattern by pattern, from left to right."""
        if not self._patterns:
            return
        # One byte a character, so that places are those of the text; of a `str` each search would make bytes again.
        plain = text.encode("ascii", "replace")
        for name, source in self._patterns.items():
            compiled, at = _compiled(source), 0
            while (match := compiled.search(plain, at)) is not None:
                start, end = match.span(1)
                if end > start:
                    yield Found(name, start, end)
                at = max(end, at + 1)


@lru_cache(maxsize=256)
def _compiled(source: str) -> Any:
    """The pattern between borders, of which the longest match counts."""
    import re2  # noqa: PLC0415 -- whoever only asks for a spec needs no matcher

    options = re2.Options()
    options.longest_match = True
    options.dot_nl = True
    options.log_errors = False
    options.encoding = re2.Options.Encoding.LATIN1
    return re2.compile(f"{_BEFORE}({source}){_AFTER}".encode(), options)


def check_pattern(source: str) -> None:
    """Whether a pattern can be used.

    Raises:
        PatternRefused: if it is empty, too long, fits the empty text, or is none that RE2 reads.
    """
    import re2  # noqa: PLC0415

    if not source or len(source) > MAX_PATTERN:
        raise PatternRefused(f"must be 1 to {MAX_PATTERN} characters")
    if not source.isascii():
        raise PatternRefused("must be ASCII; write other characters as what surrounds them, or leave them out")
    try:
        re2.compile(source, _silent(re2))  # alone: half a bracket is no pattern, although two halves would be
        _compiled(source)
    except re2.error as fault:
        told = fault.args[0].decode(errors="replace") if isinstance(fault.args[0], bytes) else str(fault)
        said = next((remedy for words, remedy in _REMEDIES if words in told), None)
        raise PatternRefused(said or f"not a pattern: {told.rstrip('.')}") from None
    if re2.compile(source, _silent(re2)).fullmatch("") is not None:
        raise PatternRefused("it matches the empty text; ask for at least one character, with + or {1,}")


def _silent(re2: Any) -> Any:
    options = re2.Options()
    options.log_errors = False
    return options
