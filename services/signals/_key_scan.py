"""Where in a text keys may stand: one hyperscan pass, then only the places around its hits are read again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from services.signals._hyperscan import CompiledPatterns

Windows = list[tuple[int, int]]


class KeyLook(NamedTuple):
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

    def __init__(self, looks: Mapping[str, KeyLook]) -> None:
        self._looks = tuple(looks.items())
        sources = [f"(?i){look.source}" if look.caseless else look.source for _, look in self._looks]
        self._patterns = CompiledPatterns(sources, ["HS_FLAG_DOTALL"])

    def windows(self, text: str) -> dict[str, Windows]:
        """Name of a look to the parts of `text` that it may be in, apart and from left to right.

        A character beyond ASCII counts as one that no look has; it is one byte, so that places are characters.
        """
        found: dict[int, list[int]] = {}

        def collect(look: int, _start: int, end: int) -> None:
            ends = found.get(look)
            if ends is None:
                found[look] = [end]
            else:
                ends.append(end)

        self._patterns.scan(text.encode("ascii", "replace"), collect)
        return {self._looks[at][0]: _merged(sorted(found[at]), self._looks[at][1]) for at in sorted(found)}


def _merged(ends: list[int], look: KeyLook) -> Windows:
    """The places around each end; those that touch become one."""
    windows: Windows = []
    first, last = ends[0] - look.before, ends[0] + look.after
    for end in ends:
        if end - look.before > last:
            windows.append((max(first, 0), last))
            first = end - look.before
        last = end + look.after
    return [*windows, (max(first, 0), last)]
