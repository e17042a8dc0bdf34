"""What a signal is given of an exchange, and what it answers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol, TypeVar

from schemas.exchange import Answer, Exchange
from schemas.spec import Spec
from services.signals.answer_text import spoken_answer

if TYPE_CHECKING:  # who asks for specs alone, as `--help` does, needs no numpy
    import numpy as np
    from numpy.typing import NDArray

T = TypeVar("T")


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

    value: bool | float | str | None
    probability: float | None = None
    spans: tuple[Span, ...] = ()
    reason: str | None = None

    @property
    def status(self) -> Literal["scored", "unscored"]:
        """`unscored` when there is no value."""
        return "unscored" if self.value is None else "scored"


class Windows(NamedTuple):
    """(384,) float16 embeddings of what heads read; None where there is no such text or it was not embedded.

    `prompt` is the last user message, `opening` and `closing` the first and the last tokens of the answer without its
    reasoning; an answer that fits into the first window has no closing of its own.
    """

    prompt: NDArray[np.float16] | None = None
    opening: NDArray[np.float16] | None = None
    closing: NDArray[np.float16] | None = None


@dataclass(frozen=True)
class ScoredText:
    """What signals see of an exchange: the original, in memory.

    Attributes:
        answer: the response in structured form.
        prompt: the last user message.
        response: the text of the answer, empty when it has none.
        user_text: every user message; system_text: every system and developer message.
        document_text: documents that were retrieved, and what tools gave back.
        cut: more was said than is here.
        windows: embeddings of parts of it.
    """

    exchange: Exchange
    answer: Answer
    prompt: str
    response: str
    user_text: str
    system_text: str
    document_text: str = ""
    cut: bool = False
    windows: Windows = field(default=Windows())
    _known: dict[str, Any] = field(default_factory=dict, init=False, repr=False, compare=False)

    def once(self, name: str, make: Callable[[], T]) -> T:
        """What `make` gives of this text, made at the first call: signals that ask the same share the work."""
        if name not in self._known:
            self._known[name] = make()
        made: T = self._known[name]
        return made

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
