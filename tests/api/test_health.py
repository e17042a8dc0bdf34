"""How Keelwatch itself is: what is known is said, what is not is never called well, and letters are sent once."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import Any

import httpx
import pytest
from prometheus_client import generate_latest
from sqlalchemy import create_engine, insert

from services.api.app import Api, make
from services.api.auth.authentication import Authenticator
from services.api.auth.authorization import Guard, Principal
from services.api.auth.csrf import FORM_COOKIE
from services.api.system import ProcessProbes
from services.monitor import IngestLimits, Monitor
from services.observability.health import HealthProbes
from services.observability.metrics import StreamMeters
from services.ports import StepLag
from services.store import parks
from services.store.deliveries import DeliveryRow
from services.store.engine import Database
from services.store.evaluation_queue import EvaluationRow
from services.store.schedules import FireTimeRow
from services.store.tables import table
from services.wording import health
from tests.support.api import BASE, Wire, api_on, asked, recorded
from tests.support.condition import NOW, Broker, letter, well
from tests.support.hostile_pages import PAYLOADS
from tests.support.outline import outline

HTML = {"accept": "text/html"}


def known_as(principal: Principal) -> Guard:
    async def guard(_request: Any, _role: str) -> Principal:
        return principal

    return guard


def looked(api: Api) -> Api:
    asyncio.run(api.health.survey.look())
    return api


def told(api: Api) -> dict[str, Any]:
    answer = asked(api, "GET", "/v1/health")
    assert answer.status_code == 200
    return answer.json()


def text(api: Api) -> str:
    answer = asked(api, "GET", "/health", headers=HTML)
    assert answer.status_code == 200
    return " ".join(outline(answer.text).text.split())


def test_all_is_well_only_when_all_is_known_and_nothing_waits(database: Database) -> None:
    api = api_on(database, Wire(), operations=well().operations())
    before = told(api)
    assert (before["ok"], before["steps"], before["dead_letters"]) == (False, None, None)
    assert health.UNKNOWN in text(api)
    after = told(looked(api))
    assert (after["ok"], after["needs"]) == (True, [])
    assert [(one["step"], one["state"], one["workers"], one["waiting"]) for one in after["steps"]] == [
        ("score", "ok", 2, 3),
        ("detect", "ok", 1, 0),
    ]
    assert health.WELL in text(api)


def test_what_the_broker_does_not_tell_and_the_metrics_of_the_process_do_is_known(database: Database) -> None:
    alert = StepLag("alert", "keelwatch.readings", None, 1)
    api = looked(api_on(database, Wire(), operations=Broker(alert).operations()))
    assert (told(api)["ok"], told(api)["needs"]) == (False, [health.lag_unknown("alert")])
    assert health.WELL not in text(api)
    meters = StreamMeters()
    api.health.probes = replace(api.health.probes, waiting=HealthProbes({}, lambda: None, meters).waiting)
    meters.lag({("keelwatch.readings", 0): 3, ("keelwatch.readings", 1): 4})
    assert (told(api)["ok"], told(api)["steps"][0]["waiting"]) == (True, 7)
    assert health.WELL in text(api)
    assert "this broker does not tell" not in text(api)
    looked(api)
    assert 'keelwatch_consumer_lag{step="alert",topic="keelwatch.readings"} 7.0' in _exposed(api), "the same figure"


def test_a_route_on_which_a_step_failed_is_told_until_it_goes_on(database: Database) -> None:
    fault = parks.ParkFault("ValueError in services.detect.core, line 7", "1", 1)
    api = looked(api_on(database, Wire(), operations=well().operations()))
    assert (told(api)["ok"], told(api)["parked"]) == (True, [])
    assert 'keelwatch_parked_routes{step="detect"} 0.0' in _exposed(api)

    parked = [("detect", "a/x", 3), ("detect", "b/y", 2), ("record", "b/y", 1)]
    for step, route, n in parked:
        records = tuple(parks.ParkedRecord("t", 0, i, NOW, b"x") for i in range(n))
        database.transact(lambda one, at=(step, route, records): parks.write(one, *at[:2], parks.Parking(fault, at[2])))
    looked(api)
    found = told(api)
    assert [(one["step"], one["route"], one["waiting"]) for one in found["parked"]] == parked
    assert found["needs"] == [health.parked("detect", ["a/x", "b/y"], 5), health.parked("record", ["b/y"], 1)]
    assert "ValueError in services.detect.core, line 7" in text(api)
    assert 'keelwatch_parked_routes{step="detect"} 2.0' in _exposed(api)
    assert 'keelwatch_parked_routes{step="record"} 1.0' in _exposed(api)

    only_a = known_as(Principal("a", "viewer", ("a/*",)))
    narrow = looked(api_on(database, Wire(), operations=well().operations(), guard=only_a))
    assert "b/y" not in asked(narrow, "GET", "/v1/health").text + text(narrow)
    assert told(narrow)["needs"] == [health.parked("detect", ["a/x"], 3)]


def test_what_cannot_be_told_is_not_known_and_a_step_without_workers_is_named(database: Database) -> None:
    more = (StepLag("alert", "keelwatch.readings", None, 1), StepLag("record", "keelwatch.alerts", 5_000, 1))
    api = looked(api_on(database, Wire(), operations=Broker(*more, StepLag("evaluate", "t", 0, 0)).operations()))
    states = {one["step"]: (one["state"], one["waiting"]) for one in told(api)["steps"]}
    assert states == {"alert": ("not known", None), "record": ("behind", 5_000), "evaluate": ("not running", 0)}
    unknown = health.lag_unknown("alert")  # what is not known is not well
    assert told(api)["needs"] == [unknown, health.behind("record", 5_000), health.not_running("evaluate")]
    assert "this broker does not tell" in text(api)


def test_the_page_says_what_limits_hold_for_and_that_kafka_has_none(database: Database) -> None:
    limited = Monitor(ingest_limits=IngestLimits(per_key=6000, per_route=3000))
    api = looked(api_on(database, Wire(), operations=well().operations(), watched=limited))
    said = health.limits(6000, 3000)
    assert said in text(api)
    assert "6,000 exchanges a minute of a key and 3,000 exchanges a minute of a route" in said
    assert "by Kafka is not limited" in said
    assert "ingest_limits" not in text(looked(api_on(database, Wire(), operations=well().operations())))


def test_what_waits_for_score_events_is_told_beside_the_steps(database: Database) -> None:
    late, away = (StepLag("score_events", "keelwatch.scores", n, workers) for n, workers in ((5_000, 1), (3, 0)))
    api = looked(api_on(database, Wire(), operations=well(late).operations()))
    assert (told(api)["steps"][-1]["step"], told(api)["steps"][-1]["waiting"]) == ("score_events", 5_000)
    assert told(api)["needs"] == [health.behind("score_events", 5_000)]
    assert "score_events" in text(api)
    assert 'keelwatch_consumer_lag{step="score_events",topic="keelwatch.scores"} 5000.0' in _exposed(api)
    nobody = looked(api_on(database, Wire(), operations=well(away).operations()))
    [need] = told(nobody)["needs"]
    assert (need, "runs notify" in need) == (health.not_running("score_events"), True)


def test_what_waits_and_what_failed_is_told_with_its_reason(database: Database) -> None:
    old = NOW - timedelta(hours=1)
    delivery = {"incident": "i", "created": old, "attempts": 1, "storm": False}
    run = {"cause": "c", "suite": "core", "target": "t", "delay": 0, "token": 0, "created": old, "due": old}
    with database.write() as connection:
        rows = [("a", "pending", "slack: 500"), ("b", "failed", "slack: channel_not_found")]
        values = [{"notification": n, "receiver": "ops", "state": s, "error": e, **delivery} for n, s, e in rows]
        values.append({"notification": "c", "receiver": "ops", "state": "sent", "sent": NOW, "error": None, **delivery})
        for value in values:
            connection.execute(insert(table(DeliveryRow)), value)
        for i, (route, state) in enumerate([("a/x", "pending"), ("a/x", "done"), ("b/y", "failed")]):
            why = "the endpoint answered 500" if state == "failed" else None
            one = {"id": str(i), "route": route, "moment": "change", "state": state, "reason": why, **run}
            connection.execute(insert(table(EvaluationRow)), one)
        fire = {"route": "b/y", "schedule": "weekly", "fire_time": old, "missed": "nobody was there"}
        connection.execute(insert(table(FireTimeRow)), fire)
    api = looked(api_on(database, Wire(), operations=well().operations()))
    found = told(api)
    [ops] = found["receivers"]
    assert (ops["pending"], ops["failed"], ops["error"]) == (1, 1, "slack: channel_not_found")
    assert ops["last_sent"] is not None
    assert [(one["route"], one["due"], one["failed"]) for one in found["evaluations"]] == [("a/x", 1, 0), ("b/y", 0, 1)]
    assert found["missed"] == [{"route": "b/y", "n": 1, "reason": "nobody was there"}]
    assert found["needs"] == [
        health.not_sent(1, "ops"),
        health.given_up(1, "ops"),
        health.not_done(1, "a/x"),
        health.failed(1, "b/y"),
        health.missed(1, "b/y"),
    ]
    assert "the endpoint answered 500" in text(api)

    only_a = known_as(Principal("a", "viewer", ("a/*",)))
    narrow = looked(api_on(database, Wire(), operations=well().operations(), guard=only_a))
    assert "b/y" not in asked(narrow, "GET", "/v1/health").text + text(narrow)
    assert "a/x" in text(narrow)


def test_the_page_answers_while_broker_and_database_are_away(database: Database) -> None:
    class Away(Broker):
        async def behind(self) -> tuple[StepLag, ...]:
            await asyncio.sleep(60)
            return ()

    engine = create_engine("postgresql+psycopg://nobody@127.0.0.1:1/x")
    door = Authenticator(database, clock=lambda: NOW)  # keys are remembered while the database is away
    api = api_on(Database(engine), Wire(), operations=Away().operations(), door=door)
    api.health.survey._patience = 0.2
    looked(api)
    found = told(api)
    assert found["needs"] == [
        "the broker does not answer within 0.2 s",
        "the database does not answer: OperationalError",
    ]
    for name in ("steps", "dead_letters", "receivers", "decisions", "evaluations", "parked"):
        assert found[name] is None
    assert text(api).count("not known") >= 4
    assert "keelwatch_open_incidents{" not in _exposed(api)
    assert 'keelwatch_seen{part="broker"} 0.0' in _exposed(api)


def test_the_process_says_why_it_is_not_ready_and_what_stands_still(database: Database) -> None:
    api = looked(api_on(database, Wire(), operations=well().operations()))
    api.health.probes = ProcessProbes(lambda: {"producer": "3 sends failed"}, lambda: "keelwatch.scores[0] has lag")
    assert told(api)["needs"] == [
        health.stuck("keelwatch.scores[0] has lag"),
        health.not_ready("producer", "3 sends failed"),
    ]


def test_letters_are_counted_in_pages_and_their_content_is_for_admins_who_ask(database: Database) -> None:
    recorded(
        database, *(letter(i, f'prompt[{i % 7}]: "<b>é" must be text') for i in range(20)), letter(1, step="record")
    )
    broker = well()
    api = api_on(database, Wire(), operations=broker.operations())
    items, cursor = [], {}
    while True:
        answer = asked(api, "GET", "/v1/dead-letters", params={"limit": 3, **cursor})
        assert "555" not in answer.text
        items += answer.json()["items"]
        if (following := answer.json()["next"]) is None:
            break
        cursor = {"cursor": following}
    assert (len(items), sum(one["n"] for one in items)) == (8, 21)
    assert {one["step"] for one in asked(api, "GET", "/v1/dead-letters?step=record").json()["items"]} == {"record"}
    shown = asked(api, "GET", "/v1/dead-letters?show_content=true&limit=2").json()["letters"]
    assert [one["content"] for one in shown] == ['{"prompt": "my number is 555-0199"}'] * 2

    for role, routes in (("viewer", ("*",)), ("operator", ("*",)), ("admin", ("a/*",))):
        narrow = api_on(database, Wire(), operations=broker.operations(), guard=known_as(Principal("k", role, routes)))
        answer = asked(narrow, "GET", "/v1/dead-letters?show_content=true")
        assert (answer.status_code, "555" in answer.text) == (403, False)


@pytest.mark.parametrize(
    "cursor", ["x", "MTIz", "WyIiLCAiIiwgIiIsICJcdTAwMDAiXQ", "WyIiLCAiIiwgIiIsICJcdWQ4MDAiXQ", "W1tbW1s", "é"]
)
def test_a_cursor_that_is_none_of_ours_is_named(database: Database, cursor: str) -> None:
    answer = asked(api_on(database, Wire()), "GET", "/v1/dead-letters", params={"cursor": cursor})
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "cursor")


def test_two_presses_at_one_time_are_one_replay_and_a_later_one_sends_nothing(database: Database) -> None:
    async def work() -> None:
        broker = well()
        broker.may.clear()
        app = make(api_on(database, Wire(), operations=broker.operations()))
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=BASE) as client:
            url, body = "/v1/dead-letters/replay", {"step": "score"}
            assert (await client.get(url)).status_code == 404
            first, second = [await client.post(url, json=body) for _ in range(2)]
            assert (first.status_code, second.status_code) == (202, 409)
            assert "being sent again already" in second.json()["detail"]
            assert (await client.get(url)).json()["state"] == "running"
            broker.may.set()
            while (last := (await client.get(url)).json())["state"] == "running":
                await asyncio.sleep(0)
            assert (last["state"], last["sent"], broker.replayed) == ("done", 2, ["score"])
            assert (await client.post(url, json=body)).status_code == 202
            while (last := (await client.get(url)).json())["state"] == "running":
                await asyncio.sleep(0)
            assert (last["sent"], last["left"]) == (0, {"failed once more": 1})
            for wrong in ({"step": "api"}, {}, {"step": "score", "x": 1}, {"step": None}):
                assert (await client.post(url, json=wrong)).status_code == 422

    asyncio.run(work())


def test_the_button_needs_the_page_s_token_and_says_what_was_sent(database: Database) -> None:
    recorded(database, letter(1))

    async def work() -> None:
        broker = well()
        api = api_on(database, Wire(), operations=broker.operations())
        await api.health.survey.look()
        own = {"origin": BASE, **HTML}
        async with httpx.AsyncClient(transport=httpx.ASGITransport(make(api)), base_url=BASE, headers=own) as client:
            page = outline((await client.get("/health")).text)
            token = page.named("token")
            assert (await client.post("/health/replay", data={"step": "score", "token": "x"})).status_code == 403
            assert (await client.post("/health/replay", data={"step": "none", "token": token})).status_code == 422
            broker.may.clear()
            pressed = [asyncio.create_task(client.post("/health/replay", data={"step": "score", "token": token}))]
            while api.health.replays.last is None:
                await asyncio.sleep(0)
            late = await client.post("/health/replay", data={"step": "score", "token": token})
            assert (late.status_code, "being sent again already" in late.text) == (409, True)
            broker.may.set()
            assert (await pressed[0]).headers["location"] == "/health"
            assert health.replayed("score", 2, {}) in outline((await client.get("/health")).text).text
            assert broker.replayed == ["score"]

    asyncio.run(work())


def test_a_replay_that_fails_says_so(database: Database) -> None:
    api = api_on(database, Wire())

    async def work() -> None:
        api.health.replays.begin("score", None)
        await api.health.replays.settled(5)

    asyncio.run(work())
    assert health.replay_failed("score", "the broker does not answer (ConnectionError)") in text(looked(api))


def test_hostile_reasons_are_text(database: Database) -> None:
    recorded(database, *(letter(i, payload) for i, payload in enumerate(PAYLOADS)))
    api = looked(api_on(database, Wire(), operations=well().operations()))
    page = outline(asked(api, "GET", "/health", headers=HTML).text)
    names = {name for _, attrs in page.elements for name, _ in attrs}
    assert [attrs for tag, attrs in page.elements if tag == "script"] == [(("src", "/static/live.js"), ("defer", None))]
    assert not {tag for tag, _ in page.elements} & {"img", "svg", "iframe", "style", "object", "video", "!--"}
    assert not {name for name in names if name.startswith("on") or name in ("style", "srcdoc")}
    assert asked(api, "GET", "/v1/dead-letters?limit=200").status_code == 200


def test_requests_are_counted_by_the_template_of_their_path(database: Database) -> None:
    api = looked(api_on(database, Wire(), operations=well().operations()))
    for path in ("/v1/incidents/0000000000000000", "/v1/incidents/x", "/wp-login.php", "/static/keelwatch.css"):
        asked(api, "GET", path)
    said = _exposed(api)
    assert 'keelwatch_api_requests_total{method="GET",path="/v1/incidents/{id}",status="404"} 2.0' in said
    assert "wp-login" not in said
    assert 'keelwatch_consumer_lag{step="score",topic="keelwatch.exchanges"} 3.0' in said


def _exposed(api: Api) -> str:
    return generate_latest(api.health.registry).decode()


def test_a_cookie_keeps_the_token(database: Database) -> None:
    answer = asked(looked(api_on(database, Wire())), "GET", "/health", headers=HTML)
    assert f"{FORM_COOKIE}=" in answer.headers["set-cookie"]
    assert "HttpOnly" in answer.headers["set-cookie"]
