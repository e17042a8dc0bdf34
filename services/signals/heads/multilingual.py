"""What an answer does, in any language of the multilingual tier: refuses, complies, or evades.

A linear head on the embedding of the answer's first characters. It was fitted on English answers of recorded sets and
on sentences written for Keelwatch in 14 languages; figures and blind spots stand in infra/models/multilingual.md.
"""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from services.signals.protocol import ScoredText

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

FILE: Final = "multilingual.json"


class AnswerKind(NamedTuple):
    """Probabilities that an answer refuses, complies or evades; they add up to one."""

    refusal: float
    compliance: float
    evasion: float


def answer_kind(text: ScoredText) -> AnswerKind | None:
    """What the answer does; None without the tier, or without an answer."""
    vector = text.windows.multilingual
    return None if vector is None else text.once("multilingual", lambda: kind_of(vector))


def kind_of(vector: NDArray[np.float16]) -> AnswerKind:
    """The probabilities of a (512,) embedding."""
    import numpy as np  # noqa: PLC0415 -- who asks for specs alone needs none

    weights, bias = _weights()
    logits = weights @ vector.astype(np.float64) + bias
    odds = np.exp(logits - logits.max())
    return AnswerKind(*(float(one) for one in odds / odds.sum()))


def head_version() -> str:
    """The version that the head's file names."""
    return str(_file()["version"])


@cache
def _file() -> dict[str, Any]:
    read: dict[str, Any] = json.loads(files(__package__).joinpath(FILE).read_text(encoding="utf-8"))
    return read


@cache
def _weights() -> tuple[Any, Any]:
    """(3, 512) weights and (3,) bias, in the order of `AnswerKind`."""
    import numpy as np  # noqa: PLC0415

    return np.array(_file()["weights"]), np.array(_file()["bias"])
