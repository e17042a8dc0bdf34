"""Clients that give what real libraries gave, and what was published of it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from keelwatch_client import Publisher
from schemas.position import Position
from services.ingest.decode import decode
from services.ports import Received
from tests.support.endpoint_forms import streamed, whole
from tests.support.exchange_taker import taker

PAYLOADS = Path(__file__).with_name("payloads")
TEXT = "It left our warehouse this morning."
PLACE = Position(cluster="c", topic="t", partition=0, offset=0)


@cache
def _read(name: str) -> str:
    return (PAYLOADS / f"{name.replace(' ', '_')}.json").read_text(encoding="utf-8")


def payload(name: str) -> Any:
    """What a library gave: a whole answer, or the chunks of a stream."""
    return json.loads(_read(name))["payload"]


@contextmanager
def published(decoded: bool = True) -> Iterator[tuple[Publisher, list[dict[str, Any]]]]:
    """A publisher and what it has published, which is there after the block, and which Keelwatch's decoder takes.

    `decoded=False`: what is called wrongly makes an exchange that Keelwatch refuses.
    """
    exchanges: list[dict[str, Any]] = []
    with taker() as server:
        with Publisher(server.url, route="support-bot/prod", linger_seconds=0) as publisher:
            yield publisher, exchanges
            assert publisher.flush(20)
        exchanges += server.taken
    for one in exchanges if decoded else ():
        found = decode(json.dumps(one).encode(), PLACE)
        assert isinstance(found, Received), found
        assert found.exchange.extra == {}, "a field that Keelwatch does not know"
        assert found.flags == ()


class FakeStream:
    """Chunks, one after the other; an exception among them is raised."""

    def __init__(self, chunks: list[Any]) -> None:
        self._chunks = iter(chunks)

    def __iter__(self) -> FakeStream:
        return self

    def __next__(self) -> Any:
        item = next(self._chunks)
        if isinstance(item, Exception):
            raise item
        return item

    def close(self) -> None:
        """Nothing to close."""

    def __enter__(self) -> FakeStream:
        return self

    def __exit__(self, *_: Any) -> None:
        """Nothing to close."""


class FakeAsyncStream:
    """The same for coroutines."""

    def __init__(self, chunks: list[Any]) -> None:
        self._stream = FakeStream(chunks)

    def __aiter__(self) -> FakeAsyncStream:
        return self

    async def __anext__(self) -> Any:
        try:
            return next(self._stream)
        except StopIteration:
            raise StopAsyncIteration from None


class FakeManager:
    """What the helpers `stream()` give: within the block the vendor joins by itself."""

    def __init__(self, joined: Any) -> None:
        stream = FakeStream([])
        stream.text_stream = iter([TEXT])  # type: ignore[attr-defined]
        stream.current_completion_snapshot = stream.current_message_snapshot = joined  # type: ignore[attr-defined]
        self._stream: Any = stream
        self._joined = joined

    def __enter__(self) -> Any:
        self._stream.get_final_response = lambda: self._joined
        return self._stream

    def __exit__(self, *_: Any) -> None:
        """Nothing to close."""

    async def __aenter__(self) -> Any:
        async def final() -> Any:
            return self._joined

        self._stream.get_final_response = final
        self._stream.__anext__ = None
        return self._stream

    async def __aexit__(self, *_: Any) -> None:
        """Nothing to close."""


def client_of(path: str, given: Any, later: bool) -> Any:
    """A client with one resource that gives this: an answer, chunks, a manager, or an exception that it raises."""

    def create(**asked: Any) -> Any:
        if isinstance(given, Exception):
            raise given
        if isinstance(given, list):
            return FakeAsyncStream(given) if later else FakeStream(given)
        return given

    async def create_later(**asked: Any) -> Any:
        return create(**asked)

    method = create_later if later else create
    inner: Any = SimpleNamespace(create=method, parse=method, stream=create, with_raw_response="raw")
    for step in reversed(path.split(".")):
        inner = ReplayedClient(**{step: inner})
    inner.base_url, inner.api_key = "https://models.example.com/v1/", "sk-x"
    return inner


class ReplayedClient(SimpleNamespace):
    """A client, by its attributes."""

    def with_options(self, **_: Any) -> ReplayedClient:
        """Another client with the same resources."""
        return ReplayedClient(**vars(self))

    def __enter__(self) -> ReplayedClient:
        return self

    def __exit__(self, *_: Any) -> None:
        """Nothing to close."""


def _events(path: str) -> list[Any]:
    told = b"".join(streamed(path, "fake-1", TEXT, calls=True)).decode()
    lines = [line.removeprefix("data: ") for line in told.split("\n") if line.startswith("data: {")]
    return [json.loads(line) for line in lines]


_URLS = {"chat.completions": "chat/completions", "responses": "responses", "messages": "messages"}
CALLED = {(path, False): whole(url, "fake-1", TEXT, calls=True) for path, url in _URLS.items()}
CALLED |= {(path, True): _events(url) for path, url in _URLS.items()}
"""Answers that call a tool, by resource and whether they are streamed."""
