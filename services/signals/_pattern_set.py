"""Which of many patterns occur in a text, found in one pass that is linear in the text, whatever the text."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from contextlib import suppress
from typing import Any


def _collect(pattern: int, _start: int, _end: int, _flags: int, found: list[int]) -> None:
    found.append(pattern)


class PatternSet:
    """Patterns compiled together, once, at the first scan; safe to use from several threads.

    The patterns are hyperscan's subset of PCRE over the UTF-8 bytes of the text: no look-around, no captures, and
    a character class knows ASCII only. They are matched without regard to case. A hit names a candidate; what is
    precise (borders, checksums, captures) is confirmed with `re` afterwards.

    Args:
        patterns: name of the pattern to its source.
    """

    def __init__(self, patterns: Mapping[str, str]) -> None:
        self._patterns = dict(patterns)
        self._names = tuple(self._patterns)
        self._lock = threading.Lock()
        self._database: Any = None
        self._local = threading.local()

    def found(self, text: str) -> frozenset[str]:
        """Names of the patterns that occur in `text`; lone surrogates are read as question marks."""
        hits: list[int] = []
        data = text.encode("utf-8", "replace")
        scratch = self._scratch()
        self._database.scan(data, match_event_handler=_collect, context=hits, scratch=scratch)
        return frozenset(self._names[hit] for hit in hits)

    def _scratch(self) -> Any:
        scratch = getattr(self._local, "scratch", None)
        if scratch is None:
            import hyperscan  # noqa: PLC0415

            with self._lock:
                if self._database is None:
                    self._database = self._compile()
                scratch = self._local.scratch = hyperscan.Scratch(self._database)
        return scratch

    def _compile(self) -> Any:
        import hyperscan  # noqa: PLC0415 -- whoever only asks for a signal's spec needs no matcher

        flags = hyperscan.HS_FLAG_CASELESS | hyperscan.HS_FLAG_DOTALL | self._how_reported(hyperscan)
        database = hyperscan.Database()
        sources = [source.encode() for source in self._patterns.values()]
        count = len(sources)
        database.compile(expressions=sources, ids=list(range(count)), elements=count, flags=[flags] * count)
        return database

    def _how_reported(self, hyperscan: Any) -> int:
        return int(hyperscan.HS_FLAG_SINGLEMATCH)


class PatternPlaces(PatternSet):
    """Patterns as in `PatternSet`, of which every place is reported."""

    def places(self, data: bytes, most: int) -> list[tuple[str, int, int]]:
        """(name, start, end) of the first `most` hits; where a pattern may end at several places, one for each."""
        import hyperscan  # noqa: PLC0415

        hits: list[tuple[str, int, int]] = []

        def collect(pattern: int, start: int, end: int, _flags: int, _context: object) -> bool | None:
            hits.append((self._names[pattern], start, end))
            return True if len(hits) >= most else None

        scratch = self._scratch()
        with suppress(hyperscan.ScanTerminated):
            self._database.scan(data, match_event_handler=collect, scratch=scratch)
        return hits

    def _how_reported(self, hyperscan: Any) -> int:
        return int(hyperscan.HS_FLAG_SOM_LEFTMOST)
