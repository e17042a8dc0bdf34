"""Marks of what happened: a line across the chart, and its label where there is room for it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from services.charts.drawing import Drawing, cleaned
from services.charts.frame import Frame
from services.charts.values import ChartMark, MarkKind
from services.wording.numbers import short_moment

LANE: Final = 16
_LANES: Final = 4
_MOST: Final = 8
_LETTER: Final = 6.9
"""Width of a letter of 12 px, generously: pages choose their own font."""
_APART: Final = 8
_LONGEST: Final = 40
CLASSES: Final[Mapping[MarkKind, str]] = {
    "change": "c-change",
    "incident": "c-incident",
    "baseline": "c-pinned",
    "evaluation": "c-evaluation",
}
_FIRST: Final[tuple[MarkKind, ...]] = ("incident", "change", "baseline", "evaluation")


@dataclass(frozen=True, slots=True)
class Label:
    """A label in its lane, counted from below, to the right of its line or to the left."""

    mark: ChartMark
    words: str
    lane: int
    x: float
    left: float
    right: float

    @property
    def anchor(self) -> str:
        """Which end of the words stands at the line."""
        return "start" if self.left >= self.x else "end"


def within(marks: Sequence[ChartMark], frame: Frame) -> list[ChartMark]:
    """Those that the chart's time holds, in order."""
    return sorted((one for one in marks if frame.since <= one.ts <= frame.until), key=lambda one: one.ts)


def labels(marks: Sequence[ChartMark], frame: Frame, edge: float) -> list[Label]:
    """Labels that do not overlap, between the left of the plot and `edge`; what weighs least goes without.

    A mark without room for its words keeps its line, and what it says is said when it is pointed at.
    """
    chosen = sorted(marks, key=lambda one: (_FIRST.index(one.kind), one.ts))[:_MOST]
    while len(placed := _placed(chosen, frame, edge)) < len(chosen):
        chosen.pop()
    return placed


def _placed(marks: Sequence[ChartMark], frame: Frame, edge: float) -> list[Label]:
    """In as few lanes as there is room for all; else like stairs, the left one's label highest and to its right."""
    flat = _greedy(marks, frame, edge, lambda label: (label.lane, label.left < label.x))
    return (
        flat
        if len(flat) == len(marks)
        else _greedy(marks, frame, edge, lambda label: (label.left < label.x, label.lane))
    )


def _greedy(
    marks: Sequence[ChartMark], frame: Frame, edge: float, order: Callable[[Label], tuple[int, int]]
) -> list[Label]:
    placed: list[Label] = []
    for mark in sorted(marks, key=lambda one: one.ts, reverse=True):
        words = cleaned(mark.text, _LONGEST)
        sides = sorted((one for lane in range(_LANES) for one in _sides(mark, words, lane, frame, edge)), key=order)
        placed += [one for one in sides if not any(_meets(one, other) for other in placed)][:1]
    return placed


def _sides(mark: ChartMark, words: str, lane: int, frame: Frame, edge: float) -> list[Label]:
    x, width = frame.x(mark.ts), len(words) * _LETTER
    sides = [(x + 4, x + 4 + width), (x - 4 - width, x - 4)]
    return [Label(mark, words, lane, x, a, b) for a, b in sides if a >= frame.left and b <= edge]


def _meets(one: Label, other: Label) -> bool:
    """Whether one covers the other, or the line of the one that stands higher runs through the lower one."""
    if one.lane == other.lane:
        return one.left < other.right + _APART and other.left < one.right + _APART
    high, low = (one, other) if one.lane > other.lane else (other, one)
    return low.left - 2 < high.x < low.right + 2


def draw(drawing: Drawing, frame: Frame, marks: Sequence[ChartMark], placed: Sequence[Label]) -> None:
    """The lines, and the labels above the plot."""
    heights = {id(label.mark): label.lane + 1 for label in placed}
    for mark in marks:
        top = frame.top - LANE * heights.get(id(mark), 0)
        line = drawing.path(CLASSES[mark.kind], f"M{frame.x(mark.ts):.1f} {frame.bottom:.1f}V{top:.1f}")
        drawing.tip(line, f"{short_moment(mark.ts)} UTC: {cleaned(mark.text, 200)}")
    for label in placed:
        y = frame.top - LANE * label.lane - 5
        drawing.text(
            f"{CLASSES[label.mark.kind]}-text",
            label.x + (4 if label.anchor == "start" else -4),
            y,
            label.words,
            label.anchor,
        )


def lanes(placed: Sequence[Label]) -> int:
    """How many lanes the labels take."""
    return max((label.lane + 1 for label in placed), default=0)
