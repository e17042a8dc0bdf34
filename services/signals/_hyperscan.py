"""Patterns compiled together by hyperscan, once, at the first scan, for any number of threads."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any

OnMatch = Callable[[int, int, int], bool | None]
"""(pattern, first byte, byte after the last) of a match; True ends the scan."""


class CompiledPatterns:
    """Patterns over bytes; safe to use from several threads.

    Args:
        sources: hyperscan's subset of PCRE; a match names a pattern by its place.
        flags: names of hyperscan's flags, such as `HS_FLAG_CASELESS`.
    """

    def __init__(self, sources: Sequence[str], flags: Sequence[str]) -> None:
        self._sources = tuple(sources)
        self._flags = tuple(flags)
        self._lock = threading.Lock()
        self._database: Any = None
        self._local = threading.local()

    def scan(self, data: bytes, on_match: OnMatch) -> None:
        """Tell of every match in `data`, by where it ends."""
        import hyperscan  # noqa: PLC0415 -- whoever only asks for a spec needs no matcher

        def told(pattern: int, start: int, end: int, _flags: int, _context: object) -> bool | None:
            return on_match(pattern, start, end)

        scratch = self._scratch(hyperscan)
        try:
            self._database.scan(data, match_event_handler=told, scratch=scratch)
        except hyperscan.ScanTerminated:
            return

    def compile(self) -> Any:
        """The database.

        Raises:
            hyperscan.error: if a source is not in the subset.
        """
        import hyperscan  # noqa: PLC0415

        flags = 0
        for name in self._flags:
            flags |= getattr(hyperscan, name)
        database = hyperscan.Database()
        sources = [source.encode() for source in self._sources]
        count = len(sources)
        database.compile(expressions=sources, ids=list(range(count)), elements=count, flags=[flags] * count)
        return database

    def _scratch(self, hyperscan: Any) -> Any:
        scratch = getattr(self._local, "scratch", None)
        if scratch is None:
            with self._lock:
                if self._database is None:
                    self._database = self.compile()
                scratch = self._local.scratch = hyperscan.Scratch(self._database)
        return scratch
