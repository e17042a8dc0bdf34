"""What comes in is told by source and format, with what it lacks and what that costs, to those who may see it."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import pytest

from services.api.app import Api
from services.api.auth.authorization import Principal
from services.api.ingest_counter import IngestCounter
from services.ingest.explain import PARTS
from services.score.blocks import blocks_of, rows_of
from services.store import ingest_counts
from services.store.engine import Database
from services.store.ingest_counts import IngestCounts
from tests.api.test_health import HTML, known_as, looked, text, told
from tests.ingest.malformed import GONE, calls_of, changed, fixture, raw_of
from tests.support.api import Wire, api_on, asked, recorded
from tests.support.blocks import block, rows
from tests.support.condition import letter, well

ALL = Principal("gateway", "admin")


def counting(database: Database, principal: Principal = ALL, **more: Any) -> tuple[Api, IngestCounter]:
    counter = IngestCounter(database)
    options = {"gateway": {"note": counter.note}, "guard": known_as(principal), "counter": counter}
    return api_on(database, Wire(), operations=well().operations(), **options, **more), counter


def test_what_a_key_sends_is_counted_by_format_with_what_it_lacks_and_what_was_refused(database: Database) -> None:
    api, counter = counting(database)
    whole = fixture("otlp_openinference")
    asked(api, "POST", "/v1/traces", json=changed(whole, f"{calls_of(whole)[0]}/attributes/llm.provider", 7))
    asked(api, "POST", "/v1/exchanges", json=fixture("openai_chat"))
    asked(api, "POST", "/v1/exchanges", json=changed(fixture("litellm"), "response", GONE))
    asyncio.run(counter.flush())
    found = {one["format"]: one for one in told(looked(api))["sources"]}
    assert {one["source"] for one in found.values()} == {"key gateway"}
    assert {name: one["exchanges"] for name, one in found.items()} == {"openai": 1, "otlp": 1, "unknown": 0}
    assert found["otlp"]["refused"] == [{"reason": "OpenInference span: llm.provider: must be text", "n": 1}]
    assert found["unknown"]["refused"][0]["reason"].startswith("LiteLLM StandardLoggingPayload: response: missing")
    assert found["openai"]["not_monitored"] == {"image": 1}
    missing = {one["part"]: one for one in found["openai"]["missing"]}
    assert "tools" not in missing
    assert missing["guardrails"] == {"part": "guardrails", "exchanges": 1, "costs": PARTS["guardrails"][1]}
    shown = text(api)
    assert re.search(r"key gateway ?otlp ?1", shown)
    assert "in all: guardrails: what guardrails block or change has no rate" in shown
    assert "1 x OpenInference span: llm.provider: must be text" in shown


def test_what_comes_by_a_topic_is_counted_once_however_often_it_is_recorded(database: Database) -> None:
    some = rows(4)
    more = {"format": ("otlp", "otlp", "native", "otlp"), "lacks": (("tools",), (), ("tools", "user"), ("tools",))}
    flags = (("not_monitored:image",), (), (), ())
    made = block(some, "bot/prod").model_copy(update={**more, "flags": flags})
    [again] = blocks_of(rows_of(made))
    assert (again.format, again.lacks) == (made.format, made.lacks)
    recorded(database, made, letter(7))
    recorded(database, made)
    api, _ = counting(database)
    found = {one["format"]: one for one in told(looked(api))["sources"]}
    assert {one["source"] for one in found.values()} == {f"topic {made.topic}"} | {"topic keelwatch.exchanges"}
    assert {name: one["exchanges"] for name, one in found.items()} == {"otlp": 3, "native": 1, "unknown": 0}
    assert [(one["part"], one["exchanges"]) for one in found["otlp"]["missing"]] == [("tools", 2)]
    assert found["otlp"]["not_monitored"] == {"image": 1}
    assert found["unknown"]["refused"] == [{"reason": "prompt: must be text", "n": 1}]


def test_who_sees_some_routes_is_told_of_what_came_of_those(database: Database) -> None:
    recorded(database, block(rows(1), "mine/one"), block(rows(2), "theirs/two"), letter(7))
    for globs, n in ((("mine/*",), [1]), (("nothing/*",), []), (("*",), [0, 3])):
        api, counter = counting(database, Principal("k", "viewer", globs))
        asyncio.run(counter.flush())
        assert sorted(one["exchanges"] for one in told(looked(api))["sources"]) == n


def test_what_is_not_known_is_null_and_what_the_database_does_not_take_is_kept(database: Database) -> None:
    api, counter = counting(database)
    assert told(api)["sources"] is None
    assert "What comes in: not known" in text(api)
    assert told(looked(api))["sources"] == []
    assert "Nothing came within a week" in text(api)
    asked(api, "POST", "/v1/exchanges", content=raw_of(fixture("openai_chat")))

    def away(_work: Any) -> Any:
        raise ConnectionError

    counts = counter._counts
    counter._database = type("Away", (), {"transact": staticmethod(away)})()  # type: ignore[assignment]
    asyncio.run(counter.flush())
    assert counter._counts == counts
    counter._database = database
    asyncio.run(counter.flush())
    assert [one["exchanges"] for one in told(looked(api))["sources"]] == [1]


def test_counts_are_of_a_week_and_reasons_are_bounded(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    day = ingest_counts.today
    place = ("", "key k", "otlp")
    some = IngestCounts(1)
    for i in range(80):
        some.refuse(f"reason {i}")
    assert len(some.refused) == ingest_counts.MOST_REASONS + 1
    for _ in range(2):
        database.transact(lambda connection: ingest_counts.add(connection, {place: some}))
    [found] = database.query(ingest_counts.of_week).values()
    assert (found.exchanges, found.refused["reason 0"], found.refused[ingest_counts.OTHER]) == (2, 2, 60)
    monkeypatch.setattr(ingest_counts, "today", lambda: day() + ingest_counts.KEPT_DAYS)
    assert database.query(ingest_counts.of_week) == {}
    assert asked(counting(database)[0], "GET", "/health", headers=HTML).status_code == 200
