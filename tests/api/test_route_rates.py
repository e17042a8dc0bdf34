"""Rates of a route as JSON: counted right, with intervals, not known where nothing was measured."""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from typing import Any

import pytest

from detectors.stats.intervals import wilson
from services.api.app import Api
from services.api.auth.authorization import Principal
from services.store import incidents
from services.store.engine import Database
from services.wording.charts import incident_mark
from services.wording.decisions import kind_by
from services.wording.timeline import change_mark
from tests.support.api import Wire, api_on, asked, recorded
from tests.support.blocks import Row, blocks
from tests.support.records import BASELINE, alert, change
from tests.support.route_life import CHANGED, EXCHANGES, FIRST, LIFE, LOCALES, SECOND, at, live, rows

SAFETY, METRICS = f"/v1/routes/{LIFE}/safety", f"/v1/routes/{LIFE}/metrics"


@pytest.fixture
def api(database: Database) -> Api:
    """An API on a database with three hours of one route."""
    live(database)
    return api_on(database, Wire())


def got(api: Api, path: str, **query: Any) -> dict[str, Any]:
    answer = asked(api, "GET", path, params=query)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def test_live_rates_are_an_offline_count_by_identity_and_slice(api: Api) -> None:
    counted: dict[tuple[str | None, str | None], Counter[str]] = {}
    for row in rows():
        who, value = FIRST if row.offset < CHANGED else SECOND, row.signals["refusal"]
        for identity in (None, who):
            for label in (None, f"tags.locale={row.tags['locale']}"):
                sums = counted.setdefault((identity, label), Counter())
                sums.update(n=1, scored=value is not None, hits=bool(value))
    told = got(api, SAFETY)
    found = {(one["identity"], one["slice"]): one for one in told["rates"] if one["signal"] == "refusal"}
    assert found.keys() == counted.keys()
    for key, sums in counted.items():
        one, (low, high) = found[key], wilson(sums["hits"], sums["scored"])
        assert (one["n"], one["scored"]) == (sums["n"], sums["scored"])
        assert one["unscored"] == pytest.approx(1 - sums["scored"] / sums["n"])
        assert [one[name] for name in ("rate", "low", "high")] == pytest.approx(
            [sums["hits"] / sums["scored"], low, high]
        )
        assert one["baseline"] == (0.2 if key[1] is None else None)
    assert (told["exchanges"], told["answered"]) == (EXCHANGES, EXCHANGES)
    assert told["baseline"] == {"id": BASELINE, "identity": FIRST, "n": 200, "ts": "2026-01-01T01:40:00Z"}


def test_the_window_ends_with_the_routes_newest_exchange(api: Api) -> None:
    told = got(api, SAFETY)
    assert (told["since"], told["until"]) == ("2025-12-31T03:00:00Z", "2026-01-01T03:00:00Z")
    hour = got(api, SAFETY, hours=1)
    assert (hour["since"], hour["exchanges"]) == ("2026-01-01T02:00:00Z", 120)


@pytest.mark.parametrize(("first", "last"), [(0, 360), (1, 30), (50, 51), (31, 299), (100, 130), (119, 242)])
def test_any_window_counts_its_exchanges_alone(api: Api, first: int, last: int) -> None:
    """Two exchanges a minute: hours in the middle, minutes at the ends."""
    told = got(api, SAFETY, since=at(first // 2 * 2).isoformat(), until=at(last // 2 * 2 + 2).isoformat())
    assert told["exchanges"] == min(last // 2 * 2 + 2, EXCHANGES) - first // 2 * 2


@pytest.mark.parametrize(
    ("query", "step", "points"),
    [
        ({"hours": 3}, 60, 180),
        ({"hours": 4}, 300, 36),
        ({}, 600, 18),
        ({"hours": 168}, 3600, 3),
        ({"hours": 720}, 14400, 1),
    ],
)
def test_points_add_up_whatever_their_step(api: Api, query: dict[str, Any], step: int, points: int) -> None:
    told = got(api, METRICS, **query)
    assert told["step"] == step
    [series] = [one for one in told["series"] if one["signal"] == "refusal"]
    assert len(series["points"]) == points
    assert sum(one["n"] for one in series["points"]) == EXCHANGES
    assert sum(one["scored"] for one in series["points"]) == EXCHANGES * 9 // 10
    assert [one["ts"] for one in series["points"]] == sorted(one["ts"] for one in series["points"])
    for one in series["points"]:
        hits = one["rate"] * one["scored"]
        assert (one["low"], one["high"]) == pytest.approx(wilson(hits, one["scored"]))


def test_points_of_one_signal_identity_and_slice(api: Api) -> None:
    told = got(api, METRICS, signal="refusal", identity=SECOND, slice=f"tags.locale={LOCALES[1]}", step="1h")
    [series] = told["series"]
    assert (series["signal"], [one["n"] for one in series["points"]]) == ("refusal", [60])
    assert got(api, METRICS, slice="tags.locale=\0")["series"] == []
    assert got(api, METRICS, signal="nothing")["series"] == []


def test_what_happened_is_marked(api: Api) -> None:
    [incident] = api.database.query(incidents.find, LIFE)
    marks = [(one["kind"], one["text"], datetime.fromisoformat(one["ts"])) for one in got(api, METRICS)["marks"]]
    assert marks == [
        ("pinned", change_mark(change("pinned")), at(200)),
        ("announced", kind_by("announce", "de"), at(239)),
        ("observed", change_mark(change()), at(244)),
        ("suspected", change_mark(change("suspected")), at(290)),
        ("opened", incident_mark(incident), at(300)),
    ]
    assert [one["kind"] for one in got(api, METRICS, since=at(241).isoformat(), step="1m")["marks"]] == [
        *("observed", "suspected", "opened")
    ]


def test_a_rate_of_nothing_is_not_known(database: Database) -> None:
    recorded(database, *blocks([Row("e0", 0, 0.0, signals={"refusal": None})], 1, LIFE))
    api = api_on(database, Wire())
    [one, _] = got(api, SAFETY)["rates"]
    assert (one["n"], one["scored"], one["unscored"]) == (1, 0, 1.0)
    assert one["rate"] is one["low"] is one["high"] is one["baseline"] is None
    [point] = got(api, METRICS)["series"][0]["points"]
    assert (point["n"], point["rate"], point["low"]) == (1, None, None)


def test_a_route_without_exchanges_has_no_window(database: Database) -> None:
    recorded(database, alert("firing", 300, route="quiet/one"))
    api = api_on(database, Wire())
    told = got(api, "/v1/routes/quiet/one/safety")
    assert (told["since"], told["until"], told["rates"], told["baseline"]) == (None, None, [], None)
    assert got(api, "/v1/routes/quiet/one/metrics")["step"] is None


def test_what_a_key_does_not_see_does_not_exist(database: Database) -> None:
    live(database)

    async def guard(_request: object, _role: object) -> Principal:
        return Principal("k", "viewer", ("other/*",))

    api = api_on(database, Wire(), guard=guard)
    for path in ("safety", "metrics"):
        mine, none = (asked(api, "GET", f"/v1/routes/{route}/{path}") for route in (LIFE, "no/such"))
        assert (mine.status_code, mine.json()) == (none.status_code, none.json()) == (404, none.json())
    for path in (f"/v1/readings?route={LIFE}", f"/v1/exchanges?route={LIFE}"):
        assert asked(api, "GET", path).json() == {"items": [], "next": None}
    assert asked(api, "GET", f"/v1/exchanges/e0?route={LIFE}").status_code == 404


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"since": "2026-01-02T00:00:00Z", "until": "2026-01-01T00:00:00Z"}, "since"),
        ({"since": "1999-12-31T00:00:00Z"}, "since"),
        ({"since": "9999-12-31T23:59:59-14:00"}, "since"),
        ({"until": "0001-01-01T00:00:00+14:00"}, "until"),
        ({"since": "2026-01-01"}, "since"),
        ({"since": "yesterday"}, "since"),
        ({"since": "1e400"}, "since"),
        ({"hours": 0}, "hours"),
        ({"hours": 10**30}, "hours"),
        ({"hours": 3, "since": "2026-01-01T00:00:00Z"}, "hours"),
    ],
)
def test_a_window_that_cannot_be_used_is_named(api: Api, query: dict[str, Any], field: str) -> None:
    for path in (SAFETY, METRICS):
        answer = asked(api, "GET", path, params=query)
        assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, field)


def test_too_fine_a_step_names_those_that_fit(api: Api) -> None:
    answer = asked(api, "GET", METRICS, params={"hours": 720, "step": "1m"})
    assert answer.status_code == 422
    assert "take 4h or 1d or 7d or 30d" in answer.json()["detail"]
    since = {"since": "2000-01-01T00:00:00Z", "until": "2099-12-31T00:00:00Z"}
    assert asked(api, "GET", METRICS, params=since).status_code == 422
    assert asked(api, "GET", SAFETY, params=since).status_code == 200


def test_a_tag_holds_until_something_changes(api: Api) -> None:
    for path in (SAFETY, METRICS, f"/v1/readings?route={LIFE}", f"/v1/exchanges?route={LIFE}"):
        tag = asked(api, "GET", path).headers["etag"]
        assert asked(api, "GET", path, headers={"if-none-match": tag}).status_code == 304
