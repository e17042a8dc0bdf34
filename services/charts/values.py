"""What charts show, and what a chart is. Rates are shares from 0 to 1, times are aware."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from detectors.stats.intervals import wilson

MarkKind = Literal["change", "incident", "baseline", "evaluation"]


@dataclass(frozen=True, slots=True)
class ChartPoint:
    """One span of time from `ts` on: the rate among the `n` that were scored, and where it lies with 95%.

    Without any that was scored `rate`, `low` and `high` are None, and the chart shows a gap.
    """

    ts: datetime
    n: int
    rate: float | None
    low: float | None = None
    high: float | None = None


def point(ts: datetime, hits: float, n: int) -> ChartPoint:
    """`hits` of `n` scored ones, with Wilson's interval.

    >>> from datetime import UTC
    >>> made = point(datetime(2026, 11, 24, tzinfo=UTC), 5, 100)
    >>> made.rate, round(made.low, 3), round(made.high, 3)
    (0.05, 0.022, 0.112)
    """
    if n == 0:
        return ChartPoint(ts, 0, None)
    return ChartPoint(ts, n, hits / n, *wilson(hits, n))


@dataclass(frozen=True, slots=True)
class ChartMark:
    """Something that happened at one time, with a few words."""

    ts: datetime
    text: str
    kind: MarkKind = "change"


@dataclass(frozen=True, slots=True)
class Band:
    """A baseline's rate, and the floor that a change has to leave before it counts."""

    rate: float
    low: float | None = None
    high: float | None = None

    @classmethod
    def around(cls, rate: float, floor: float | None) -> Band:
        """The rate with the floor on both sides; a line where there is none.

        >>> Band.around(0.02, 0.05), Band.around(0.02, None)
        (Band(rate=0.02, low=0.0, high=0.07), Band(rate=0.02, low=None, high=None))
        """
        return cls(rate, max(rate - floor, 0.0), min(rate + floor, 1.0)) if floor else cls(rate)


@dataclass(frozen=True, slots=True)
class Rates:
    """A rate over [since, until), in points of `step` each, in order of time.

    Attributes:
        name: what is counted, for example `refusal rate`; where: of which route, in the picture's second line.
        step: how long a point is; where a point is missing the line has a gap, as where nothing was scored.
    """

    name: str
    points: Sequence[ChartPoint]
    since: datetime
    until: datetime
    step: timedelta
    baseline: Band | None = None
    marks: Sequence[ChartMark] = ()
    where: str = ""


@dataclass(frozen=True, slots=True)
class ChartShare:
    """How many of the exchanges are of one identity."""

    name: str
    n: int


@dataclass(frozen=True, slots=True)
class Picture:
    """A drawing with colours of its own, and what it says in a sentence."""

    svg: str
    summary: str


@dataclass(frozen=True, slots=True)
class Chart:
    """A drawing for a page: in a template `{{ chart }}`.

    Attributes:
        svgs: the drawing, or one for wide and one for narrow screens, of which the style sheet shows one.
        summary: what it says, in a sentence.
        head, rows: the same as a table of words.
        key: whether the table's rows are in the order of the drawing's colours.
    """

    svgs: tuple[str, ...]
    summary: str
    head: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()
    key: bool = False

    def __html__(self) -> str:
        """As markup: every text in it is escaped, so that a template does not escape it again."""
        return "".join(self.svgs)
