"""The one interface of a detector: `fit` a baseline once, then `step` through rows."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, ClassVar, Final, Literal, Protocol, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from schemas.reading import ChangePoint, Direction, Effect, Movement, Questions, ReadingStatus
from schemas.spec import Spec

Float = NDArray[np.float64]
Half = NDArray[np.float16]
Int = NDArray[np.int64]
Bool = NDArray[np.bool_]
Scope = Literal["identity", "route"]
T = TypeVar("T")


_PROBABILITY: Final = "probability"
PART: Final = "@"
"""Stands between a signal and the slice that its parts are of, in the name of a column."""


def part_column(signal: str, slice: str) -> str:
    """The column of what a signal says of one part alone, for example of the calls of one tool.

    >>> part_column("tool_loop", "tool=search")
    'tool_loop@tool=search'
    """
    return f"{signal}{PART}{slice}"


def probability_column(signal: str) -> str:
    """The column of a signal's probability, in [0, 1], beside that of its value.

    >>> probability_column("toxicity")
    'toxicity@probability'
    """
    return part_column(signal, _PROBABILITY)


def signal_of_column(column: str) -> str:
    """The signal that a column is of, be it whole or of one part.

    >>> signal_of_column("tool_loop@tool=search"), signal_of_column("tool_loop")
    ('tool_loop', 'tool_loop')
    """
    return column.partition(PART)[0]


@dataclass(frozen=True, slots=True)
class Rows:
    """Scored exchanges of one route in the order of the source: n rows, columns of equal length.

    Attributes:
        index: (n,) event index of each exchange in its route.
        ts: (n,) seconds since 1970, UTC.
        prompt, response: (n, 384) float16 embeddings of unit length; zero where not `embedded`.
        style: (n, 30) float16 style features of the response.
        embedded: (n,) whether the row carries vectors.
        answered: (n,) false where the provider returned an error instead of an answer, or beside what it broke off:
            the signals of such text are there, and no part of rates.
        signals: name -> (n,) value of the signal (Boolean ones 0 or 1), NaN where unscored. What a signal says of one
            tool or guardrail alone stands under `part_column`, NaN where the exchange has no such part; its probability
            under `probability_column`.
        slices: dimension, such as `tags.locale`, -> the value of each row or None.
        ids: id of each exchange.
        measures: name -> (n,) what was counted of an exchange that no signal says: `latency_ms`, `input_tokens`,
            `output_tokens`; NaN where it was not told.
        user, conversation: (n,) whose exchange it is, as 64 bits of a pseudonym; 0 where it was not told, None where no
            row has one.
        derived: what was worked out of these very rows, see `derive`; neither stored nor compared.
    """

    index: Int
    ts: Float
    prompt: Half
    response: Half
    style: Half
    embedded: Bool
    answered: Bool
    signals: Mapping[str, Float]
    slices: Mapping[str, tuple[str | None, ...]]
    ids: tuple[str, ...]
    measures: Mapping[str, Float] = field(default_factory=dict)
    user: Int | None = None
    conversation: Int | None = None
    derived: dict[Hashable, Any] = field(default_factory=dict, init=False, repr=False, compare=False)

    def __len__(self) -> int:
        return len(self.ids)

    def derive(self, name: Hashable, make: Callable[[], T]) -> T:
        """What `make` gives, made once for these rows: several detectors ask for the same of one batch.

        `name` must say all that `make` depends on besides the rows.
        """
        if name not in self.derived:
            self.derived[name] = make()
        made: T = self.derived[name]
        return made

    def wide_prompts(self) -> NDArray[np.float32]:
        """(n, 384) the prompts in single precision, in which they are exact; not to be written to."""
        return self.derive("prompts", lambda: self.prompt.astype(np.float32))

    def users(self) -> Int:
        """(n,) pseudonyms of the users, 0 where none was told."""
        return np.zeros(len(self), dtype=np.int64) if self.user is None else self.user

    def conversations(self) -> Int:
        """(n,) pseudonyms of the conversations, 0 where none was told."""
        return np.zeros(len(self), dtype=np.int64) if self.conversation is None else self.conversation

    def probabilities(self, signal: str) -> Float:
        """(n,) probability of a signal, NaN where there is none."""
        values = self.signals.get(probability_column(signal))
        return np.full(len(self), np.nan) if values is None else values

    def truths(self, signal: str) -> Float:
        """(n,) 0 or 1 of a Boolean signal, NaN where it was unscored, counted instead, or is not there."""
        values = self.signals.get(signal)
        if values is None:
            return np.full(len(self), np.nan)
        return np.where((values == 0) | (values == 1), values, np.nan)

    def take(self, where: Int) -> Self:
        """The rows at the positions `where`, in that order."""
        picked: dict[str, Any] = {}
        for one in fields(self):
            if not one.init:
                continue
            column = getattr(self, one.name)
            if one.name in ("signals", "measures"):
                picked[one.name] = {name: values[where] for name, values in column.items()}
            elif one.name == "slices":
                picked[one.name] = {name: tuple(values[i] for i in where) for name, values in column.items()}
            elif one.name == "ids":
                picked[one.name] = tuple(column[i] for i in where)
            else:
                picked[one.name] = None if column is None else column[where]
        return type(self)(**picked)


@dataclass(frozen=True, slots=True)
class Stream:
    """What one test watches: a signal or the whole response, in a slice (`tags.locale=de`) or everywhere."""

    signal: str | None = None
    slice: str | None = None


@dataclass(frozen=True, slots=True)
class Baseline:
    """The pinned reference of a route, of one identity.

    Attributes:
        rows: the exchanges that it was made of.
        floors: signal -> smallest change of its rate worth an alert, as a share; 0 makes it an event.
        arl: mean number of exchanges between false alarms that each stream is held to.
        ceilings: signal -> rate that it must not exceed, a share, whatever is normal.
        roles: role of `schemas.spec.Role` -> signals that have it.
    """

    rows: Rows
    floors: Mapping[str, float]
    arl: float
    ceilings: Mapping[str, float] = field(default_factory=dict)
    roles: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Finding:
    """What a detector says of one stream at one row; `detect` makes a reading of it.

    Attributes:
        row: position within the rows given to `step` of the exchange that it speaks of.
        transition: whether the status changed at this row (else it is a periodic report).
        log_e, threshold: evidence and the level at which it fires, natural logarithms.
        n: rows the stream has used since `start`; an alarm that ends by itself zeroes the evidence and not n.
        exemplars: ids of exchanges that show what moved; counterparts: of each the nearest one of the baseline.
        change_point: since when, as it is known at this row; movements: what moved most within the stream.
        questions: what was asked since then, where that decides whom the finding speaks of; `detect` says it.
    """

    row: int
    stream: Stream
    status: ReadingStatus
    transition: bool
    n: int
    direction: Direction | None = None
    effect: Effect | None = None
    floor: float | None = None
    log_e: float | None = None
    threshold: float | None = None
    exemplars: tuple[str, ...] = ()
    counterparts: tuple[str | None, ...] = ()
    change_point: ChangePoint | None = None
    movements: tuple[Movement, ...] = ()
    questions: Questions | None = None
    reason: str | None = None


Artefact = TypeVar("Artefact")
State = TypeVar("State")


class Detector(Protocol[Artefact, State]):
    """A frozen dataclass whose fields are its hyper-parameters; no base class.

    `Artefact` and `State` are frozen dataclasses of numpy arrays, numbers, strings, tuples, dicts and such
    dataclasses, so that they can be stored without pickle. `step` changes none of its arguments, and
    `step(step(s, a), b)` gives the findings of `step(s, a + b)`, however the rows are cut.
    """

    spec: ClassVar[Spec]
    scope: ClassVar[Scope]
    learns: ClassVar[bool]  # False: watches from the first exchange on, `fit` gets an empty baseline

    @property
    def artefact_type(self) -> type[Artefact]:
        """The class of what `fit` gives."""

    @property
    def state_type(self) -> type[State]:
        """The class of what `start` and `step` give."""

    def streams(self, baseline: Baseline) -> tuple[Stream, ...]:
        """The streams that it will watch: each can open an incident, so each gets its share of the budget."""

    def fit(self, baseline: Baseline) -> Artefact:
        """What `step` needs of the baseline, computed once."""

    def start(self, artefact: Artefact) -> State:
        """The state of zero evidence."""

    def step(self, artefact: Artefact, state: State, rows: Rows) -> tuple[State, tuple[Finding, ...]]:
        """Take in rows: the new state, and a finding per status transition and where n mod 50 = 0."""
