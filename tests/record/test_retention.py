"""What is kept is bounded as the contract says, and rates equal those of an offline count."""

from __future__ import annotations

import asyncio
import random
from collections import Counter, defaultdict
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Connection, func, insert, select, update

from schemas.identity import Model
from schemas.score import Scorer
from services.monitor import RoutePolicy
from services.offload import Offload
from services.record.core import scorer_id
from services.record.recorder import PRUNED_EVERY, Recorder
from services.record.retention_timer import RetentionTimer
from services.store import (
    dead_letters,
    incidents,
    parks,
    pictures,
    readings,
    retention,
    rollups,
    routes,
    runs,
    samples,
    schedules,
    scores,
)
from services.store.deliveries import OutboxRow
from services.store.engine import Database
from services.store.fleet import PinRow
from services.store.readings import ReadingRow
from services.store.retention import KEPT_IDENTITIES, RULES
from services.store.rollups import RollupRow
from services.store.route_deletion import RouteBound
from services.store.routes import RouteHead
from services.store.runs import RunSummary
from services.store.schedules import StoredSchedule
from services.store.scores import ScoreRow
from services.store.tables import all_metadata, table
from tests.record.stories import ROUTES, A, alert, decision, exchanges, letter, reading, sample
from tests.support.blocks import START, Row, blocks, rows
from tests.support.records import further

ROUTE = ROUTES[0]
ROWS = table(ScoreRow)
READINGS = table(ReadingRow)
SCORER = Scorer(engine="test", precision="f32", signals={})


def recorder(database: Database) -> Recorder:
    return Recorder(database, lambda route: RoutePolicy(slices=("tags.locale",)))


def add_rows(connection: Connection, indexes: range, identity: str = A, route: str = ROUTE) -> None:
    plain = {"tags": "{}", "flags": "[]", "kept": False, "embedded": False, "signals": "{}", "cluster": "c"}
    place = {"topic": "t", "partition": 0, "scorer": scorer_id(SCORER), "route": route, "identity": identity}
    scores.add_scorers(connection, {scorer_id(SCORER): SCORER})
    scores.add(
        connection, [{**plain, **place, "event_index": i, "offset": i, "id": f"e{i}", "ts": START} for i in indexes]
    )


def kept(connection: Connection, identity: str = A, route: str = ROUTE) -> list[int]:
    query = select(ROWS.c.event_index).where(ROWS.c.identity == identity, ROWS.c.route == route)
    return sorted(connection.execute(query).scalars())


def test_the_last_5000_rows_of_each_identity_stay(database: Database) -> None:
    with database.write() as connection:
        add_rows(connection, range(0, 6_000))
        add_rows(connection, range(6_000, 6_100), identity="b" * 16)
        add_rows(connection, range(0, 6_000), route=ROUTES[1])
        scores.prune(connection, ROUTE, [A, "b" * 16])
        assert kept(connection) == list(range(1_000, 6_000))
        assert kept(connection, "b" * 16) == list(range(6_000, 6_100))
        assert len(kept(connection, route=ROUTES[1])) == 6_000


def test_an_incident_holds_the_rows_around_its_opening(database: Database) -> None:
    recorder(database).apply([alert(ROUTE, "rate_shift", 700)])
    with database.write() as connection:
        (incident,) = incidents.find(connection)
        assert incident.opened_event_index == 700
        add_rows(connection, range(0, 7_000))
        scores.prune(connection, ROUTE, [A])
        assert kept(connection) == [*range(0, 1_201), *range(2_000, 7_000)]
        incidents.replace(connection, ROUTE, [])
        scores.prune(connection, ROUTE, [A])
        assert kept(connection) == list(range(2_000, 7_000))


def test_the_sink_prunes_score_rows_itself(database: Database) -> None:
    sink = recorder(database)
    for block in blocks(rows(5_200), 128, ROUTE):
        sink.apply([block])
    with database.read() as connection:
        first, n = connection.execute(select(func.min(ROWS.c.event_index), func.count())).one()
    assert first + n == 5_200, "the last ones"
    assert 5_000 <= n < 5_000 + PRUNED_EVERY


def test_a_day_of_ours_keeps_2000_samples_signals_first_whatever_their_order_and_times(database: Database) -> None:
    some = [
        sample(ROUTE, n, "signal" if n % 10 == 0 else "sampled").model_copy(
            update={"ts": START + timedelta(days=n % 40)}
        )
        for n in range(2_300)
    ]
    random.Random(7).shuffle(some)
    found = []
    for order in (some, some[::-1]):
        with database.engine.connect() as connection, connection.begin() as transaction:
            for start in range(0, len(order), 300):
                samples.add(connection, order[start : start + 300])
            found.append(samples.by_id(connection, ROUTE, [one.id for one in some]))
            transaction.rollback()
    assert found[0] == found[1]
    assert len(found[0]) == 2_000
    assert sum(bool(one.signals) for one in found[0].values()) == 230


def swept(database: Database, days: float, bound: RouteBound | None = None, **more: int) -> dict[str, int]:
    """One sweep when our clock is so many days ahead."""
    thread = Offload("database")
    try:
        clock = lambda: datetime.now(UTC) + timedelta(days=days)  # noqa: E731
        return asyncio.run(RetentionTimer(database, thread, bound or RouteBound(), clock, **more).once())
    finally:
        thread.close()


def test_no_time_of_an_exchange_deletes_anything(database: Database) -> None:
    """An exchange without a time and with a producer's clock of 2090 deleted 50 samples of 50."""
    sink = recorder(database)
    sink.apply([sample(ROUTE, n) for n in range(50)])
    for seconds in (64 * 365.25 * 86_400, -25 * 365 * 86_400.0, 40 * 86_400.0):
        sink.apply(blocks([Row(f"at{seconds}", int(abs(seconds)), seconds)], 1, ROUTE))
        swept(database, 0)
    assert len(database.query(samples.by_id, ROUTE, [f"e{n}" for n in range(50)])) == 50
    assert set(swept(database, 29)) <= {"ingest_counts"}  # which are told of a week
    gone = swept(database, 31.5)
    assert gone["samples"] == 50
    assert gone["rollups"] > 0
    assert "rollups_hourly" not in gone
    assert swept(database, 401.5)["rollups_hourly"] > 0


def test_a_skewed_time_counts_where_the_route_stands(database: Database) -> None:
    sink = recorder(database)
    sink.apply(blocks([Row("now", 0, 0.0), Row("ahead", 1, 64 * 365 * 86_400.0, flags=("skew",))], 2, ROUTE))
    with database.read() as connection:
        assert connection.execute(select(table(RollupRow).c.minute).distinct()).scalars().all() == [START]


def test_every_table_has_a_rule_of_retention() -> None:
    assert sorted(rule.name for rule in RULES) == sorted(all_metadata().tables)
    assert all(rule.kept and rule.judged_by and rule.why for rule in RULES)


def test_everything_is_swept_in_small_pieces(database: Database) -> None:
    sink = recorder(database)
    sink.apply([sample(ROUTE, n) for n in range(95)])
    assert swept(database, 40, rows=10, turns=3) == {"samples": 30}
    assert swept(database, 40, rows=10) == {"samples": 65}


def test_identities_are_few_and_the_baselines_is_among_them(database: Database) -> None:
    first = Model(requested="first")
    with database.write() as connection:
        routes.ensure(connection, ROUTE)
        for n in range(KEPT_IDENTITIES + 44):
            routes.add_identities(connection, ROUTE, {f"{n:016x}": first})
            add_rows(connection, range(n, n + 1), f"{n:016x}")
        pin = {"route": ROUTE, "event_index": 1, "ts": START, "baseline": "b", "identity": f"{299:016x}", "n": 1}
        connection.execute(insert(table(PinRow)), pin)
    assert swept(database, 1) == {"identities": 44}
    with database.read() as connection:
        assert len(routes.identities(connection, ROUTE)) == KEPT_IDENTITIES
        assert f"{299:016x}" in routes.identities(connection, ROUTE)
        assert connection.execute(select(func.count()).select_from(ROWS)).scalar() == KEPT_IDENTITIES


def test_what_was_told_long_ago_is_one_row_and_is_not_told_again(database: Database) -> None:
    sink = recorder(database)
    story = [alert(ROUTE, "rate_shift", 3), decision(ROUTE, "resolve", 5)]
    sink.apply(story)
    outbox = table(OutboxRow)
    with database.write() as connection:
        (incident,) = incidents.find(connection)
        assert incident.state == "resolved"
        connection.execute(update(outbox).values(state="sent", attempts=1))
        pictures.keep_picture(connection, "r", incident.id, pictures.MessagePicture("f", "k", "w"))
    assert "outbox" not in swept(database, 29)
    assert swept(database, 31.5)["outbox"] == 1
    sink.apply([*story, alert(ROUTE, "model_shift", 4)])
    with database.read() as connection:
        assert connection.execute(select(outbox.c.state, outbox.c.payload)).all() == [("told", "{}")]
        assert pictures.picture_of(connection, "r", incident.id) is None
    sink.apply([alert(ROUTE, "rate_shift", 30)])
    with database.read() as connection:
        states = connection.execute(select(outbox.c.state)).scalars().all()
    assert sorted(set(states)) == ["pending", "told"], "what is new is told"


def test_runs_and_fire_times_go_but_what_others_are_held_against_stays(database: Database) -> None:
    at = datetime.now(UTC)
    plan = StoredSchedule(ROUTE, "weekly", None, "0 6 * * 1", "UTC", True, "command", at)
    with database.write() as connection:
        for n, moment in enumerate(["pinned", "pinned", "scheduled", "command", "first_seen"]):
            run = RunSummary(
                f"r{n}", ROUTE, A, "core", "0" * 64, moment, None, "complete", None, at + timedelta(minutes=n)
            )
            runs.add(connection, run, "{}")
        runs.keep_answers(connection, "nobody", [("i", 0, "{}")])
        for n in range(3):
            schedules.take_fire_time(connection, plan, at + timedelta(hours=n))
    assert swept(database, 89) == {"run_answers": 1}
    assert swept(database, 91)["fire_times"] == 2
    assert swept(database, 401)["runs"] == 3
    with database.read() as connection:
        assert {one.id for one in runs.find(connection)} == {"r1", "r4"}
        assert schedules.last_fire(connection, plan) == at + timedelta(hours=2)


def test_a_run_is_judged_by_the_day_on_which_it_was_written(database: Database) -> None:
    """What another tool says of the time of an imported one is no clock of ours."""
    years = {"old": 2025, "ahead": 2090}
    with database.write() as connection:
        for name, year in years.items():
            ts = datetime(year, 3, 1, tzinfo=UTC)
            run = RunSummary(name, ROUTE, A, "core", "0" * 64, "command", None, "complete", None, ts)
            runs.add(connection, run, "{}")
    assert swept(database, 1) == {}
    assert swept(database, 399) == {}
    assert swept(database, 402)["runs"] == 2


def test_routes_without_an_exchange_go_first_and_make_no_other_go(database: Database) -> None:
    now = datetime.now(UTC)
    bound = RouteBound(lambda route: route == "r0", 2)
    with database.write() as connection:
        names = [f"r{n}" for n in range(8)]
        routes.ensure(connection, *names)
        idle = {name: RouteHead(arrived=now - timedelta(hours=30)) for name in ("r1", "r2")}
        routes.set_times(connection, idle)
    assert swept(database, 0, bound) == {}, "those two are all that may be, and the others were written today"
    assert database.query(routes.names) == tuple(names)
    with database.write() as connection:
        waits = parks.ParkedRecord("keelwatch.scores", 0, 7, now, b"v")
        parks.write(connection, "record", "r3", parks.Parking(parks.ParkFault("ValueError", "1"), (waits,)))
    assert swept(database, 2, bound)["routes"] == 4
    assert database.query(routes.names) == ("r0", "r1", "r2", "r3"), "what is parked was acknowledged"


def test_idle_unlisted_routes_give_way_and_listed_ones_never(database: Database) -> None:
    sink = recorder(database)
    names = [f"r{n}" for n in range(8)]
    for n, name in enumerate(names):
        sink.apply(blocks([Row(f"e{n}", n, 0.0)], 1, name))
        with database.write() as connection:
            routes.set_times(connection, {name: RouteHead(arrived=datetime.now(UTC) - timedelta(hours=10 - n))})
    sink.apply([alert("r1", "rate_shift", 3)])
    bound = RouteBound(lambda route: route == "r0", 3)
    assert swept(database, 0, bound) == {}, "none is idle"
    assert swept(database, 0.75, bound) == {"routes": 3}, "those that were idle for 24 hours"
    with database.read() as connection:
        assert routes.names(connection) == ("r0", "r1", "r5", "r6", "r7")
    assert swept(database, 2, bound) == {"routes": 1}
    with database.read() as connection:
        assert routes.names(connection) == ("r0", "r1", "r6", "r7")


def test_of_each_stream_the_newest_200_readings_stay(database: Database) -> None:
    many = [reading(ROUTE, n) for n in range(250)]
    other = reading(ROUTES[1], 0)
    with database.write() as connection:
        readings.add(connection, [*many[::-1], other])
        readings.add(connection, many[:100])
        assert readings.latest(connection, ROUTE) == (many[-1],)
        assert readings.latest(connection, ROUTES[1]) == (other,)
        stored = connection.execute(select(READINGS.c.route, READINGS.c.event_index)).all()
    assert sorted(stored) == [(ROUTES[1], 0), *((ROUTE, n) for n in range(50, 250))]


def test_with_a_stream_goes_what_was_told_of_further_changes_of_it(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "KEPT_STREAMS", 1)
    old = further(3)
    stands = reading(ROUTE, 5)
    base = old.model_copy(update={"id": "b" * 16, "again": None, "status": "quiet", "route": ROUTE})
    again = old.model_copy(update={"route": ROUTE})
    with database.write() as connection:
        readings.add(connection, [base, again, stands])
    swept(database, 0)
    with database.read() as connection:
        assert connection.execute(select(READINGS.c.id)).scalars().all() == [stands.id]


def test_a_dead_letter_is_counted_once_even_when_it_is_no_longer_remembered(database: Database) -> None:
    with database.write() as connection:
        dead_letters.add(connection, [letter(n) for n in range(12_000)])
        dead_letters.add(connection, [letter(n) for n in (0, 1_999, 2_000, 11_999, 5)])
        dead_letters.add(connection, [letter(12_000, "route: missing"), letter(12_000, "route: missing")])
        counted = {one.reason: (one.n, one.first_seen, one.last_seen) for one in dead_letters.counts(connection)}
        remembered = connection.exec_driver_sql("SELECT count(*) FROM dead_letters").scalar()
    last = START + timedelta(hours=12_000)
    assert counted == {
        "not JSON": (12_000, START, last - timedelta(hours=1)),
        "route: missing": (1, last, last),
    }
    assert remembered == 10_000


def test_rates_equal_an_offline_count_whatever_was_redelivered(database: Database) -> None:
    some = exchanges(120)
    pieces = blocks(some, [7, 20, 3], ROUTE)
    sink = recorder(database)
    generator = random.Random(3)
    for place, piece in enumerate(pieces):
        sink.apply([piece])
        sink.apply(pieces[generator.randint(0, place) : place + 1])
        sink.apply(blocks(some[: generator.randint(1, 40)], 11, ROUTE))
    counted: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    for row in some:
        for label in ("", f"tags.locale={row.tags['locale']}"):
            for signal, value in [("", None if row.flags else 1), *row.signals.items()]:
                counted[label, signal].update(n=1, scored=value is not None, sum=int(value or 0))
    found: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    for rate in database.query(rollups.rates, ROUTE, slice=None):
        found[rate.slice, rate.signal].update(n=rate.n, scored=rate.scored, sum=rate.sum)
    assert found == counted
    assert {rate.identity for rate in database.query(rollups.rates, ROUTE)} == {A, *_new_identity(some)}


def _new_identity(some: list[Row]) -> set[str]:
    return set(blocks(some[-1:], 1)[0].identity)


def test_rates_of_a_span_of_time(database: Database) -> None:
    recorder(database).apply(blocks(exchanges(48), 16, ROUTE))
    since, until = START + timedelta(hours=6), START + timedelta(hours=12)
    found = {rate.signal: rate for rate in database.query(rollups.rates, ROUTE, since, until)}
    assert found["refusal"].n == found["refusal"].scored == 6
    assert found["refusal"].mean == 2 / 6
    assert (found["pii_leak"].n, found["pii_leak"].scored, found["pii_leak"].mean) == (6, 5, 0.0)
    assert database.query(rollups.rates, ROUTE, until, until) == ()
    assert database.query(rollups.rates, "nowhere") == ()


def test_a_rate_of_nothing_is_unknown_not_zero(database: Database) -> None:
    recorder(database).apply(blocks([Row("e0", 0, 0.0, signals={"refusal": None})], 1, ROUTE))
    (rate,) = [rate for rate in database.query(rollups.rates, ROUTE) if rate.signal == "refusal"]
    assert (rate.n, rate.scored, rate.mean) == (1, 0, None)


def test_given_up_notifications_are_not_sent_again(database: Database) -> None:
    sink = recorder(database)
    sink.apply([alert(ROUTE, "rate_shift", 3)])
    with database.write() as connection:
        connection.execute(update(table(OutboxRow)).values(state="failed", attempts=9))
    sink.apply([alert(ROUTE, "rate_shift", 3), *blocks(exchanges(4), 4, ROUTE)])
    with database.read() as connection:
        assert connection.execute(select(table(OutboxRow).c.state)).scalars().all() == ["failed"]
