"""How bad a reading or a comparison is, how far its stream moved, and whether that lies inside the floor."""

from __future__ import annotations

from typing import Final

from schemas.alert import Severity, rank
from schemas.reading import Direction, Effect, Reading
from services.specs import family_of, signal_of

WINDOW: Final = 500
_PERCENT: Final = 100.0
_TOLERANCE: Final = 1e-9


def severity_of(reading: Reading) -> Severity:
    """The severity of a firing reading: the greatest of the least of its family, of its size, and of its signal.

    The size counts where the family's spec says that a move may be grave, the signal where its rate moved the way
    that harms.
    """
    family = family_of(reading.detector)
    least: list[Severity] = [family.severity]
    if family.graver and _is_grave(reading.effect, reading.floor, family.graver_from):
        least.append("error")
    if family.kind == "rate" and reading.signal is not None:
        signal = signal_of(reading.signal)
        least += [signal.severity] if reading.direction == signal.worse else []
    return max(least, key=rank)


def _is_grave(effect: Effect | None, floor: float | None, floors: float) -> bool:
    """Whether a rate moved by so many `floors`, judged by the end of the interval nearer to zero.

    Of a ceiling the move is the rate itself and the floor the ceiling: an error where it is surely twice as high.
    """
    if effect is None or floor is None or floor <= 0 or effect.unit != "pp":
        return False
    return least_move(effect) >= floors * floor * _PERCENT - _TOLERANCE


def least_move(effect: Effect) -> float:
    """The smallest move that the interval of the effect still allows, in its unit; 0 when it is not known."""
    if effect.low is None or effect.high is None:
        return 0.0
    return max(effect.low, -effect.high, 0.0)


def size_of(effect: Effect | None) -> float | None:
    """How far a stream moved by its best estimate, in the unit of the effect."""
    if effect is None:
        return None
    if effect.before is not None and effect.after is not None:
        return abs(effect.after - effect.before)
    if effect.low is not None and effect.high is not None:
        return abs(effect.low + effect.high) / 2
    return None


def is_inside(effect: Effect | None, floor: float | None, n: int) -> bool:
    """Whether a quiet stream's effect lies inside its floor: by its interval, or by its estimate over a window.

    Right after a person zeroed the evidence, quiet alone says nothing: without an interval inside the floor it
    takes 500 exchanges since then, and an estimate inside the floor where there is one.
    """
    limit = None if effect is None or floor is None else _limit(effect, floor)
    if effect is None or limit is None:
        return n >= WINDOW
    if effect.low is not None and effect.high is not None and -limit <= effect.low and effect.high <= limit:
        return True
    return n >= WINDOW and (size_of(effect) or 0.0) <= limit


def is_outside(effect: Effect | None, floor: float | None, direction: Direction | None) -> bool:
    """Whether the whole interval of the effect lies beyond the floor, in the alarm's direction if it has one."""
    if effect is None or floor is None or effect.low is None or effect.high is None:
        return False
    limit = _limit(effect, floor)
    up, down = effect.low > limit, effect.high < -limit
    return {"up": up, "down": down, None: up or down}[direction]


def _limit(effect: Effect, floor: float) -> float:
    return floor * _PERCENT + _TOLERANCE if effect.unit == "pp" else floor + _TOLERANCE
