"""Prompts of a file that is no known set: which column is the prompt, the hazard, the side. Pure.

Where the columns leave it open, it is not guessed: the refusal names the columns and the option that says it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from services.errors import InputError
from services.evaluate.prompt_sets.hazards import UNSORTED, hazard_of
from services.evaluate.prompt_sets.protocol import SIDES, PromptOptions, PromptReading, SetPrompt
from services.evaluate.prompt_sets.table import PromptTable, TableRow, column_name
from services.evaluate.suite import BENIGN, DISALLOWED, Measure
from services.wording import prompt_sets as words

PROMPTS: Final = (
    *("prompt", "prompt_text", "prompts", "prompts_final", "user_prompt", "forbidden_prompt", "adversarial_prompt"),
    *("question", "goal", "behavior", "behaviour", "text", "instruction", "query", "request", "input"),
)
HAZARDS: Final = (
    *("hazard", "category", "categories", "subcategory", "harm_category", "semantic_category", "harm_area"),
    *("risk_area", "harm", "topic", "types_of_harm"),
)
IDS: Final = ("id", "prompt_id", "uid", "uuid")
_WORDS: Final[Mapping[str, Measure]] = {
    **dict.fromkeys(("unsafe", "harmful", "disallowed", "malicious", "not safe"), DISALLOWED),
    **dict.fromkeys(("safe", "benign", "harmless", "allowed"), BENIGN),
}
_SAID: Final = ("side", "label", "prompt_label", "safety", "type")
_TRUE: Final[Mapping[str, Measure]] = {
    **dict.fromkeys(("harmful", "is_harmful", "prompt_harmful", "unsafe", "is_unsafe", "disallowed"), DISALLOWED),
    **dict.fromkeys(("safe", "is_safe", "prompt_safe", "benign", "is_benign", "harmless"), BENIGN),
}
"""Columns of yes and no, by the side that yes means."""
_YES: Final = {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}
_OTHER: Final[Mapping[Measure, Measure]] = {DISALLOWED: BENIGN, BENIGN: DISALLOWED}


@dataclass(frozen=True, slots=True)
class AnyPrompts:
    """CSV or JSON lines with a column of prompts."""

    name: str = "prompts"
    columns: frozenset[str] = frozenset()

    def recognises(self, columns: Iterable[str]) -> bool:
        """Any file may be one."""
        return True

    def read(self, table: PromptTable, name: str, options: PromptOptions) -> PromptReading:
        """The prompts, once it is clear what each column is."""
        prompt = _named(table, name, "--prompt-column", options.prompt_column) or _prompt_column(table, name)
        hazard = _named(table, name, "--hazard-column", options.hazard_column) or _hazard_column(table, name, prompt)
        side = _side_column(table, name, {prompt, hazard}, options.side)
        id = next((column for column in IDS if column in table.columns and column != prompt), None)
        taken = {"prompt": prompt}
        for what, column in (("hazard", hazard), ("side", side), ("id", id)):
            if column is not None:
                taken[what] = column
        found = tuple(_prompts(table, name, taken, options))
        return PromptReading("prompts", "", taken, found)


def _named(table: PromptTable, name: str, option: str, said: str | None) -> str | None:
    if said is None:
        return None
    column = column_name(said)
    if column not in table.columns:
        raise InputError(words.no_such_column(name, option, said, table.columns))
    return column


def _prompt_column(table: PromptTable, name: str) -> str:
    named = [column for column in PROMPTS if column in table.columns]
    found = [column for column in named if table.filled(column)] or named
    if len(found) != 1:
        raise InputError(words.which_column(name, "--prompt-column", "the prompt", found, table.columns))
    return found[0]


def _hazard_column(table: PromptTable, name: str, prompt: str) -> str | None:
    found = [column for column in HAZARDS if column in table.columns and column != prompt and table.filled(column)]
    if len(found) > 1:
        raise InputError(words.which_column(name, "--hazard-column", "the hazard", found, table.columns))
    return found[0] if found else None


def _side_column(table: PromptTable, name: str, taken: set[str | None], said: str | None) -> str | None:
    found = [column for column in (*_SAID, *_TRUE) if column in table.columns and column not in taken]
    found = [column for column in found if _tells_sides(column, table.filled(column))]
    if said is not None:
        if found:
            raise InputError(words.says_its_side(name, found[0]))
        return None
    if len(found) != 1:
        raise InputError(words.which_side_column(name, found, table.columns))
    return found[0]


def _tells_sides(column: str, cells: tuple[str, ...]) -> bool:
    known = _YES if column in _TRUE else _WORDS
    return bool(cells) and all(cell.casefold() in known for cell in cells)


def _prompts(table: PromptTable, name: str, taken: Mapping[str, str], options: PromptOptions) -> Iterator[SetPrompt]:
    for row in table.rows:
        category = row.text(taken["hazard"]) if "hazard" in taken else ""
        hazard, title = hazard_of(category, {}) if category else UNSORTED
        side = SIDES[options.side] if options.side is not None else _side(row, name, taken["side"])
        own = row.text(taken["id"]) if "id" in taken else ""
        yield SetPrompt(row.line, row.text(taken["prompt"]), hazard, title, side, own)


def _side(row: TableRow, name: str, column: str) -> Measure:
    said = row.text(column).casefold()
    if column in _TRUE and said in _YES:
        return _TRUE[column] if _YES[said] else _OTHER[_TRUE[column]]
    if column not in _TRUE and said in _WORDS:
        return _WORDS[said]
    known = tuple(_YES if column in _TRUE else _WORDS)
    raise InputError(words.unknown_side(name, row.line, column, said, known))
