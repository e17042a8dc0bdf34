"""Keelwatch is away, hangs, is slow or says later: the application goes on, and what fits the buffer is delivered."""

from __future__ import annotations

import socket
import time
from typing import Any

import pytest

from keelwatch_client import Publisher
from keelwatch_client.delivery import FIRST_PAUSE, LONGEST_PAUSE, backoff
from keelwatch_client.http_transport import HttpTransport
from tests.support.exchange_taker import Say, cut_off, hang, say, take, taker

EXCHANGE = {"model": {"requested": "gpt-4"}, "prompt": "Where is my parcel?", "response": "On its way."}


def test_while_nobody_answers_the_buffer_fills_and_is_delivered_afterwards() -> None:
    held = socket.socket()  # nobody else may listen there until the server does
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    held.bind(("127.0.0.1", 0))
    port = held.getsockname()[1]
    publisher = Publisher(f"http://127.0.0.1:{port}", route="a/b", buffer_exchanges=50)
    for _ in range(80):
        publisher.publish(EXCHANGE)
    stats = publisher.stats()
    assert (stats.buffered, stats.delivered, stats.dropped) == (50, 0, {"buffer_full": 30})
    with held, taker(port) as server:
        assert publisher.flush(20)
        stats = publisher.stats()
        assert (stats.buffered, stats.buffered_bytes, stats.delivered) == (0, 0, 50)
        assert stats.published == stats.delivered + sum(stats.dropped.values())
        assert len(set(server.ids)) == len(server.ids) == 50
        publisher.close()


@pytest.mark.parametrize("behave", [hang, say(503), say(503, retry_after="0"), say(429, retry_after="0"), say(500)])
def test_what_was_not_taken_is_sent_again(behave: Say) -> None:
    with taker() as server:
        seconds = 0.5 if behave is hang else 15.0
        quick = Publisher(route="a/b", transport=lambda: HttpTransport(server.url, None, seconds), linger_seconds=0)
        server.behaviours += [behave, behave]
        for _ in range(5):
            quick.publish(EXCHANGE)
        until = time.monotonic() + 30
        while quick.stats().delivered < 5 and time.monotonic() < until:
            quick.flush(0.05)
        assert len(set(server.ids)) == quick.stats().delivered == 5
        quick.close()


def test_an_answer_that_was_lost_makes_the_same_ids_come_again() -> None:
    """Keelwatch counts an id once; a new one would count the exchange twice."""
    with taker() as server, Publisher(server.url, route="a/b") as publisher:
        server.behaviours.append(cut_off)
        for _ in range(5):
            publisher.publish(EXCHANGE)
        assert publisher.flush(20)
        assert len(server.ids) == 10
        assert len(set(server.ids)) == 5
        assert publisher.stats().delivered == 5


def test_the_server_is_not_asked_again_before_the_time_that_it_names() -> None:
    seen: list[float] = []

    def later(request: Any, lines: list[dict[str, Any]]) -> None:
        seen.append(time.monotonic())
        say(429, retry_after="1")(request, lines) if len(seen) == 1 else take(request, lines)

    with taker(always=later) as server, Publisher(server.url, route="a/b") as publisher:
        publisher.publish(EXCHANGE)
        assert not publisher.flush(0.3)
        assert publisher.flush(20)
        assert seen[1] - seen[0] >= 1


def test_pauses_grow_and_have_an_end() -> None:
    for failures in range(60):
        assert 0.5 * FIRST_PAUSE <= backoff(failures) <= LONGEST_PAUSE
    assert backoff(30) >= 0.5 * LONGEST_PAUSE


def test_order_is_kept_through_failures() -> None:
    with taker() as server, Publisher(server.url, route="a/b") as publisher:
        server.behaviours.append(say(500))
        for i in range(300):
            publisher.publish({**EXCHANGE, "prompt": str(i)})
        assert publisher.flush(20)
        assert [one["prompt"] for one in server.taken] == [str(i) for i in range(300)]
