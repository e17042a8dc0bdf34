"""Which of many patterns occur in a text, found in one pass that is linear in the text, whatever the text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from services.signals._hyperscan import CompiledPatterns

_FLAGS: Final = ("HS_FLAG_CASELESS", "HS_FLAG_SINGLEMATCH", "HS_FLAG_DOTALL")


class PatternSet:
    """Patterns compiled together, once, at the first scan; safe to use from several threads.

    The patterns are hyperscan's subset of PCRE over the UTF-8 bytes of the text: no look-around, no captures, and
    a character class knows ASCII only. They are matched without regard to case. A hit names a candidate; what is
    precise (borders, checksums, captures) is confirmed with `re` afterwards.

    Args:
        patterns: name of the pattern to its source.
    """

    def __init__(self, patterns: Mapping[str, str]) -> None:
        self._names = tuple(patterns)
        self._compiled = CompiledPatterns(tuple(patterns.values()), _FLAGS)

    def found(self, text: str) -> frozenset[str]:
        """Names of the patterns that occur in `text`; lone surrogates are read as question marks."""
        hits: list[int] = []

        def hit(pattern: int, _start: int, _end: int) -> None:
            hits.append(pattern)

        self._compiled.scan(text.encode("utf-8", "replace"), hit)
        return frozenset(self._names[hit] for hit in hits)


class PatternPlaces:
    """Patterns as in `PatternSet`, of which every place is reported.

    Args:
        patterns: name of the pattern to its source.
    """

    def __init__(self, patterns: Mapping[str, str]) -> None:
        self._names = tuple(patterns)
        flags = ("HS_FLAG_CASELESS", "HS_FLAG_DOTALL", "HS_FLAG_SOM_LEFTMOST")
        self._compiled = CompiledPatterns(tuple(patterns.values()), flags)

    def places(self, data: bytes, most: int) -> list[tuple[str, int, int]]:
        """(name, start, end) of the first `most` hits; where a pattern may end at several places, one for each."""
        hits: list[tuple[str, int, int]] = []

        def hit(pattern: int, start: int, end: int) -> bool | None:
            hits.append((self._names[pattern], start, end))
            return True if len(hits) >= most else None

        self._compiled.scan(data, hit)
        return hits
