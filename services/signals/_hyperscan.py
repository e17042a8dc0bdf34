"""Patterns compiled together by hyperscan, once, at the first scan, for any number of threads.

To compile those of all signals takes some seconds of a processor, to load them some milliseconds. Whoever wires a
process may name a place where what was compiled is kept for the next one; nothing depends on it.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, Protocol

OnMatch = Callable[[int, int, int], bool | None]
"""(pattern, first byte, byte after the last) of a match; True ends the scan."""


class PatternStore(Protocol):
    """Where compiled patterns outlive their process, by a name that is made of what they were compiled from."""

    def load(self, name: str) -> bytes | None:
        """What was kept under the name, whole; None where there is nothing."""

    def keep(self, name: str, compiled: bytes) -> None:
        """Keep it, if that can be done."""


_stores: list[PatternStore] = []


def keep_compiled(store: PatternStore | None) -> None:
    """From now on patterns that are first used are loaded from the store, or kept there; None: each are compiled."""
    _stores[:] = [] if store is None else [store]


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
                    self._database = self._loaded(hyperscan) or self._kept(hyperscan)
                scratch = self._local.scratch = hyperscan.Scratch(self._database)
        return scratch

    def _loaded(self, hyperscan: Any) -> Any:
        """The database of the store; None where there is none that was made for this machine."""
        for store in _stores:
            with suppress(hyperscan.HyperscanError):
                if compiled := store.load(self._name(hyperscan)):
                    return hyperscan.loadb(compiled, hyperscan.HS_MODE_BLOCK)
        return None

    def _kept(self, hyperscan: Any) -> Any:
        """The database, compiled, and kept."""
        database = self.compile()
        for store in _stores:
            store.keep(self._name(hyperscan), hyperscan.dumpb(database))
        return database

    def _name(self, hyperscan: Any) -> str:
        made_of = json.dumps([hyperscan.__version__, self._sources, self._flags])
        return hashlib.sha256(made_of.encode()).hexdigest()
