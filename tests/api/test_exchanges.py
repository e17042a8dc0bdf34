"""What is sent to `/v1/exchanges` is acknowledged, refused with a remedy or told to be unknown: nothing vanishes."""

from __future__ import annotations

import asyncio
import gzip
import json
import time
import uuid
from typing import Any

import httpx
import pytest
from fastapi import Request
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.position import Position
from services.api.app import Api
from services.api.exchange_publisher import ExchangePublisher
from services.api.http.body import MOST_BYTES, BodyBudget
from services.api.http.problems import Problem
from services.errors import NotSent, UnknownOutcome
from services.ingest.decode import decode
from services.ports import Received
from services.store.engine import Database
from tests.ingest.malformed import fixture, raw_of
from tests.support.api import BASE, Pieces, Wire, api_on, application, asked

PATH = "/v1/exchanges"
PLACE = Position(cluster="c", topic="t", partition=0, offset=0)


def exchange(**fields: Any) -> dict[str, Any]:
    return {"route": "bot/prod", "prompt": "p", "response": "r", "model": {"requested": "m"}, **fields}


def test_one_exchange_is_sent_as_it_came_and_its_own_id_is_returned(api: Api, wire: Wire) -> None:
    raw = json.dumps(exchange(id="mine", odd=[1, {"x": None}])).encode()
    answer = asked(api, "POST", PATH, content=raw)
    assert (answer.status_code, answer.json()) == (
        202,
        {"counts": {"accepted": 1}, "results": [{"index": 0, "id": "mine", "status": "accepted"}]},
    )
    assert wire.sent == [("keelwatch.exchanges", b"bot/prod", raw)]


def test_an_exchange_without_an_id_is_given_one_that_score_will_read(api: Api, wire: Wire) -> None:
    for sent in (exchange(), exchange(id=None), exchange(prompt="a\u202e\x00b")):
        id = asked(api, "POST", PATH, json=sent).json()["results"][0]["id"]
        assert uuid.UUID(id).version == 7
        found = decode(wire.sent[-1][2], PLACE)
        assert isinstance(found, Received)
        assert found.exchange.id == id
    assert found.flags == ("sanitized", "no_ts")  # the original travels, so that what is odd is seen there


@pytest.mark.parametrize("form", ["array", "wrapped", "lines", "said lines"])
def test_many_are_sent_in_order_each_with_its_result(api: Api, wire: Wire, form: str) -> None:
    some = [exchange(id=f"e{i}", route=f"r{i % 2}") for i in range(20)]
    lines = "\n".join(json.dumps(one) for one in some)
    body = {"array": json.dumps(some), "wrapped": json.dumps({"exchanges": some})}.get(form, lines)
    kind = "application/x-ndjson; charset=utf-8" if form == "said lines" else "application/json"
    answer = asked(api, "POST", PATH, content=body, headers={"content-type": kind})
    assert answer.status_code == 202
    assert [one["id"] for one in answer.json()["results"]] == [one["id"] for one in some]
    assert [(key, json.loads(value)) for _, key, value in wire.sent] == [(one["route"].encode(), one) for one in some]


def test_of_a_mixed_batch_the_good_ones_are_sent_and_each_of_the_others_is_named(api: Api, wire: Wire) -> None:
    some = [exchange(id="a"), exchange(id="b", model={}), exchange(id="c", route="UP"), 7, exchange(id="e", id2=1)]
    answer = asked(api, "POST", PATH, json=some)
    assert answer.status_code == 207
    assert answer.json()["counts"] == {"accepted": 2, "invalid": 3}
    told = [(one["status"], one.get("field")) for one in answer.json()["results"]]
    assert told == [
        ("accepted", None),
        ("invalid", "model.requested"),
        ("invalid", "route"),
        ("invalid", "record"),
        ("accepted", None),
    ]
    assert len(wire.sent) == 2


def test_when_none_can_be_read_the_answer_is_a_problem_that_names_field_and_remedy(api: Api, wire: Wire) -> None:
    answer = asked(api, "POST", PATH, json=exchange(latency_ms="3"))
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["detail"] == "latency_ms: must be a number of at least 0, without quotes"
    assert answer.json()["results"][0]["status"] == "invalid"
    broken = asked(api, "POST", PATH, content=b'[{"a": 1}, {]')
    assert (broken.status_code, broken.json()["errors"][0]["field"]) == (422, "exchanges[1]")
    assert wire.sent == []


def test_no_answer_repeats_what_was_sent(api: Api) -> None:
    secret = "sk_live_do_not_repeat"
    for sent in (exchange(**{secret: 1}, latency_ms=secret), exchange(route=secret.upper()), [secret], secret):
        assert secret.lower() not in asked(api, "POST", PATH, json=sent).text.lower()


def test_a_large_body_is_refused_before_it_is_read(api: Api, wire: Wire) -> None:
    said = asked(api, "POST", PATH, content=b"x", headers={"content-length": str(MOST_BYTES + 1)})
    assert said.status_code == 413
    pieces = Pieces(b" " * 65536, 1000)
    answer = asked(api, "POST", PATH, content=pieces)
    assert (answer.status_code, answer.headers["connection"]) == (413, "close")
    assert "send less, or in several requests" in answer.json()["detail"]
    assert pieces.taken <= MOST_BYTES // 65536 + 2


def test_one_that_the_broker_would_not_take_is_invalid_and_its_neighbour_is_sent(api: Api, wire: Wire) -> None:
    some = [exchange(id="big", extra={"x": "y" * 4 * 1024 * 1024}), exchange(id="small")]
    answer = asked(api, "POST", PATH, json=some)
    assert answer.status_code == 207
    assert [one["status"] for one in answer.json()["results"]] == ["invalid", "accepted"]
    assert [json.loads(value)["id"] for _, _, value in wire.sent] == ["small"]


def test_a_body_may_be_packed_by_gzip_and_by_nothing_else(api: Api, wire: Wire) -> None:
    raw = json.dumps(exchange(id="packed")).encode()
    assert asked(api, "POST", PATH, content=raw, headers={"content-encoding": "br"}).status_code == 415
    for wrong in (raw, gzip.compress(raw)[:-1]):
        answer = asked(api, "POST", PATH, content=wrong, headers={"content-encoding": "gzip"})
        assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "body")
    assert asked(api, "POST", PATH, content=gzip.compress(raw), headers={"content-encoding": "GZIP"}).status_code == 202
    assert [value for _, _, value in wire.sent] == [raw]
    bomb = gzip.compress(b" " * (MOST_BYTES + 1))
    assert asked(api, "POST", PATH, content=bomb, headers={"content-encoding": "gzip"}).status_code == 413


def test_who_may_not_ingest_is_refused_before_a_byte_is_read(nothing: Database, wire: Wire) -> None:
    async def nobody(_request: Request, role: str) -> None:
        raise Problem(401, f"send an API key that may {role}")

    pieces = Pieces(b"not even JSON", 3)
    answer = asked(api_on(nothing, wire, guard=nobody), "POST", PATH, content=pieces)
    assert (answer.status_code, answer.json()["detail"], pieces.taken) == (401, "send an API key that may ingest", 0)


@pytest.mark.parametrize(
    ("error", "status", "said"),
    [
        (NotSent("no broker"), "unavailable", "send it again"),
        (UnknownOutcome("late"), "unknown", "unknown outcome"),
        (ValueError("too large, and the text"), "refused", "ValueError"),
    ],
)
def test_what_the_broker_did_not_acknowledge_is_503_and_says_which(
    nothing: Database, error, status: str, said: str
) -> None:
    wire = Wire(fault=lambda _: error)
    answer = asked(api_on(nothing, wire), "POST", PATH, json=[exchange(), exchange(id="x")])
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
    results = answer.json()["results"]
    assert [one["status"] for one in results] == [status, status]
    assert said in results[0]["detail"]
    assert "and the text" not in answer.text
    assert uuid.UUID(results[0]["id"]).version == 7


def test_a_send_that_never_ends_is_of_unknown_outcome_within_the_deadline(nothing: Database, wire: Wire) -> None:
    async def stuck(topic: str, key: bytes | None, value: bytes) -> None:
        if b"stuck" in value:
            await asyncio.Event().wait()
        await wire.send(topic, key, value)

    api = api_on(nothing, wire)
    api = Api(api.database, ExchangePublisher(stuck, deadline=0.3), api.decisions, api.relay, api.health, api.door)
    begin = time.monotonic()
    answer = asked(api, "POST", PATH, json=[exchange(id="stuck"), exchange(id="fine")])
    assert time.monotonic() - begin < 5
    assert answer.status_code == 207
    assert [one["status"] for one in answer.json()["results"]] == ["unknown", "accepted"]


def test_too_many_at_one_time_are_refused_at_once_and_room_comes_back(nothing: Database, wire: Wire) -> None:
    gate = asyncio.Event()

    async def held(topic: str, key: bytes | None, value: bytes) -> None:
        await gate.wait()
        await wire.send(topic, key, value)

    base = api_on(nothing, wire)
    api = Api(base.database, ExchangePublisher(held, most=2), base.decisions, base.relay, base.health, base.door)

    async def work() -> tuple[list[httpx.Response], list[httpx.Response]]:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(application(api)), base_url=BASE) as client:
            tasks = [asyncio.create_task(client.post(PATH, json=[exchange()] * 2)) for _ in range(2)]
            refused, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            gate.set()
            return [one.result() for one in refused], await asyncio.gather(*tasks)

    [refused], answers = asyncio.run(work())
    assert (refused.status_code, refused.headers["retry-after"]) == (429, "1")
    assert sorted(answer.status_code for answer in answers) == [202, 429]
    assert asked(api, "POST", PATH, json=exchange()).status_code == 202


def test_bodies_share_a_budget_of_memory(nothing: Database, wire: Wire) -> None:
    api = api_on(nothing, wire, budget=BodyBudget(1000))
    assert asked(api, "POST", PATH, content=Pieces(b" " * 600, 2)).status_code == 429
    assert asked(api, "POST", PATH, json=exchange()).status_code == 202


@settings(max_examples=40)
@given(st.lists(st.sampled_from(["good", "bare", "invalid", "refused", "unknown", "lost"]), min_size=1, max_size=12))
def test_every_record_has_its_result_and_accepted_ones_alone_were_sent(nothing: Database, kinds: list[str]) -> None:
    faults = {b"refused": ValueError(), b"unknown": UnknownOutcome("x"), b"lost": NotSent("x")}
    wire = Wire(fault=lambda value: next((error for name, error in faults.items() if name in value), None))
    some = [
        exchange(id="" if kind == "invalid" else f"{kind}{i}", n=i) if kind != "bare" else exchange(n=i)
        for i, kind in enumerate(kinds)
    ]
    answer: httpx.Response = asked(api_on(nothing, wire), "POST", PATH, json=some)
    wanted = {"good": "accepted", "bare": "accepted", "lost": "unavailable"}
    results = answer.json()["results"]
    assert [one["status"] for one in results] == [wanted.get(kind, kind) for kind in kinds]
    accepted = [one["id"] for one in results if one["status"] == "accepted"]
    assert [json.loads(value)["id"] for _, _, value in wire.sent] == accepted
    codes = {"accepted": 202, "invalid": 422}
    only = {one["status"] for one in results}
    assert answer.status_code == (codes.get(only.pop(), 503) if len(only) == 1 else 207 if accepted else 503)


def test_other_formats_are_sent_as_the_exchanges_that_they_hold(api: Api, wire: Wire) -> None:
    traces = asked(
        api,
        "POST",
        PATH,
        content=raw_of(fixture("otlp_openinference_proto")),
        headers={"content-type": "application/x-protobuf", "keelwatch-route": "bot/traces"},
    )
    assert (traces.status_code, traces.json()["counts"]) == (202, {"accepted": 2})
    litellm = asked(api, "POST", PATH, json=fixture("litellm"), headers={"keelwatch-route": "bot/prod"})
    assert litellm.status_code == 202
    sent = [decode(value, PLACE) for _, _, value in wire.sent]
    assert [one.exchange.route for one in sent if isinstance(one, Received)] == ["bot/traces"] * 2 + [
        "support-bot/prod"
    ]
    assert [key for _, key, _ in wire.sent] == [b"bot/traces", b"bot/traces", b"support-bot/prod"]
    refused = asked(api, "POST", PATH, json={"resourceSpans": []})
    assert (refused.status_code, "holds no call of a model" in refused.json()["detail"]) == (422, True)
