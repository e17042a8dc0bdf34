"""Where the ticks of an axis stand, and what they say."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Final

from services.wording.numbers import MONTHS

_EPOCH: Final = datetime(1970, 1, 5, tzinfo=UTC)
"""A Monday, so that ticks of weeks are Mondays."""
_STEPS: Final = (
    *(timedelta(minutes=n) for n in (1, 2, 5, 10, 15, 30)),
    *(timedelta(hours=n) for n in (1, 2, 3, 6, 12)),
    *(timedelta(days=n) for n in (1, 2, 7, 14, 28, 56, 182, 364)),
)
_LEAST: Final = 0.001
"""A tenth of a percent fills an axis on which nothing is greater."""


def times(since: datetime, until: datetime, most: int) -> list[tuple[datetime, str, str]]:
    """At most so many ticks within [since, until]: time, label, and the day below it where a new one begins.

    >>> day = datetime(2026, 11, 24, 20, tzinfo=UTC)
    >>> [(label, below) for _, label, below in times(day, day + timedelta(hours=9), 4)]
    [('21:00', '24 Nov'), ('00:00', '25 Nov'), ('03:00', '')]
    """
    span = until - since
    step = next((one for one in _STEPS if span / one < most), max(_STEPS[-1], span / max(most, 1)))
    first = _EPOCH + math.ceil((since - _EPOCH) / step) * step
    return list(_labelled([first + n * step for n in range(math.floor((until - first) / step) + 1)], step))


def _labelled(ticks: Iterable[datetime], step: timedelta) -> Iterator[tuple[datetime, str, str]]:
    before = ""
    for at in ticks:
        day, year = f"{at.day} {MONTHS[at.month - 1]}", str(at.year)
        label, below = (day, year) if step >= timedelta(days=1) else (f"{at:%H:%M}", day)
        yield at, label, "" if below == before else below
        before = below


def rates(greatest: float, most: int = 5) -> list[float]:
    """Ticks from 0 to at least the greatest, at most so many intervals, the last one the end of the axis.

    >>> rates(0.17), rates(0.0004), rates(0.98)[-1]
    ([0.0, 0.05, 0.1, 0.15, 0.2], [0.0, 0.0002, 0.0004, 0.0006, 0.0008, 0.001], 1.0)
    """
    top = min(max(greatest, _LEAST), 1.0)
    scale = 10.0 ** math.floor(math.log10(top))
    steps = (round(scale * part, 12) for part in (0.1, 0.2, 0.25, 0.5, 1.0, 2.0))
    step = next(one for one in steps if math.ceil(round(top / one, 6)) <= most)
    return [round(n * step, 10) for n in range(math.ceil(round(top / step, 6)) + 1) if n * step < 1 + step / 2]


def tick(rate: float) -> str:
    """A rate at a tick, with no more digits than it takes.

    >>> tick(0.158), tick(0.0), tick(0.00042), tick(0.2), tick(1.0)
    ('15.8%', '0%', '0.042%', '20%', '100%')
    """
    value = abs(rate) * 100
    if value >= 1 or value == 0:
        return f"{round(rate * 100, 1):g}%"
    return f"{float(f'{rate * 100:.2g}'):f}".rstrip("0").rstrip(".") + "%"
