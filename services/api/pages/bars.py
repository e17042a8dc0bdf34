"""Values before and after as bars on one scale. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from schemas.evaluation import HazardComparison
from schemas.reading import Effect, Unit
from services.wording import numbers

_FULL: Final = 100.0


@dataclass(frozen=True, slots=True)
class Bars:
    """A value before and after on one scale: lengths and the interval of the one after, in percent of the width."""

    before: float
    after: float
    low: float | None
    high: float | None
    before_text: str
    after_text: str


@dataclass(frozen=True, slots=True)
class HazardChange:
    """One measure of a suite, before and after."""

    name: str
    bars: Bars | None
    change: str | None
    n: int
    verdict: str
    flipped: tuple[str, ...]


def common_scale(shown: Sequence[Effect | HazardComparison | None]) -> float:
    """The rate in percent that fills the width, one for all bars of a table: their greatest, at least 5%."""
    rates = [value for one in shown if one is not None and _unit(one) == "pp" for value in _ends(one)]
    return min(max([*rates, 5.0]) * 1.1, _FULL)


def bars(effect: Effect | HazardComparison | None, scale: float) -> Bars | None:
    """Before and after; rates on the scale of their table, other units on one of their own."""
    if effect is None or effect.before is None or effect.after is None:
        return None
    unit, before = _unit(effect), _before(effect)
    full = scale if unit == "pp" else max([*_ends(effect), 1e-9]) * 1.1
    low, high = _range(effect)
    return Bars(
        _share(before, full),
        _share(effect.after, full),
        None if low is None else _share(low, full),
        None if high is None else _share(high, full),
        numbers.level(before, unit),
        numbers.level(effect.after, unit),
    )


def _share(value: float, full: float) -> float:
    return round(min(max(value / full, 0.0), 1.0) * _FULL, 2)


def _unit(effect: Effect | HazardComparison) -> Unit:
    return effect.unit if isinstance(effect, Effect) else "pp"


def _ends(effect: Effect | HazardComparison) -> tuple[float, ...]:
    known = effect.before is not None
    values = (_before(effect) if known else None, effect.after, *_range(effect))
    return tuple(abs(value) for value in values if value is not None)


def _before(effect: Effect | HazardComparison) -> float:
    """The value before, as sentences say it."""
    assert effect.before is not None
    return numbers.before_of(effect) if isinstance(effect, Effect) else effect.before


def _range(effect: Effect | HazardComparison) -> tuple[float | None, float | None]:
    """Where the value after lies: `low` and `high` bound the change."""
    if effect.before is None or effect.low is None or effect.high is None:
        return (None, None)
    return (effect.before + effect.low, effect.before + effect.high)
