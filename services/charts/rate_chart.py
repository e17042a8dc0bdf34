"""A rate over time with its interval, against its baseline, with marks of what happened."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from services.charts import axis, marks, summary
from services.charts.drawing import Drawing, cleaned
from services.charts.frame import Frame, gaps, greatest, grid, runs, shade
from services.charts.values import Chart, ChartPoint, Picture, Rates
from services.wording.charts import BASELINE
from services.wording.numbers import percent


@dataclass(frozen=True, slots=True)
class _Size:
    """A drawing's width, the height of its plot, and its margins; the top one is without the labels' lanes."""

    kind: str
    width: float
    plot: float
    left: float
    right: float
    top: float
    wordy: bool
    """Whether the lines' names stand at their right ends, and not their rates alone."""


_WIDE: Final = _Size("chart-wide", 760, 190, 54, 112, 12, True)
_NARROW: Final = _Size("chart-narrow", 360, 170, 48, 54, 12, False)
_PICTURE: Final = _Size("chart-picture", 800, 220, 62, 122, 72, True)
_BELOW: Final = 40
_END: Final = 20


def rates_chart(rates: Rates) -> Chart:
    """For a page: twice, for wide and for narrow screens, with the sentence and the table.

    >>> from datetime import UTC, datetime, timedelta
    >>> from services.charts import Band, ChartMark, Rates, point, rates_chart
    >>> start, hour = datetime(2026, 11, 24, tzinfo=UTC), timedelta(hours=1)
    >>> points = [point(start + n * hour, 15 if n < 4 else 2, 100) for n in range(6)]
    >>> marks = [ChartMark(start + 4 * hour, "silent change", "incident")]
    >>> made = rates_chart(Rates("refusal rate", points, start, start + 6 * hour, hour, Band(0.15, 0.1, 0.2), marks))
    >>> print(made.summary)
    Refusal rate from 24 Nov 00:00 to 24 Nov 06:00 UTC: last 2.0% of 100 scored (95% interval 0.6% to 7.0%), \
against 15.0% in the baseline. Marked: 24 Nov 04:00 silent change.
    >>> len(made.svgs), made.rows[0]
    (2, ('24 Nov 00:00', '15.0%', '9.3% to 23.3%', '100'))
    """
    says = summary.sentence(rates)
    drawn = tuple(_drawn(rates, size, says).for_page() for size in (_WIDE, _NARROW))
    return Chart(drawn, says, summary.HEAD, summary.table(rates))


def rates_picture(rates: Rates) -> Picture:
    """For a message or a file: with its title in it and colours of its own."""
    says = summary.sentence(rates)
    return Picture(_drawn(rates, _PICTURE, says).for_picture(), says)


def _drawn(rates: Rates, size: _Size, says: str) -> Drawing:
    ticks = tuple(axis.rates(greatest(rates)))
    box = Frame(size.left, size.width - size.right, 0, size.plot, rates.since, rates.until, ticks)
    shown = marks.within(rates.marks, box)
    placed = marks.labels(shown, box, size.width - 4)
    top = size.top + marks.LANE * marks.lanes(placed)
    frame = replace(box, top=top, bottom=top + size.plot)
    drawing = Drawing(size.width, frame.bottom + _BELOW, cleaned(rates.name, 60), says, size.kind)
    if size is _PICTURE:
        _titled(drawing, rates)
    shade(drawing, frame, gaps(rates))
    grid(drawing, frame)
    _baseline(drawing, frame, rates)
    for run in runs(rates.points, rates.step):
        _run(drawing, frame, run, rates)
    marks.draw(drawing, frame, shown, placed)
    _ends(drawing, frame, rates, size)
    return drawing


def _titled(drawing: Drawing, rates: Rates) -> None:
    drawing.rect("c-ground", 0, 0, drawing.width, drawing.height)
    drawing.text("c-title", 18, 28, cleaned(rates.name, 80))
    drawing.text("c-where", 18, 48, cleaned(rates.where, 110))


def _baseline(drawing: Drawing, frame: Frame, rates: Rates) -> None:
    base = rates.baseline
    if base is None:
        return
    if base.low is not None and base.high is not None:
        top, bottom = frame.y(base.high), frame.y(base.low)
        drawing.rect("c-floor", frame.left, top, frame.right - frame.left, bottom - top)
    drawing.path("c-baseline", f"M{frame.left:.1f} {frame.y(base.rate):.1f}H{frame.right:.1f}")


def _run(drawing: Drawing, frame: Frame, run: Sequence[ChartPoint], rates: Rates) -> None:
    """A stretch without a gap: the line with its band; a point on its own is a dot with its interval."""
    at = [frame.x(min(point.ts + rates.step / 2, rates.until)) for point in run]
    spread = [(x, point.low, point.high) for x, point in zip(at, run, strict=True)]
    bounds = [(x, frame.y(low), frame.y(high)) for x, low, high in spread if low is not None and high is not None]
    line = [(x, frame.y(point.rate or 0.0)) for x, point in zip(at, run, strict=True)]
    if len(run) == 1:
        for x, low, high in bounds:
            drawing.path("c-whisker", f"M{x:.1f} {low:.1f}V{high:.1f}")
        drawing.dot("c-dot", *line[0], 3)
        return
    if bounds:
        upper = [f"{x:.1f} {high:.1f}" for x, _, high in bounds]
        lower = [f"{x:.1f} {low:.1f}" for x, low, _ in reversed(bounds)]
        drawing.path("c-band", f"M{'L'.join([*upper, *lower])}Z")
    drawing.path("c-line", "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in line))


def _ends(drawing: Drawing, frame: Frame, rates: Rates, size: _Size) -> None:
    """What the lines are, at their right ends, kept apart from each other and above the times."""
    last = next((point for point in reversed(rates.points) if point.rate is not None), None)
    found: list[tuple[float, str, str]] = []
    if rates.baseline is not None:
        rate = rates.baseline.rate
        found.append((frame.y(rate), "c-base", f"{f'{BASELINE} ' * size.wordy}{percent(rate)}"))
    if last is not None and last.rate is not None:
        x, y = frame.x(min(last.ts + rates.step / 2, rates.until)), frame.y(last.rate)
        drawing.dot("c-dot", x, y, 4)
        found.append((y, "c-now", f"{'last ' * size.wordy}{percent(last.rate)}"))
    moves = _apart([y for y, *_ in found])
    below = max([y + moved - frame.bottom for (y, *_), moved in zip(found, moves, strict=True)], default=0.0)
    for (y, kind, words), moved in zip(found, moves, strict=True):
        drawing.text(kind, frame.right + 8, y + moved - max(below, 0.0) + 4, words)


def _apart(heights: Sequence[float]) -> Sequence[float]:
    """How far each of at most two labels moves so that they are a line apart."""
    if len(heights) < 2 or abs(heights[0] - heights[1]) >= _END - 4:
        return [0.0] * len(heights)
    push = (_END - 4 - abs(heights[0] - heights[1])) / 2
    return [-push, push] if heights[0] <= heights[1] else [push, -push]
