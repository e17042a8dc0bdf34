"""What is stored and told of a run: its row, its record, and how it compares with the baseline's run."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection

from schemas.base import Record, hash16
from schemas.decision import Decision
from schemas.evaluation import Comparison
from schemas.identity import Model
from services.evaluate.compare import compare, comparison_record
from services.evaluate.result import Answer, RunResult, to_record
from services.store import evaluations, journal, runs, scores
from services.store.evaluations import Claimed, Due
from services.store.runs import Listed

COMPARED = ("change", "announced", "scheduled", "requested")
"""Moments whose runs are held against the baseline's; the others are what runs are held against."""
_OF_CHANGES = ("change", "announced")


def expected(connection: Connection, what: Due) -> Model | None:
    """What stands behind the identity that should answer: known from traffic, or from the announcement."""
    if what.identity is None:
        return None
    known = scores.identities(connection, what.route).get(what.identity)
    if known is None and what.moment == "announced":
        facts = journal.facts(connection, what.route)
        return next((fact.model for fact in facts if isinstance(fact, Decision) and fact.id == what.cause), None)
    return known


def change_of(what: Due) -> str | None:
    """The change or announcement that a run is about."""
    return what.cause if what.moment in _OF_CHANGES else None


def kept(connection: Connection, id: str) -> tuple[Answer, ...]:
    """The answers that are stored of a run under way."""
    return tuple(Answer.model_validate_json(json) for json in runs.kept(connection, id))


def store(connection: Connection, result: RunResult, moment: str, cause: str | None) -> None:
    """Write a run; one that is there stays as it is."""
    listed = Listed(
        id=result.id,
        route=result.route,
        identity=result.identity,
        suite=result.suite.name,
        suite_sha256=result.suite.sha256,
        moment=moment,
        cause=cause,
        status=result.status,
        reason=result.reason,
        ts=result.ended,
    )
    runs.add(connection, listed, result.encode().decode())


def stored(connection: Connection, id: str) -> RunResult | None:
    """A run that was written."""
    payload = runs.payload(connection, id)
    return None if payload is None else RunResult.decode(payload.encode())


def records(connection: Connection, claimed: Claimed) -> tuple[Record, ...]:
    """The record of a stored run, and its comparison with the run of the baseline as it was when it was asked for."""
    what = claimed.what
    result = stored(connection, what.id)
    if result is None:
        return ()
    if what.moment not in COMPARED:
        return (to_record(result),)
    baseline = runs.reference(connection, what.route, what.suite, claimed.created)
    before = None if baseline is None else stored(connection, baseline)
    return to_record(result), comparison_record(before, result, compare(before, result), result.ended)


def not_comparable(what: Due, reason: str, now: datetime) -> tuple[Comparison, ...]:
    """What is told of a run that there cannot be, for example for want of its suite; nothing without an identity."""
    if what.identity is None or what.moment not in COMPARED:
        return ()
    return (
        Comparison(
            id=hash16(["comparison", None, what.id]),
            route=what.route,
            identity=what.identity,
            change=change_of(what),
            suite=what.suite,
            overall="inconclusive",
            reason=reason,
            ts=now,
        ),
    )


def unseen(connection: Connection, wanted: dict[str, tuple[tuple[str, ...], str]], now: datetime) -> list[Due]:
    """The first runs of routes that have none: route -> (suites, target) gives one for each suite.

    A route whose traffic is not recorded yet waits until it is known who answers.
    """
    seen = evaluations.first_seen(connection)
    rows = []
    for route, (suites, target) in wanted.items():
        new = [suite for suite in dict.fromkeys(suites) if (route, suite) not in seen]
        identity = runs.latest_identity(connection, route) if new else None
        if identity is not None:
            cause = hash16([route, "first_seen"])
            rows += [Due(route, cause, "first_seen", identity, suite, target, 0, now) for suite in new]
    return rows
