"""What is stored and told of a run: its row, its record, and how it compares with the baseline's run."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from sqlalchemy import Connection

from schemas.base import Record, hash16
from schemas.decision import Decision
from schemas.evaluation import Comparison
from schemas.identity import Model
from services.evaluate.comparison import SYSTEM_PROMPT, compare, comparison_record
from services.evaluate.result import RunResult, SuiteAnswer, items_of, to_record
from services.evaluate.suite_judge import silence_of
from services.evaluate.token_usage import Spent
from services.store import evaluation_queue, journal, routes, runs, scores
from services.store.evaluation_queue import ClaimedRun, DueRun
from services.store.runs import RunSummary

COMPARED = ("change", "announced", "scheduled", "requested", "suite")
"""Moments whose runs are held against the baseline's; the others are what runs are held against."""
_OF_CHANGES = ("change", "announced")


def expected_model(connection: Connection, what: DueRun) -> Model | None:
    """What stands behind the identity that should answer: known from traffic, or from the announcement."""
    if what.identity is None:
        return None
    known = routes.identities(connection, what.route).get(what.identity)
    if known is None and what.moment == "announced":
        facts = journal.facts(connection, what.route)
        return next((fact.model for fact in facts if isinstance(fact, Decision) and fact.id == what.cause), None)
    return known


def change_of(what: DueRun) -> str | None:
    """The change or announcement that a run is about."""
    return what.cause if what.moment in _OF_CHANGES else None


def kept_answers(connection: Connection, id: str) -> tuple[SuiteAnswer, ...]:
    """What is stored of a run under way: answers, and why there are none."""
    return tuple(SuiteAnswer.model_validate_json(json) for json in runs.kept_answers(connection, id))


def spent_before(connection: Connection, what: DueRun) -> Spent:
    """What the earlier attempts of a run took: a budget is that of the run, however often it is tried."""
    found = [stored_run(connection, one.id) for one in _attempts_before(what)]
    return sum((Spent.by(run.answers) for run in found if run is not None), Spent())


def unjudged_run(connection: Connection, what: DueRun) -> tuple[DueRun, RunResult] | None:
    """The attempt before this one, where nothing but what its judge says is missing: its answers need not be asked for.

    None where there was none, or it ended for another reason.
    """
    before = _attempts_before(what)
    run = stored_run(connection, before[-1].id) if before else None
    return None if run is None or run.reason is None or run.reason != silence_of(run.answers) else (before[-1], run)


def _attempts_before(what: DueRun) -> list[DueRun]:
    return [] if what.attempt is None else [replace(what, attempt=n) for n in (None, *range(2, what.attempt))]


def store_run(connection: Connection, result: RunResult, moment: str, cause: str | None) -> None:
    """Write a run; one that is there stays as it is."""
    listed = RunSummary(
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


def stored_run(connection: Connection, id: str) -> RunResult | None:
    """A run that was written."""
    payload = runs.payload(connection, id)
    return None if payload is None else RunResult.decode(payload.encode())


def run_records(connection: Connection, claimed: ClaimedRun) -> tuple[Record, ...]:
    """The record of a stored run, and its comparison with the run of the baseline as it was when it was asked for."""
    what = claimed.what
    result = stored_run(connection, what.id)
    if result is None:
        return ()
    if what.moment not in COMPARED:
        return (to_record(result),)
    before = reference_run(connection, claimed, result.against)
    across = () if before is None else changed_conditions(connection, before, result)
    return to_record(result), comparison_record(before, result, compare(before, result, across), result.ended)


def reference_run(connection: Connection, claimed: ClaimedRun, watched: str | None = None) -> RunResult | None:
    """The run that one is held against: the one that `watched` it, else the baseline's as it was when it was asked for.

    A run for a new version of its suite is held against the one before it, of the version before. None for a run that
    is held against nothing, for it shows the baseline itself.
    """
    what = claimed.what
    if what.moment not in COMPARED:
        return None
    find = runs.previous_run if what.moment == "suite" else runs.reference_run
    baseline = watched or find(connection, what.route, what.suite, claimed.created)
    return None if baseline is None else stored_run(connection, baseline)


def changed_conditions(connection: Connection, before: RunResult, after: RunResult) -> tuple[str, ...]:
    """In what two runs may differ, since it is what changed: the system prompt, where the identities say so."""
    known = routes.identities(connection, after.route)
    was, now = known.get(before.identity), known.get(after.identity)
    moved = was is not None and now is not None and was.system_prompt_sha256 != now.system_prompt_sha256
    return (SYSTEM_PROMPT,) if moved else ()


def not_comparable(what: DueRun, reason: str, now: datetime) -> tuple[Comparison, ...]:
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
            items_of=items_of(what.suite),
            overall="inconclusive",
            reason=reason,
            ts=now,
        ),
    )


def first_runs(connection: Connection, wanted: dict[str, tuple[tuple[str, ...], str]], now: datetime) -> list[DueRun]:
    """The first runs of routes that have none: route -> (suites, target) gives one for each suite.

    A route whose traffic is not recorded yet waits until it is known who answers.
    """
    seen = evaluation_queue.first_seen_suites(connection)
    rows = []
    for route, (suites, target) in wanted.items():
        new = [suite for suite in dict.fromkeys(suites) if (route, suite) not in seen]
        identity = scores.latest_identity(connection, route) if new else None
        if identity is not None:
            cause = hash16([route, "first_seen"])
            rows += [DueRun(route, cause, "first_seen", identity, suite, target, 0, now) for suite in new]
    return rows
