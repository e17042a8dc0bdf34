"""BBQ: questions about two people, asked again with the two in each other's place. Pure.

Two rows of BBQ that say the same of two people in exchanged places become a pair: whoever is named first stays `first`.
A model that reads what is said gives both the same answer; one that goes by who the people are does not, which is the
event of `unequal_treatment`. That is not BBQ's own bias score, which counts how often wrong answers follow a
stereotype (Parrish et al., 2022, section 5): `suite` has no measure of that, and rows without a partner become no item.
Categories in which BBQ always names the same group first (such as Age) have no partners at all.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from services.errors import InputError
from services.evaluate.prompt_sets.hazards import slug
from services.evaluate.prompt_sets.protocol import LeftRow, PromptOptions, PromptReading, SetPrompt
from services.evaluate.prompt_sets.table import PromptTable, TableRow
from services.evaluate.suite import BENIGN
from services.wording import prompt_sets as words

CHOICES: Final = ("first", "second", "unknown")
_ANSWERS: Final = ("ans0", "ans1", "ans2")
_SOURCE: Final = "github.com/nyu-mll/BBQ"
_NAME: Final = 30


@dataclass(frozen=True, slots=True)
class _Scene:
    """A row, by what it says once it is left open who the two people are; `people` in the order that they appear."""

    row: TableRow
    key: tuple[str, ...]
    people: tuple[str, str]
    answers: tuple[str, str]


@dataclass(frozen=True, slots=True)
class BiasQuestions:
    """BBQ's files of a category."""

    name: str = "bbq"
    columns: frozenset[str] = frozenset({"context", "question", "answer_info", "category", *_ANSWERS})

    def recognises(self, columns: Iterable[str]) -> bool:
        """Whether a file with these columns is this set."""
        return self.columns <= set(columns)

    def read(self, table: PromptTable, name: str, options: PromptOptions) -> PromptReading:
        """Pairs of questions; rows without a partner are left."""
        if options.side is not None:
            raise InputError(words.own_side(name, "BBQ"))
        found = tuple(sorted(_pairs(table), key=lambda one: one.line))
        if not any(isinstance(one, SetPrompt) for one in found):
            raise InputError(words.no_partners(name, len(table.rows)))
        taken = {"prompt": "context and question", "hazard": "category", "choices": ", ".join(_ANSWERS)}
        return PromptReading("BBQ", _SOURCE, taken, found)


def _pairs(table: PromptTable) -> Iterator[SetPrompt | LeftRow]:
    waiting: dict[tuple[tuple[str, ...], tuple[str, str]], _Scene] = {}
    seen: dict[tuple[tuple[str, ...], tuple[str, str]], int] = {}
    for row in table.rows:
        scene = _scene(row)
        if scene is None:
            yield LeftRow(row.line, words.NO_PEOPLE)
            continue
        if (earlier := seen.setdefault((scene.key, scene.people), row.line)) != row.line:
            yield LeftRow(row.line, words.said_before(earlier))
            continue
        if (first := waiting.pop((scene.key, scene.people[::-1]), None)) is not None:
            name = _name(first.row)
            yield _prompt(first, name, None)
            yield _prompt(scene, f"{name}-swapped", name)
        else:
            waiting[scene.key, scene.people] = scene
    yield from (LeftRow(scene.row.line, words.NO_PARTNER) for scene in waiting.values())


def _name(row: TableRow) -> str:
    return f"{slug(row.text('category'))[:_NAME] or 'bias'}-{row.line}"


def _scene(row: TableRow) -> _Scene | None:
    """The row with its two people found in its text; None where that cannot be told."""
    info = row.cells.get("answer_info")
    people: list[tuple[int, str, str]] = []
    context = row.text("context")
    for answer in _ANSWERS:
        told = info.get(answer) if isinstance(info, Mapping) else None
        if not isinstance(told, list) or not told or not all(isinstance(one, str) for one in told):
            return None
        if told[-1].casefold() != "unknown":
            person = told[0].strip()
            people.append((_where(person, context), person, row.text(answer)))
    if len(people) != len(_ANSWERS) - 1 or any(not person or at < 0 for at, person, _ in people):
        return None
    (_, first, its), (_, second, other) = sorted(people)
    said = [_open(row.text(column), first, second) for column in ("context", "question")]
    more = [row.text(column).casefold() for column in ("category", "question_index", "question_polarity")]
    return _Scene(
        row, (*said, *more, row.text("context_condition")), (first.casefold(), second.casefold()), (its, other)
    )


def _where(person: str, text: str) -> int:
    found = re.search(rf"\b{re.escape(person)}\b", text, re.IGNORECASE)
    return -1 if found is None else found.start()


def _open(text: str, first: str, second: str) -> str:
    """A text in which the people are numbers, and nothing tells them apart that follows from their names."""
    places = {first.casefold(): "\x01", second.casefold(): "\x02"}
    longest = sorted(places, key=len, reverse=True)
    opened = re.sub(
        rf"\b(?:{'|'.join(map(re.escape, longest))})\b", lambda found: places[found.group().casefold()], text.casefold()
    )
    return re.sub(r"\ban\b", "a", " ".join(opened.split()))


def _prompt(scene: _Scene, name: str, pair: str | None) -> SetPrompt:
    row = scene.row
    text = words.bias_question(row.text("context"), row.text("question"), scene.answers, CHOICES)
    category = row.text("category") or "bias"
    hazard = f"bias-{slug(category)}".strip("-")
    measure = BENIGN if pair is None else "unequal_treatment"
    title = f"Equal treatment: {' '.join(category.split('_'))[:100]}"
    return SetPrompt(row.line, text, hazard, title, measure, name, CHOICES, pair)
