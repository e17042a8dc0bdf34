"""Which version of each signal counts on a route, row by row: what was measured otherwise is not compared. Pure.

A version counts once it measured `HOLDS` exchanges running: in a rolling upgrade workers of two versions alternate, and
until one of them holds, the rows of the version that does not count are left out (NaN, as if they were not scored).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

from detectors.protocol import Bool, Float, Rows, signal_of_column
from schemas.score import ScoreBlock
from services.detect.state import ABSENT, HOLDS, UNVERSIONED, VECTORS, DetectState, Pinned, SignalVersion
from services.monitor import RoutePolicy


@dataclass(frozen=True, slots=True)
class VersionChange:
    """From row `row` of a block on another version of a signal counts."""

    row: int
    name: str
    now: SignalVersion


@dataclass(frozen=True, slots=True)
class FollowedVersions:
    """What a block says of versions.

    Attributes:
        versions: of every watched signal before the first change. changes: in the order of their rows.
        counted: signal -> (n,) which rows were measured by the version that counts there.
    """

    versions: dict[str, SignalVersion]
    changes: tuple[VersionChange, ...]
    counted: dict[str, Bool]


def watched_rates(policy: RoutePolicy) -> list[str]:
    """Signals that are watched as rates."""
    return sorted(name for name, floor in policy.floors.items() if floor is not None and floor > 0)


def follow_versions(state: DetectState, policy: RoutePolicy, block: ScoreBlock, rows: Rows) -> FollowedVersions:
    """Hold the versions of a block, which has one scorer, against those that count on the route."""
    learned = {} if state.pinned is None else state.pinned.versions
    names = sorted({*watched_rates(policy), *learned, VECTORS})
    versions, changes, counted = dict(state.versions), [], {}
    for name in names if len(rows) else ():
        told = _version(block, name)
        held = versions.get(name) or SignalVersion(told, int(rows.index[0]), float(rows.ts[0]))
        counted[name] = np.full(len(rows), told == held.version)
        versions[name] = held
        if told == held.version:
            versions[name] = held if held.rival is None else replace(held, rival=None, run=0)
            continue
        run = held.run if held.rival == told else 0
        place = HOLDS - run - 1
        if place < len(rows):
            counted[name][place:] = True
            now = SignalVersion(told, int(rows.index[place]), float(rows.ts[place]))
            changes.append(VersionChange(place, name, now))
        else:
            versions[name] = replace(held, rival=told, run=run + len(rows))
    changes.sort(key=lambda change: (change.row, change.name))
    return FollowedVersions(versions, tuple(changes), counted)


def without_uncounted(rows: Rows, counted: dict[str, Bool]) -> Rows:
    """The rows, unscored where a version measured that does not count; vectors that do not count are not there."""
    signals = {name: _only(values, counted.get(signal_of_column(name))) for name, values in rows.signals.items()}
    vectors = counted.get(VECTORS)
    embedded = rows.embedded if vectors is None else rows.embedded & vectors
    return replace(rows, signals=signals, embedded=embedded)


def seeded(state: DetectState, block: ScoreBlock) -> DetectState:
    """A state that was stored before versions were: it learned every signal by the first one, and these vectors."""
    if state.versions or not state.intake.count:
        return state
    pinned = state.pinned
    if pinned is not None and not pinned.versions:
        pinned = replace(pinned, versions=dict.fromkeys(pinned.rates, UNVERSIONED))
    known = _scored_of(pinned, state)
    versions = {name: SignalVersion(UNVERSIONED) for name in known}
    return replace(state, pinned=pinned, versions=versions | {VECTORS: SignalVersion(_version(block, VECTORS))})


def counts(versions: dict[str, SignalVersion], name: str) -> str:
    """The version of a signal that counts, `ABSENT` where none is known."""
    held = versions.get(name)
    return ABSENT if held is None else held.version


def _scored_of(pinned: Pinned | None, state: DetectState) -> Iterable[str]:
    if pinned is not None:
        return pinned.rates
    chunks = [chunk for kept in state.candidates.values() for chunk in kept.chunks]
    return {signal_of_column(name) for chunk in chunks for name in chunk.signals}


def _version(block: ScoreBlock, name: str) -> str:
    if name == VECTORS:
        return f"{block.scorer.engine}/{block.scorer.precision}"
    return block.scorer.signals.get(name, UNVERSIONED if name in block.signals else ABSENT)


def _only(values: Float, counted: Bool | None) -> Float:
    return values if counted is None or counted.all() else np.where(counted, values, np.nan)
