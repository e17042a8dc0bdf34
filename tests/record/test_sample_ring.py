"""What stays of the last texts of a route: bounded, and with what named them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select, update

from schemas.change import Pinning
from schemas.sample import Sample, SampleBlock, Why
from services.monitor import RoutePolicy
from services.record.recorder import Recorder
from services.store import arrivals, incidents, retention, route_deletion, routes, samples, scores
from services.store.engine import Database
from services.store.retention import SweepContext
from services.store.samples import RING, THINNED_EVERY, SampleRow
from services.store.tables import table
from tests.record.stories import ROUTES, A, alert, change, decision, exchanges, reading, sample
from tests.support.blocks import blocks
from tests.support.databases import opened

ROUTE = ROUTES[0]
ROWS = table(SampleRow)


def recorder(database: Database) -> Recorder:
    return Recorder(database, lambda route: RoutePolicy())


def ring(numbers: Sequence[int], why: Why = "ring") -> list[Sample]:
    start = sample(ROUTE, 0).ts
    return [sample(ROUTE, n, why=why).model_copy(update={"ts": start + timedelta(seconds=n)}) for n in numbers]


def stored(database: Database) -> dict[str, Any]:
    with database.read() as connection:
        return {row.id: row for row in connection.execute(select(ROWS).where(ROWS.c.route == ROUTE))}


def sweep(database: Database, hours: float) -> None:
    at = SweepContext(datetime.now(UTC) + timedelta(hours=hours))
    rule = next(one for one in retention.RULES if one.model is SampleRow)
    assert rule.sweep is not None
    with database.write() as connection:
        rule.sweep(connection, at, 10_000)


def pinned(*examples: str, id: str = "a" * 16) -> Any:
    pinning = Pinning(n=200, streams=3, arl=1e6, examples=examples)
    return change(ROUTE, 5, "pinned").model_copy(update={"baseline": id, "id": id, "pinning": pinning})


def test_the_last_500_of_a_route_stay_for_24_hours_and_what_is_kept_stays_beside(database: Database) -> None:
    sink = recorder(database)
    for start in range(0, 700, 100):
        sink.apply([*ring(range(start, start + 100)), sample(ROUTE, 10_000 + start)])
    held = stored(database)
    assert {id for id, row in held.items() if row.held == "ring"} == {f"e{n}" for n in range(200, 700)}
    sink.apply(ring(range(100, 300)))
    assert stored(database).keys() == held.keys(), "delivered again, and older than all that stays"
    sweep(database, 23)
    assert len(stored(database)) == RING + 7
    sweep(database, 26)
    assert {row.held for row in stored(database).values()} == {"kept"}


@pytest.mark.parametrize("ahead", [timedelta(days=64 * 365), timedelta(minutes=59), -timedelta(days=365)])
def test_a_clock_that_is_wrong_pushes_no_text_out(database: Database, ahead: timedelta) -> None:
    """Texts of a publisher whose clock is ahead, then honest ones; or of one whose clock is behind, the last."""
    sink = recorder(database)
    wrong = [one.model_copy(update={"ts": one.ts + ahead}) for one in ring(range(520))]
    honest = ring(range(520, 720))
    if ahead < timedelta(0):
        wrong, honest = ring(range(520)), [one.model_copy(update={"ts": one.ts + ahead}) for one in honest]
    for some in (wrong, honest):
        for start in range(0, len(some), 100):
            sink.apply(some[start : start + 100])
    left = stored(database).keys()
    assert {one.id for one in honest} <= left
    assert len(left) < RING + THINNED_EVERY


@pytest.mark.parametrize("order", ["text first", "alert first"])
def test_what_an_incident_names_stays_with_it_in_whatever_order_it_comes(database: Database, order: str) -> None:
    sink = recorder(database)
    named = alert(ROUTE, "rate_shift", 3).model_copy(update={"exemplars": ("e3", "e4"), "counterparts": ("e1", None)})
    pieces = [ring(range(10)), [named]]
    for piece in pieces if order == "text first" else reversed(pieces):
        sink.apply(piece)
    sink.apply(ring(range(100, 800)))
    [incident] = database.query(incidents.find, ROUTE)
    assert {id for id, row in stored(database).items() if row.incident == incident.id} == {"e1", "e3", "e4"}
    texts = database.query(incidents.texts, incident)
    assert texts.keys() == {"e1", "e3", "e4"}
    sweep(database, 24 * 200)
    assert stored(database).keys() == {"e1", "e3", "e4"}, "as long as it is open"
    sink.apply([decision(ROUTE, "resolve", 20).model_copy(update={"incident": incident.id})])
    sweep(database, 24 * 80)
    assert len(stored(database)) == 3
    sweep(database, 24 * 95)
    assert stored(database) == {}


def test_what_a_reading_names_is_not_turned_over_before_the_alert_comes(database: Database) -> None:
    sink = recorder(database)
    sink.apply(ring(range(10)))
    sink.apply([reading(ROUTE, 9, "firing").model_copy(update={"exemplars": ("e2",), "counterparts": ("e1",)})])
    sink.apply(ring(range(100, 800)))
    assert {"e1", "e2"} <= stored(database).keys()
    assert len(stored(database)) == RING + 2


def test_texts_drawn_for_a_baseline_wait_for_it_and_stay_as_long_as_it_counts(database: Database) -> None:
    sink = recorder(database)
    sink.apply(ring(range(0, 400, 2), "baseline"))
    sink.apply(ring(range(1000, 1700)))
    assert len(stored(database)) == 200 + RING
    sink.apply([pinned("e0", "e2", "gone")])
    held = stored(database)
    assert {id for id, row in held.items() if row.baseline == "a" * 16} == {"e0", "e2"}
    sweep(database, 24 * 60)
    assert stored(database).keys() == {"e0", "e2"}
    sink.apply(ring([4], "baseline"))
    assert stored(database)["e4"].held == "ring", "nothing is learned now"
    sink.apply([pinned("e4", id="b" * 16).model_copy(update={"ts": pinned().ts + timedelta(hours=1)})])
    assert {id: row.baseline for id, row in stored(database).items()}["e4"] == "b" * 16
    sweep(database, 24 * 60)
    assert stored(database).keys() == {"e4"}


def test_texts_of_a_busy_hour_do_not_wait_without_bound(database: Database) -> None:
    sink = recorder(database)
    sink.apply(ring(range(3000), "baseline"))
    sink.apply(ring(range(3600, 5000), "baseline"))
    waiting = [row for row in stored(database).values() if row.held == "baseline"]
    assert len(waiting) == samples.LEARNED_FIRST + samples.LEARNED_AN_HOUR


def test_texts_that_come_a_few_at_a_time_are_thinned_out_now_and_then(database: Database) -> None:
    sink = recorder(database)
    for start in range(0, 700, 10):
        sink.apply([SampleBlock(route=ROUTE, samples=tuple(ring(range(start, start + 10))))])
        assert len(stored(database)) < RING + THINNED_EVERY
    assert stored(database).keys() >= {f"e{n}" for n in range(200, 700)}


def test_what_waits_for_a_baseline_is_the_same_however_its_texts_come(new_url: Callable[[], str]) -> None:
    drawn = [*ring(range(0, 300), "baseline"), *ring(range(3600, 3800), "baseline")]
    found = []
    for size in (7, 100, 1_000):
        with opened(new_url()) as (database,):
            sink = recorder(database)
            for start in range(0, len(drawn), size):
                sink.apply(drawn[start : start + size])
                sink.apply(drawn[start : start + size])
            found.append({id for id, row in stored(database).items() if row.held == "baseline"})
    assert found[0] == found[1] == found[2]
    assert len(found[0]) == samples.LEARNED_FIRST + samples.LEARNED_AN_HOUR


def test_what_a_failed_batch_brought_is_not_remembered(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    sink = recorder(database)
    sink.apply(ring([1], "baseline"))
    with monkeypatch.context() as broken:
        broken.setattr(samples, "_thin", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            sink.apply(ring([2], "baseline"))
    sink.apply(ring([2], "baseline"))
    assert {id: row.held for id, row in stored(database).items()} == {"e1": "baseline", "e2": "baseline"}


def test_a_route_that_was_deleted_meanwhile_begins_anew(database: Database) -> None:
    sink, some = recorder(database), exchanges(30)
    sink.apply([*blocks(some[:20], 10, ROUTE), *ring(range(3))])
    with database.write() as connection:
        assert route_deletion.delete_route(connection, ROUTE)["score_rows"] == 20
    sink.apply([*blocks(some[20:], 10, ROUTE), *ring(range(3, 6))])
    assert stored(database).keys() == {"e3", "e4", "e5"}
    with database.read() as connection:
        assert len(routes.identities(connection, ROUTE)) == 1
        assert [one.route for one in arrivals.arrivals(connection)] == [ROUTE]
        assert [row["event_index"] for row in scores.of_route(connection, ROUTE)] == list(range(10))


def test_all_routes_together_hold_a_bounded_number_of_bytes_the_oldest_go(database: Database) -> None:
    recorder(database).apply(ring(range(300)))
    with database.write() as connection:
        connection.execute(update(ROWS).values(size=1_000))
        assert samples.shed(connection, 200_000) == 100
    assert {int(id[1:]) for id in stored(database)} == set(range(100, 300))


def test_a_sample_of_the_first_version_in_the_database_is_still_shown(database: Database) -> None:
    recorder(database).apply([sample(ROUTE, 1)])
    old = (
        f'{{"schema_version":1,"id":"e1","route":"{ROUTE}","source":{{"cluster":"c","topic":"t","partition":0,'
        f'"offset":1}},"ts":"2026-01-01T00:00:00Z","identity":"{A}","prompt":"q","response":"a","why":["refusal"],'
        '"reason":"signal"}'
    )
    with database.write() as connection:
        connection.execute(update(ROWS).values(payload=old))
        found = samples.by_id(connection, ROUTE, ["e1"])["e1"]
    assert (found.prompt, found.signals, found.why) == ("q", ("refusal",), "kept")
