"""Measures how far the suites of each route ask what its users ask, where that may have changed.

It may have when the suites or the embedder are others, when enough was asked since, and every day: a week goes on.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection

from schemas.base import hash16
from schemas.position import Position
from schemas.reading import Effect, Evidence, Reading, ReadingStatus, reading_id
from schemas.score import Scorer
from services.errors import InputError
from services.evaluate.coverage import (
    FEWEST,
    MOST_ROWS,
    AskedQuestions,
    CoverageReport,
    Matrix,
    Unknown,
    item_prompts,
    shares_of,
    uncovered_clusters,
    unit_rows,
)
from services.evaluate.suite import Suite
from services.evaluate.suite_library import suite_here
from services.monitor import RoutePolicy
from services.specs import COVERAGE_GAP
from services.store import coverage, erasure, routes, samples, scores
from services.store.coverage import StoredCoverage
from services.store.engine import Database
from services.wording import coverage as words

WEEK: Final = timedelta(days=7)
AGAIN_AFTER: Final = timedelta(days=1)
COUNTS_FOR: Final = timedelta(days=2)
"""So old a report says nothing of today: it was to be measured anew twice since."""
NEW_EXCHANGES: Final = 200
"""So many of a route are enough to measure anew."""
_TEXTS_AT_ONCE: Final = 100
_TEXT_CHARACTERS: Final = 4_000
_EMBEDDED_AT_ONCE: Final = 32
"""Texts of items: those of live traffic must not wait long for the embedder."""


@dataclass(frozen=True, slots=True)
class PromptEmbedder:
    """How this process embeds prompts: `space` names the embedder and its precision, as `space_of` does."""

    space: str
    embed: Callable[[Sequence[str]], NDArray[np.float16]]


def space_of(scorer: Scorer) -> str:
    """The embedder that vectors are of, and its precision: of another one they cannot be compared."""
    return f"{scorer.engine.partition('+')[0]}/{scorer.precision}"


@dataclass(frozen=True, slots=True)
class RouteTraffic:
    """What was asked of a route in the last week, by the embedder that is named; `others` are rows of another one."""

    asked: AskedQuestions
    others: int
    event_index: int
    texts: Mapping[str, str]
    erasures: object


@dataclass(frozen=True, slots=True)
class ExaminedRoute:
    """What was measured of a route, and the erasures of which it knows."""

    report: CoverageReport
    erasures: object


@dataclass(slots=True)
class CoverageWatch:
    """Measures routes over a database; `embedder` is made when the first route needs it."""

    database: Database
    policy: Callable[[str], RoutePolicy]
    suites: Callable[[str], Suite]
    embedder: Callable[[], PromptEmbedder]
    clock: Callable[[], datetime]
    _items: dict[tuple[str, str], Matrix] = field(default_factory=dict)

    def routes(self) -> tuple[str, ...]:
        """The routes on which suites are run."""
        return tuple(sorted(name for name in self.database.query(routes.names) if _asks(self.policy(name))))

    def look(self) -> int:
        """Measure every route of which that may have changed; how many."""
        return sum(self.measure(route) is not None for route in self.routes())

    def measure(self, route: str) -> CoverageReport | None:
        """Measure one route and store it; None where it is as it was, or nothing runs on it."""
        found = self.examine(route)
        return found.report if found is not None and self.keep(found) else None

    def examine(self, route: str) -> ExaminedRoute | None:
        """Measure one route; None where it is as it was, or nothing runs on it."""
        policy = self.policy(route)
        index, last = self.database.query(lambda one: (scores.newest_index(one, route), coverage.newest(one, route)))
        if index is None or not _asks(policy):
            return None
        suites, embedder, now = self._loaded(policy.suites), self.embedder(), self.clock()
        key = hash16([[[one.name, one.sha256] for one in suites or ()], list(policy.suites), embedder.space])
        if last is not None and last.key == key and not _is_old(last, index, now):
            return None
        traffic = self.database.query(read_traffic, route, embedder.space, now)
        return ExaminedRoute(self._report(route, key, suites, embedder, traffic, now), traffic.erasures)

    def keep(self, found: ExaminedRoute) -> bool:
        """Store it; False where somebody was erased since what it is made of was read, or the route is gone."""
        return self.database.transact(lambda one: _stored(one, found.report, found.erasures))

    def _loaded(self, names: Sequence[str]) -> list[Suite] | None:
        """The suites that are run; None where one cannot be read: a part of them is not what is run."""
        try:
            return [self.suites(name) for name in dict.fromkeys(names)]
        except InputError:  # its runs say what is wrong
            return None

    def _report(
        self,
        route: str,
        key: str,
        suites: list[Suite] | None,
        embedder: PromptEmbedder,
        traffic: RouteTraffic,
        now: datetime,
    ) -> CoverageReport:
        versions = {one.name: one.version for one in suites or ()}
        asked = traffic.asked
        bare = CoverageReport(
            route=route,
            measured=now,
            key=key,
            space=embedder.space,
            asked=tuple(self.policy(route).suites),
            suites=versions,
            hashes={one.name: one.sha256 for one in suites or ()},
            event_index=traffic.event_index,
            texts=bool(traffic.texts),
        )
        why = _why_unknown(suites, traffic)
        if why is not None:
            return bare.model_copy(update={"unknown": why, "exchanges": len(asked.ids)})
        items = self._item_vectors(suites or (), embedder)
        shares = shares_of(asked, items)
        told = {
            "questions": len(shares.near),
            "exchanges": len(asked.ids),
            "since": asked.times[0],
            "until": asked.times[-1],
        }
        if len(shares.near) < FEWEST:
            return bare.model_copy(update={"unknown": "few_questions", **told})
        clusters = uncovered_clusters(asked, shares, traffic.texts)
        named = sum(one.share for one in clusters)
        told |= {"share": shares.share, "low": shares.low, "high": shares.high, "clusters": clusters}
        return bare.model_copy(update={**told, "scattered": max(0.0, 1.0 - shares.share - named)})

    def _item_vectors(self, suites: Sequence[Suite], embedder: PromptEmbedder) -> Matrix:
        made = []
        for suite in suites:
            known = self._items.get((suite.sha256, embedder.space))
            if known is None:
                texts = item_prompts(suite)
                parts = (texts[start : start + _EMBEDDED_AT_ONCE] for start in range(0, len(texts), _EMBEDDED_AT_ONCE))
                known = unit_rows(np.array([vector for part in parts for vector in embedder.embed(part)]))
                self._items[suite.sha256, embedder.space] = known
            made.append(known)
        return np.concatenate(made)


def gap_reading(report: CoverageReport) -> Reading:
    """What is told of it on the readings' topic: which share no suite asks. It names no word of a question.

    It never fires; while nothing is known it is learning.
    """
    known = report.share is not None
    status: ReadingStatus = "quiet" if known else "learning"
    effect = None
    if report.share is not None:
        effect = Effect(name="share of questions near no item", after=100 * (1 - report.share), unit="pp")
    return Reading(
        id=reading_id(report.route, None, COVERAGE_GAP, None, None, None, report.key, report.event_index, status),
        route=report.route,
        detector=COVERAGE_GAP,
        status=status,
        effect=effect,
        evidence=Evidence(n=report.questions),
        event_index=report.event_index,
        ts=report.until or report.measured,
        source=Position(cluster="coverage", topic="suites", partition=0, offset=report.event_index),
        reason=words.headline(report.share, report.span)
        if report.share is not None
        else words.unknown(report.unknown or ""),
    )


def _asks(policy: RoutePolicy) -> bool:
    return policy.target is not None and bool(policy.suites)


def _why_unknown(suites: list[Suite] | None, traffic: RouteTraffic) -> Unknown | None:
    if suites is None:
        return "no_suite_read"
    if not traffic.asked.ids:
        return "other_embedder" if traffic.others else "no_exchange"
    return None


def _is_old(last: StoredCoverage, index: int, now: datetime) -> bool:
    return index - last.event_index >= NEW_EXCHANGES or now - last.measured >= AGAIN_AFTER or last.measured > now


def read_traffic(connection: Connection, route: str, space: str, now: datetime) -> RouteTraffic:
    """The last week of a route, up to its newest exchange."""
    index, since = scores.newest_index(connection, route), _week_of(connection, route, now)
    rows = scores.newest_embedded(connection, route, since, MOST_ROWS)[::-1]
    scorers = scores.scorers(connection, {row["scorer"] for row in rows})
    same = [row for row in rows if row["prompt_vec"] and space_of(scorers[row["scorer"]]) == space]
    asked = _asked(same)
    texts = _texts(connection, route, asked.ids)
    return RouteTraffic(asked, len(rows) - len(same), index or 0, texts, erasure.erasures_so_far(connection))


def _week_of(connection: Connection, route: str, now: datetime) -> datetime:
    """When the last week of a route began, by its newest exchange."""
    return min(routes.clock(connection, route) or now, now) - WEEK


def _asked(rows: Sequence[Mapping[str, Any]]) -> AskedQuestions:
    vectors = unit_rows(np.array([np.frombuffer(row["prompt_vec"], "<f2") for row in rows], dtype=np.float32))
    there = np.flatnonzero(np.einsum("ij,ij->i", vectors, vectors) > 0).tolist()
    kept = [rows[place] for place in there]
    signals = [
        {
            name: one.value if isinstance(one.value, bool) else None
            for name, one in scores.stored_signals(row["signals"]).items()
        }
        for row in kept
    ]
    return AskedQuestions(
        [row["id"] for row in kept],
        [row["user"] for row in kept],
        [row["ts"] for row in kept],
        signals,
        vectors[there],
    )


def _texts(connection: Connection, route: str, ids: Sequence[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for start in range(0, len(ids), _TEXTS_AT_ONCE):
        part = samples.by_id(connection, route, ids[start : start + _TEXTS_AT_ONCE])
        found.update({id: one.prompt[:_TEXT_CHARACTERS] for id, one in part.items() if one.prompt.strip()})
    return found


def _stored(connection: Connection, report: CoverageReport, erasures: object) -> bool:
    """Write it, unless somebody was erased since what it is made of was read, or the route is gone."""
    if not routes.exists(connection, report.route):
        return False
    routes.lock(connection, [report.route])
    if erasure.erasures_so_far(connection) != erasures:
        return False
    payload = report.model_dump_json()
    coverage.put(connection, report.route, StoredCoverage(report.key, report.measured, report.event_index, payload))
    return True


def stored_report(connection: Connection, route: str) -> CoverageReport | None:
    """What was measured last of a route; None where nothing was."""
    found = coverage.newest(connection, route)
    return None if found is None else CoverageReport.model_validate_json(found.payload)


def current_report(
    connection: Connection, route: str, policy: RoutePolicy | None, now: datetime
) -> tuple[CoverageReport | None, str | None]:
    """What was measured last of a route, None where nothing was; and why that says nothing of now, None where it does.

    Without a policy nobody says what is run: it is as old as it is.
    """
    report = stored_report(connection, route)
    return report, None if report is None else outdated(report, policy, now, _space_now(connection, route, now))


def _space_now(connection: Connection, route: str, now: datetime) -> str | None:
    """The embedder of the route's newest embedded exchange."""
    rows = scores.newest_embedded(connection, route, _week_of(connection, route, now), 1)
    found = scores.scorers(connection, {row["scorer"] for row in rows})
    return next((space_of(one) for one in found.values()), None)


def outdated(report: CoverageReport, policy: RoutePolicy | None, now: datetime, space: str | None) -> str | None:
    """Why a stored report says nothing of now, in words; None where it counts. `space`: the embedder of today."""
    if policy is not None and report.asked != policy.suites:
        return words.other_suites(report.measured)
    if now - report.measured > COUNTS_FOR:
        return words.too_old(report.measured)
    if report.unknown != "other_embedder" and None not in (space, report.space) and space != report.space:
        return words.other_embedder(report.measured)
    return other_items(report, policy)


def other_items(report: CoverageReport, policy: RoutePolicy | None) -> str | None:
    """That the suites ask other items than were measured, in words.

    A suite that this process cannot read, as in an API beside which no folder of suites lies, is not held against it:
    the worker reads it, and measures anew.
    """
    here = [one for one in map(suite_here, () if policy is None else policy.suites) if one is not None]
    changed = [one.name for one in here if report.hashes.get(one.name, one.sha256) != one.sha256]
    return words.suites_changed(changed, report.measured) if changed else None
