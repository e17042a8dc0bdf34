"""What is wrong with a monitor file: where, which key, and what to write instead."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Literal


@dataclass(frozen=True, slots=True)
class MonitorProblem:
    """One line for people. An error keeps the file from being used; a warning says what it will not do.

    Attributes:
        line: from 1; None when the fault has no place in the file.
        key: path of the key, for example `routes.support-bot/*.floors.refusal`; empty for the whole file.
    """

    severity: Literal["error", "warning"]
    file: str
    line: int | None
    key: str
    message: str

    def __str__(self) -> str:
        """`keelwatch.yaml:12: error: routes.a/*.floors: ...`, as compilers write it."""
        place = self.file if self.line is None else f"{self.file}:{self.line}"
        key = f"{self.key}: " if self.key else ""
        return f"{place}: {self.severity}: {key}{self.message}"


def suggestion(word: str, known: Iterable[str]) -> str:
    """`; did you mean X?` for the known word nearest to `word`, else the list of known words."""
    names = sorted(known)
    near = get_close_matches(word, names, n=1)
    if near:
        return f"; did you mean {near[0]}?"
    return f"; known: {', '.join(names)}" if names else ""
