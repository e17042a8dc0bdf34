"""The application is never broken: what cannot be kept or written is dropped, counted and said."""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import pytest
from pydantic import TypeAdapter

from keelwatch_client import Publisher, wrap
from keelwatch_client.buffer import MOST_BYTES
from keelwatch_client.http_transport import HttpTransport
from tests.support.exchange_taker import hang, say, taker

EXCHANGE = {"model": {"requested": "gpt-4"}, "prompt": "Where is my parcel?", "response": "On its way."}
NOWHERE = "http://127.0.0.1:9"


class Hostile:
    """An object whose conversion fails."""

    def model_dump(self, **_: Any) -> Any:
        raise RuntimeError("no")


def circle() -> dict[str, Any]:
    made: dict[str, Any] = {}
    made["self"] = made
    return made


def test_memory_is_bounded_by_bytes() -> None:
    publisher = Publisher(NOWHERE, route="a/b", buffer_bytes=100_000, exit_seconds=0)
    for _ in range(100):
        publisher.publish({**EXCHANGE, "prompt": "p" * 10_000})
    stats = publisher.stats()
    assert 80_000 < stats.buffered_bytes <= 100_000
    assert stats.dropped["buffer_full"] == 100 - stats.buffered
    publisher.close(0)


@pytest.mark.parametrize(
    ("exchange", "reason"),
    [
        ({**EXCHANGE, "prompt": "p" * MOST_BYTES}, "too_large"),
        ({**EXCHANGE, "extra": circle()}, "not_json"),
        ({**EXCHANGE, "extra": {"x": math.nan}}, "not_json"),
        ({**EXCHANGE, "extra": {(1, 2): "no key of JSON"}}, "not_json"),
        ({**EXCHANGE, "extra": Hostile()}, "fault"),
        ({**EXCHANGE, "route": None}, "invalid"),
        (7, "not_json"),
        (None, "not_json"),
    ],
)
def test_what_cannot_be_sent_is_dropped_with_its_reason(exchange: Any, reason: str) -> None:
    publisher = Publisher(NOWHERE, route="a/b", exit_seconds=0)
    publisher.publish(exchange)
    assert publisher.stats().dropped == {reason: 1}
    assert publisher.stats().buffered == 0
    publisher.close(0)


def test_what_the_application_changes_later_is_not_changed_in_what_is_sent() -> None:
    messages = [{"role": "user", "content": "first"}]
    with taker() as server, Publisher(server.url, route="a/b", linger_seconds=0.3) as publisher:
        publisher.publish({**EXCHANGE, "prompt": messages})
        messages[0]["content"] = "changed"
        messages.append({"role": "user", "content": "second"})
        assert publisher.flush(20)
        assert server.taken[0]["prompt"] == [{"role": "user", "content": "first"}]


@dataclass
class Told:
    """A message of an application, with what nobody may copy or read."""

    pieces: Any
    lock: Any


def test_what_the_application_reads_once_is_not_read_here() -> None:
    pieces, answer = iter(["It ", "left."]), (piece for piece in ["Yes."])
    content = TypeAdapter(Iterable[int]).validate_python([1, 2])
    with taker() as server, Publisher(server.url, route="a/b") as publisher:
        extra = {"told": Told(pieces, threading.Lock()), "of pydantic": content}
        publisher.publish({**EXCHANGE, "prompt": [{"role": "user", "content": answer}], "extra": extra})
        assert publisher.flush(20)
    assert (list(pieces), list(answer)) == (["It ", "left."], ["Yes."])
    assert server.taken[0]["prompt"] == [{"role": "user", "content": "<generator>"}]
    assert server.taken[0]["extra"] == {"told": {"pieces": "<list_iterator>", "lock": "<lock>"}, "of pydantic": [1, 2]}


def test_waiting_is_bounded_while_the_server_hangs() -> None:
    with taker(always=hang) as server:
        publisher = Publisher(server.url, route="a/b", linger_seconds=0)
        publisher.publish(EXCHANGE)
        begin = time.monotonic()
        assert not publisher.flush(0.2)
        assert not publisher.close(0.2)
        assert time.monotonic() - begin < 10
        assert publisher.stats().dropped == {"unsent": 1}
        publisher.publish(EXCHANGE)
        assert publisher.stats().dropped == {"unsent": 1, "closed": 1}
        assert publisher.close()


def test_drops_and_failures_are_said_in_the_log_without_any_text(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG, "keelwatch_client"):
        publisher = Publisher(NOWHERE, route="a/b", buffer_exchanges=1, linger_seconds=0)
        for _ in range(3):
            publisher.publish({**EXCHANGE, "prompt": "secret text"})
        publisher.close(0.5)
    assert "of 3 exchanges not delivered: buffer_full 2, unsent 1" in caplog.text
    assert "secret text" not in caplog.text


@pytest.mark.parametrize(
    ("given", "word"),
    [
        ({"url": "127.0.0.1:8400"}, "url: must be the address"),
        ({"url": "ftp://host"}, "url: must be the address"),
        ({"url": "http://host:99999"}, "url: must have a port"),
        ({"key": "kw_x\n"}, "key: must be an API key"),
        ({"route": "Support Bot"}, "route: must be"),
        ({"route": "_keelwatch/x"}, "route: must be"),
    ],
)
def test_what_is_set_up_wrongly_is_said_at_once_with_the_remedy(given: dict[str, Any], word: str) -> None:
    with pytest.raises(ValueError, match=word):
        Publisher(**given)


def test_a_transport_that_cannot_be_made_is_said_and_does_not_reach_the_caller(
    caplog: pytest.LogCaptureFixture,
) -> None:
    publisher = Publisher(route="a/b", transport=lambda: 1 / 0)  # type: ignore[arg-type,return-value]
    publisher.publish(EXCHANGE)
    assert not publisher.close(0.2)
    assert publisher.stats().dropped == {"unsent": 1}
    assert "the transport could not be made" in caplog.text


@pytest.mark.parametrize(("url", "port"), [("http://[::1]", 80), ("https://[::1]", 443), ("http://[::1]:8400", 8400)])
def test_an_address_of_ipv6_needs_no_port(url: str, port: int) -> None:
    connection = HttpTransport(url, None)._open()
    assert (connection.host, connection.port) == ("::1", port)


def test_a_key_that_is_unknown_is_said_with_the_remedy(caplog: pytest.LogCaptureFixture) -> None:
    with taker() as server, Publisher(server.url, route="a/b", linger_seconds=0) as publisher:
        server.behaviours.append(say(401))
        publisher.publish(EXCHANGE)
        assert publisher.flush(20)
    assert "set KEELWATCH_API_KEY" in caplog.text


def test_a_client_of_another_library_is_said_at_once() -> None:
    publisher = Publisher(NOWHERE, route="a/b")
    with pytest.raises(TypeError, match="must be one of openai or anthropic"):
        wrap(object(), publisher)


def test_address_and_key_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    with taker() as server:
        monkeypatch.setenv("KEELWATCH_API_URL", server.url + "/behind/a/proxy/")
        monkeypatch.setenv("KEELWATCH_API_KEY", "kw_env")
        with Publisher(route="a/b") as publisher:
            publisher.publish(EXCHANGE)
            assert publisher.flush(20)
        assert server.headers[0]["authorization"] == "Bearer kw_env"
