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


def test_routes_together_have_the_rates_that_each_has(database: Database) -> None:
    """Of spans that begin and end at any minute, of identities that come and go, beside slices that are left out."""
    made: list[rollups.RollupAddition] = []
    for i in range(0, 300, 7):
        route, who, at = f"r/{i % 3}", WHO if i % 5 else "b" * 16, NOON + timedelta(minutes=i)
        for label in ("", "language=de"):
            for signal in ("", "refusal", "pii_leak"):
                made.append((route, at, who, label, signal, 2, 1, i % 2))
    with database.write() as connection:
        rollups.add(connection, made)
    spans = [(0, 300), (1, 299), (59, 61), (61, 64), (60, 120), (-90, 30), (119, 241), (400, 500)]
    for first, last in spans:
        window = (NOON + timedelta(minutes=first), NOON + timedelta(minutes=last))
        others = {"r/1": window, "r/2": (NOON, window[1]), "r/none": window}
        windows = {"r/0": window} | {route: one for route, one in others.items() if one[0] < one[1]}
        together = database.query(rollups.rates_of_routes, windows)
        apart = {route: database.query(rollups.rates, route, *one) for route, one in windows.items()}
        assert together == {route: rates for route, rates in apart.items() if rates}


def test_a_sum_that_is_too_large_for_a_number_stops_no_batch(database: Database) -> None:
    for _ in range(2):
        with database.write() as connection:
            rollups.add(connection, rows(1, 1.7e308, 30))
            rollups.add(connection, rows(1, float("inf"), 30))
    assert {rate.sum for rate in database.query(rollups.rates, ROUTE, slice=None)} == {float("inf")}
