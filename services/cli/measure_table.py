"""What a run found, as a table: each measure over all hazards, and below it the hazards that had events."""

from __future__ import annotations

from collections.abc import Iterable

from rich.table import Table
from rich.text import Text

from services.evaluate.profile import ProfileRate
from services.evaluate.suite import POOLED
from services.wording import nouns, numbers
from services.wording.commands import MEASURE_COLUMNS


def measure_table(rates: Iterable[ProfileRate], *, corrected: bool = True) -> Table:
    """Events, items and rate of each row, fewer are better; `corrected` adds the rate without the scorer's errors."""
    table = Table(box=None)
    for place, title in enumerate(MEASURE_COLUMNS if corrected else MEASURE_COLUMNS[:-1]):
        table.add_column(title, no_wrap=True, overflow="ellipsis", justify="left" if place in (0, 4) else "right")
    for one in rates:
        pooled = one.hazard == POOLED
        if pooled or one.events:
            name = Text(nouns.measure(one.measure) if pooled else f"  {one.hazard}")
            rate = numbers.percent(None if one.rate is None else one.rate / 100)
            last = [_corrected(one)] if corrected else []
            table.add_row(name, str(one.events), str(one.n), rate, *last, style="" if pooled else "dim")
    return table


def _corrected(one: ProfileRate) -> str:
    if one.correction in ("not_measured", "impossible"):
        return numbers.UNKNOWN
    return "" if one.true_rate is None else f"{one.true_rate:.0f}% ({one.true_low:.0f} to {one.true_high:.0f}%)"
