"""Versions held against each other by a judge. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from services.wording import numbers

COLUMNS: Final = ("version", "strength", "95%", "won", "lost", "tied")


def remarks(battles: int, inconclusive: int, connected: bool) -> Iterator[str]:
    """On what a table stands."""
    told = f"{numbers.count(battles, 'pair')} judged"
    yield f"{told}, {inconclusive:,} without a verdict" if inconclusive else told
    if battles and not connected:
        yield "Some versions never met, not even by way of others: their strengths say nothing of each other."
