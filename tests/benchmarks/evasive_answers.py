"""Evasive answers, and direct ones to the same questions, written for Keelwatch: no recorded set labels evasion.

`evasive_answers.json` holds them by kind: `[question, evasive answer, direct answer]`. A kind is a way to evade
(a platitude, praise, a question in return, an announcement without what it announces), so that a head can be judged on
ways that it has not seen. People evade at length too: each evasive answer comes once more, followed by others.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from random import Random
from typing import Final, NamedTuple

_FILE: Final = Path(__file__).with_name("evasive_answers.json")
_SENTENCE: Final = re.compile(r"(?<=[.!?])\s+")
_SHORTEST, _LONGEST = 6, 40


class WrittenAnswer(NamedTuple):
    """An answer of which the author knows what it does; `long` ones are several in a row."""

    kind: str
    text: str
    evades: bool
    long: bool = False


@cache
def written_answers() -> tuple[WrittenAnswer, ...]:
    """All of them, in the order of the file; always the same."""
    written: dict[str, list[tuple[str, str, str]]] = json.loads(_FILE.read_text(encoding="utf-8"))
    return tuple(answer for kind, rows in written.items() for answer in _of_kind(kind, rows))


def _of_kind(kind: str, rows: Sequence[tuple[str, str, str]]) -> list[WrittenAnswer]:
    random = Random(kind)
    evasive = [answer for _, answer, _ in rows]
    found = [WrittenAnswer(kind, direct, evades=False) for _, _, direct in rows]
    for at, answer in enumerate(evasive):
        others = random.sample(evasive[:at] + evasive[at + 1 :], random.randint(3, 7))
        found.append(WrittenAnswer(kind, answer, evades=True))
        found.append(WrittenAnswer(kind, " ".join([answer, *others]), evades=True, long=True))
    return found


def inner_sentences(answers: Sequence[str], most: int = 400) -> list[str]:
    """One sentence from within each of so many recorded answers: short texts that say something, always the same."""
    random = Random(11)
    found = []
    for answer in answers:
        inner = [one for one in _SENTENCE.split(answer)[1:-1] if _SHORTEST <= len(one.split()) <= _LONGEST]
        if inner:
            found.append(random.choice(inner))
    return random.sample(found, min(most, len(found)))
