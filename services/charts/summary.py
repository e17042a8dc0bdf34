"""What a chart of rates says, in a sentence and as a table."""

from __future__ import annotations

from services.charts.drawing import cleaned
from services.charts.frame import gaps
from services.charts.values import ChartPoint, Rates
from services.wording import charts, numbers
from services.wording.charts import HEAD

__all__ = ["HEAD", "sentence", "table"]


def sentence(rates: Rates) -> str:
    """The span, the newest rate against the baseline, how much was not scored, and what is marked."""
    span = charts.span(cleaned(rates.name, 60), rates.since, rates.until)
    last = next((point for point in reversed(rates.points) if point.rate is not None), None)
    if last is None or last.rate is None:
        return f"{span}: {numbers.UNKNOWN}, {charts.NOTHING_SCORED}."
    base = None if rates.baseline is None else rates.baseline.rate
    told = f"{span}: {charts.newest(last.n, last.rate, last.low, last.high, base)}."
    return " ".join(part for part in (told, charts.gaps(gaps(rates)), _marked(rates)) if part)


def table(rates: Rates) -> tuple[tuple[str, ...], ...]:
    """A row a point."""
    return tuple((numbers.short_moment(point.ts), *_values(point), f"{point.n:,}") for point in rates.points)


def _values(point: ChartPoint) -> tuple[str, str]:
    if point.rate is None:
        return numbers.UNKNOWN, numbers.UNKNOWN
    return numbers.percent(point.rate), numbers.interval(point.low, point.high) or numbers.UNKNOWN


def _marked(rates: Rates) -> str:
    marks = [one for one in sorted(rates.marks, key=lambda one: one.ts) if rates.since <= one.ts <= rates.until]
    return charts.marked([(one.ts, cleaned(one.text, 60)) for one in marks])
