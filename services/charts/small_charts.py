"""Small charts for tables and lists: shares, evidence against its threshold."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from services.charts.drawing import Drawing, cleaned
from services.charts.values import Chart, ChartShare
from services.wording.charts import NOTHING_SCORED, evidence
from services.wording.numbers import percent

_COLOURS: Final = 6
_BAR: Final = (320.0, 22.0)
_NAME: Final = 60


def shares(parts: Sequence[ChartShare], name: str = "share of exchanges") -> Chart:
    """One bar of whose the exchanges are, greatest first as given; the table is its key, in the order of the colours.

    From the sixth on they are one part, `n more`.

    >>> made = shares([ChartShare("gpt-4 0613", 750), ChartShare("gpt-4 <b>", 250)])
    >>> made.rows
    (('gpt-4 0613', '75.0%', '750'), ('gpt-4 <b>', '25.0%', '250'))
    >>> "<b>" in made.__html__()
    False
    """
    told = [ChartShare(cleaned(part.name, _NAME), part.n) for part in parts if part.n > 0]
    if len(told) > _COLOURS:
        rest = told[_COLOURS - 1 :]
        told = [*told[: _COLOURS - 1], ChartShare(f"{len(rest)} more", sum(part.n for part in rest))]
    total = sum(part.n for part in told)
    rows = tuple((part.name, percent(part.n / total), f"{part.n:,}") for part in told)
    says = ", ".join(f"{share} {who}" for who, share, _ in rows) or NOTHING_SCORED
    width, height = _BAR
    drawing = Drawing(width, height, f"{cleaned(name, _NAME)}: {says}", says, "chart-shares")
    drawing.rect("c-track", 0, 0, width, height)
    x = 0.0
    for n, part in enumerate(told, 1):
        wide = width * part.n / total
        drawing.tip(drawing.rect(f"c-share-{n}", x, 0, max(wide - 1, 1), height), f"{rows[n - 1][1]} {part.name}")
        x += wide
    return Chart((drawing.for_page(),), says, ("model", "share", "exchanges"), rows, key=True)


def evidence_bar(log_e: float | None, threshold: float, name: str = "evidence") -> Chart:
    """The log evidence of a detector as a bar, with a line where it fires. None: it is learning, or blind.

    >>> evidence_bar(6.0, 12.1).summary, evidence_bar(None, 12.1).summary
    ('evidence 6.0 of 12.1', 'no evidence yet, of 12.1')
    """
    width, height = _BAR
    height -= 6
    says = evidence(log_e, threshold)
    drawing = Drawing(width, height, f"{cleaned(name, _NAME)}: {says}", says, "chart-evidence")
    drawing.rect("c-track", 0, 3, width, height - 6)
    at = width * 0.8
    if log_e is not None and log_e > 0 and threshold > 0:
        fires = log_e >= threshold
        drawing.rect("c-fires" if fires else "c-quiet", 0, 3, min(at * log_e / threshold, width), height - 6)
    drawing.path("c-threshold", f"M{at:.1f} 0V{height:.1f}")
    return Chart((drawing.for_page(),), says)
