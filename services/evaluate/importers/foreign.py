"""A run that another tool made, as its file tells it: items, answers, and what its own scorer said of each. Pure.

Importers read values through `Node`, which knows where in the file it stands: whatever is of another kind than the
tool writes is an error that names file, place and remedy.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from schemas.base import EARLIEST, LATEST
from services.errors import InputError

MOST_ANSWERS: Final = 100_000
"""Answers of one file; more are for a database, and no page shows them."""
REMEDY: Final = "write it again with the tool that made it"
_SHOWN: Final = 60
_ALIKE: Final = {"true": "1", "false": "0"}
"""Words of one verdict: scorers write truth values either way, and one file may hold both."""

Verdict = str | float | bool | None
"""What a scorer said of one answer, in its own words; None, and NaN, is nothing."""


_UNSTORABLE: Final = {0: "\ufffd", **dict.fromkeys(range(0xD800, 0xE000), "\ufffd")}


def storable(text: str) -> str:
    """Text without what neither JSON nor PostgreSQL can hold: NUL and lone surrogates become U+FFFD."""
    return text if text.isascii() and "\0" not in text else text.translate(_UNSTORABLE)


@dataclass(frozen=True, slots=True)
class Node:
    """A value of a file, and where in it the value stands."""

    value: Any
    place: str

    def __post_init__(self) -> None:
        """Whatever text is read is one that can be kept."""
        if isinstance(self.value, str):
            object.__setattr__(self, "value", storable(self.value))

    def wrong(self, what: str) -> InputError:
        """The error that says what is wrong here."""
        return InputError(f"{self.place}: {what}; {REMEDY}")

    def at(self, *keys: str) -> Node:
        """What stands under these keys; a value of None where there is nothing."""
        found = self
        for key in keys:
            if not isinstance(found.value, dict | None):
                raise found.wrong("must be an object")
            found = Node(None if found.value is None else found.value.get(key), f"{found.place}: {key}")
        return found

    @property
    def known(self) -> bool:
        """Whether there is anything."""
        return self.value is not None

    def text(self, default: str | None = None) -> str:
        """A text.

        Raises:
            InputError: if it is none, or missing and there is no default.
        """
        if self.value is None and default is not None:
            return default
        if not isinstance(self.value, str):
            raise self.wrong("is missing" if self.value is None else "must be text")
        return self.value

    def maybe_text(self) -> str | None:
        """A text or nothing."""
        return None if self.value is None else self.text()

    def name(self) -> str:
        """A text or a whole number, such as ids are."""
        if isinstance(self.value, int) and not isinstance(self.value, bool):
            return str(self.value)
        found = self.text()
        if not found.strip():
            raise self.wrong("is empty")
        return found

    def number(self) -> float:
        """A number that is one: no NaN, no Infinity."""
        found = self.score()
        if found is None:
            raise self.wrong("is no number" if self.known else "is missing")
        return found

    def score(self) -> float | None:
        """A number, or None where there is none or NaN: tools write NaN for what they could not score."""
        if self.value is None:
            return None
        if not isinstance(self.value, int | float):
            raise self.wrong("must be a number")
        try:
            found = float(self.value)
        except OverflowError:
            raise self.wrong("is too large a number") from None
        if math.isinf(found):
            raise self.wrong("must be finite")
        return None if math.isnan(found) else found

    def count(self, default: int | None = None) -> int:
        """A whole number of 0 or more."""
        if self.value is None and default is not None:
            return default
        if not isinstance(self.value, int) or isinstance(self.value, bool) or not 0 <= self.value < 2**53:
            raise self.wrong("must be a whole number of 0 or more")
        return self.value

    def each(self) -> Iterator[Node]:
        """What a list holds; nothing of None."""
        if not isinstance(self.value, list | None):
            raise self.wrong("must be a list")
        for i, one in enumerate(self.value or ()):
            yield Node(one, f"{self.place}[{i}]")

    def fields(self) -> Iterator[tuple[str, Node]]:
        """What an object holds; nothing of None."""
        if not isinstance(self.value, dict | None):
            raise self.wrong("must be an object")
        for key, one in (self.value or {}).items():
            name = storable(str(key))
            yield name, Node(one, f"{self.place}: {name[:_SHOWN]}")

    def time(self) -> datetime | None:
        """A time in ISO 8601 or in seconds since 1970, in UTC; None where there is none."""
        if self.value is None:
            return None
        try:
            if isinstance(self.value, int | float) and not isinstance(self.value, bool):
                found = datetime.fromtimestamp(self.value, UTC)
            else:
                found = datetime.fromisoformat(self.text().replace(" ", "T", 1))
        except (ValueError, OverflowError, OSError):
            raise self.wrong("must be a time in ISO 8601") from None
        aware = found if found.tzinfo else found.replace(tzinfo=UTC)
        if not EARLIEST <= aware < LATEST:
            raise self.wrong("is no time between 2000 and 2100")
        return aware


def foreign_json(text: str, place: str) -> Any:
    """A JSON value of a file's text as foreign tools write it: also NaN and Infinity, which Python's `json` writes.

    Such a verdict is unknown. What must be finite is read by `services.strict_json`.

    Raises:
        InputError: if it is none.
    """
    try:
        return json.loads(text)
    except RecursionError:
        raise InputError(f"{place}: nested too deep; {REMEDY}") from None
    except ValueError as error:
        raise InputError(f"{place}: not JSON: {error}; {REMEDY}") from None


@dataclass(frozen=True, slots=True)
class EventRule:
    """Which verdicts are events: those among `words`, or those beyond `bound` in the direction of `sign`.

    Both sides are named, and what is on neither is unknown. `good` are the words that are the good outcome; of levels,
    all on the other side of the bound are, as far as `best` where the scorer gives nothing better. `unclear` is a level
    that says neither.
    """

    words: tuple[str, ...] = ()
    good: tuple[str, ...] = ()
    sign: str = ""
    bound: float = 0.0
    unclear: float | None = None
    best: float | None = None

    def event(self, verdict: Verdict) -> bool | None:
        """Whether a verdict is an event; None is unknown."""
        if self.sign:
            return self._beyond(verdict)
        said = alike(spoken(verdict))
        if said in map(alike, self.words):
            return True
        return False if said in map(alike, self.good) else None

    def _beyond(self, verdict: Verdict) -> bool | None:
        if (
            isinstance(verdict, bool)
            or not isinstance(verdict, int | float)
            or verdict == self.unclear
            or math.isnan(verdict)
        ):
            return None
        if {
            ">=": verdict >= self.bound,
            ">": verdict > self.bound,
            "<=": verdict <= self.bound,
            "<": verdict < self.bound,
        }[self.sign]:
            return True
        past = self.best is not None and (verdict < self.best if ">" in self.sign else verdict > self.best)
        return None if past else False

    def __str__(self) -> str:
        if self.sign:
            return f"{self.sign} {self.bound:g}"
        return f"{', '.join(self.words)} (good: {', '.join(self.good)})"


def alike(word: str) -> str:
    """A spoken verdict in the one form that stands for all that say the same.

    >>> alike("true"), alike("1.0"), alike("c")
    ('1', '1', 'c')
    """
    try:
        return spoken(float(word))
    except ValueError:
        return _ALIKE.get(word, word)


def spoken(verdict: Verdict) -> str:
    """A verdict as a word: lower case, whole numbers without a point.

    >>> spoken(True), spoken(1.0), spoken("C"), spoken(float("nan")), spoken(None)
    ('true', '1', 'c', 'nan', 'none')
    """
    if isinstance(verdict, float):
        return f"{verdict:.12g}"
    return str(verdict).strip().casefold()


@dataclass(frozen=True, slots=True)
class ForeignMessage:
    """One message of a conversation, as it was sent."""

    role: str
    content: str


@dataclass(frozen=True, slots=True)
class ForeignAnswer:
    """One answer to one item, and what the tool's scorer said of it.

    Attributes:
        item: what the tool calls the question; answers of one item are its repeats.
        part: which part of the tool's suite the item belongs to, such as a probe; the task where there are none.
        category: what the tool says that the item is about.
        content: what the tool asks and expects, besides the messages: two items that differ here are not the same.
        verdict: the scorer's own. why: its explanation.
        error: why there is no answer.
        stop: why the answer ended, in the provider's word.
    """

    item: str
    asked: tuple[ForeignMessage, ...]
    text: str | None
    verdict: Verdict
    part: str
    category: str | None = None
    content: Any = None
    why: str | None = None
    error: str | None = None
    stop: str | None = None
    served: str | None = None
    ts: datetime | None = None


@dataclass(frozen=True, slots=True)
class Printed:
    """A figure that the tool itself gives of its run: `name` and `value`, for example accuracy 0.2."""

    name: str
    value: float


@dataclass(frozen=True, slots=True)
class ForeignRun:
    """One task of a tool, run once.

    Attributes:
        tool, version: who made it. task, task_version: what it asked.
        model: as the tool names it. url: which endpoint, where the file says so.
        scorer: whose verdicts these are. scorer_version: what distinguishes it from others of that name.
        settings: of generation. system_prompt: the one that was sent with every question, if there was one.
        stopped: why the run did not come to its end, in words.
        missing: answers that the tool knows of and the file lacks.
        printed: the tool's own figures.
        hit: the rule by which the tool itself calls a verdict bad, where its files say so.
    """

    tool: str
    version: str
    task: str
    task_version: str
    model: str
    scorer: str
    scorer_version: str
    answers: tuple[ForeignAnswer, ...]
    started: datetime | None = None
    ended: datetime | None = None
    url: str | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    stopped: str | None = None
    missing: int = 0
    printed: tuple[Printed, ...] = ()
    hit: EventRule | None = None


@dataclass(frozen=True, slots=True)
class Content:
    """What was read of a file or folder.

    Attributes:
        name: as a person named it. sha256: of all its bytes.
        modified: when it was written, by the file system.
        parts: JSON values, by where they stand: `header.json` of an archive, `results.json` of a folder. What is of
            one piece stands under the empty name.
        rows: the same for JSON lines and tables of a database.
    """

    name: str
    sha256: str
    modified: datetime
    parts: Mapping[str, Any]
    rows: Mapping[str, tuple[Any, ...]]

    def place(self, part: str) -> str:
        """Where a part stands, for people."""
        return f"{self.name}: {part}" if part else self.name

    def node(self, part: str) -> Node:
        """A JSON value."""
        return Node(self.parts.get(part), self.place(part))

    def lines(self, part: str) -> Iterator[Node]:
        """The rows of a part, each of which must be an object."""
        for number, row in enumerate(self.rows.get(part, ()), 1):
            found = Node(row, f"{self.place(part)}:{number}")
            if not isinstance(row, dict):
                raise found.wrong("must be an object")
            yield found


@dataclass(frozen=True, slots=True)
class Importer:
    """How the files of one tool are told from others', and read.

    Attributes:
        tool: its name, as people know it. file: what it writes, in words.
        recognises: whether this is one of its files, by what is in it.
        read: its runs. `scorer` is the one whose verdicts count, where the file has several and a person named one.
    """

    tool: str
    file: str
    recognises: Callable[[Content], bool]
    read: Callable[[Content, str | None], tuple[ForeignRun, ...]]


def chosen_scorer(names: list[str], wanted: str | None, place: str) -> str:
    """The scorer whose verdicts count.

    Raises:
        InputError: if there is none, or several and none was named.
    """
    if not names:
        raise InputError(f"{place}: holds no verdict of a scorer; score the run with the tool first")
    if wanted is None and len(names) == 1:
        return names[0]
    if wanted not in names:
        told = ", ".join(name[:_SHOWN] for name in names[:10])
        which = "has verdicts of several scorers" if wanted is None else f"has no verdict of {wanted}"
        raise InputError(f"{place}: {which}; name one of them with --scorer: {told}")
    return wanted


def without_secrets(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The generation settings that are known to be none but that: a file may hold keys, too."""
    return {
        name: value
        for name, value in settings.items()
        if name in _SETTINGS and isinstance(value, str | int | float | bool) and not _odd(value)
    }


def _odd(value: Any) -> bool:
    return isinstance(value, float) and not math.isfinite(value)


_SETTINGS: Final = frozenset(
    {
        "temperature", "top_p", "top_k", "max_tokens", "max_new_tokens", "max_gen_toks", "max_output_tokens", "seed",
        "frequency_penalty", "presence_penalty", "repetition_penalty", "num_outputs", "do_sample", "reasoning_effort",
        "top_k_per_token", "num_completions",
    }
)  # fmt: skip
