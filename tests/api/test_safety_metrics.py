"""Safety rates for Prometheus: the figures of the pages, of the key's routes, and nothing for what is not known."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import event

from services.api.app import Api
from services.api.auth.authorization import LOCAL
from services.api.resources import safety_metrics
from services.monitor import Monitor, RoutePolicy
from services.store import rollups
from services.store.engine import Database
from tests.infra.test_metrics import ABSENT
from tests.support.access import answers, bearer, key
from tests.support.api import Wire, api_on, application, asked, recorded
from tests.support.blocks import Row, blocks
from tests.support.records import alert
from tests.support.route_life import EXCHANGES, LIFE, SECOND, at, live

PATH = "/v1/metrics"
Samples = dict[tuple[str, ...], float]


LISTED = Monitor(routes={"new/b": RoutePolicy(), "new/a": RoutePolicy(), "any/*": RoutePolicy()})
"""Two routes by name, and a pattern, which is none."""


def scraped(api: Api, query: Mapping[str, Any] | None = None, **headers: str) -> str:
    answer = asked(api, "GET", PATH, params=query, headers=headers)
    assert (answer.status_code, answer.headers["content-type"].split(";")[0]) == (200, "text/plain"), answer.text
    return answer.text


def samples(text: str) -> Samples:
    """(name, label values in the order in which the metric declares them) -> value."""
    order = {gauge.name: gauge.labels for gauge in safety_metrics.GAUGES}
    return {
        (one.name, *(one.labels[label] for label in order[one.name])): one.value
        for family in text_string_to_metric_families(text)
        for one in family.samples
    }


def routes_of(found: Samples) -> set[str]:
    return {name[1] for name in found if name[0] == "keelwatch_route_status"}


def shown_and_known(found: Samples) -> tuple[float, float]:
    return found["keelwatch_safety_routes", "shown"], found["keelwatch_safety_routes", "known"]


def test_the_figures_are_those_of_the_rates_of_a_route(database: Database) -> None:
    live(database)
    api = api_on(database, Wire())
    told = asked(api, "GET", f"/v1/routes/{LIFE}/safety").json()
    found = samples(scraped(api))
    of_route = [one for one in told["rates"] if one["identity"] is None and one["slice"] is None]
    assert {one["signal"] for one in of_route} == {"refusal", "pii_leak"}
    for one in of_route:
        place = (LIFE, one["signal"])
        names = {"rate": "rate", "rate_low": "low", "rate_high": "high", "baseline_rate": "baseline"}
        for name, figure in (names | {"scored_exchanges": "scored"}).items():
            assert found[(f"keelwatch_signal_{name}", *place)] == one[figure]
    assert found["keelwatch_route_exchanges", LIFE] == told["exchanges"] == EXCHANGES
    assert found["keelwatch_route_answered_exchanges", LIFE] == told["answered"]
    assert found["keelwatch_route_last_exchange_timestamp_seconds", LIFE] == at(EXCHANGES - 1).timestamp()
    severities = {name[2]: value for name, value in found.items() if name[0] == "keelwatch_route_open_incidents"}
    assert severities == {"info": 0, "warning": 1, "error": 0, "critical": 0}
    statuses = {name[2]: value for name, value in found.items() if name[0] == "keelwatch_route_status"}
    assert statuses == {"blind": 1, "learning": 0, "watching": 0, "waiting": 0}
    assert found["keelwatch_route_blind_spots", LIFE] == 1


def test_what_is_not_known_has_no_sample(database: Database) -> None:
    recorded(database, *blocks([Row("e0", 0, 0.0, signals={"refusal": None})], 1, LIFE))
    recorded(database, alert("firing", 300, route="quiet/one"))
    found = samples(scraped(api_on(database, Wire())))
    assert found["keelwatch_signal_scored_exchanges", LIFE, "refusal"] == 0
    unknown = ("rate", "rate_low", "rate_high", "baseline_rate", "mean", "rate_ceiling")
    assert not [name for name in found if name[0] in {f"keelwatch_signal_{one}" for one in unknown}]
    of_quiet = {name[0] for name in found if name[1] == "quiet/one"}
    assert of_quiet == {"keelwatch_route_status", "keelwatch_route_open_incidents", "keelwatch_route_blind_spots"}


def test_a_key_sees_its_own_routes_and_none_is_shown_without(database: Database) -> None:
    for route in ("mine/a", "mine/b", "theirs/a"):
        recorded(database, alert("firing", 300, route=route))
    api = api_on(database, Wire())
    mine, theirs = bearer(key(database, "viewer", "mine/*")), bearer(key(database, "admin"))
    narrow, sender = {"params": {"route": ["*/b", "theirs/*"]}}, bearer(key(database, "ingest"))
    got = answers(
        application(api),
        [
            ("GET", PATH, {"headers": mine}),
            ("GET", PATH, {"headers": mine} | narrow),
            ("GET", PATH, {"headers": theirs} | narrow),
            ("GET", PATH, {}),
            ("GET", PATH, {"headers": sender}),
            ("GET", PATH, {"headers": mine, "params": {"route": "Mine"}}),
        ],
    )
    assert [one.status_code for one in got] == [200, 200, 200, 401, 403, 422]
    shown = [routes_of(samples(one.text)) for one in got[:3]]
    assert shown == [{"mine/a", "mine/b"}, {"mine/b"}, {"mine/b", "theirs/a"}]


def test_the_worst_routes_are_shown_and_others_counted(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(safety_metrics, "MOST_ROUTES", 2)
    recorded(database, *blocks([Row("e0", 0, 0.0)], 1, "a/learns"), *blocks([Row("e1", 1, 0.0)], 1, "b/learns"))
    recorded(database, alert("firing", 300, route="z/open", severity="error"))
    found = samples(scraped(api_on(database, Wire())))
    assert routes_of(found) == {"z/open", "a/learns"}
    assert found["keelwatch_safety_left_out", "routes"] == 1
    assert found["keelwatch_safety_left_out", "signals"] == 0


def test_what_is_watched_is_the_last_that_the_bound_of_signals_cuts_off(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = {f"custom.a{i}": True for i in range(5)}
    recorded(database, *blocks([Row("e0", 0, 0.0, signals={"refusal": True} | own)], 1, LIFE))
    api = api_on(database, Wire())
    policy = api.policy(LIFE)
    watched = {*policy.floors, *policy.objectives}
    monkeypatch.setattr(safety_metrics, "MOST_SIGNALS", len(watched) + 2)
    found = samples(scraped(api))
    shown = {name[2] for name in found if name[0] == "keelwatch_signal_scored_exchanges"}
    assert "refusal" in watched
    assert shown == watched | {"custom.a0", "custom.a1"}
    assert found["keelwatch_safety_left_out", "signals"] == 3


def test_a_route_that_is_listed_and_had_no_traffic_is_waiting_and_has_no_rate(database: Database) -> None:
    recorded(database, *blocks([Row("e0", 0, 0.0)], 1, "new/b"), alert("firing", 300, route="seen/one"))
    api = api_on(database, Wire(), watched=LISTED)
    found = samples(scraped(api))
    of_waiting = {name[2]: value for name, value in found.items() if name[1] == "new/a"}
    assert of_waiting == {"waiting": 1, "blind": 0, "learning": 0, "watching": 0}
    assert {name[0] for name in found if name[1] == "new/a"} == {"keelwatch_route_status"}
    assert routes_of(found) == {"new/a", "new/b", "seen/one"}
    waiting = {
        name[1]
        for name, value in found.items()
        if name[0] == "keelwatch_route_status" and name[2] == "waiting" and value
    }
    assert waiting == {"new/a"}
    assert shown_and_known(found) == (3, 3)
    assert found["keelwatch_safety_left_out", "routes"] == 0


def test_how_many_routes_are_shown_stands_beside_how_many_the_key_sees(database: Database) -> None:
    recorded(database, alert("firing", 300, route="new/b"), alert("firing", 300, route="seen/one"))
    api = api_on(database, Wire(), watched=LISTED)
    none = samples(scraped(api, {"route": "nwe/*"}))
    assert (routes_of(none), shown_and_known(none)) == (set(), (0, 3))
    assert shown_and_known(samples(scraped(api, {"route": "new/*"}))) == (2, 3)
    narrow, lost = bearer(key(database, "viewer", "new/*")), bearer(key(database, "viewer", "support/*"))
    got = answers(application(api), [("GET", PATH, {"headers": one}) for one in (narrow, lost)])
    assert [shown_and_known(samples(one.text)) for one in got] == [(2, 2), (0, 0)]


def test_routes_that_wait_are_the_first_that_the_bound_cuts_off(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(safety_metrics, "MOST_ROUTES", 2)
    recorded(database, alert("firing", 300, route="seen/one"))
    found = samples(scraped(api_on(database, Wire(), watched=LISTED)))
    assert routes_of(found) == {"new/a", "seen/one"}
    assert (found["keelwatch_safety_left_out", "routes"], shown_and_known(found)) == (1, (2, 3))


def test_the_open_metrics_say_how_many_routes_are_listed_and_name_none(database: Database) -> None:
    api = api_on(database, Wire(), watched=LISTED)
    application(api)
    told = generate_latest(api.health.registry).decode()
    assert "keelwatch_listed_routes 2.0" in told.splitlines()
    assert "new/a" not in told


def test_a_scrape_takes_as_many_statements_for_many_routes_as_for_one(database: Database) -> None:
    api, counts = api_on(database, Wire(), watched=LISTED), []
    for some in (["r/0"], [f"r/{i}" for i in range(1, 12)]):
        for route in some:
            recorded(database, *blocks([Row("e0", 0, 0.0), Row("e1", 1, 5400.0)], 2, route))
        sent: list[str] = []
        note = lambda *given: sent.append(given[2])  # noqa: B023, E731
        event.listen(database.engine, "before_cursor_execute", note)
        text = database.query(
            lambda connection: safety_metrics.exposition(
                safety_metrics.read_figures(connection, LOCAL, ("*",), api.watched, datetime(2026, 1, 1, tzinfo=UTC))
            )
        )
        event.remove(database.engine, "before_cursor_execute", note)
        counts.append((len(routes_of(samples(text.decode()))), len(sent)))
    assert [shown - 2 for shown, _ in counts] == [1, 12]
    assert counts[0][1] == counts[1][1] <= 9


def test_prometheus_finds_nothing_wrong_with_it(database: Database) -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip(ABSENT)
    live(database)
    strange = 'custom.caf\u00e9 \\ "x"\n{}'
    with database.write() as connection:
        rollups.add(connection, [(LIFE, at(300), SECOND, "", strange, 4, 4, 1.0)])
    text = scraped(api_on(database, Wire()))
    assert samples(text)["keelwatch_signal_rate", LIFE, strange] == 0.25
    done = subprocess.run(
        [promtool, "check", "metrics"], input=text, capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout + done.stderr) == (0, "")
