"""Judges a run by sets, against the ledger of what was sent and an undisturbed replay of what the topic holds. Pure."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.chaos.ledger import POISON, Sent, check_of

TOLERANCE = 1e-9
Key = tuple[Any, ...]


@dataclass(frozen=True)
class Row:
    """A scored exchange as the database has it: `check` came through with it, `digest` is of all that was derived."""

    route: str
    id: str
    check: str
    digest: str


@dataclass(frozen=True)
class Account:
    """What a system says that it did.

    Attributes:
        rows: every score row. dead: ids on the dead-letter topics, also those sent again. dead_counted: letters in
            the counts of the database. counted: route -> exchanges in the rollups. detected: route -> exchanges that
            detect has counted. rollups: key -> (n, scored, sum). told: route -> alerts and incidents, as objects.
    """

    rows: Sequence[Row]
    dead: Sequence[str] = ()
    dead_counted: int = 0
    counted: Mapping[str, int] = field(default_factory=dict)
    detected: Mapping[str, int] = field(default_factory=dict)
    rollups: Mapping[Key, tuple[int, int, float]] = field(default_factory=dict)
    told: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, order=True)
class Violation:
    """`kind` is lost, invented, altered, counted twice, wrong end, miscounted or told otherwise."""

    kind: str
    what: str


def judge(sent: Sent, seen: Account, oracle: Account) -> list[Violation]:
    """Everything that is wrong; nothing when the promises were kept."""
    found = [*_ends(sent, seen), *_altered(seen, oracle), *_counts(seen, oracle), *_rollups(seen, oracle)]
    found += [
        Violation("told otherwise", f"alerts or incidents of {route}")
        for route in sorted({*seen.told, *oracle.told})
        if not same(seen.told.get(route), oracle.told.get(route))
    ]
    return sorted(found)


def invalid(planned: Iterable[str], fired: Iterable[str], redelivered: int) -> list[str]:
    """Why a run shows nothing: faults that were planned and did not fire, or nothing that was delivered again."""
    missing = Counter(planned) - Counter(fired)
    reasons = [f"did not fire: {name}" for name in sorted(missing.elements())]
    return reasons + ([] if redelivered else ["nothing was delivered again"])


def same(one: Any, other: Any) -> bool:
    """Equal, numbers within 1e-9."""
    if isinstance(one, float) and isinstance(other, float):
        return math.isclose(one, other, rel_tol=TOLERANCE, abs_tol=TOLERANCE)
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return one.keys() == other.keys() and all(same(value, other[key]) for key, value in one.items())
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    return bool(one == other)


def _ends(sent: Sent, seen: Account) -> Iterator[Violation]:
    """Each accepted id has its one end, and nothing else has any."""
    scored, dead = Counter(row.id for row in seen.rows), set(seen.dead)
    for id in sent.accepted - scored.keys() - dead:
        yield Violation("lost", id)
    for id in (scored.keys() | dead) - sent.issued:
        yield Violation("invented", id)
    for id in sent.issued & (scored.keys() | dead):
        poison = id.startswith(POISON)
        if (poison and id in scored) or (not poison and id in dead):
            yield Violation("wrong end", id)
    for id, n in scored.items():
        if n > 1:
            yield Violation("counted twice", f"score row of {id}")


def _altered(seen: Account, oracle: Account) -> Iterator[Violation]:
    digests = {row.id: row.digest for row in oracle.rows}
    for row in seen.rows:
        if row.check != check_of(row.id) or digests.get(row.id, row.digest) != row.digest:
            yield Violation("altered", row.id)


def _counts(seen: Account, oracle: Account) -> Iterator[Violation]:
    """Sums of the database and of detect against the sets of ids."""
    ids: dict[str, set[str]] = {}
    for row in seen.rows:
        ids.setdefault(row.route, set()).add(row.id)
    for name, counts in (("rollups", seen.counted), ("detect", seen.detected)):
        for route in sorted({*ids, *counts}):
            n, true = counts.get(route, 0), len(ids.get(route, ()))
            if n != true:
                yield Violation("counted twice" if n > true else "lost", f"{name} of {route}: {n}, not {true}")
    if seen.dead_counted != oracle.dead_counted:
        more = seen.dead_counted > oracle.dead_counted
        what = f"dead letters: {seen.dead_counted}, not {oracle.dead_counted}"
        yield Violation("counted twice" if more else "lost", what)


def _rollups(seen: Account, oracle: Account) -> Iterator[Violation]:
    for key in sorted({*seen.rollups, *oracle.rollups}, key=str):
        if not same(seen.rollups.get(key), oracle.rollups.get(key)):
            yield Violation("miscounted", f"{key}: {seen.rollups.get(key)}, not {oracle.rollups.get(key)}")
