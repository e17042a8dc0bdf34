"""Changes over the API: of every kind, by page, and only of the routes that a key sees."""

from __future__ import annotations

from typing import Any

import pytest

from services.api.app import Api
from services.store import journal
from services.store.engine import Database
from tests.support.api import Wire, api_on, asked, recorded
from tests.support.principals import as_
from tests.support.records import NEW, OTHER, ROUTE, at, change, decision

PATH = "/v1/changes"


@pytest.fixture
def api(database: Database) -> Api:
    """An API on one change of each kind, and decisions that announce nothing."""
    recorded(
        database,
        *(change(kind, hours=i) for i, kind in enumerate(("pinned", "observed", "suspected"))),
        decision("announce", 5, model=NEW, reason='"kind":"acknowledge"'),
        decision("silence", 6, reason='"kind":"announce"'),
        decision("announce", 5, model=NEW, route="other/bot"),
    )
    return api_on(database, Wire())


def kinds(api: Api, **query: Any) -> list[str]:
    found, cursor = [], {}
    while cursor is not None:
        told = asked(api, "GET", PATH, params={"limit": 1, **query, **cursor}).json()
        found += [one["kind"] for one in told["items"]]
        cursor = told["next"] and {"cursor": told["next"]}
    return found


def test_changes_are_listed_newest_first_with_those_that_were_announced(api: Api) -> None:
    assert kinds(api) == ["announced", "announced", "suspected", "observed", "pinned"]
    assert kinds(api, limit=200) == kinds(api)
    assert kinds(api, route=ROUTE) == ["announced", "suspected", "observed", "pinned"]
    assert kinds(api, kind=["announced", "pinned"]) == ["announced", "announced", "pinned"]
    assert kinds(api, kind="suspected") == ["suspected"]
    [pinned] = asked(api, "GET", PATH, params={"kind": "pinned"}).json()["items"]
    assert (pinned["to"], pinned["actor"], pinned["event_index"]) == (OTHER, None, 990)
    [announced] = asked(api, "GET", PATH, params={"kind": "announced", "route": ROUTE}).json()["items"]
    assert (announced["to"], announced["actor"], announced["from"]) == (OTHER, "mara", None)


def test_a_key_sees_its_own_routes_alone(api: Api) -> None:
    database = api.database
    narrow = api_on(database, Wire(), guard=as_("viewer", "other/*"))
    assert kinds(narrow) == ["announced"]
    assert kinds(narrow, route=ROUTE) == []


def test_what_was_erased_is_left_out(api: Api) -> None:
    with api.database.write() as connection:
        entries = journal.entries(connection, ROUTE)
        [seq] = [one.seq for one in entries if one.payload and '"kind":"suspected"' in one.payload]
        journal.erase(connection, ROUTE, seq, at(9))
    assert kinds(api, route=ROUTE) == ["announced", "observed", "pinned"]
