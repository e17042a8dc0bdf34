"""Rates with their intervals, from sums. Pure. Intervals are Wilson's, 95%, by detectors/stats/rate_interval.

Of nothing that was scored a rate is not known: null, with a null interval. So is the rate of a signal that is no
Boolean, whose values add up to no count.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from pydantic import BaseModel, Field

from detectors.stats.rate_interval import wilson
from services.store.rollups import Point, Rate

Sums = tuple[int, int, float]


class Measured(BaseModel):
    """How often a signal was true: `rate` of the `scored` among `n` exchanges."""

    n: int = Field(description="Exchanges.", examples=[1200])
    scored: int = Field(description="Exchanges of which the signal could be measured.", examples=[1188])
    unscored: float | None = Field(description="Share that could not be measured; null without an exchange.")
    rate: float | None = Field(description="Share of the scored ones; null when none was: not known.", examples=[0.158])
    low: float | None = Field(description="Lower end of Wilson's 95% interval of the rate.", examples=[0.138])
    high: float | None = Field(description="Upper end of it.", examples=[0.18])


class Live(Measured):
    """A signal's rate over the window, of one identity and slice; null stands for all of them."""

    signal: str = Field(examples=["refusal"])
    identity: str | None = Field(description="Who answered; null: whoever did.", examples=["a1b2c3d4e5f60718"])
    slice: str | None = Field(description="dimension=value; null: the whole route.", examples=["tags.locale=de"])
    baseline: float | None = Field(description="The rate that was pinned; null where none was, as of slices.")


class At(Measured):
    """A signal's rate in the step of time that begins at `ts`."""

    ts: datetime


def measured(n: int, scored: int, value: float) -> dict[str, Any]:
    """The fields of `Measured`, of sums.

    >>> made = measured(10, 8, 2.0)
    >>> made["unscored"], made["rate"], round(made["low"], 3), round(made["high"], 3)
    (0.2, 0.25, 0.071, 0.591)
    >>> measured(3, 0, 0.0)["rate"] is measured(3, 0, 0.0)["high"] is None
    True
    """
    known = {"n": n, "scored": scored, "unscored": (n - scored) / n if n else None}
    if scored == 0 or not 0 <= value <= scored or value != int(value):
        return {**known, "rate": None, "low": None, "high": None}
    low, high = wilson(value, scored)
    return {**known, "rate": value / scored, "low": low, "high": high}


def live(rates: Iterable[Rate], pinned: Mapping[str, float]) -> tuple[Live, ...]:
    """Every signal of the whole, of each identity, of each slice, and of each identity in each slice, in that order.

    `pinned` are the baseline's rates by signal.
    """
    found: dict[tuple[str, str, str], Sums] = {}
    for rate in rates:
        for identity in ("", rate.identity):
            key = (identity, rate.slice, rate.signal)
            n, scored, value = found.get(key, (0, 0, 0.0))
            found[key] = (n + rate.n, scored + rate.scored, value + rate.sum)
    return tuple(
        Live.model_construct(
            **measured(*sums),
            signal=signal,
            identity=identity or None,
            slice=label or None,
            baseline=None if label else pinned.get(signal),
        )
        for (identity, label, signal), sums in sorted(found.items(), key=_order)
        if signal
    )


def answered(rates: Iterable[Rate]) -> tuple[int, int]:
    """How many exchanges the whole route had, and how many of them were answered."""
    whole = [rate for rate in rates if not rate.slice and not rate.signal]
    return sum(rate.n for rate in whole), sum(rate.scored for rate in whole)


def series(points: Sequence[Point]) -> dict[str, tuple[At, ...]]:
    """Signal -> its points in order of time; of the signals, not of the exchanges themselves."""
    found: dict[str, list[At]] = {}
    for one in points:
        if one.signal:
            made = At.model_construct(ts=one.ts, **measured(one.n, one.scored, one.sum))
            found.setdefault(one.signal, []).append(made)
    return {signal: tuple(found[signal]) for signal in sorted(found)}


def _order(item: tuple[tuple[str, str, str], Sums]) -> tuple[bool, bool, str, str, str]:
    identity, label, signal = item[0]
    return bool(label), bool(identity), label, identity, signal
