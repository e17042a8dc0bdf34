"""What charts say: titles, marks, the same in a sentence and as a table, for whom the picture is not shown. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from schemas.alert import Alert
from schemas.evaluation import Comparison
from schemas.incident import Incident
from services import specs
from services.wording import ceilings, incidents, numbers
from services.wording.evaluations import SHORT

OPENED: Final = "incident opened"
RESOLVED: Final = "incident resolved"
ANNOUNCED: Final = "change announced"
BASELINE: Final = "baseline"
NOTHING_SCORED: Final = "nothing scored"
HEAD: Final = ("from (UTC)", "rate", "95% interval", "scored")
_VERBS: Final = {"up": "rose", "down": "fell", None: "moved"}
_MOST: Final = 4


def suite_mark(comparison: Comparison) -> str:
    """Two runs held against each other, in the few words that fit on an axis of time."""
    return f"suite {comparison.suite} {SHORT[comparison.overall]}"


def incident_mark(incident: Incident) -> str:
    """An incident's opening on the axis of time of its route."""
    return f"incident: {incidents.title(incident)}"


def move(alert: Alert) -> str:
    """What a chart shows of an alert, after its name and place: `fell from 15.7% to 0.0%`."""
    if specs.family_of(alert.family).kind == "event":
        return "seen in an answer"
    if specs.family_of(alert.family).kind == "ceiling":
        return ceilings.above(alert.effect, alert.floor)
    return f"{_VERBS[alert.direction]}{numbers.moved(alert.effect)}"


def span(name: str, since: datetime, until: datetime) -> str:
    """What a chart is about, and of which time."""
    return f"{numbers.sentence_case(name)} from {numbers.short_moment(since)} to {numbers.short_moment(until)} UTC"


def newest(n: int, rate: float, low: float | None, high: float | None, base: float | None) -> str:
    """The newest rate against what was learned."""
    some = f" (95% interval {numbers.interval(low, high)})" if low is not None else ""
    held = "nothing learned yet" if base is None else f"against {numbers.percent(base)} in the baseline"
    return f"last {numbers.percent(rate)} of {n:,} scored{some}, {held}"


def gaps(found: Sequence[tuple[datetime, datetime]]) -> str:
    """When nothing was scored; empty where something always was."""
    if not found:
        return ""
    times = [f"{numbers.short_moment(begin)} to {numbers.short_moment(end)}" for begin, end in found[:2]]
    more = f" and {len(found) - 2} times more" if len(found) > 2 else ""
    return f"Nothing was scored from {', '.join(times)}{more}."


def marked(marks: Sequence[tuple[datetime, str]]) -> str:
    """What is marked on the axis of time, in its order."""
    if not marks:
        return ""
    said = "; ".join(f"{numbers.short_moment(ts)} {text}" for ts, text in marks[-_MOST:])
    more = f", {len(marks) - _MOST} earlier ones not named here" if len(marks) > _MOST else ""
    return f"Marked: {said}{more}."


def evidence(log_e: float | None, threshold: float) -> str:
    """How near a detector is to firing, for Details.

    >>> evidence(6.0, 12.1), evidence(None, 12.1)
    ('evidence 6.0 of 12.1', 'no evidence yet, of 12.1')
    """
    return f"no evidence yet, of {threshold:.1f}" if log_e is None else f"evidence {log_e:.1f} of {threshold:.1f}"
