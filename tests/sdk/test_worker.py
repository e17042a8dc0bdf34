"""The thread that sends outlives whatever the application's own parts raise in it, and asks no server in a loop."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from keelwatch_client import Publisher
from keelwatch_client.buffer import ExchangeBuffer
from keelwatch_client.delivery import FIRST_PAUSE, LOG
from tests.support.exchange_taker import hang, say, taker

EXCHANGE = {"model": {"requested": "gpt-4"}, "prompt": "Where is my parcel?", "response": "On its way."}


class RaisingHandler(logging.Handler):
    """A handler of an application that fails at every line."""

    def emit(self, record: logging.LogRecord) -> None:
        raise OSError("the disk is full")


@contextmanager
def raising_log() -> Iterator[None]:
    handler = RaisingHandler()
    LOG.addHandler(handler)
    try:
        yield
    finally:
        LOG.removeHandler(handler)


def test_a_log_handler_that_raises_stops_neither_the_worker_nor_the_application() -> None:
    with raising_log(), taker() as server:
        publisher = Publisher(server.url, route="a/b", linger_seconds=0)
        server.behaviours.append(say(500))
        publisher.publish(EXCHANGE)
        assert publisher.flush(20)
        publisher.publish({**EXCHANGE, "response": object(), "route": 7})
        assert publisher.close()
        assert len(server.taken) == 1


def test_a_hook_that_ends_the_thread_drops_its_exchange_and_nothing_else() -> None:
    def hook(exchange: dict[str, Any]) -> dict[str, Any]:
        if exchange["prompt"] == "exit":
            raise SystemExit(1)
        return exchange

    with taker() as server, Publisher(server.url, route="a/b", redact=hook, linger_seconds=0) as publisher:
        publisher.publish({**EXCHANGE, "prompt": "exit"})
        publisher.publish(EXCHANGE)
        assert publisher.flush(5)
        assert (len(server.taken), publisher.stats().dropped) == (1, {"redaction": 1})


def test_a_turn_that_raises_is_not_the_last(monkeypatch: pytest.MonkeyPatch) -> None:
    taken = ExchangeBuffer.take
    faults = [RuntimeError("deque mutated during iteration"), SystemExit(1)]

    def take(self: ExchangeBuffer, *bounds: Any) -> Any:
        if faults:
            raise faults.pop()
        return taken(self, *bounds)

    monkeypatch.setattr(ExchangeBuffer, "take", take)
    monkeypatch.setattr("keelwatch_client.delivery.FIRST_PAUSE", 0.01)
    with taker() as server, Publisher(server.url, route="a/b", linger_seconds=0) as publisher:
        publisher.publish(EXCHANGE)
        assert publisher.flush(5)
        assert len(server.taken) == 1


def test_a_server_that_asks_for_no_pause_is_not_asked_in_a_loop() -> None:
    with taker(always=say(429, retry_after="0")) as server:
        publisher = Publisher(server.url, route="a/b", linger_seconds=0)
        begin = time.monotonic()
        publisher.publish(EXCHANGE)
        while time.monotonic() < begin + FIRST_PAUSE:
            publisher.flush(begin + FIRST_PAUSE - time.monotonic())
        asked = len(server.headers)
        publisher.close(0)
    assert 1 <= asked <= 4


def test_closing_a_second_time_does_not_wait_again() -> None:
    """As the end of the interpreter does after the end of a `with`."""
    with taker(always=hang) as server:
        publisher = Publisher(server.url, route="a/b", linger_seconds=0, exit_seconds=3)
        publisher.publish(EXCHANGE)
        assert not publisher.close(0.05)
        begin = time.monotonic()
        assert publisher.close()
        assert time.monotonic() - begin < 2
