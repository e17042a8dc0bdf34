"""How routes stand, as the lists of them tell it."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from schemas.change import Pinning
from services.store import fleet
from services.store.engine import Database
from services.store.fleet import FleetEntry, FleetFilter, PageBudgetUse
from services.store.route_status import BlindSpot
from tests.record.stories import scores
from tests.support.api import recorded
from tests.support.records import BASELINE, NEXT_BASELINE, ROUTE, alert, blind, change, decision, reading, shift

LONG_AGO = -400.0 * 24
EARLY = datetime(2026, 1, 1, tzinfo=UTC)
"""Before any route is silent."""


def learning(n: int, index: int, route: str = ROUTE):
    more = {"detector": "baseline", "signal": None, "identity": None, "direction": None, "effect": None, "floor": None}
    return reading("learning", index, route=route, n=n, baseline=None, **more)


def pinned(index: int = 990, route: str = ROUTE, **fields):
    pinning = Pinning(n=1000, streams=4, arl=9e5)
    return change("pinned", index, route=route, **{"baseline": BASELINE, "pinning": pinning, **fields})


def stands(database: Database, route: str = ROUTE) -> FleetEntry:
    found = database.query(fleet.entry, route, EARLY)
    assert found is not None
    return found


def test_a_route_that_was_never_seen_is_none(database: Database) -> None:
    recorded(database, pinned())
    assert database.query(fleet.entry, "other/prod", EARLY) is None
    assert database.query(fleet.entry, "\0" if database.engine.dialect.name == "sqlite" else "%", EARLY) is None


def test_it_learns_until_a_baseline_is_pinned(database: Database) -> None:
    recorded(database, learning(100, 120), learning(50, 60))
    entry = stands(database)
    assert (entry.route.status.watch, entry.learned, entry.route.pin) == ("learning", 100, None)
    recorded(database, pinned())
    entry = stands(database)
    assert (entry.route.status.watch, entry.learned) == ("watching", 1000)
    assert entry.route.pin is not None
    assert entry.route.pin.baseline == BASELINE


def test_the_latest_baseline_counts_in_whatever_order_they_are_told(database: Database) -> None:
    recorded(database, pinned(2000, baseline=NEXT_BASELINE))
    recorded(database, pinned(990))
    pin = stands(database).route.pin
    assert pin is not None
    assert pin.baseline == NEXT_BASELINE


def test_what_it_cannot_see_is_told_and_what_it_sees_again_is_not(database: Database) -> None:
    unscored = reading("blind", 1200, reason="unscored", effect=None)
    recorded(database, pinned(), unscored, shift("model_shift", "quiet", 1201))
    entry = stands(database)
    assert entry.route.status.watch == "blind"
    assert entry.route.status.blind_spots == (BlindSpot("rate_shift", "refusal", "unscored", 1),)
    recorded(database, reading("quiet", 1300))
    assert (stands(database).route.status.watch, stands(database).route.status.blind_spots) == ("watching", ())


def test_an_older_reading_that_comes_late_changes_nothing(database: Database) -> None:
    recorded(database, pinned(), reading("quiet", 1300))
    recorded(database, reading("blind", 1200, reason="unscored"))
    assert stands(database).route.status.watch == "watching"


def test_an_event_that_is_not_seen_is_a_blind_spot_and_does_not_make_the_route_blind(database: Database) -> None:
    recorded(
        database, pinned(), reading("blind", 1200, detector="events", signal="system_prompt_leak", reason="unscored")
    )
    entry = stands(database)
    assert entry.route.status.watch == "watching"
    assert entry.route.status.blind_spots == (BlindSpot("events", "system_prompt_leak", "unscored", 1),)


def test_what_was_said_of_an_earlier_baseline_is_over(database: Database) -> None:
    recorded(database, pinned(), reading("blind", 1200, reason="unscored"), pinned(1300, baseline=NEXT_BASELINE))
    assert (stands(database).route.status.watch, stands(database).route.status.blind_spots) == ("watching", ())


def test_a_route_without_data_is_blind_until_exchanges_arrive_again(database: Database) -> None:
    recorded(database, pinned(), blind("firing", 1200))
    assert stands(database).route.status.watch == "blind"
    recorded(database, blind("quiet", 1201))
    assert stands(database).route.status.watch == "watching"


def test_a_topic_that_was_made_again_is_over_once_exchanges_count(database: Database) -> None:
    recorded(database, pinned(), blind("firing", 1200, signal="recreated_topic", hours=LONG_AGO))
    assert stands(database).route.status.watch == "blind"
    recorded(database, *scores(ROUTE))
    assert stands(database).route.status.watch == "watching"


def test_exchanges_of_the_last_day_and_who_answered_them(database: Database) -> None:
    recorded(database, *scores(ROUTE))  # 60 exchanges, an hour apart, the second half of another model
    entry = stands(database)
    assert entry.hours == (1,) * 24
    assert entry.exchanges == 24
    assert [(who.n, who.model is not None) for who in entry.answering] == [(24, True)]


def test_the_open_incident_and_the_budget_that_was_used(database: Database) -> None:
    recorded(database, pinned(), alert("firing", 1000))
    entry = stands(database)
    assert entry.route.incident is not None
    assert (entry.route.incident.severity, entry.route.incident.state) == ("warning", "open")
    assert "refusal rate" in entry.headline
    assert entry.page_budget == PageBudgetUse(pages=1, false_alarms=0)
    recorded(database, decision("false_alarm", 20, incident=entry.route.incident.id))
    entry = stands(database)
    assert (entry.route.incident, entry.headline) == (None, "")
    assert entry.page_budget == PageBudgetUse(pages=1, false_alarms=1)


def test_incidents_that_called_nobody_or_are_older_than_30_days_use_nothing(database: Database) -> None:
    recorded(database, alert("firing", 1000, family="model_shift", signal=None, severity="info"))
    assert stands(database).page_budget == PageBudgetUse(0, 0)
    recorded(database, *scores("other/prod"), alert("firing", 1000, route="other/prod", hours=LONG_AGO))
    assert stands(database, "other/prod").page_budget == PageBudgetUse(0, 0)


@pytest.fixture
def four(database: Database) -> Database:
    """A route of each kind: c has an incident, b is blind, d learns, a is watched."""
    recorded(
        database,
        *(pinned(route=f"{name}/prod") for name in "abc"),
        reading("blind", 1200, route="b/prod", reason="unscored"),
        alert("firing", 1000, route="c/prod", severity="error"),
        learning(50, 60, "d/prod"),
    )
    return database


def test_the_worst_route_comes_first(four: Database) -> None:
    everything, wanted, found = four.query(fleet.page, FleetFilter(), 0, 10, EARLY)
    assert [entry.route.name for entry in found] == ["c/prod", "b/prod", "d/prod", "a/prod"]
    assert everything == wanted
    assert (everything.routes, everything.incident, everything.blind, everything.learning) == (4, 1, 1, 1)
    assert [entry.route.name for entry in four.query(fleet.page, FleetFilter(), 1, 2, EARLY)[2]] == ["b/prod", "d/prod"]


@pytest.mark.parametrize(
    ("wanted", "names"),
    [
        (FleetFilter(states=["incident"]), ["c/prod"]),
        (FleetFilter(states=["blind", "learning"]), ["b/prod", "d/prod"]),
        (FleetFilter(states=["watching"]), ["a/prod", "c/prod"]),
        (FleetFilter(text="b/"), ["b/prod"]),
        (FleetFilter(text="%"), []),
        (FleetFilter(globs=("a/*", "d/prod")), ["a/prod", "d/prod"]),
        (FleetFilter(globs=()), []),
    ],
)
def test_routes_are_chosen_by_state_name_and_right(four: Database, wanted: FleetFilter, names: list[str]) -> None:
    assert [entry.route.name for entry in four.query(fleet.page_by_name, wanted, None, 10, EARLY)] == names
    assert four.query(fleet.page, wanted, 0, 10, EARLY)[1].routes == len(names)


def test_pages_by_name_follow_each_other(four: Database) -> None:
    first = [entry.route.name for entry in four.query(fleet.page_by_name, FleetFilter(), None, 3, EARLY)]
    assert first == ["a/prod", "b/prod", "c/prod"]
    assert [entry.route.name for entry in four.query(fleet.page_by_name, FleetFilter(), first[-1], 3, EARLY)] == [
        "d/prod"
    ]
