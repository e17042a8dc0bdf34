"""How what a pattern matches may begin, taken from the pattern itself: for tests of look aheads and prefilters."""

from __future__ import annotations

from collections.abc import Iterable
from importlib import import_module
from typing import Any, Final

_PARSER: Final = import_module("re._parser")
ANY: Final = "\0"
"""Stands for a character of a class."""


def beginnings(source: str, length: int) -> set[str]:
    """Every beginning of so many characters, fewer where a match may be shorter; look-arounds count as met."""
    return _after({""}, _PARSER.parse(source), length)


def _after(before: set[str], parts: Iterable[tuple[Any, Any]], length: int) -> set[str]:
    for kind, what in parts:
        done = {one for one in before if len(one) >= length}
        before = done | (_step(before - done, str(kind), what, length) if done != before else set())
    return before


def _step(before: set[str], kind: str, what: Any, length: int) -> set[str]:
    if kind in {"ASSERT", "ASSERT_NOT", "AT"}:
        return before
    if kind == "BRANCH":
        return set().union(*(_after(before, one, length) for one in what[1]))
    if kind == "SUBPATTERN":
        return _after(before, what[3], length)
    if kind in {"MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT"}:
        least, most, part = what
        found, now = (before if least == 0 else set()), before
        for count in range(1, min(int(most), length) + 1):
            now = _after(now, part, length)
            found = found | now if count >= least else found
        return found
    characters = [chr(what)] if kind == "LITERAL" else [ANY]
    if kind == "IN" and all(str(one) == "LITERAL" for one, _ in what):
        characters = [chr(code) for _, code in what]
    return {one + character for one in before for character in characters}
