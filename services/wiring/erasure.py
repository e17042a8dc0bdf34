"""Erasure across the rooms, in one transaction: the store's rows, detect's baselines, record's incidents."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial

import numpy as np
from sqlalchemy import Connection

from detectors import registered
from detectors.protocol import Rows
from schemas.evaluation import OWN_TRAFFIC
from services.detect import refit
from services.detect.serialization import pack_artefacts, running_state
from services.detect.state import DetectionPlan, DetectState, Pinned
from services.evaluate.own_traffic import (
    item_id,
    result_as,
    result_without,
    suite_of,
    suite_text,
    suite_without,
)
from services.evaluate.result import RunResult
from services.evaluate.suite import Suite
from services.monitor import RoutePolicy
from services.record.recorder import derive
from services.store import (
    audit_log,
    baselines,
    coverage,
    erasure,
    incidents,
    journal,
    own_questions,
    parks,
    routes,
    runs,
    scores,
    secret_keys,
    silences,
    step_states,
)
from services.store.codec import CodecError
from services.store.engine import Database
from services.store.erasure import StoredPlace, Subject
from services.stream.parked_erasure import ids_in, parked_without
from services.stream.stateful import DETECT, DetectStateStore, RouteState

Policy = Callable[[str], RoutePolicy]
LEAST_ROWS = 50
"""Fewer exchanges than this are no baseline."""


@dataclass(slots=True)
class ErasureReport:
    """What an erasure did: rows by table, and ids of baselines by what became of them.

    `of_files` were learned of files, which nobody has here: whether those held any of it is not known. `unread` are
    routes of which that could not be read.
    """

    exchanges: int
    rows: Counter[str]
    refitted: list[str] = field(default_factory=list)
    discarded: list[str] = field(default_factory=list)
    not_refitted: list[str] = field(default_factory=list)
    of_files: list[str] = field(default_factory=list)
    unread: list[str] = field(default_factory=list)


class _Undone(Exception):  # noqa: N818
    """Gives a dry run's transaction up."""


def erase(
    database: Database, policy: Policy, subject: Subject, now: datetime, *, dry: bool = False, letters: bool = True
) -> ErasureReport:
    """Erase a subject, all of it or, when something raises or the run is a `dry` one, nothing.

    Nobody knows of whom a dead letter is: unless `letters` is false, the keys of all that lie on topics are forgotten.
    What is under way on topics is kept out of the database when it comes. A worker that holds a state from before
    loads it again.

    Raises:
        StoreError: if a reader kept the files from being written anew; what was erased is erased, run it again.
    """
    made: list[ErasureReport] = []
    of_files, unread = database.query(_of_files)

    def work(connection: Connection) -> None:
        report = _erase(connection, policy, subject, now, letters)
        made.append(replace(report, of_files=of_files, unread=unread))
        if dry:
            raise _Undone

    try:
        database.transact(work)
    except _Undone:
        return made[-1]
    database.scrub()
    return made[-1]


def _of_files(connection: Connection) -> tuple[list[str], list[str]]:
    """Ids of the baselines that were learned of files, and the routes whose state cannot be read.

    Of the running states alone, before anything is locked: one route that is damaged stops no erasure.
    """
    of_files: list[str] = []
    unread: list[str] = []
    for route, (_, stored) in step_states.all_of(connection, DETECT).items():
        try:
            pinned = running_state(registered(), stored).pinned
        except CodecError:
            unread.append(route)
            continue
        if pinned is not None and pinned.given:
            of_files.append(pinned.id)
    return of_files, unread


def _erase(connection: Connection, policy: Policy, subject: Subject, now: datetime, letters: bool) -> ErasureReport:
    found = erasure.find(connection, subject)
    for (_, route, _), topic, value in parks.each_record(connection):
        if ids := ids_in(topic, value, subject):
            found.ids[route] |= ids
    for suite in own_questions.every(connection):
        if ids := {one.id for one in suite.origins.values() if getattr(one, subject.kind) in subject.names}:
            found.ids[suite.route] |= ids
    routes.lock(connection, found.ids)
    learned = {route: _learned(connection, policy, route, found.places) for route in sorted(found.ids)}
    report = ErasureReport(sum(len(ids) for ids in found.ids.values()), found.rows)
    erasure.erase(connection, subject, found, now)
    _erase_parked(connection, subject, found)
    _erase_questions(connection, subject, found)
    for route in sorted(found.ids):
        if n := coverage.drop(connection, route):  # words that mark its clusters may be the subject's
            found.rows["coverage"] += n
    for route, ids in sorted(found.ids.items()):
        _without_rows(connection, policy, route, ids, found.places, learned[route], report)
        _discard_old(connection, route, found.places, report)
    for route in sorted(found.derived):
        before = [(one.id,) for one in incidents.find(connection, route)]
        hushed = [(id,) for id in silences.ids_of(connection, route)]
        derive(connection, route, journal.facts(connection, route))
        audit_log.forget_content(connection, "incidents", before)
        audit_log.forget_content(connection, "silences", hushed)
        found.rows["incidents"] += len(before)
    days = secret_keys.forget(connection, secret_keys.DEAD_LETTERS) if letters else 0
    if days:
        found.rows["secret_keys"] += days
    told = {"kind": subject.kind, "rows": dict(found.rows), "refitted": report.refitted}
    told |= {"discarded": report.discarded, "not_refitted": report.not_refitted}
    audit_log.act(connection, audit_log.ERASURES, [now.isoformat()], told)
    return report


def _erase_questions(connection: Connection, subject: Subject, found: erasure.Erased) -> None:
    """What the subject asked is asked no more, and what was answered to it is gone of every run that asked it."""
    rest: dict[tuple[str, str], Suite] = {}
    for suite in own_questions.every(connection):
        ids = found.ids.get(suite.route, set())
        gone = {item for item, one in suite.origins.items() if one.id in ids}
        if gone:
            left = rest[suite.route, suite.baseline] = suite_without(suite_of(suite.payload), ids)
            origins = {item: one for item, one in suite.origins.items() if item not in gone}
            own_questions.rewrite(connection, replace(suite, payload=suite_text(left), origins=origins))
            found.rows["own_suites"] += 1
    for route, ids in sorted(found.ids.items()):
        for run, payload in runs.payloads(connection, route, OWN_TRAFFIC):
            result = RunResult.decode(payload.encode())
            known = rest.get((route, result.suite.version))
            left_of = result_without(result, ids) if known is None else result_as(result, known)
            if left_of is not result:
                erasure.rewrite_run(connection, run, left_of.encode().decode())
                found.rows["runs"] += 1
        found.rows["run_answers"] += runs.drop_answers(connection, route, OWN_TRAFFIC, [item_id(id) for id in ids])


def _erase_parked(connection: Connection, subject: Subject, found: erasure.Erased) -> None:
    """Records that wait because a step failed on their route would bring it back when they are taken up again."""
    for key, topic, value in parks.each_record(connection):
        left = parked_without(topic, value, subject, found.ids.get(key[1], set()))
        if left != value:
            parks.rewrite(connection, key, left)
            found.rows["parked_records"] += 1


@dataclass(frozen=True, slots=True)
class _Learned:
    """The baseline of a route that may hold what is erased, and the rows it was made of, where they are all stored."""

    pinned: Pinned
    rows: Rows | None


def _learned(connection: Connection, policy: Policy, route: str, places: Sequence[StoredPlace]) -> _Learned | None:
    """Looked for before anything is deleted; None where the baseline cannot hold any of it."""
    state = _store().load(connection, route).now
    pinned, own = state.pinned, policy(route)
    if pinned is None or pinned.given or not _were_erased(places, route, 0, pinned.event_index):
        return None
    stored = scores.learnable(connection, route, pinned.identity, pinned.event_index)
    scorers = scores.scorers(connection, {row["scorer"] for row in stored})
    rows = refit.rows_of(stored, own.slices)
    rows = refit.measured_by(rows, [scorers[row["scorer"]] for row in stored], pinned.versions)
    timeless = {row["id"] for row in stored if "no_ts" in row["flags"]}
    untimed = np.array([id in timeless for id in rows.ids], dtype=bool)
    return _Learned(pinned, refit.baseline_rows(route, pinned, rows, untimed, own.baseline))


def _without_rows(
    connection: Connection,
    policy: Policy,
    route: str,
    ids: set[str],
    places: Sequence[StoredPlace],
    learned: _Learned | None,
    report: ErasureReport,
) -> None:
    store = _store()
    kept = store.load(connection, route)
    state, n = refit.without_candidates(kept.now, ids)
    if n:
        report.rows["candidates"] += n
    state, anew = refit.without_relearned(state, partial(_were_erased, places, route))
    state, second = refit.without_second(state, partial(_were_erased, places, route))
    state = refit.without_flood(state)
    report.discarded.extend(second)  # the store deletes them with the state that has them no more
    refits = False
    if learned is not None:
        rest = None
        if learned.rows is not None and ids.isdisjoint(learned.rows.ids):
            learned = None  # chosen from the same time, but not into the baseline
        elif learned.rows is not None:
            rest = learned.rows.take(np.array([i for i, id in enumerate(learned.rows.ids) if id not in ids], np.int64))
        if rest is not None and len(rest) >= LEAST_ROWS:
            state = refit.refitted(DetectionPlan(registered(), policy(route)), state, rest)
            refits = True
        elif learned is not None:
            report.not_refitted.append(learned.pinned.id)
    shown, state = state, refit.without_examples(state, ids)
    if state is not kept.now:
        _save(connection, route, kept, state, refits=refits or state is not shown)
    for id in anew:
        baselines.discard(connection, id)
    report.discarded.extend(anew)
    if refits and state.pinned is not None:
        report.refitted.append(state.pinned.id)


def _save(
    connection: Connection, route: str, kept: RouteState[DetectState], state: DetectState, *, refits: bool
) -> None:
    _store().save(connection, route, RouteState(state, kept.saved, kept.version))
    if refits and state.pinned is not None:
        baselines.rewrite(connection, state.pinned.id, pack_artefacts(state.pinned))


def _discard_old(connection: Connection, route: str, places: Sequence[StoredPlace], report: ErasureReport) -> None:
    """The artefacts of earlier baselines, where they may hold what is erased: nothing is held against them."""
    current = _store().load(connection, route).now.pinned
    for change in baselines.pinnings(connection, [route], None, 10_000):
        if change.baseline is None or (current is not None and change.baseline == current.id):
            continue
        if _were_erased(places, route, 0, change.event_index) and baselines.discard(connection, change.baseline):
            report.discarded.append(change.baseline)


def _were_erased(places: Sequence[StoredPlace], route: str, since: int, until: int) -> bool:
    """Whether anything of the route went there, whoever answered: identities may have become one under another name."""
    return any(one.route == route and since <= one.event_index <= until for one in places)


def _store() -> DetectStateStore:
    return DetectStateStore(registered())
