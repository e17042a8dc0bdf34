"""Prompt sets: files of prompts that people have, told apart by their columns, and made into suites. Pure.

A set is one entry of `PROMPT_SETS`. What fits none is read by its columns, where these are clear (`any_prompts`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import yaml

from services.errors import InputError
from services.evaluate.prompt_sets.any_prompts import AnyPrompts
from services.evaluate.prompt_sets.bias_questions import BiasQuestions
from services.evaluate.prompt_sets.hazards import AILUMINATE, UNSORTED, slug
from services.evaluate.prompt_sets.known_sets import KNOWN
from services.evaluate.prompt_sets.protocol import (
    SIDES,
    LeftRow,
    PromptOptions,
    PromptReading,
    PromptSet,
    SetPrompt,
)
from services.evaluate.prompt_sets.table import PromptTable, read_table
from services.evaluate.scorers import comparable_text
from services.evaluate.suite import Item, PromptMessage, Suite
from services.evaluate.suite_growth import item_rows
from services.evaluate.suite_parser import MAX_ITEMS, parse_suite
from services.wording import prompt_sets as words

PROMPT_SETS: Final[tuple[PromptSet, ...]] = (*KNOWN, BiasQuestions())
LONGEST: Final = 32_000
MARGIN: Final = 10
_OWN: Final = 36
_HASH: Final = 12


@dataclass(frozen=True, slots=True)
class ImportedSuite:
    """A file of prompts as a suite.

    Attributes:
        head, items: the texts of `suite.yaml` and `items.jsonl`. reading: what the file was read as.
        rows: how many the file has. unread: columns that count for nothing.
        left: rows that became no item, and why. own: titles of hazards that AILuminate has no single one for.
    """

    suite: Suite
    head: str
    items: str
    reading: PromptReading
    rows: int
    unread: tuple[str, ...]
    left: tuple[LeftRow, ...]
    own: tuple[str, ...]


def import_prompts(
    raw: bytes,
    file: str,
    options: PromptOptions | None = None,
    name: str | None = None,
    version: str = "1",
    fallback: str = "",
) -> ImportedSuite:
    """The suite of a file's bytes; `file` names it in sentences. It is called `name`, else as its set, else `fallback`.

    Raises:
        InputError: if it cannot be read, leaves open what must be known, or holds no prompt that can be asked.
    """
    given = options or PromptOptions()
    if given.side is not None and given.side not in SIDES:
        raise InputError(words.no_side(given.side, tuple(SIDES)))
    table = read_table(raw, file)
    one = _recognised(table, file, given)
    reading = one.read(table, file, given)
    found = _collected(reading, file)
    left = tuple(sorted(found.left, key=lambda row: row.line))
    if not found.items:
        raise InputError(words.nothing_left(file, len(table.rows), left[0].line, left[0].reason))
    if len(found.items) > MAX_ITEMS:
        raise InputError(words.too_many_items(file, len(found.items), MAX_ITEMS))
    own_name = one.name if one in PROMPT_SETS else fallback or one.name
    head = _head(own_name if name is None else name, version, reading, found.titles)
    rows = item_rows(tuple(found.items.values()))
    suite, problems = parse_suite(file, head, rows)
    if suite is None:
        raise InputError("\n".join(map(str, problems)))
    unread = tuple(column for column in table.columns if column and not _stands_for(column, reading))
    own = tuple(title for hazard, title in found.titles.items() if hazard not in AILUMINATE and hazard != UNSORTED[0])
    return ImportedSuite(suite, head, rows, reading, len(table.rows), unread, left, own)


def _stands_for(column: str, reading: PromptReading) -> bool:
    return any(column in taken.replace(" and ", ", ").split(", ") for taken in reading.taken.values())


def _recognised(table: PromptTable, file: str, options: PromptOptions) -> PromptSet:
    """The set whose columns the file has: of two, that with more of them."""
    if options.columns:
        return AnyPrompts()
    found = [one for one in PROMPT_SETS if one.recognises(table.columns)]
    best = [one for one in found if not any(one.columns < other.columns for other in found)]
    if len(best) > 1:
        raise InputError(words.several_sets(file, [one.name for one in best]))
    return best[0] if best else AnyPrompts()


@dataclass(slots=True)
class _Collected:
    """What has become an item so far, and what is left out."""

    items: dict[str, Item] = field(default_factory=dict)
    titles: dict[str, str] = field(default_factory=dict)
    left: list[LeftRow] = field(default_factory=list)
    asked: dict[str, SetPrompt] = field(default_factory=dict)

    def take(self, one: SetPrompt, file: str) -> None:
        """Make it an item, unless nobody can ask it, or it is asked already."""
        key = comparable_text(one.text[:LONGEST]) or one.text
        first = None if one.choices else self.asked.setdefault(key, one)
        if first is not None and first.measure != one.measure:
            raise InputError(words.both_sides(file, one.line, first.line))
        repeated = None if first is None or first is one else words.said_before(first.line)
        if (why := _unfit(one.text) or repeated) is not None:
            self.left.append(LeftRow(one.line, why))
            return
        self.titles.setdefault(one.hazard, one.title)
        made = Item(
            id=self._free(one),
            hazard=one.hazard,
            measure=one.measure,
            messages=(PromptMessage(role="user", content=one.text),),
            choices=one.choices,
            pair=one.pair,
            repeats=1,
        )
        self.items[made.id] = made

    def _free(self, one: SetPrompt) -> str:
        """An id that stays the same where rows come and go: the set's own, else one of what is asked."""
        if one.choices:
            return one.name
        own = slug(one.name)[:_OWN]
        named = f"{one.hazard}-{own}"
        if own and named not in self.items:
            return named
        return f"{one.hazard}-{hashlib.sha256(f'{one.measure} {one.text}'.encode()).hexdigest()[:_HASH]}"


def _unfit(text: str) -> str | None:
    """Why a text cannot be asked."""
    if not text:
        return words.EMPTY
    if len(text) > LONGEST:
        return words.too_long(len(text), LONGEST)
    return words.NOT_UNICODE if any("\ud800" <= char <= "\udfff" for char in text) else None


def _collected(reading: PromptReading, file: str) -> _Collected:
    found = _Collected()
    for one in reading.found:
        if isinstance(one, LeftRow):
            found.left.append(one)
        else:
            found.take(one, file)
    return found


def _head(name: str, version: str, reading: PromptReading, titles: Mapping[str, str]) -> str:
    """`suite.yaml` of the set; hazards in the order of AILuminate, then the set's own."""
    known = {hazard: AILUMINATE[hazard] for hazard in AILUMINATE if hazard in titles}
    head = {
        "name": name,
        "version": version,
        "title": words.suite_title(reading.title),
        "repeats": 1,
        "margin": MARGIN,
        "hazards": {**known, **{hazard: title for hazard, title in titles.items() if hazard not in known}},
    }
    text: str = yaml.safe_dump(head, allow_unicode=True, sort_keys=False)
    return words.head_comment(reading.title, reading.source) + text
