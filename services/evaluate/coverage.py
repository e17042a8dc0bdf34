"""How much of what users ask of a route resembles what its suites ask, and what lies beyond. Pure.

Every embedded exchange counts, whether its text was kept or not: which texts are kept depends on their signals, so a
share of those would be no share of the traffic. A question counts once, however often it is asked, and no user's
questions are more than a twentieth. Texts only name clusters and show examples.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from detectors.stats.intervals import wilson
from schemas.base import Hash16, Id, Part, Text, Timestamp
from services.evaluate.suite import Suite
from services.incident.question_words import marking_words
from services.signals.harmful_compliance import HarmfulCompliance
from services.signals.harmful_request import HarmfulRequest
from services.signals.jailbreak_attempt import JailbreakAttempt
from services.signals.refusal import Refusal
from services.signals.self_harm import SelfHarm

Matrix = NDArray[np.float32]
Weights = NDArray[np.float64]
Places = NDArray[np.int64]
Unknown = Literal["no_suite_read", "no_exchange", "other_embedder", "few_questions"]
"""Why no share is told. Nothing of these is a share of 100%, or of 0%."""

NEAR: Final = 0.50
"""Cosine from which on a question resembles an item: `python -m tests.benchmarks.coverage` prints what it misses."""
SAME: Final = 0.95
"""Cosine from which on two questions are one that is asked again."""
TOPIC: Final = 0.30
"""Mean cosine down to which groups of questions are one cluster."""
MOST_ROWS: Final = 2_000
FEWEST: Final = 30
"""Fewer questions say nothing of a route's traffic."""
MOST_OF_ONE: Final = 0.05
MOST_CLUSTERS: Final = 8
LEAST_QUESTIONS: Final = 3
LEAST_SHARE: Final = 0.01
MOST_EXAMPLES: Final = 5
LOOKED_AT: Final = 40
"""Central questions of a cluster whose texts are looked for, to name it by."""
RISKS: Final = (
    HarmfulRequest.spec.name,
    JailbreakAttempt.spec.name,
    HarmfulCompliance.spec.name,
    SelfHarm.spec.name,
)
"""Signals of which one that is true makes a question one to worry about."""
DECLINED: Final = Refusal.spec.name
_PRIOR: Final = 0.05
_PRIOR_QUESTIONS: Final = 20.0


class UncoveredCluster(Part):
    """Questions that are alike, and like no item.

    Attributes:
        share: of all questions; `exchanges`: how many exchanges asked them.
        words: which mark them, of redacted texts; empty where too few were kept.
        risky, declined: share of its questions of which a signal of risk, or a refusal, was true; None: not scored.
        examples: ids of exchanges whose text was kept when this was measured, the most typical first.
    """

    share: float
    questions: int
    exchanges: int
    words: tuple[Text, ...]
    risky: float | None
    declined: float | None
    examples: tuple[Id, ...]


class CoverageReport(Part):
    """How far the suites of a route ask what its users ask; the worst gap first.

    Attributes:
        asked: the suites as the monitor file names them. suites: their names -> versions.
        hashes: their names -> sha256 of their items; none in reports of former versions.
        key: of their items and of the embedder; another one is another measurement.
        space: the embedder; None in reports of former versions.
        unknown: why no share is told; None where one is.
        share, low, high: of the questions, those that resemble an item, with its 95% interval.
        questions: distinct ones. exchanges: those that asked them. since, until: when.
        scattered: share of the questions that are uncovered and in no cluster that is told.
        texts: whether any text was kept to show.
    """

    route: Text
    measured: Timestamp
    key: Hash16
    space: Text | None = None
    asked: tuple[Text, ...]
    suites: Mapping[str, str]
    hashes: Mapping[str, str] = Field(default_factory=dict)
    event_index: int
    unknown: Unknown | None = None
    share: float | None = None
    low: float | None = None
    high: float | None = None
    questions: int = 0
    exchanges: int = 0
    since: Timestamp | None = None
    until: Timestamp | None = None
    clusters: tuple[UncoveredCluster, ...] = ()
    scattered: float = 0.0
    texts: bool = False

    @property
    def span(self) -> timedelta:
        """For how long they asked."""
        return timedelta(0) if self.since is None or self.until is None else self.until - self.since


@dataclass(frozen=True, slots=True)
class AskedQuestions:
    """Embedded exchanges of a route, oldest first.

    Attributes:
        vectors: (n, d) of their prompts. signals: of each exchange name -> whether it was true; None: not scored.
    """

    ids: Sequence[str]
    users: Sequence[str | None]
    times: Sequence[datetime]
    signals: Sequence[Mapping[str, bool | None]]
    vectors: Matrix


@dataclass(frozen=True, slots=True)
class CoverageShares:
    """The share of all questions that is near, with its interval; and each exchange's question and weight.

    Attributes:
        question: (n,) number of the exchange's question. weights: (q,) of each question. near: (q,) whether it is near.
        first: (q,) the first exchange that asked it.
    """

    share: float
    low: float
    high: float
    question: Places
    weights: Weights
    near: NDArray[np.bool_]
    first: Places


def item_prompts(suite: Suite) -> tuple[str, ...]:
    """What each item's user says last: what the score step embeds of an exchange."""
    said = ([turn.content for turn in item.messages if turn.role == "user"] for item in suite.items)
    return tuple(dict.fromkeys(turns[-1] for turns in said if turns))


def unit_rows(vectors: NDArray[np.floating]) -> Matrix:
    """Rows of length 1; those of length 0 stay, and resemble nothing."""
    rows = np.atleast_2d(np.asarray(vectors, dtype=np.float32))
    if not rows.size:
        return rows.reshape(0, max(rows.shape[-1], 1))
    rows = np.nan_to_num(rows, nan=0.0, posinf=0.0, neginf=0.0)
    length = np.linalg.norm(rows, axis=1, keepdims=True)
    unit: Matrix = np.divide(rows, length, out=np.zeros_like(rows), where=length > 0)
    return unit


def nearest(vectors: Matrix, items: Matrix) -> Weights:
    """(n,) cosine of each row to the item that it resembles most; -1 without items."""
    if not len(items):
        return np.full(len(vectors), -1.0)
    return np.asarray((vectors @ items.T).max(axis=1), dtype=np.float64)


def topics_of(vectors: Matrix, least: float = TOPIC) -> Places:
    """(n,) group of each row, from 0: average linkage of cosines, cut where the mean falls below `least`."""
    from scipy.cluster.hierarchy import fcluster, linkage  # noqa: PLC0415 -- once an hour, and few processes

    if len(vectors) < 2:
        return np.zeros(len(vectors), dtype=np.int64)
    apart = np.clip(1.0 - vectors.astype(np.float64) @ vectors.T.astype(np.float64), 0.0, 2.0)
    condensed = apart[np.triu_indices(len(apart), 1)]
    return np.asarray(fcluster(linkage(condensed, "average"), 1.0 - least, "distance"), dtype=np.int64) - 1


def shares_of(asked: AskedQuestions, items: Matrix) -> CoverageShares:
    """How much of what was asked is near an item. `asked` holds one exchange at least; both are of unit rows."""
    question = _questions(asked.vectors)
    first = np.unique(question, return_index=True)[1].astype(np.int64)
    near = nearest(asked.vectors[first], items) >= NEAR
    owners = _owners(question, asked.users)
    weights = _weights(owners)
    share = float(weights[near].sum() / weights.sum())
    low, high = _interval(share, near, weights, owners)
    return CoverageShares(share, low, high, question, weights, near, first)


def uncovered_clusters(
    asked: AskedQuestions, shares: CoverageShares, texts: Mapping[str, str]
) -> tuple[UncoveredCluster, ...]:
    """At most 8 clusters of what is near no item, by their share times how risky they are.

    `texts` holds the redacted prompts of the exchanges whose text is kept.
    """
    away = np.flatnonzero(~shares.near)
    if len(away) < LEAST_QUESTIONS:
        return ()
    total = shares.weights.sum()
    of = topics_of(asked.vectors[shares.first[away]])
    ranked = []
    for cluster in range(int(of.max()) + 1):
        members = away[of == cluster]
        share = float(shares.weights[members].sum() / total)
        if len(members) >= LEAST_QUESTIONS and share >= LEAST_SHARE:
            risky, n = _rate(asked, shares, members, RISKS)
            risk = ((risky or 0.0) * n + _PRIOR * _PRIOR_QUESTIONS) / (n + _PRIOR_QUESTIONS)
            ranked.append((-share * risk, -share, int(members[0]), members, risky))
    told = sorted(ranked, key=lambda one: one[:3])[:MOST_CLUSTERS]
    return tuple(_cluster(asked, shares, members, risky, texts) for *_, members, risky in told)


def _questions(vectors: Matrix) -> Places:
    """(n,) number of each row's question: that of the first one before it that is the same, else a new one."""
    numbers = np.zeros(len(vectors), dtype=np.int64)
    leaders = np.zeros_like(vectors)
    many = 0
    for i, row in enumerate(vectors):
        alike = leaders[:many] @ row
        best = int(alike.argmax()) if many else 0
        if many and alike[best] >= SAME:
            numbers[i] = best
            continue
        leaders[many], numbers[i] = row, many
        many += 1
    return numbers


def _owners(question: Places, users: Sequence[str | None]) -> list[str | None]:
    """Of each question the one user who asks it; None where several do, or nobody is named."""
    by: dict[int, set[str | None]] = {}
    for number, user in zip(question.tolist(), users, strict=True):
        by.setdefault(number, set()).add(user)
    return [next(iter(who)) if len(who := by[number]) == 1 else None for number in range(len(by))]


def _weights(owners: Sequence[str | None]) -> Weights:
    """(q,) 1 of each question, less for those of a user whose questions would be more than a twentieth of all.

    Where nobody else is left to hold them against, all count the same: the interval says how little that tells.
    """
    counts: dict[str, int] = {}
    for owner in owners:
        if owner is not None:
            counts[owner] = counts.get(owner, 0) + 1
    over: set[str] = set()
    limit = float(len(owners))
    while len(over) * MOST_OF_ONE < 1:
        rest = len(owners) - sum(counts[user] for user in over)
        limit = max(1.0, MOST_OF_ONE * rest / (1 - MOST_OF_ONE * len(over)))
        more = {user for user, n in counts.items() if n > limit}
        if more <= over:
            break
        over |= more
    else:
        over = set()
    if len(owners) == sum(counts[user] for user in over):
        over = set()
    return np.array([limit / counts[one] if one is not None and one in over else 1.0 for one in owners])


def _interval(
    share: float, near: NDArray[np.bool_], weights: Weights, owners: Sequence[str | None]
) -> tuple[float, float]:
    """Wilson's, of so many independent questions as carry the same information: those of one user are alike.

    The variance is that of a ratio over clusters (Cochran, Sampling Techniques, 1977, section 11.7, linearised).
    """
    slips: dict[object, float] = {}
    sizes: dict[object, float] = {}
    for place, (owner, weight, is_near) in enumerate(zip(owners, weights.tolist(), near.tolist(), strict=True)):
        whose = place if owner is None else owner
        slips[whose] = slips.get(whose, 0.0) + weight * (float(is_near) - share)
        sizes[whose] = sizes.get(whose, 0.0) + weight
    total = float(weights.sum())
    variance = sum(slip * slip for slip in slips.values()) / total**2
    by_user = total**2 / sum(size * size for size in sizes.values())
    by_question = total**2 / float((weights * weights).sum())
    n = share * (1 - share) / variance if variance > 0 else by_user
    n = max(1, int(min(n, by_question)))
    return wilson(share * n, n)


def _rate(
    asked: AskedQuestions, shares: CoverageShares, members: Places, names: Sequence[str]
) -> tuple[float | None, int]:
    """Share of a cluster's questions of which one of the signals was true, and of how many any was scored."""
    wanted = set(members.tolist())
    found: dict[int, bool] = {}
    for place, number in enumerate(shares.question.tolist()):
        if number not in wanted:
            continue
        values = [asked.signals[place].get(name) for name in names]
        if any(value is not None for value in values):
            found[number] = found.get(number, False) or any(value is True for value in values)
    if not found:
        return None, 0
    weights = {number: float(shares.weights[number]) for number in found}
    return sum(weights[number] for number, true in found.items() if true) / sum(weights.values()), len(found)


def _cluster(
    asked: AskedQuestions, shares: CoverageShares, members: Places, risky: float | None, texts: Mapping[str, str]
) -> UncoveredCluster:
    of = np.isin(shares.question, members)
    vectors = asked.vectors[shares.first[members]]
    typical = vectors @ vectors.mean(axis=0)
    order = members[np.argsort(-typical, kind="stable")]
    told = _told(asked, shares, order, texts)
    inside = set(members.tolist())
    others = [
        texts[id]
        for id, number in zip(asked.ids, shares.question.tolist(), strict=True)
        if number not in inside and id in texts
    ]
    return UncoveredCluster(
        share=float(shares.weights[members].sum() / shares.weights.sum()),
        questions=len(members),
        exchanges=int(of.sum()),
        words=marking_words(others, [texts[id] for id in told]),
        risky=risky,
        declined=_rate(asked, shares, members, (DECLINED,))[0],
        examples=tuple(told[:MOST_EXAMPLES]),
    )


def _told(asked: AskedQuestions, shares: CoverageShares, order: Places, texts: Mapping[str, str]) -> list[str]:
    """Of each question, in their order, the newest exchange whose text is kept; a text that repeats counts once."""
    by: dict[int, str] = {}
    for id, number in zip(asked.ids, shares.question.tolist(), strict=True):
        if id in texts:
            by[number] = id
    found = {texts[by[number]].strip(): by[number] for number in reversed(order.tolist()) if number in by}
    return list(reversed(found.values()))[:LOOKED_AT]
