"""Where in a text keys may stand: one hyperscan pass, then only the places around its hits are read again."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any, NamedTuple

Windows = list[tuple[int, int]]


class Look(NamedTuple):
    """What is looked for.

    Attributes:
        source: hyperscan's subset of PCRE; ends where a key may first be called one.
        before, after: characters around its end that a key may reach to.
        caseless: whether case does not count.
    """

    source: str
    before: int
    after: int
    caseless: bool = False


class KeyScan:
    """Looks compiled together, once, at the first scan; safe to use from several threads."""

    def __init__(self, looks: Mapping[str, Look]) -> None:
        self._looks = tuple(looks.items())
        self._lock = threading.Lock()
        self._database: Any = None
        self._local = threading.local()

    def windows(self, text: str) -> dict[str, Windows]:
        """Name of a look to the parts of `text` that it may be in, apart and from left to right.

        A character beyond ASCII counts as one that no look has; it is one byte, so that places are characters.
        """
        found: dict[int, list[int]] = {}

        def collect(look: int, _start: int, end: int, _flags: int, _context: object) -> None:
            ends = found.get(look)
            if ends is None:
                found[look] = [end]
            else:
                ends.append(end)

        scratch = self._scratch()
        self._database.scan(text.encode("ascii", "replace"), match_event_handler=collect, scratch=scratch)
        return {self._looks[at][0]: _merged(sorted(found[at]), self._looks[at][1]) for at in sorted(found)}

    def _scratch(self) -> Any:
        scratch = getattr(self._local, "scratch", None)
        if scratch is None:
            import hyperscan  # noqa: PLC0415 -- whoever only asks for a signal's spec needs no matcher

            with self._lock:
                if self._database is None:
                    self._database = self._compiled()
                scratch = self._local.scratch = hyperscan.Scratch(self._database)
        return scratch

    def _compiled(self) -> Any:
        import hyperscan  # noqa: PLC0415

        database = hyperscan.Database()
        flags = [
            hyperscan.HS_FLAG_DOTALL | (hyperscan.HS_FLAG_CASELESS if look.caseless else 0) for _, look in self._looks
        ]
        sources = [look.source.encode() for _, look in self._looks]
        database.compile(expressions=sources, ids=list(range(len(sources))), elements=len(sources), flags=flags)
        return database


def _merged(ends: list[int], look: Look) -> Windows:
    """The places around each end; those that touch become one."""
    windows: Windows = []
    first, last = ends[0] - look.before, ends[0] + look.after
    for end in ends:
        if end - look.before > last:
            windows.append((max(first, 0), last))
            first = end - look.before
        last = end + look.after
    return [*windows, (max(first, 0), last)]
