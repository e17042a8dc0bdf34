"""What happens on the wire: real sockets, a hostile server, names that change their meaning."""

from __future__ import annotations

import asyncio
import gc
import os
import socket
import ssl
import subprocess
import time
import tracemalloc
import warnings
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from services.outbound import HttpReply, Outbound, Unanswered
from tests.support.endpoint import BOMB_BYTES, Endpoint, running

LOCAL = ["127.0.0.1"]
REQUEST = b'{"messages": [{"role": "user", "content": "hello"}]}'


@pytest.fixture(scope="module")
def endpoint() -> Iterator[Endpoint]:
    with running() as started:
        yield started


def post(url: str, seconds: float = 20, most: int = 100_000, **more: Any) -> HttpReply:
    async def once() -> HttpReply:
        async with Outbound(url, LOCAL) as outbound:
            return await outbound.post("/chat/completions", REQUEST, {}, seconds=seconds, most=most, **more)

    return asyncio.run(once())


def trouble(url: str, seconds: float = 20, **more: Any) -> tuple[str, str]:
    with pytest.raises(Unanswered) as unanswered:
        post(url, seconds, **more)
    return unanswered.value.trouble, str(unanswered.value)


def test_an_answer_comes_whole_whatever_its_status(endpoint: Endpoint) -> None:
    assert post(endpoint.url("normal")).status == 200
    assert post(endpoint.url("normal") + "/").status == 200
    assert post(endpoint.url("broken")).status == 500
    assert post(endpoint.url("busy-long")).headers["retry-after"] == "3600"
    assert {request["path"].count("//") for request in endpoint.seen()} == {0}


def test_a_redirect_is_not_followed(endpoint: Endpoint) -> None:
    kind, words = trouble(endpoint.url("redirect"))
    assert kind == "redirect"
    assert "302" in words
    assert "169.254" not in words


def test_a_host_that_hangs_is_given_up_in_time(endpoint: Endpoint) -> None:
    assert trouble(endpoint.url("hang"), 0.5) == ("timeout", "no answer within 0.5 s")


def test_a_connection_that_breaks_off_is_no_answer(endpoint: Endpoint) -> None:
    assert trouble(endpoint.url("cut"))[0] == "broken"


@pytest.mark.parametrize(("mode", "kind"), [("bomb", "oversized"), ("zip", "broken")])
def test_a_bomb_does_not_go_off(endpoint: Endpoint, mode: str, kind: str) -> None:
    tracemalloc.start()
    try:
        assert trouble(endpoint.url(mode))[0] == kind
        assert tracemalloc.get_traced_memory()[1] < BOMB_BYTES / 4
    finally:
        tracemalloc.stop()


def test_an_answer_says_its_status_and_content_type(endpoint: Endpoint) -> None:
    assert post(endpoint.url("html-502")).told == "502 with text/html"
    assert post(endpoint.url("empty-204")).told == "204 with no content type"
    assert post(endpoint.url("odd-type")).told == "410 with a content type that cannot be read"
    assert post(endpoint.url("stream-whole")).content_type == "text/event-stream"


@pytest.mark.parametrize("mode", ["drip-json", "drip-comments", "drip-chunks"])
def test_what_drips_without_end_is_given_up_in_time(endpoint: Endpoint, mode: str) -> None:
    kind, words = trouble(endpoint.url(mode), 0.5)
    assert kind == "timeout"
    assert words.startswith("the endpoint answers 200 with ")
    assert words.endswith(", and not to its end within 0.5 s")


def test_a_stream_has_a_limit_of_its_own(endpoint: Endpoint) -> None:
    assert trouble(endpoint.url("stream-whole"), most=200)[0] == "oversized"
    assert post(endpoint.url("stream-whole"), most=200, most_events=100_000).status == 200
    assert trouble(endpoint.url("normal"), most=50, most_events=100_000)[0] == "oversized"
    assert trouble(endpoint.url("stream-whole"), most=100_000, most_events=200)[0] == "oversized"


@pytest.mark.parametrize(
    ("query", "path"),
    [
        ({}, "/normal/asked/v1/chat/completions"),
        ({"api-version": "2024-10-21"}, "/normal/asked/v1/chat/completions?api-version=2024-10-21"),
        ({"a": "b c&d=/?#\u00e9", "$x": "1"}, "/normal/asked/v1/chat/completions?a=b%20c%26d%3D%2F%3F%23%C3%A9&%24x=1"),
    ],
)
def test_a_query_follows_the_path_and_is_escaped(endpoint: Endpoint, query: dict[str, str], path: str) -> None:
    assert post(endpoint.url("normal", "asked"), query=query).status == 200
    assert endpoint.seen("asked")[-1]["path"] == path


def test_the_urls_own_query_stays_behind_the_path(endpoint: Endpoint) -> None:
    assert post(endpoint.url("normal", "both") + "/?a=1", query={"b": "2"}).status == 200
    assert endpoint.seen("both")[-1]["path"] == "/normal/both/v1/chat/completions?a=1&b=2"


@pytest.mark.parametrize("times", [1, 2, 3])
def test_whoever_is_cancelled_leaves_no_socket_open(endpoint: Endpoint, times: int) -> None:
    """At every step of a request, and of the closing after it."""

    async def asked() -> None:
        async with Outbound(endpoint.url("normal"), LOCAL) as outbound, asyncio.TaskGroup() as group:
            for _ in range(4):
                group.create_task(outbound.post("/chat/completions", REQUEST, {}, seconds=20))

    async def cancelled(steps: int) -> bool:
        task = asyncio.create_task(asked())
        for _ in range(steps):
            await asyncio.sleep(0)
            time.sleep(0.001)  # what comes over the sockets has come by the next step
        for _ in range(times):
            task.cancel()
            await asyncio.sleep(0)
        return bool(await asyncio.wait({task})) and task.cancelled()

    gc.collect()
    with warnings.catch_warnings(record=True) as left:
        warnings.simplefilter("always")
        came = [asyncio.run(cancelled(steps)) for steps in range(80)]
        gc.collect()
    assert [str(one.message) for one in left] == []
    assert came[0], "it was cancelled before it began"
    assert not came[-1], "it was cancelled after its end"


def test_nobody_there_is_said_with_the_address() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        kind, words = trouble(f"http://127.0.0.1:{port}/hooks/SECRET")
    assert kind == "unreachable"
    assert f"http://127.0.0.1:{port}:" in words
    assert "SECRET" not in words


def test_a_name_without_an_address_is_unreachable() -> None:
    assert trouble("https://nowhere.invalid/") == (
        "unreachable",
        "cannot connect to https://nowhere.invalid: the name nowhere.invalid has no address",
    )


def test_the_environment_names_no_proxy(endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy", "HTTPS_PROXY"):
        monkeypatch.setitem(os.environ, name, "http://127.0.0.1:1")
    assert post(endpoint.url("normal")).status == 200


def test_a_name_is_resolved_once_and_its_next_meaning_is_not_called(endpoint: Endpoint) -> None:
    """What DNS rebinding does: harmless when it is checked, another address when it is called."""
    meanings = iter([["127.0.0.1"], ["127.0.0.2"]])

    async def resolve(host: str, port: int) -> Sequence[str]:
        assert (host, port) == ("model.example", endpoint.port)
        return next(meanings)

    async def thrice() -> None:
        url = f"http://model.example:{endpoint.port}/normal/rebinding/v1"
        async with Outbound(url, ["model.example"], resolve=resolve) as outbound:
            posts = [outbound.post("/chat/completions", REQUEST, {}, seconds=20) for _ in range(3)]
            assert [reply.status for reply in await asyncio.gather(*posts)] == [200] * 3

    asyncio.run(thrice())
    assert next(meanings) == ["127.0.0.2"]
    hosts = {request["headers"]["host"] for request in endpoint.seen("rebinding")}
    assert hosts == {f"model.example:{endpoint.port}"}


def test_the_second_address_is_called_when_the_first_is_dead(endpoint: Endpoint) -> None:
    async def resolve(host: str, port: int) -> Sequence[str]:
        return ["::1", "127.0.0.1"]

    async def once() -> int:
        async with Outbound(endpoint.url("normal").replace("127.0.0.1", "both"), ["both"], resolve=resolve) as outbound:
            return (await outbound.post("/chat/completions", REQUEST, {}, seconds=20)).status

    assert asyncio.run(once()) == 200


def test_the_certificate_must_be_the_names_and_the_name_is_what_the_server_is_told(tmp_path: Path) -> None:
    certificate, key = _certificate(tmp_path, "model.example")
    trusting = ssl.create_default_context(cafile=str(certificate))

    async def resolve(host: str, port: int) -> Sequence[str]:
        return ["127.0.0.1"]

    async def ask(host: str, tls: ssl.SSLContext | None) -> tuple[int, list[str | None]]:
        async with _tls_server(certificate, key) as (port, told):
            async with Outbound(f"https://{host}:{port}/", [host], resolve=resolve, tls=tls) as outbound:
                reply = await outbound.post("", b"{}", {}, seconds=20)
            return reply.status, told

    assert asyncio.run(ask("model.example", trusting)) == (204, ["model.example"])
    for host, tls in (("other.example", trusting), ("model.example", None)):
        with pytest.raises(Unanswered, match="certificate is not valid for this name"):
            asyncio.run(ask(host, tls))


@asynccontextmanager
async def _tls_server(certificate: Path, key: Path) -> AsyncIterator[tuple[int, list[str | None]]]:
    told: list[str | None] = []
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    context.sni_callback = lambda connection, name, _: told.append(name)

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0, ssl=context) as server:
        yield server.sockets[0].getsockname()[1], told


def _certificate(folder: Path, name: str) -> tuple[Path, Path]:
    certificate, key = folder / "certificate.pem", folder / "key.pem"
    made = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", f"/CN={name}"]
    files = ["-addext", f"subjectAltName=DNS:{name}", "-keyout", str(key), "-out", str(certificate)]
    subprocess.run([*made, *files], check=True, capture_output=True)
    return certificate, key
