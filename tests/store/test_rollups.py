"""What is added up by minute and by hour, whatever stands in it."""

from __future__ import annotations

from datetime import timedelta

from schemas.base import moment
from services.store import rollups
from services.store.engine import Database

ROUTE, WHO, NOON = "shop/prod", "a" * 16, moment(1_772_366_400.0)
NAMES = ("", "locale=null", "tool='; DROP TABLE rollups; --", 'café \\ "x" \n', "%(a)s :b ? \x01", "🦀")


def rows(n: int, value: float, minutes: int = 90) -> list[rollups.RollupAddition]:
    at = [NOON + timedelta(minutes=i) for i in range(0, minutes, 30)]
    return [(ROUTE, minute, WHO, name, "refusal", n, n, value) for minute in at for name in NAMES]


def test_what_comes_again_is_added_by_minute_and_by_hour(database: Database) -> None:
    for n, value in ((1, 0.1), (2, 0.2), (3, 1e-320)):
        with database.write() as connection:
            rollups.add(connection, rows(n, value))
    found = {rate.slice: rate for rate in database.query(rollups.rates, ROUTE, slice=None)}
    assert found.keys() == set(NAMES)
    minute = 0.1 + 0.2 + 1e-320
    assert {(one.n, one.scored, one.sum) for one in found.values()} == {(18, 18, minute * 2 + minute)}
    whole = (NOON, NOON + timedelta(hours=2))
    [first, *rest] = database.query(rollups.points, ROUTE, whole, timedelta(minutes=30), slice="🦀")
    assert (first.ts, first.n, first.sum, len(rest)) == (NOON, 6, minute, 2)


def test_a_sum_that_is_too_large_for_a_number_stops_no_batch(database: Database) -> None:
    for _ in range(2):
        with database.write() as connection:
            rollups.add(connection, rows(1, 1.7e308, 30))
            rollups.add(connection, rows(1, float("inf"), 30))
    assert {rate.sum for rate in database.query(rollups.rates, ROUTE, slice=None)} == {float("inf")}
