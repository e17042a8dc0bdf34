"""What is kept is bounded as the contract says, and rates equal those of an offline count."""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from datetime import timedelta

from sqlalchemy import Connection, func, select, update

from schemas.score import Scorer
from services.monitor import RoutePolicy
from services.record.core import scorer_id
from services.record.recorder import Recorder
from services.store import dead_letters, incidents, readings, rollups, samples, scores
from services.store.deliveries import OutboxRow
from services.store.engine import Database
from services.store.readings import ReadingRow
from services.store.scores import ScoreRow
from services.store.tables import table
from tests.record.stories import ROUTES, A, alert, exchanges, letter, reading, sample
from tests.support.blocks import START, Row, blocks, rows

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
        assert connection.execute(select(func.min(ROWS.c.event_index), func.count())).one() == (200, 5_000)


def test_a_day_keeps_2000_samples_signals_first_whatever_their_order(database: Database) -> None:
    today = [
        sample(ROUTE, n, "signal" if n % 10 == 0 else "sampled").model_copy(update={"ts": START}) for n in range(2_300)
    ]
    tomorrow = [one.model_copy(update={"id": f"t{one.id}", "ts": START + timedelta(days=1)}) for one in today[:50]]
    random.Random(7).shuffle(today)
    found = []
    for order in (today, today[::-1]):
        with database.engine.connect() as connection, connection.begin() as transaction:
            for start in range(0, len(order), 300):
                samples.add(connection, [*order[start : start + 300], *tomorrow])
            found.append(samples.by_id(connection, ROUTE, [one.id for one in [*today, *tomorrow]]))
            transaction.rollback()
    assert found[0] == found[1]
    assert len(found[0]) == 2_000 + 50
    assert sum(one.reason == "signal" and one.ts == START for one in found[0].values()) == 230


def test_samples_expire_after_30_days_of_the_routes_clock(database: Database) -> None:
    sink = recorder(database)
    sink.apply([sample(ROUTE, 0), sample(ROUTE, 24), sample(ROUTES[1], 0)])
    late = Row("late", 1, 30 * 86_400.0 + 3_600)
    sink.apply(blocks([late], 1, ROUTE))
    assert set(database.query(samples.by_id, ROUTE, ["e0", "e24"])) == {"e24"}
    assert set(database.query(samples.by_id, ROUTES[1], ["e0"])) == {"e0"}, "another route has its own clock"
    sink.apply([sample(ROUTE, 0)])
    assert set(database.query(samples.by_id, ROUTE, ["e0", "e24"])) == {"e24"}, "an expired one does not come back"


def test_a_skewed_time_expires_nothing(database: Database) -> None:
    sink = recorder(database)
    sink.apply([sample(ROUTE, 0)])
    sink.apply(blocks([Row("ahead", 1, 90 * 86_400.0, flags=("skew",))], 1, ROUTE))
    assert set(database.query(samples.by_id, ROUTE, ["e0"])) == {"e0"}


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
