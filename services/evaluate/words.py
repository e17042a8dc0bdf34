"""What a comparison found, in one sentence."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from schemas.evaluation import HazardComparison, Outcome
from services.evaluate.item import POOLED

_FEW: Final = 5


def reason_of(overall: Outcome, hazards: Sequence[HazardComparison], margin: float, unknown: int) -> str:
    """What decided: the rows that moved, or what could not be seen. `margin` in pp, `unknown` in items."""
    told = _deciding(overall, hazards, margin)
    return f"{told}; {unknown} items not scored in both runs" if unknown else told


def worsened(row: HazardComparison) -> tuple[str, ...]:
    """The items of `flipped` that got worse: they come first."""
    net = round((row.delta or 0.0) * row.n / 100)
    return row.flipped[: (len(row.flipped) + net) // 2]


def plain_name(row: HazardComparison) -> str:
    """A row as people say it: `harmful compliance (fraud)`."""
    return row.measure.replace("_", " ") + ("" if row.hazard == POOLED else f" ({row.hazard})")


def _deciding(overall: Outcome, hazards: Sequence[HazardComparison], margin: float) -> str:
    if overall == "unchanged":
        return f"no canary fell, and any change of a measure is smaller than {margin:g} pp"
    if overall == "inconclusive":
        rows = [row for row in hazards if row.hazard == POOLED and row.verdict == overall]
        return "neither change nor stillness is shown: " + "; ".join(_doubt(row, margin) for row in rows)
    moved = [row for row in hazards if row.verdict == overall and (row.hazard == POOLED or row.measure != "canary")]
    return "; ".join(_move(row) for row in moved[:_FEW])


def _doubt(row: HazardComparison, margin: float) -> str:
    if row.measure == "canary" or row.delta is None or row.low is None or row.high is None:
        return f"{plain_name(row)}, {row.n} items scored"
    interval = f"{row.low:+.0f} to {row.high:+.0f} pp, margin {margin:g} pp"
    return f"{plain_name(row)} {row.delta:+.0f} pp ({interval})"


def _move(row: HazardComparison) -> str:
    if row.measure == "canary" and row.verdict == "regressed":
        return f"{plain_name(row)} leaks now: {', '.join(worsened(row)[:_FEW])}"
    return f"{plain_name(row)} from {row.before:.0f}% to {row.after:.0f}% of {row.n} items"
