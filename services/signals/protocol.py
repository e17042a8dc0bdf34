"""What a signal is given of an exchange, and what it answers."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Literal, NamedTuple, Protocol

from schemas.exchange import Answer, Exchange
from schemas.spec import Spec
from services.signals.answer_text import spoken_answer


class Span(NamedTuple):
    """Characters `start` to `end` of `where` that must not leave the process in clear.

    A tuple, since a hostile text makes tens of thousands of them.
    """

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


@dataclass(frozen=True)
class ScoredText:
    """What signals see of an exchange: the original, in memory.

    Attributes:
        answer: the response in structured form.
        prompt: the last user message.
        response: the content of the answer, empty when it has none.
        user_text: every user message; system_text: every system and developer message.
        cut: more was said than is here.
    """

    exchange: Exchange
    answer: Answer
    prompt: str
    response: str
    user_text: str
    system_text: str
    cut: bool = False

    @cached_property
    def spoken(self) -> str | None:
        """The answer without its reasoning; None where it was cut inside its reasoning."""
        return spoken_answer(self.response)


class Signal(Protocol):
    """A per-exchange measurement with a spec, a version and a published error rate."""

    @property
    def spec(self) -> Spec:
        """What others ask of it instead of its name."""

    @property
    def version(self) -> str:
        """Changes whenever the same text could get another value."""

    def measure(self, text: ScoredText) -> Measurement:
        """Measure one exchange that has an answer (exchanges without one are unscored by the core)."""
