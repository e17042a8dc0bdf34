"""What a chart of rates says, in a sentence and as a table."""

from __future__ import annotations

from typing import Final

from services.charts import axis
from services.charts.drawing import cleaned
from services.charts.frame import gaps
from services.charts.values import ChartPoint, Rates

HEAD: Final = ("from (UTC)", "rate", "95% interval", "scored")


def sentence(rates: Rates) -> str:
    """The span, the newest rate against the baseline, how much was not scored, and what is marked."""
    scored = [point for point in rates.points if point.rate is not None]
    name = cleaned(rates.name, 60)
    span = f"{name[:1].upper()}{name[1:]} from {axis.moment(rates.since)} to {axis.moment(rates.until)} UTC"
    if not scored:
        return f"{span}: not known, nothing was scored."
    return " ".join(
        part for part in (f"{span}: {_now(scored[-1])}{_base(rates)}.", _missing(rates), _marked(rates)) if part
    )


def table(rates: Rates) -> tuple[tuple[str, ...], ...]:
    """A row a point."""
    return tuple((axis.moment(point.ts), *_values(point), f"{point.n:,}") for point in rates.points)


def _now(point: ChartPoint) -> str:
    rate, interval = _values(point)
    return f"last {rate} of {point.n:,} scored" + (f" (95% interval {interval})" if point.low is not None else "")


def _values(point: ChartPoint) -> tuple[str, str]:
    if point.rate is None:
        return "not known", "not known"
    if point.low is None or point.high is None:
        return axis.percent(point.rate), "not known"
    return axis.percent(point.rate), f"{axis.percent(point.low)} to {axis.percent(point.high)}"


def _base(rates: Rates) -> str:
    base = rates.baseline
    return ", no baseline yet" if base is None else f", against {axis.percent(base.rate)} in the baseline"


def _missing(rates: Rates) -> str:
    found = gaps(rates)
    if not found:
        return ""
    shown = ", ".join(f"{axis.moment(begin)} to {axis.moment(end)}" for begin, end in found[:2])
    more = f" and {len(found) - 2} times more" if len(found) > 2 else ""
    return f"Nothing was scored from {shown}{more}."


def _marked(rates: Rates) -> str:
    marks = [one for one in sorted(rates.marks, key=lambda one: one.ts) if rates.since <= one.ts <= rates.until]
    said = "; ".join(f"{axis.moment(one.ts)} {cleaned(one.text, 60)}" for one in marks[-4:])
    more = f", {len(marks) - 4} earlier ones not named here" if len(marks) > 4 else ""
    return f"Marked: {said}{more}." if marks else ""
