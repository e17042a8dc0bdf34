"""The box of a chart: where a time and a rate lie in it, its grid, its gaps and its ticks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from services.charts import axis
from services.charts.drawing import Drawing
from services.charts.values import ChartPoint, Rates
from services.wording.charts import NOTHING_SCORED

_ROOM: Final = 1.1
_WIDE_AT_MOST: Final = 2.5
"""An interval of few exchanges does not squeeze the rates to the ground: it is cut there."""
_TICK_WIDTH: Final = 78
_WORDS_FIT: Final = 76


@dataclass(frozen=True, slots=True)
class Frame:
    """Times from `since` to `until` between left and right, rates from 0 to `top_rate` between bottom and top."""

    left: float
    right: float
    top: float
    bottom: float
    since: datetime
    until: datetime
    ticks: tuple[float, ...]

    @property
    def top_rate(self) -> float:
        """The rate at the upper edge."""
        return self.ticks[-1]

    def x(self, at: datetime) -> float:
        """Where a time lies; what is outside lies on the edge."""
        span = (self.until - self.since) / timedelta(seconds=1)
        share = (at - self.since) / timedelta(seconds=1) / span if span > 0 else 0.0
        return self.left + min(max(share, 0.0), 1.0) * (self.right - self.left)

    def y(self, rate: float) -> float:
        """Where a rate lies; what is above lies on the edge."""
        return self.bottom - min(max(rate / self.top_rate, 0.0), 1.0) * (self.bottom - self.top)


def greatest(rates: Rates) -> float:
    """The rate that has to fit in: every point's and the baseline's, and of their intervals what is not too wide."""
    shown = [point.rate for point in rates.points if point.rate is not None]
    if rates.baseline is not None:
        shown += [value for value in (rates.baseline.rate, rates.baseline.high) if value is not None]
    most = max(shown, default=0.0)
    highs = [point.high for point in rates.points if point.high is not None]
    return max(most, min(max(highs, default=0.0), _WIDE_AT_MOST * most + 0.005)) * _ROOM


def grid(drawing: Drawing, frame: Frame) -> None:
    """Lines across with their percentages, and the ticks of time with UTC at the end."""
    for rate in frame.ticks:
        y = frame.y(rate)
        drawing.path("c-axis" if rate == 0 else "c-grid", f"M{frame.left:.1f} {y:.1f}H{frame.right:.1f}")
        drawing.text("c-text", frame.left - 6, y + 4, axis.tick(rate), "end")
    most = max(int((frame.right - frame.left) // _TICK_WIDTH), 2)
    for at, label, below in axis.times(frame.since, frame.until, most):
        x = frame.x(at)
        drawing.path("c-axis", f"M{x:.1f} {frame.bottom:.1f}v5")
        drawing.text("c-text", x, frame.bottom + 18, label, "middle")
        drawing.text("c-text", x, frame.bottom + 32, below, "middle")
    drawing.text("c-text", frame.right + 24, frame.bottom + 18, "UTC")


def runs(points: Sequence[ChartPoint], step: timedelta) -> list[list[ChartPoint]]:
    """The points in stretches without a gap: a new one begins where points are missing or nothing was scored."""
    found: list[list[ChartPoint]] = []
    for point in points:
        if point.rate is None:
            continue
        if found and point.ts - found[-1][-1].ts <= 1.5 * step:
            found[-1].append(point)
        else:
            found.append([point])
    return found


def gaps(rates: Rates) -> list[tuple[datetime, datetime]]:
    """From when to when nothing was scored."""
    found, end = [], rates.since
    for run in runs(rates.points, rates.step):
        if run[0].ts - end > 0.5 * rates.step:
            found.append((end, run[0].ts))
        end = max(end, run[-1].ts + rates.step)
    if rates.until - end > 0.5 * rates.step:
        found.append((end, rates.until))
    return found


def shade(drawing: Drawing, frame: Frame, gaps: Sequence[tuple[datetime, datetime]]) -> None:
    """Grey where nothing was scored, and that in words where they fit."""
    for begin, end in gaps:
        x, width = frame.x(begin), frame.x(end) - frame.x(begin)
        drawing.tip(drawing.rect("c-gap", x, frame.top, width, frame.bottom - frame.top), NOTHING_SCORED)
        if width >= _WORDS_FIT + 8:
            drawing.text("c-text", x + width / 2, (frame.top + frame.bottom) / 2, NOTHING_SCORED, "middle")
