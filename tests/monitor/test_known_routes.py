"""Which routes are known, and which names are near one that is not."""

from __future__ import annotations

from services.monitor import Monitor, RoutePolicy
from services.monitor.known_routes import is_known, near_routes
from services.wording.routes import never_seen

WATCHED = Monitor(routes={"billing/prod": RoutePolicy(), "shop/*": RoutePolicy()})
SEEN = ("support/prod", "support/staging", "harbour")


def test_a_route_is_known_by_its_exchanges_by_name_or_by_a_pattern() -> None:
    known = ["support/prod", "billing/prod", "shop/anything"]
    assert [is_known(route, SEEN, WATCHED) for route in known] == [True] * 3
    assert not is_known("support/prd", SEEN, WATCHED)


def test_near_names_are_of_those_seen_and_those_listed_and_no_pattern() -> None:
    assert near_routes("support/prd", SEEN, WATCHED) == ("support/prod",)
    assert near_routes("biling/prod", SEEN, WATCHED)[0] == "billing/prod"
    assert near_routes("shop/", SEEN, WATCHED) == ()
    assert near_routes("entirely-other", SEEN, WATCHED) == ()
    many = tuple(f"support/prod{i}" for i in range(9))
    assert len(near_routes("support/prod", many, WATCHED)) == 3


def test_nobody_is_told_of_a_route_that_they_may_not_see() -> None:
    assert near_routes("support/prd", SEEN, WATCHED, lambda route: not route.startswith("support")) == ()


def test_the_sentence_names_the_near_ones_and_what_to_do() -> None:
    assert "did you mean a/b or a/c? For" in never_seen("a/d", ["a/b", "a/c"])
    assert "list it. For a new route say so: --new" in never_seen("a/d", [])
