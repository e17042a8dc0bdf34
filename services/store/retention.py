"""How long every table is kept, in one place: what is kept, by which of our own clocks, why, and what deletes the rest.

No rule asks for the time of an exchange: that comes from outside. A table without a rule is a mistake, which a test
finds. What has no `sweep` is bounded where it is written, and its rule says by what.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Table, and_, delete, exists, func, not_, or_, select, tuple_

from services.store import (
    api_keys,
    audit_log,
    coverage,
    deliveries,
    evaluation_queue,
    ingest_counts,
    own_questions,
    readings,
    rollups,
    samples,
    scores,
    secret_keys,
)
from services.store.api_keys import ApiKeyRow, ApiSessionRow
from services.store.arrivals import ArrivalRow, PartitionRow
from services.store.audit_log import AuditRow
from services.store.baselines import BaselineRow, CandidateRow
from services.store.coverage import CoverageRow
from services.store.dead_letters import REMEMBERED, DeadCountRow, DeadLetterRow
from services.store.decisions import KEEP_PUBLISHED, DecisionRow
from services.store.deliveries import TOLD, DeliveryRow, OutboxRow
from services.store.deployment import DeploymentRow
from services.store.erasure import REMEMBERED as ERASED_DAYS
from services.store.erasure import ErasureRow
from services.store.evaluation_queue import EvaluationRow
from services.store.fleet import PinRow
from services.store.incidents import IncidentRow
from services.store.ingest_counts import IngestCountRow
from services.store.journal import JournalRow
from services.store.own_questions import OwnAskedRow, OwnSuiteRow
from services.store.parks import ParkedRecordRow, ParkedRouteRow
from services.store.pictures import PictureRow
from services.store.readings import ReadingRow, StreamRow
from services.store.receiver_leases import ReceiverRow
from services.store.rollups import HourlyRollupRow, RollupRow
from services.store.route_deletion import ANY_NUMBER, IDLE_HOURS, LEARNED_IDLE_DAYS, RouteBound, evict_idle
from services.store.routes import IdentityRow, RouteRow
from services.store.ruler import KEPT_MEASUREMENTS, RulerRow
from services.store.runs import RunAnswerRow, RunRow
from services.store.samples import SampleRow
from services.store.schedules import FireTimeRow, ScheduleRow
from services.store.scores import ScoreRow, ScorerRow
from services.store.secret_keys import SecretKeyRow
from services.store.silences import SilenceRow
from services.store.slack_requests import KEPT_REQUESTS, SlackRequestRow
from services.store.step_states import StateRow
from services.store.tables import DAY_SECONDS, Base, table
from services.store.write_probes import WriteProbeRow

KEPT_IDENTITIES: Final = 256
KEPT_STREAMS: Final = 2_000
KEPT_BASELINE_DAYS: Final = 90
KEPT_RUN_DAYS: Final = 400
KEPT_FIRE_DAYS: Final = 90
TOLD_DAYS: Final = 30
KEPT_LETTER_DAYS: Final = 14
"""Twice as long as their topics hold them: none is delivered again after that."""
KEPT_COUNT_DAYS: Final = 90
KEPT_COUNTS: Final = 2_000

FOR_GOOD: Final = "for good"


@dataclass(frozen=True, slots=True)
class SweepContext:
    """The time by our own clock, and which routes may be evicted."""

    now: datetime
    routes: RouteBound = ANY_NUMBER

    @property
    def day(self) -> int:
        """The day since 1970."""
        return int(self.now.timestamp() // DAY_SECONDS)

    def before(self, days: int) -> datetime:
        """So many days ago."""
        return self.now - timedelta(days=days)


Sweep = Callable[[Connection, SweepContext, int], int]
"""Deletes at most about so many rows that are kept no longer; how many. Called again until that is few."""


@dataclass(frozen=True, slots=True)
class RetentionRule:
    """One table's: what is `kept`, for people; by what of ours that is judged; why; what deletes the rest."""

    model: type[Base]
    kept: str
    judged_by: str
    why: str
    sweep: Sweep | None = None

    @property
    def name(self) -> str:
        """The table's name."""
        return table(self.model).name


def _rows(model: type[Base], where: Callable[[SweepContext], ColumnElement[bool]]) -> Sweep:
    """Deletes rows by a condition."""
    return lambda connection, at, most: _delete(connection, table(model), where(at), most)


def _delete(connection: Connection, some: Table, where: ColumnElement[bool], most: int) -> int:
    """At most so many rows: a long transaction would keep all others from writing."""
    return audit_log.delete_rows(connection, some, where, most=most)


def _written(model: type[Base], days: int) -> Sweep:
    """Deletes rows that were written longer ago."""
    return _rows(model, lambda at: table(model).c.written < at.day - days)


_IDENTITIES, _PINS, _INCIDENTS = table(IdentityRow), table(PinRow), table(IncidentRow)
_STREAMS, _READINGS, _BASELINES = table(StreamRow), table(ReadingRow), table(BaselineRow)
_OUTBOX, _EVALUATIONS, _RUNS = table(OutboxRow), table(EvaluationRow), table(RunRow)
_ANSWERS, _FIRES, _COUNTS = table(RunAnswerRow), table(FireTimeRow), table(DeadCountRow)
_DECISIONS, _SESSIONS = table(DecisionRow), table(ApiSessionRow)
_SAMPLES = table(SampleRow)
_REFERENCE: Final = ("first_seen", "pinned")


def _crowded(connection: Connection, some: Table, most: int) -> str | None:
    """A route that has more rows than that."""
    query = select(some.c.route).group_by(some.c.route).having(func.count() > most).limit(1)
    return connection.execute(query).scalar()


def _forget_identities(connection: Connection, at: SweepContext, most: int) -> int:
    """Of one route those that answered longest ago, with their score rows; the baseline's stays."""
    route = _crowded(connection, _IDENTITIES, KEPT_IDENTITIES)
    if route is None:
        return 0
    pinned = select(_PINS.c.identity).where(_PINS.c.route == route)
    query = select(_IDENTITIES.c.identity).where(_IDENTITIES.c.route == route, _IDENTITIES.c.identity.not_in(pinned))
    order = (_IDENTITIES.c.written.desc(), _IDENTITIES.c.identity)
    gone = connection.execute(query.order_by(*order).offset(KEPT_IDENTITIES - 1).limit(most)).scalars().all()
    for identity in gone:
        scores.drop_identity(connection, route, identity, at.day)
    return connection.execute(
        delete(_IDENTITIES).where(_IDENTITIES.c.route == route, _IDENTITIES.c.identity.in_(gone))
    ).rowcount


def _forget_streams(connection: Connection, _at: SweepContext, most: int) -> int:
    """Of one route those of which nothing was heard for the longest, with their readings; one that fires stays."""
    route = _crowded(connection, _STREAMS, KEPT_STREAMS)
    if route is None:
        return 0
    of_route = (_STREAMS.c.route == route, _STREAMS.c.status != "firing")
    order = (_STREAMS.c.event_index.desc(), _STREAMS.c.stream)
    query = select(_STREAMS.c.stream).where(*of_route).order_by(*order).offset(KEPT_STREAMS).limit(most)
    gone = connection.execute(query).scalars().all()
    further = readings.further_streams(connection, route, gone)
    for one in (_READINGS, _STREAMS):
        connection.execute(delete(one).where(one.c.route == route, one.c.stream.in_([*gone, *further])))
    return len(gone)


def _old_baseline(at: SweepContext) -> ColumnElement[bool]:
    """One that another took the place of; that of a route without a noted baseline is not known to be old.

    What was learned anew beside a baseline has its id before a plus, and stays as long as it.
    """
    own = or_(_BASELINES.c.id == _PINS.c.baseline, _BASELINES.c.id.startswith(_PINS.c.baseline + "+"))
    pin = and_(_PINS.c.route == _BASELINES.c.route, not_(own))
    return and_(_BASELINES.c.written < at.day - KEPT_BASELINE_DAYS, exists().where(pin))


def _old_questions(at: SweepContext) -> ColumnElement[bool]:
    """Those of a baseline that another took the place of."""
    row = table(OwnSuiteRow).c
    counts = exists().where(_PINS.c.route == row.route, _PINS.c.baseline == row.baseline)
    return and_(row.written < at.day - KEPT_BASELINE_DAYS, not_(counts))


def _compact_told(connection: Connection, at: SweepContext, most: int) -> int:
    """What was told of incidents that have been over for long."""
    waits = exists().where(
        _OUTBOX.c.incident == _INCIDENTS.c.id, _OUTBOX.c.state.in_((deliveries.PENDING, deliveries.KEPT))
    )
    has = exists().where(_OUTBOX.c.incident == _INCIDENTS.c.id, _OUTBOX.c.state != TOLD)
    over = (_INCIDENTS.c.state == "resolved", _INCIDENTS.c.written < at.day - TOLD_DAYS)
    found = connection.execute(select(_INCIDENTS.c.id).where(*over, has, ~waits).limit(most)).scalars().all()
    for incident in found:
        deliveries.compact(connection, incident)
    return len(found)


def _unresolved(route: ColumnElement[Any]) -> ColumnElement[bool]:
    return exists().where(_INCIDENTS.c.route == route, _INCIDENTS.c.state != "resolved")


def _old_run(at: SweepContext) -> ColumnElement[bool]:
    """Not one that later runs are held against, and none of a route that has an open incident."""
    other = _RUNS.alias()
    same = and_(*(other.c[name] == _RUNS.c[name] for name in ("route", "suite", "moment")))
    newer = exists().where(same, other.c.status == "complete", other.c.ts > _RUNS.c.ts)
    free = or_(_RUNS.c.moment.not_in(_REFERENCE), newer)
    return and_(_RUNS.c.written < at.day - KEPT_RUN_DAYS, free, not_(_unresolved(_RUNS.c.route)))


def _old_request(at: SweepContext) -> ColumnElement[bool]:
    over = _EVALUATIONS.c.state.in_((evaluation_queue.DONE, evaluation_queue.FAILED))
    free = and_(over, _EVALUATIONS.c.moment.not_in(_REFERENCE), not_(_unresolved(_EVALUATIONS.c.route)))
    return and_(free, _EVALUATIONS.c.created < at.before(KEPT_RUN_DAYS))


def _old_answer(_at: SweepContext) -> ColumnElement[bool]:
    states = (evaluation_queue.PENDING, evaluation_queue.RUNNING, evaluation_queue.RAN)
    return ~exists().where(_EVALUATIONS.c.id == _ANSWERS.c.run, _EVALUATIONS.c.state.in_(states))


def _old_fire(at: SweepContext) -> ColumnElement[bool]:
    """Never the last one of its schedule: what comes next is counted from there."""
    other = _FIRES.alias()
    same = and_(other.c.route == _FIRES.c.route, other.c.schedule == _FIRES.c.schedule)
    newer = exists().where(same, other.c.fire_time > _FIRES.c.fire_time)
    return and_(_FIRES.c.fire_time < at.before(KEPT_FIRE_DAYS), newer)


def _old_text(at: SweepContext) -> ColumnElement[bool]:
    """One that nothing holds, by the clock of its kind; one of a baseline or an incident goes after them."""
    hour = int(at.now.timestamp() // samples.HOUR_SECONDS)
    row = _SAMPLES.c
    counts = exists().where(_PINS.c.route == row.route, _PINS.c.baseline == row.baseline)
    lasts = or_(_INCIDENTS.c.state != "resolved", _INCIDENTS.c.written > at.day - scores.HELD_DAYS)
    told = exists().where(_INCIDENTS.c.id == row.incident, lasts)
    old = or_(
        and_(row.held == "kept", row.written < at.day - samples.KEPT_DAYS),
        and_(row.held == "ring", row.hour < hour - samples.RING_HOURS),
        and_(row.held == "baseline", row.written < at.day - samples.LEARNED_DAYS),
    )
    return and_(old, not_(counts), not_(told))


def _forget_texts(connection: Connection, at: SweepContext, most: int) -> int:
    gone = samples.shed(connection)
    return gone + _delete(connection, _SAMPLES, _old_text(at), most)


def _forget_counts(connection: Connection, at: SweepContext, most: int) -> int:
    gone = _written(DeadCountRow, KEPT_COUNT_DAYS)(connection, at, most)
    key = list(_COUNTS.primary_key)
    surplus = select(*key).order_by(_COUNTS.c.written.desc(), *key).offset(KEPT_COUNTS).limit(most)
    rows = connection.execute(surplus).all()
    if rows:
        connection.execute(delete(_COUNTS).where(tuple_(*key).in_([tuple(row) for row in rows])))
    return gone + len(rows)


DAY: Final = "the day on which it was written"
NUMBER: Final = "how many there are"
TIME: Final = "our clock when it happened"
NOTHING: Final = "nothing"
WITH_ROUTE: Final = f"{FOR_GOOD}, one or a few a route"

RULES: Final = (
    RetentionRule(
        RouteRow,
        f"as long as exchanges come; beyond `max_routes` unlisted ones that were idle for {IDLE_HOURS} hours go, with "
        f"all that is of them, and those that have a baseline and no open incident after {LEARNED_IDLE_DAYS} days",
        "our clock when its last exchange came, or the day on which its row was written where none ever did",
        "routes are named by whoever publishes",
        lambda connection, at, _most: evict_idle(connection, at.routes, at.now),
    ),
    RetentionRule(
        IdentityRow,
        f"of a route the {KEPT_IDENTITIES} that answered last, and the baseline's",
        DAY,
        "models are named by whoever publishes",
        _forget_identities,
    ),
    RetentionRule(
        ScoreRow,
        f"the last {scores.KEPT_ROWS:,} of a route and identity; around each incident {scores.HELD_BEFORE:,} before it "
        f"and {scores.HELD_AFTER:,} after it, until it was resolved for {scores.HELD_DAYS} days",
        NUMBER,
        "evidence can be computed again of them",
    ),
    RetentionRule(ScorerRow, FOR_GOOD, NOTHING, "one for each version that ever scored"),
    RetentionRule(
        RulerRow,
        f"the last {KEPT_MEASUREMENTS} scorers that counted",
        NUMBER,
        "the anchors are held against the last one",
    ),
    RetentionRule(
        SampleRow,
        f"at most {samples.KEPT_A_DAY:,} a day and route, for {samples.KEPT_DAYS} days; of every route the last "
        f"{samples.RING:,} for {samples.RING_HOURS} hours, {samples.RING_BYTES // 2**20} MiB in all; what a baseline "
        f"names as long as it counts; what an incident names until it was resolved for {scores.HELD_DAYS} days",
        DAY,
        "it is text of people",
        _forget_texts,
    ),
    RetentionRule(
        RollupRow,
        f"{rollups.KEPT_MINUTES} days",
        DAY,
        "charts of longer times are drawn by the hour",
        _written(RollupRow, rollups.KEPT_MINUTES),
    ),
    RetentionRule(
        HourlyRollupRow,
        f"{rollups.KEPT_HOURS} days",
        DAY,
        "a year, and a month to compare it with",
        _written(HourlyRollupRow, rollups.KEPT_HOURS),
    ),
    RetentionRule(
        ReadingRow,
        f"the last {readings.KEPT_READINGS} of each stream",
        NUMBER,
        "the newest says how a stream stands, those before it how it came to that",
    ),
    RetentionRule(
        StreamRow,
        f"of a route the {KEPT_STREAMS:,} that were heard of last, and all that fire",
        NUMBER,
        "streams come and go with identities",
        _forget_streams,
    ),
    RetentionRule(IncidentRow, f"{FOR_GOOD}, with its route", NOTHING, "it is what people decided on"),
    RetentionRule(
        JournalRow,
        f"{FOR_GOOD}, with its route",
        NOTHING,
        "incidents are derived from it, and each fact is chained to the one before by a hash",
    ),
    RetentionRule(PinRow, WITH_ROUTE, NUMBER, "the baseline that counts"),
    RetentionRule(
        BaselineRow,
        f"the one that counts; earlier ones {KEPT_BASELINE_DAYS} days",
        DAY,
        "a route is held against one",
        _rows(BaselineRow, _old_baseline),
    ),
    RetentionRule(CandidateRow, "until the baseline that they are for is pinned", NUMBER, "they are learned from"),
    RetentionRule(StateRow, "the newest of each step and route", NUMBER, "steps go on from it"),
    RetentionRule(
        OutboxRow,
        f"until its incident was resolved for {TOLD_DAYS} days; then one row an incident, without words",
        DAY,
        "what was told must not be told again",
        _compact_told,
    ),
    RetentionRule(DeliveryRow, "as long as what it delivers", DAY, "later words go to the same message"),
    RetentionRule(PictureRow, "as long as the deliveries of its incident", DAY, "it is not sent twice"),
    RetentionRule(ReceiverRow, FOR_GOOD, NOTHING, "as many as the monitor file ever named"),
    RetentionRule(
        EvaluationRow,
        f"{KEPT_RUN_DAYS} days; what a route's first and its baselines' runs were asked by for good; all of a route "
        "that has an open incident",
        TIME,
        "a suite is asked for once",
        _rows(EvaluationRow, _old_request),
    ),
    RetentionRule(
        RunRow,
        f"{KEPT_RUN_DAYS} days; the newest of a route's first runs and of its baseline's for good; all of a route that "
        "has an open incident",
        DAY,
        "later runs are held against the baseline's",
        _rows(RunRow, _old_run),
    ),
    RetentionRule(
        RunAnswerRow,
        "while the run is under way",
        "what became of the run",
        "a run that was interrupted goes on from them",
        _rows(RunAnswerRow, _old_answer),
    ),
    RetentionRule(
        OwnSuiteRow,
        f"that of the baseline that counts; earlier ones {KEPT_BASELINE_DAYS} days",
        DAY,
        "it is text of people, which the route asked to be asked again",
        _rows(OwnSuiteRow, _old_questions),
    ),
    RetentionRule(
        OwnAskedRow,
        f"{own_questions.ASKED_DAYS} days",
        DAY,
        "a day has its budget",
        _rows(OwnAskedRow, lambda at: table(OwnAskedRow).c.day < at.day - own_questions.ASKED_DAYS),
    ),
    RetentionRule(
        CoverageRow,
        f"{coverage.KEPT_COVERAGE_DAYS} days, at most {coverage.KEPT_COVERAGES} a route; no text, but words that mark "
        "clusters",
        DAY,
        "they are of texts that are kept as long; it is measured again every day",
        _written(CoverageRow, coverage.KEPT_COVERAGE_DAYS),
    ),
    RetentionRule(
        IngestCountRow,
        f"{ingest_counts.KEPT_DAYS} days",
        DAY,
        "what publishers lack is told of a week",
        _written(IngestCountRow, ingest_counts.KEPT_DAYS),
    ),
    RetentionRule(ScheduleRow, "until it is removed", NOTHING, "a person wrote it"),
    RetentionRule(
        FireTimeRow,
        f"{KEPT_FIRE_DAYS} days, and the last one of each schedule",
        TIME,
        "each is taken once",
        _rows(FireTimeRow, _old_fire),
    ),
    RetentionRule(
        DecisionRow,
        f"{KEEP_PUBLISHED.days} days after it was published",
        TIME,
        "the journal has it",
        _rows(DecisionRow, lambda at: _DECISIONS.c.published < at.now - KEEP_PUBLISHED),
    ),
    RetentionRule(
        DeadLetterRow,
        f"places of the last {REMEMBERED:,} of each source, for {KEPT_LETTER_DAYS} days; no content",
        DAY,
        "a letter that is delivered again is not counted again",
        _written(DeadLetterRow, KEPT_LETTER_DAYS),
    ),
    RetentionRule(
        DeadCountRow,
        f"{KEPT_COUNT_DAYS} days after the last letter, at most {KEPT_COUNTS:,}",
        DAY,
        "reasons come with records",
        _forget_counts,
    ),
    RetentionRule(ParkedRouteRow, "while a step fails on the route", NUMBER, "it says where and why"),
    RetentionRule(
        ParkedRecordRow,
        "until it is taken up; at most 10,000 and 64 MB a route, 512 MB a step",
        NUMBER,
        "nothing is lost of a route on which a step fails",
    ),
    RetentionRule(WriteProbeRow, f"{FOR_GOOD}, one a process that looked", NOTHING, "whether the disk takes a write"),
    RetentionRule(SilenceRow, f"{FOR_GOOD}, with its route", NOTHING, "a person decided it"),
    RetentionRule(ArrivalRow, WITH_ROUTE, NUMBER, "a silent route is judged by its last exchange"),
    RetentionRule(PartitionRow, f"{FOR_GOOD}, one a step and partition", NOTHING, "a silent route is judged by them"),
    RetentionRule(
        AuditRow, FOR_GOOD, NOTHING, "each entry is chained to the one before by a hash; it holds no content"
    ),
    RetentionRule(
        ErasureRow,
        f"{ERASED_DAYS.days} days; no name, a digest",
        TIME,
        "what is on its way on topics when somebody is erased is kept out",
        _rows(ErasureRow, lambda at: table(ErasureRow).c.erased_at < at.now - ERASED_DAYS),
    ),
    RetentionRule(
        SecretKeyRow,
        f"that of a day's dead letters {secret_keys.KEPT_LETTER_KEYS.days} days, or until somebody is erased; that of "
        f"the digests of who was erased {FOR_GOOD}",
        TIME,
        "what it opens is gone with it",
        _rows(SecretKeyRow, lambda at: secret_keys.old(at.now)),
    ),
    RetentionRule(DeploymentRow, FOR_GOOD, NOTHING, "one row: whose cluster it is"),
    RetentionRule(ApiKeyRow, f"{FOR_GOOD}, revoked ones too", NOTHING, "decisions bear its name"),
    RetentionRule(
        SlackRequestRow,
        f"{KEPT_REQUESTS.seconds // 60} minutes; no content, a digest",
        TIME,
        "a request of Slack counts for five minutes, and once",
        _rows(SlackRequestRow, lambda at: table(SlackRequestRow).c.taken < at.now - KEPT_REQUESTS),
    ),
    RetentionRule(
        ApiSessionRow,
        f"until it ends, at most {api_keys.MOST_SESSIONS} of a key",
        TIME,
        "nobody is signed in for ever",
        _rows(ApiSessionRow, lambda at: _SESSIONS.c.expires <= at.now),
    ),
)
"""One for each table, in the order in which they are swept."""
