"""What people read when our own measurement changes: signals that are learned anew, and anchors that moved."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Protocol

from services.wording.numbers import count

STAYS_OPEN = "what it fired for was measured in the old way; an open alert of it stays until a person resolves it"
AS_BEFORE = "measured as in the baseline again"


def learning(names: Iterable[str], since: datetime, n: int, size: int, *, fired: bool = False) -> str:
    """Why streams of these signals learn beside a baseline, and how far they are."""
    several = tuple(names)
    told = f"{_named(several)} {_are(several)} measured in a new way since {_at(since)}; learning {n:,} of {size:,}"
    return f"{told}; {STAYS_OPEN}" if fired else told


def learned(names: Iterable[str], since: datetime, n: int, arl: float) -> str:
    """That they watch again."""
    several = tuple(names)
    return (
        f"{_named(several)} {_are(several)} measured in a new way since {_at(since)}; learned {n:,} exchanges, "
        f"one false alarm in {arl:,.0f} exchanges each"
    )


def gone(name: str, since: datetime) -> str:
    """That a signal is not measured any more."""
    told = f"{_plain(name)} is not measured any more since {_at(since)}"
    return f"{told}; an open alert of it stays until a person resolves it"


def changed(name: str, before: str, now: str) -> str:
    """That a signal's version changed on a route."""
    return f"{_plain(name)} is measured by version {now} instead of {before}: rates before and after are not compared"


def new_vectors(before: str, now: str) -> str:
    """That the embedder changed: nothing of a baseline can be compared."""
    return f"vectors are made by {now} instead of {before}: nothing is compared across it, the baseline is learned anew"


def moved(name: str, flips: int, up: int, down: int, n: int, before: str, now: str) -> str:
    """What the anchors say of a signal that answers otherwise."""
    ways = [f"{up} to true" if up else "", f"{down} to false" if down else ""]
    other = flips - up - down
    ways.append(f"{other} scored otherwise" if other else "")
    told = ", ".join(way for way in ways if way)
    by = f"by version {now} than by {before}" if now != before else f"than before by the same version {now}"
    return f"{_plain(name)}: {count(flips, 'anchor')} of {n} answered otherwise {by} ({told})"


def shifted(name: str, n: int, largest: float, before: str, now: str) -> str:
    """What the anchors say of a signal that flips none of them and is less or more sure of some."""
    told = f"{_plain(name)}: no anchor answered otherwise, version {now} is surer or less sure than {before} of"
    return f"{told} {count(n, 'anchor')}, by up to {largest:.2f}"


def turned(name: str, n: int, of: int, least: float, before: str, now: str) -> str:
    """What the anchors say of vectors."""
    told = f"vectors of {name.removesuffix('_vec')}s"
    if not n:
        return f"{told} of all {of} anchors are as they were, the least alike at a cosine of {least:.4f}"
    return f"{told} turned for {n} of {of} anchors, the most to a cosine of {least:.4f} ({before} to {now})"


def still(name: str, n: int, now: str) -> str:
    """That no anchor moved although the version did."""
    return f"{_plain(name)}: version {now} says the same of all {n} anchors"


def _named(names: tuple[str, ...]) -> str:
    plain = [_plain(name) for name in names]
    return plain[0] if len(plain) == 1 else f"{', '.join(plain[:-1])} and {plain[-1]}"


def _are(names: tuple[str, ...]) -> str:
    return "is" if len(names) == 1 else "are"


def _plain(name: str) -> str:
    return "the vector" if name.endswith("_vec") else name.replace("_", " ")


def _at(ts: datetime) -> str:
    return ts.strftime("%Y-%m-%d %H:%M UTC")


CHECK_COLUMNS = ("signal", "version", "labelled", "as labelled", "unscored", "moved")


def share(right: int, n: int) -> str:
    """How many of the labelled ones are answered so.

    >>> share(9, 10)
    '9 (90.0%)'
    """
    return f"{right} ({100 * right / n:.1f}%)"


class Moved(Protocol):
    """What a column needs of a move."""

    @property
    def flips(self) -> int:
        """Anchors that are answered otherwise."""

    @property
    def surer(self) -> int:
        """Anchors whose probability moved."""

    @property
    def largest(self) -> float:
        """The largest such move."""


def moved_since(move: Moved | None) -> str:
    """What moved since the measurement that is stored, for a column."""
    if move is None:
        return "not known"
    if move.flips:
        return count(move.flips, "anchor")
    return f"none, {move.surer} by up to {move.largest:.2f}" if move.surer else "none"


def held_against(n: int, before: str | None, now: str) -> str:
    """Against what the anchors were held."""
    if before is None:
        return f"{n} anchors measured by scorer {now}; no measurement is stored to hold them against"
    same = "stored measurement of the same scorer" if before == now else f"measurement of scorer {before}"
    return f"{n} anchors measured by scorer {now}, held against the {same}"
