"""What `eval compare` shows: the object of the contract, and a table for people."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from rich.markup import escape
from rich.table import Table

from schemas.evaluation import HazardComparison, Outcome
from services.evaluate.compare import Compared
from services.evaluate.item import POOLED
from services.evaluate.words import plain_name, worsened

WORST_FIRST: Final[tuple[Outcome, ...]] = ("regressed", "inconclusive", "improved", "unchanged")
_COLOURS: Final = {"regressed": "bold red", "inconclusive": "yellow", "improved": "green", "unchanged": "green"}
_FEW: Final = 6


def worst(found: Sequence[tuple[str, Compared]]) -> Outcome:
    """One word for all suites."""
    return min((one.overall for _, one in found), key=WORST_FIRST.index)


def as_object(found: Sequence[tuple[str, Compared]]) -> dict[str, Any]:
    """`overall` and `hazards` over all suites, and each suite by itself."""
    suites = [
        {
            "suite": suite,
            "overall": one.overall,
            "reason": one.reason,
            "hazards": [row.model_dump(mode="json") for row in one.hazards],
        }
        for suite, one in found
    ]
    return {
        "overall": worst(found),
        "reason": "; ".join(f"{suite}: {one.reason}" for suite, one in found),
        "hazards": [row for suite in suites for row in suite["hazards"]],
        "suites": suites,
    }


def table(suite: str, compared: Compared) -> Table:
    """Every row: each measure over all its items, then hazard by hazard."""
    title = f"suite {escape(suite)}: [{_COLOURS[compared.overall]}]{compared.overall}[/]\n{escape(compared.reason)}"
    columns = (
        "events",
        "items",
        "before",
        "after",
        "change (95%)",
        "p",
        "seen from",
        "verdict",
        "flipped: worse, better",
    )
    shown = Table(*columns, title=title, title_justify="left", title_style="")
    for i, row in enumerate(compared.hazards):
        last = i + 1 < len(compared.hazards) and row.hazard == POOLED != compared.hazards[i + 1].hazard
        shown.add_row(*_cells(row), style="" if row.hazard == POOLED else "dim", end_section=last)
    return shown


def _cells(row: HazardComparison) -> tuple[str, ...]:
    return (
        escape(plain_name(row)),
        str(row.n),
        _percent(row.before),
        _percent(row.after),
        "-" if row.delta is None else f"{row.delta:+.1f} pp ({row.low:+.1f} to {row.high:+.1f})",
        "-" if row.p_adjusted is None else f"{row.p_adjusted:.2g}",
        "-" if row.mde is None else f"{row.mde:.0f} pp",
        f"[{_COLOURS[row.verdict]}]{row.verdict}[/]",
        escape(_flips(row)) if row.hazard == POOLED else "",
    )


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f}%"


def _flips(row: HazardComparison) -> str:
    worse = worsened(row)
    better = row.flipped[len(worse) :]
    return "; ".join(f"{sign}{_some(ids)}" for sign, ids in (("+ ", worse), ("- ", better)) if ids)


def _some(ids: Sequence[str]) -> str:
    more = len(ids) - _FEW
    return ", ".join(ids[:_FEW]) + (f" and {more} more" if more > 0 else "")
