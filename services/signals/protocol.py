"""What a signal is given of an exchange, and what it answers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple, Protocol, TypeVar

from schemas.exchange import Answer, Exchange
from schemas.score import MOST_PARTS
from schemas.spec import Spec
from services.signals.answer_text import spoken_answer

if TYPE_CHECKING:  # who asks for specs alone, as `--help` does, needs no numpy
    import numpy as np
    from numpy.typing import NDArray

T = TypeVar("T")
LONGEST_NAME: Final = 64
UNNAMED: Final = "(unnamed)"
"""What a tool or a guardrail without a name is called."""


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
    """What one signal says of one exchange. Unscored is never the same as false.

    `parts` is what it says of each tool or guardrail alone (`Spec.dimension`), made by `parts_of`.
    """

    value: bool | float | str | None
    probability: float | None = None
    spans: tuple[Span, ...] = ()
    reason: str | None = None
    parts: Mapping[str, bool] = field(default_factory=dict, hash=False)

    @property
    def status(self) -> Literal["scored", "unscored"]:
        """`unscored` when there is no value."""
        return "unscored" if self.value is None else "scored"


def parts_of(found: Iterable[tuple[str, bool]]) -> dict[str, bool]:
    """Name -> whether it was true of any of that name; at most 16 names of 64 characters, true ones before others.

    >>> parts_of([("search", False), ("shell", True), ("search", True)])
    {'search': True, 'shell': True}
    """
    every: dict[str, bool] = {}
    for name, value in found:
        key = name.strip()[:LONGEST_NAME] or UNNAMED
        every[key] = every.get(key, False) or value
    if len(every) > MOST_PARTS:
        every = dict(sorted(every.items(), key=lambda one: not one[1])[:MOST_PARTS])
    return every


class Windows(NamedTuple):
    """(384,) float16 embeddings of what heads read; None where there is no such text or it was not embedded.

    `prompt` is the last user message, `opening` and `closing` the first and the last tokens of the answer without its
    reasoning; an answer that fits into the first window has no closing of its own. `multilingual` is (512,), of the
    answer's first characters, where the deployment has the multilingual tier.
    """

    prompt: NDArray[np.float16] | None = None
    opening: NDArray[np.float16] | None = None
    closing: NDArray[np.float16] | None = None
    multilingual: NDArray[np.float16] | None = None


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
        judged: what judges said of it, by the name of their signal; they are asked outside of the signals.
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
    judged: Mapping[str, Measurement] = field(default_factory=dict)
    _known: dict[str, Any] = field(default_factory=dict, init=False, repr=False, compare=False)

    def once(self, name: str, make: Callable[[], T]) -> T:
        """What `make` gives of this text, made at the first call: signals that ask the same share the work."""
        if name not in self._known:
            self._known[name] = make()
        made: T = self._known[name]
        return made

    @property
    def spoken(self) -> str | None:
        """The answer without its reasoning; None where it was cut inside its reasoning."""
        return self.once("spoken", lambda: spoken_answer(self.response))


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
