"""The redaction hook sees everything before it leaves, and when it fails nothing leaves."""

from __future__ import annotations

import math
import threading
from typing import Any

import pytest

from keelwatch_client import Publisher
from tests.support.exchange_taker import say, taker

EXCHANGE = {"model": {"requested": "gpt-4"}, "prompt": "I am Ada.", "response": "Hello."}


def masked(exchange: dict[str, Any]) -> dict[str, Any]:
    return {**exchange, "prompt": exchange["prompt"].replace("Ada", "<name>")}


def test_what_it_returns_is_sent_and_it_runs_once_in_the_workers_thread() -> None:
    seen: list[str] = []

    def hook(exchange: dict[str, Any]) -> dict[str, Any]:
        seen.append(threading.current_thread().name)
        return masked(exchange)

    with taker() as server, Publisher(server.url, route="a/b", redact=hook) as publisher:
        server.behaviours.append(say(500))
        publisher.publish(EXCHANGE)
        assert publisher.flush(20)
        assert [one["prompt"] for one in server.taken] == ["I am <name>."]
        assert seen == ["keelwatch-client"]
        assert publisher.stats().buffered_bytes == 0


def test_what_a_hook_leaves_out_of_id_time_and_route_is_put_back() -> None:
    def hook(exchange: dict[str, Any]) -> dict[str, Any]:
        exchange.clear()
        return {**EXCHANGE, "prompt": ""}

    with taker() as server, Publisher(server.url, route="a/b", redact=hook) as publisher:
        publisher.publish({**EXCHANGE, "id": "x-1", "ts": "2026-01-01T00:00:00Z", "route": "c/d"})
        assert publisher.flush(20)
        assert server.taken == [{**EXCHANGE, "prompt": "", "id": "x-1", "ts": "2026-01-01T00:00:00Z", "route": "c/d"}]


def raises(exchange: dict[str, Any]) -> dict[str, Any]:
    raise KeyError(exchange["prompt"])


@pytest.mark.parametrize(
    "hook", [raises, lambda _: None, lambda one: one["prompt"], lambda one: {**one, "extra": math.nan}]
)
def test_when_it_fails_or_leaves_nothing_the_exchange_is_dropped_and_counted(
    hook: Any, caplog: pytest.LogCaptureFixture
) -> None:
    def of_ada(exchange: dict[str, Any]) -> Any:
        return hook(exchange) if "Ada" in exchange["prompt"] else exchange

    with taker() as server, Publisher(server.url, route="a/b", redact=of_ada) as publisher:
        publisher.publish(EXCHANGE)
        publisher.publish({**EXCHANGE, "prompt": "I am nobody."})
        assert publisher.flush(20)
        assert [one["prompt"] for one in server.taken] == ["I am nobody."]
        assert publisher.stats().dropped == {"redaction": 1}
    assert "Ada" not in caplog.text
