"""Routes that nobody listed are bounded; those of the monitor file always pass."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from services.monitor import Monitor, RoutePolicy
from services.monitor.loader import examine
from services.monitor.route_limit import FULL, IDLE, KEPT_CONTENTS, REFUSED, RouteLimit

NOW = datetime(2026, 11, 24, 18, tzinfo=UTC)
LISTED = {"support-bot/*": RoutePolicy()}


def test_twelve_thousand_invented_routes_take_1024_places_and_listed_ones_pass() -> None:
    limit = RouteLimit(Monitor(routes=LISTED))
    reasons = [limit.refusal(f"invented/{n}", NOW + timedelta(seconds=n / 60)) for n in range(12_000)]
    assert reasons.count(None) == 1_024
    assert set(reasons[1_024:]) == {FULL}
    assert limit.refusal("support-bot/prod", NOW) is None
    assert limit.refusal("invented/7", NOW) is None, "it has a place"
    assert limit.taken == 1_024


def test_what_is_idle_for_a_day_leaves_its_place() -> None:
    limit = RouteLimit(Monitor(max_routes=2))
    assert [limit.refusal(name, NOW) for name in ("a", "b", "c")] == [None, None, FULL]
    later = NOW + IDLE
    assert limit.refusal("b", later - timedelta(seconds=1)) is None
    assert [limit.refusal(name, later) for name in ("c", "d", "a")] == [None, FULL, FULL]


def test_unlisted_routes_can_be_refused() -> None:
    limit = RouteLimit(Monitor(routes=LISTED, unlisted_routes="refuse"))
    assert [limit.refusal(name, NOW) for name in ("support-bot/prod", "other")] == [None, REFUSED]
    assert limit.taken == 0


def test_the_database_says_which_places_are_taken_and_which_are_free_again() -> None:
    limit = RouteLimit(Monitor(routes=LISTED, max_routes=3))
    limit.know({"a": NOW - 2 * IDLE, "b": NOW, "support-bot/x": NOW, "c": NOW}, NOW)
    assert limit.taken == 3
    assert [limit.refusal(name, NOW) for name in ("d", "e")] == [None, FULL], "a was idle"
    limit.know({"b": NOW, "c": NOW}, NOW + timedelta(minutes=1))
    assert limit.taken == 3, "d may not be stored yet"
    limit.know({"b": NOW}, NOW + timedelta(hours=1))
    assert limit.taken == 1
    assert limit.refusal("e", NOW + timedelta(hours=1)) is None


def test_a_route_of_which_no_exchange_ever_came_takes_no_place() -> None:
    limit = RouteLimit(Monitor(max_routes=2))
    limit.know({f"invented/{n}": None for n in range(100)} | {"a": NOW}, NOW)
    assert limit.taken == 1
    assert [limit.refusal(name, NOW) for name in ("invented/3", "b")] == [None, FULL]
    limit.know({"invented/3": None, "a": NOW}, NOW + timedelta(minutes=1))
    assert limit.taken == 2, "its first exchange may not be stored yet"


def test_of_what_is_refused_only_so_much_content_is_kept() -> None:
    limit = RouteLimit(Monitor())
    assert sum(limit.keeps_content(NOW) for _ in range(5_000)) == KEPT_CONTENTS
    assert limit.keeps_content(NOW + timedelta(hours=1))


def test_the_file_says_how_many_and_is_warned_when_it_refuses_all() -> None:
    monitor, problems = examine("unlisted_routes: refuse\nmax_routes: 7\nroutes: {a/*: {}}\n", "k.yaml")
    assert monitor is not None
    assert not problems
    assert (monitor.unlisted_routes, monitor.max_routes) == ("refuse", 7)
    _, problems = examine("unlisted_routes: refuse\n", "k.yaml")
    assert [str(one) for one in problems] == [
        "k.yaml:1: warning: unlisted_routes: no route is listed: every exchange will be refused; list routes"
    ]
    for wrong in ("unlisted_routes: drop", "max_routes: 0", "max_routes: many"):
        assert examine(wrong + "\n", "k.yaml")[0] is None
