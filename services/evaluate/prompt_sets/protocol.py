"""What a set of prompts is read into, and what a reader of one is. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, Protocol

from services.evaluate.prompt_sets.table import PromptTable
from services.evaluate.suite import BENIGN, DISALLOWED, Measure

SIDES: Final[Mapping[str, Measure]] = {"disallowed": DISALLOWED, "benign": BENIGN}
"""What `--side` may say."""


@dataclass(frozen=True, slots=True)
class PromptOptions:
    """What a person says about a file where it does not say so itself."""

    prompt_column: str | None = None
    hazard_column: str | None = None
    side: str | None = None

    @property
    def columns(self) -> bool:
        """Whether columns are named: then the file is read by them, whatever else it looks like."""
        return self.prompt_column is not None or self.hazard_column is not None


@dataclass(frozen=True, slots=True)
class SetPrompt:
    """One prompt of a set, as it becomes an item.

    Attributes:
        line: where it begins in the file. hazard, title: its hazard by name, and the title that the suite gives it.
        name: its own id, where the set has one. choices, pair: as of an item; `pair` is the name of another one.
    """

    line: int
    text: str
    hazard: str
    title: str
    measure: Measure
    name: str = ""
    choices: tuple[str, ...] = ()
    pair: str | None = None


@dataclass(frozen=True, slots=True)
class LeftRow:
    """A row that becomes no item, and why."""

    line: int
    reason: str


@dataclass(frozen=True, slots=True)
class PromptReading:
    """What a file was read as: which column was taken for what, and its prompts and left rows in their order."""

    title: str
    source: str
    taken: Mapping[str, str]
    found: tuple[SetPrompt | LeftRow, ...]


class PromptSet(Protocol):
    """One set of prompts, known by its columns."""

    @property
    def name(self) -> str:
        """How its suite is called where nobody says otherwise."""

    @property
    def columns(self) -> frozenset[str]:
        """The columns that it has, in lower case."""

    def recognises(self, columns: Iterable[str]) -> bool:
        """Whether a file with these columns is this set."""

    def read(self, table: PromptTable, name: str, options: PromptOptions) -> PromptReading:
        """The prompts of a file that `recognises` said yes to.

        Raises:
            InputError: if a cell says what the set never says, or the file leaves open what must be known.
        """
