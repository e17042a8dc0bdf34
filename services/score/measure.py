"""What the signals and the style features say of one exchange, with the fault named where one of them raises."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from schemas.score import STYLE_WIDTH
from services.ports import Measurement, ScoredText, Signal, Span
from services.score.blocks import NO_RESPONSE
from services.score.redact import can_redact, spans_of

Style = Callable[[str], NDArray[np.float64]]
T = TypeVar("T")


class FaultError(Exception):
    """A signal could not measure this one exchange. The message names the signal and never repeats content."""


@dataclass(frozen=True, slots=True)
class Measured:
    """What was measured of one exchange.

    Attributes:
        signals: name -> what it says; all unscored where there is no answer.
        spans: what must be masked. redactable: false where a signal that finds such spans did not look.
    """

    signals: Mapping[str, Measurement]
    spans: tuple[Span, ...]
    redactable: bool


def measure(signals: Sequence[Signal], text: ScoredText, has_answer: bool) -> Measured:
    """Let every signal measure `text`.

    Without an answer nothing is scored; the signals still look, because the prompt may be kept and must be masked.

    Raises:
        FaultError: if a signal raises, or says what is neither Boolean nor a finite number.
    """
    said = {signal.name: _said(signal, text) for signal in signals}
    unscored = dict.fromkeys(said, Measurement(None, reason=NO_RESPONSE))
    return Measured(said if has_answer else unscored, spans_of(said), can_redact(said))


def style_of(style: Style, response: str) -> NDArray[np.float16]:
    """(30,) style features of a response.

    Raises:
        FaultError: if they cannot be made, or are too large for float16.
    """
    values = _guarded("style", lambda: np.asarray(style(response), dtype=np.float64))
    if values.shape != (STYLE_WIDTH,) or not (np.abs(values) <= np.finfo(np.float16).max).all():
        raise FaultError(f"signal style: not {STYLE_WIDTH} finite numbers")
    return values.astype(np.float16)


def _said(signal: Signal, text: ScoredText) -> Measurement:
    measurement = _guarded(signal.name, lambda: signal.measure(text))
    for name, value in (("value", measurement.value), ("probability", measurement.probability)):
        if value is not None and not (isinstance(value, (bool, int, float)) and math.isfinite(value)):
            raise FaultError(f"signal {signal.name}: {name} is neither Boolean nor a finite number")
    if measurement.value is None and measurement.probability is not None:
        raise FaultError(f"signal {signal.name}: a probability without a value")
    return measurement


def _guarded(name: str, work: Callable[[], T]) -> T:
    try:
        return work()
    except (MemoryError, OSError):
        raise  # the machine's fault, not the record's
    except Exception as error:
        raise FaultError(f"signal {name}: raised {type(error).__name__}") from error
