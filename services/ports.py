"""What the steps hand to each other in one process, and what they ask of the world."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from schemas.exchange import Answer, Exchange
from schemas.position import Position
from schemas.score import Flag


@dataclass(frozen=True, slots=True)
class Received:
    """One decoded exchange, `id` and `ts` filled in, with its own position and what was done to its text."""

    exchange: Exchange
    position: Position
    flags: tuple[Flag, ...] = ()


@dataclass(frozen=True, slots=True)
class Behind:
    """How far the processes of a step are behind on one of its topics.

    Attributes:
        records: not yet acknowledged; None when it is not known. workers: processes that read for the step.
    """

    step: str
    topic: str
    records: int | None
    workers: int


class Embedder(Protocol):
    """Turns texts into vectors; the same text gives the same bits whatever else is in the batch."""

    @property
    def engine(self) -> str:
        """Name and version of what computes, part of the scorer's version."""

    @property
    def precision(self) -> str:
        """Numeric precision of the computation, such as `f32` or `bf16`."""

    def embed(self, texts: Sequence[str]) -> NDArray[np.float16]:
        """(n, 384) unit vectors, one row a text."""


@dataclass(frozen=True, slots=True)
class Span:
    """Characters `start` to `end` of `where` that must not leave the process in clear."""

    where: Literal["prompt", "response"]
    start: int
    end: int
    label: str


@dataclass(frozen=True, slots=True)
class Measurement:
    """What one signal says of one exchange. Unscored is never the same as false."""

    value: bool | float | None
    probability: float | None = None
    spans: tuple[Span, ...] = ()
    reason: str | None = None

    @property
    def status(self) -> Literal["scored", "unscored"]:
        """`unscored` when there is no value."""
        return "unscored" if self.value is None else "scored"


@dataclass(frozen=True, slots=True)
class ScoredText:
    """What signals see of an exchange: the original, in memory.

    Attributes:
        answer: the response in structured form.
        prompt: the last user message.
        response: the content of the answer, empty when it has none.
        user_text: every user message; system_text: every system and developer message.
    """

    exchange: Exchange
    answer: Answer
    prompt: str
    response: str
    user_text: str
    system_text: str


class Signal(Protocol):
    """A per-exchange measurement with a name, a version and a published error rate."""

    @property
    def name(self) -> str:
        """The signal's name in score blocks and alerts."""

    @property
    def version(self) -> str:
        """Changes whenever the same text could get another value."""

    def measure(self, text: ScoredText) -> Measurement:
        """Measure one exchange that has an answer (exchanges without one are unscored by the core)."""
