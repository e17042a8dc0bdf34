"""Why nothing is seen, and that something is seen again: reasons of the family `blind`. Pure."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from services.wording import numbers

HEARD_AGAIN: Final = "exchanges arrive again"
SCORED_AGAIN: Final = "what waited is being scored again"


def no_data(quiet: timedelta, usual: float) -> str:
    """That a route fell silent, and what is usual there."""
    told = f"no exchange for {numbers.duration(quiet)}"
    return f"{told}, where the longest usual pause is {numbers.duration(timedelta(seconds=usual))}" if usual else told


def nothing_scored(waiting: int, stood: timedelta) -> str:
    """That input waits and nobody scores it."""
    what = f"{numbers.count(waiting, 'record')} wait{'s' if waiting == 1 else ''}"
    return f"{what}, and none was scored for {numbers.duration(stood)}"


def flood(dead: int, of: int, step: str) -> str:
    """That a step cannot read what comes in."""
    return f"{step} could not read {dead:,} of the last {of:,} records: `keelwatch dead list` says why"


def calm(of: int) -> str:
    """That it can again."""
    return f"nearly all of the last {of:,} records could be read"
