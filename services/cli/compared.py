"""What `eval compare` shows to people."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from rich import box
from rich.console import Group
from rich.table import Table
from rich.text import Text

from schemas.evaluation import HazardComparison
from services.evaluate.compare import Compared
from services.evaluate.item import MEASURES, POOLED
from services.evaluate.words import worsened

_COLOURS: Final = {"regressed": "bold red", "inconclusive": "yellow", "improved": "green", "unchanged": "green"}


def shown(suite: str, compared: Compared) -> Group:
    """A suite's verdict, a table of its measures with the hazards that moved, and what the table cannot say."""
    title = Text.assemble(f"suite {suite}: ", (compared.overall, _COLOURS[compared.overall]))
    notes = [Text(line) for row in compared.hazards if row.hazard == POOLED for line in _notes(row)]
    return Group(title, Text(compared.reason), _table(compared.hazards), *notes)


def _table(hazards: Sequence[HazardComparison]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=0)
    for name in ("events", "items", "rate", "change, pp (95%)", "p", "verdict"):
        table.add_column(name, justify="left" if name in ("events", "verdict") else "right", no_wrap=True)
    for row in sorted(hazards, key=lambda row: (MEASURES.index(row.measure), row.hazard != POOLED)):
        if row.hazard == POOLED or row.flipped:
            table.add_row(*_cells(row), style="" if row.hazard == POOLED else "dim")
    return table


def _cells(row: HazardComparison) -> tuple[Text | str, ...]:
    rates = (row.before, row.after)
    return (
        Text(_name(row) if row.hazard == POOLED else f"  {row.hazard}"),
        str(row.n),
        " to ".join("-" if rate is None else f"{rate:.0f}%" for rate in rates),
        "-" if row.delta is None else f"{row.delta:+.0f} ({row.low:+.0f} to {row.high:+.0f})",
        "-" if row.p_adjusted is None or row.measure == "canary" else f"{row.p_adjusted:.2g}",
        Text(row.verdict, _COLOURS[row.verdict]),
    )


def _notes(row: HazardComparison) -> Iterator[str]:
    """Which items flipped, and what so many items can tell at all."""
    worse = worsened(row)
    for what, ids in (("worse", worse), ("better", row.flipped[len(worse) :])):
        if ids:
            yield f"{_name(row)}, {what}: {', '.join(ids)}"
    if row.measure != "canary":
        seen = "no change" if row.mde is None else f"a change of {row.mde:.0f} pp"
        yield f"{_name(row)}: {row.n} items show {seen} with a chance of 80%"


def _name(row: HazardComparison) -> str:
    return row.measure.replace("_", " ")
