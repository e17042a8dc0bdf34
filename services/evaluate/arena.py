"""Several versions by what a judge prefers of their answers: battles, and strengths after Bradley and Terry. Pure.

The chance that version i wins against j is 1 / (1 + exp(s_j - s_i)); a tie is half a win of each. Between each two
that met stands one tie beside what was seen, so that a version that won every battle has a strength, too. Strengths
are told as Elo does (400 points for odds of 10 to 1, mean 1000). Intervals: bootstrap over the items, since battles of
one item are not independent. Bradley and Terry, "Rank analysis of incomplete block designs" (Biometrika 39, 1952).

FastChat's battle files are read: JSON or JSONL with `model_a`, `model_b` and `winner`; so are those that are written
here, in which a winner may be `inconclusive`: no result.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from services.errors import InputError

Winner = Literal["a", "b", "tie", "inconclusive"]
SCALE: Final = 400.0
MEAN: Final = 1000.0
BOOTSTRAPS: Final = 1000
_HALF: Final = 0.5
"""Of a win and of a defeat, beside those that were fought: who won every battle has an end."""
_LEAST_WEIGHT: Final = 1e-4
"""Of a half in a draw: below it strengths run beyond what the rounds reach."""
_ROUNDS: Final = 60
_LONGEST_STEP: Final = 2.0
_RIDGE: Final = 1e-9  # parts that never met have no place beside each other
_SEED: Final = 20261130
_WINNERS: Final[Mapping[str, Winner]] = {
    "model_a": "a",
    "model_b": "b",
    "tie": "tie",
    "tie (bothbad)": "tie",
    "tie (both bad)": "tie",
    "bothbad": "tie",
    "both_bad": "tie",
    "inconclusive": "inconclusive",
}


@dataclass(frozen=True, slots=True)
class Battle:
    """Two versions' answers to one item. `inconclusive` is no win of anybody, and no tie."""

    a: str
    b: str
    winner: Winner
    item: str | None = None


@dataclass(frozen=True, slots=True)
class Strength:
    """One version: its rating with its 95% bootstrap interval, and what it comes from."""

    version: str
    rating: float
    low: float
    high: float
    wins: int
    losses: int
    ties: int


@dataclass(frozen=True, slots=True)
class ArenaTable:
    """All versions, the strongest first.

    Attributes:
        battles: that counted. inconclusive: that did not. connected: whether every version met every other, if only
            by way of others; ratings of parts that never met say nothing of each other.
    """

    strengths: tuple[Strength, ...]
    battles: int
    inconclusive: int
    connected: bool


def settle(first: Winner, second: Winner) -> Winner:
    """Who won of two orders, each told by who won it: two that disagree are a tie, and silence is no verdict.

    >>> settle("a", "a"), settle("a", "b"), settle("a", "tie"), settle("a", "inconclusive")
    ('a', 'tie', 'tie', 'inconclusive')
    """
    if "inconclusive" in (first, second):
        return "inconclusive"
    return first if first == second else "tie"


def read_battles(text: str, name: str) -> tuple[Battle, ...]:
    """The battles of a file of FastChat; `name` only names it.

    Raises:
        InputError: if it is none; it names the first fault.
    """
    rows = _values(text, name)
    if not rows:
        raise InputError(f"{name}: holds no battle; a battle has model_a, model_b and winner")
    return tuple(_battle(row, f"{name}:{n}") for n, row in enumerate(rows, 1))


def _values(text: str, name: str) -> list[Any]:
    try:
        if text.lstrip().startswith("["):
            return list(json.loads(text))
        return [json.loads(line) for line in text.splitlines() if line.strip()]
    except (ValueError, RecursionError) as error:
        raise InputError(f"{name}: neither JSON nor JSONL: {error}; name a battle file of FastChat") from None


def _battle(row: Any, place: str) -> Battle:
    if not isinstance(row, dict):
        raise InputError(f"{place}: not an object; a battle has model_a, model_b and winner")
    names = []
    for key in ("model_a", "model_b", "winner"):
        value = row.get(key)
        if not isinstance(value, str) or not value.strip():
            raise InputError(f"{place}: {key}: must be text; a battle has model_a, model_b and winner")
        names.append(value.strip())
    a, b, said = names
    if a == b:
        raise InputError(f"{place}: model_b: is model_a; remove the battle")
    if said not in _WINNERS:
        raise InputError(f"{place}: winner: {said[:40]!r} is none of {', '.join(_WINNERS)}")
    item = row.get("question_id", row.get("item"))
    return Battle(a, b, _WINNERS[said], None if item is None else str(item))


def strengths_of(battles: Sequence[Battle], bootstraps: int = BOOTSTRAPS) -> ArenaTable:
    """How strong each version is, with intervals over reweighed items (over battles, where no item is known).

    The Bayesian bootstrap (Rubin, 1981): every item has a random weight, and so have half a win and half a defeat of
    every two versions that met. Items that all say the same, such as two battles of which one version won both, tell
    no more than so few can: redrawn whole they would give intervals without any width.
    """
    counted = [one for one in battles if one.winner != "inconclusive"]
    versions = sorted({name for one in battles for name in (one.a, one.b)})
    if not counted:
        return ArenaTable((), 0, len(battles), False)
    place = {name: i for i, name in enumerate(versions)}
    clusters = _clusters(counted, place)
    rng = np.random.default_rng(_SEED)
    drawn = rng.standard_gamma(1.0, (bootstraps, len(clusters)))
    whole = clusters.sum(axis=0)
    met = (whole + whole.T) > 0
    ratings = _ratings(whole[None] + _HALF * met)[0]
    halves = np.maximum(rng.standard_gamma(_HALF, (bootstraps, *met.shape)), _LEAST_WEIGHT) * met
    again = _ratings(np.einsum("rc,cij->rij", drawn, clusters) + halves)
    low, high = np.percentile(again, [2.5, 97.5], axis=0)
    records = _records(counted)
    found = [
        Strength(name, float(ratings[i]), float(low[i]), float(high[i]), *records.get(name, (0, 0, 0)))
        for name, i in place.items()
    ]
    return ArenaTable(
        tuple(sorted(found, key=lambda one: (-one.rating, one.version))),
        len(counted),
        len(battles) - len(counted),
        _connected(met),
    )


def _clusters(battles: Sequence[Battle], place: Mapping[str, int]) -> NDArray[np.float64]:
    """(clusters, versions, versions): wins of one version over another among the battles of one item."""
    keys: dict[str, int] = {}
    at = [keys.setdefault(f"#{n}" if one.item is None else one.item, len(keys)) for n, one in enumerate(battles)]
    wins = np.zeros((len(keys), len(place), len(place)))
    for cluster, one in zip(at, battles, strict=True):
        a, b = place[one.a], place[one.b]
        wins[cluster, a, b] += {"a": 1.0, "tie": 0.5}.get(one.winner, 0.0)
        wins[cluster, b, a] += {"b": 1.0, "tie": 0.5}.get(one.winner, 0.0)
    return wins


def _ratings(wins: NDArray[np.float64]) -> NDArray[np.float64]:
    """(r, versions) ratings that are likeliest for (r, versions, versions) wins, by Newton's method, all r at once."""
    games, size = wins + wins.transpose(0, 2, 1), wins.shape[1]
    strength = np.zeros((len(wins), size))
    for _ in range(_ROUNDS):
        chance = 1 / (1 + np.exp(-(strength[:, :, None] - strength[:, None, :])))
        slope = (wins - games * chance).sum(axis=2)
        spread = games * chance * (1 - chance)
        bend = -spread
        bend[:, np.arange(size), np.arange(size)] += spread.sum(axis=2)
        step = np.linalg.solve(bend + 1 / size + _RIDGE * np.eye(size), slope[:, :, None])[:, :, 0]
        strength += np.clip(step, -_LONGEST_STEP, _LONGEST_STEP)
    strength -= strength.mean(axis=1, keepdims=True)
    return np.asarray(MEAN + SCALE / np.log(10) * strength, dtype=np.float64)


def _connected(met: NDArray[np.bool_]) -> bool:
    reached, new = {0}, [0]
    while new:
        found = {int(j) for i in new for j in np.flatnonzero(met[i])} - reached
        reached, new = reached | found, sorted(found)
    return len(reached) == len(met)


def _records(battles: Iterable[Battle]) -> dict[str, tuple[int, int, int]]:
    """Version -> wins, losses, ties."""
    counts: Counter[tuple[str, int]] = Counter()
    for one in battles:
        for name, side in ((one.a, "a"), (one.b, "b")):
            counts[name, 2 if one.winner == "tie" else 0 if one.winner == side else 1] += 1
    return {name: (counts[name, 0], counts[name, 1], counts[name, 2]) for name, _ in counts}
