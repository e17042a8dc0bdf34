"""Tokens: when a new one is asked for, and what is said where there is none."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from services.stream.oauth_tokens import (
    FAILED_SECONDS,
    EndpointTokens,
    NoTokenError,
    OAuthTokens,
    TokenEndpoint,
    TokenFile,
)
from tests.support.authorities import CLIENT, SECRET, Issuer
from tests.support.brokers import unused_ports


@pytest.fixture(scope="module")
def issuer() -> Issuer:
    return Issuer()


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def endpoint(url: str, secret: str = SECRET, scope: str = "") -> TokenEndpoint:
    return TokenEndpoint(url, CLIENT, secret, scope)


def test_a_token_is_asked_for_once_and_anew_after_four_fifths_of_its_life(issuer: Issuer) -> None:
    clock = Clock()
    with issuer.endpoint(life=100) as url:
        tokens = EndpointTokens(endpoint(url, scope="kafka"), clock)
        before = issuer.asked
        first = tokens.current()
        clock.now = 79.0
        assert tokens.current() == first
        assert issuer.asked == before + 1
        clock.now = 81.0
        assert tokens.current() == first
        renewed(tokens)
        assert issuer.asked == before + 2
        tokens.current()
        assert issuer.asked == before + 2


def renewed(tokens: EndpointTokens) -> None:
    """Wait for what is asked for beside."""
    assert tokens._renewal is not None
    tokens._renewal.join()


def test_a_silent_endpoint_is_asked_once_and_keeps_no_thread_of_other_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.stream.oauth_tokens.ASK_SECONDS", 1.0)
    connections: list[asyncio.StreamWriter] = []

    async def many() -> None:
        came = asyncio.Event()

        async def silent(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            connections.append(writer)
            came.set()

        server = await asyncio.start_server(silent, "127.0.0.1", 0)
        source = OAuthTokens(EndpointTokens(endpoint(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/token")))
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(max_workers=1))
        asked = [asyncio.create_task(source.token()) for _ in range(7)]
        await came.wait()
        await asyncio.to_thread(int)
        assert not any(one.done() for one in asked)
        told = await asyncio.gather(*asked, return_exceptions=True)
        assert {type(one) for one in told} == {NoTokenError}
        assert len({str(one) for one in told}) == len(connections) == 1
        for one in connections:
            one.close()
        server.close()

    asyncio.run(many())


def test_a_failure_is_told_for_some_seconds_and_then_the_endpoint_is_asked_again(issuer: Issuer) -> None:
    clock = Clock()
    with issuer.endpoint(answer=(500, {})) as url:
        tokens = EndpointTokens(endpoint(url), clock)
        before = issuer.asked
        for now in (0.0, FAILED_SECONDS - 0.1):
            clock.now = now
            with pytest.raises(NoTokenError, match="answers 500"):
                tokens.current()
        assert issuer.asked == before + 1
        clock.now = FAILED_SECONDS
        with pytest.raises(NoTokenError, match="answers 500"):
            tokens.current()
        assert issuer.asked == before + 2


def test_clients_of_one_process_ask_once(issuer: Issuer) -> None:
    with issuer.endpoint() as url:
        tokens = OAuthTokens(EndpointTokens(endpoint(url)))

        async def many() -> set[str]:
            return set(await asyncio.gather(*(tokens.token() for _ in range(5))))

        before = issuer.asked
        assert len(asyncio.run(many())) == 1
        assert issuer.asked == before + 1


def test_while_nobody_gives_a_new_one_the_old_one_is_used_to_its_end(issuer: Issuer) -> None:
    clock = Clock()
    with issuer.endpoint(life=100) as url:
        tokens = EndpointTokens(endpoint(url), clock)
        first = tokens.current()
    clock.now = 99.0
    assert tokens.current() == first
    renewed(tokens)
    clock.now = 101.0
    with pytest.raises(NoTokenError, match="KEELWATCH_KAFKA_TOKEN_URL: cannot connect"):
        tokens.current()


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ((401, {"error": "invalid_client"}), "KEELWATCH_KAFKA_TOKEN_CLIENT_SECRET"),
        ((400, {"error": "unauthorized_client"}), "grant client_credentials"),
        ((400, {"error": "invalid_scope"}), "KEELWATCH_KAFKA_TOKEN_SCOPE"),
        ((404, {"detail": SECRET}), "answers 404 with application/json; correct the URL"),
        ((200, {"token": "x"}), "answers without a token"),
        ((200, {"access_token": "two words"}), "answers without a token"),
        ((200, {"access_token": "a\r\nb"}), "answers without a token"),
        ((200, []), "answers without a token"),
        ((302, {}), "answers 302"),
        ((500, {}), "answers 500"),
    ],
)
def test_a_refusal_names_the_setting_and_no_secret(
    issuer: Issuer, answer: tuple[int, Mapping[str, Any]], said: str
) -> None:
    with issuer.endpoint(answer=answer) as url, pytest.raises(NoTokenError) as caught:
        EndpointTokens(endpoint(url)).current()
    assert said in str(caught.value)
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize("life", ["soon", None, -1, 0])
def test_a_life_that_nobody_can_count_with_is_short(issuer: Issuer, life: object) -> None:
    clock = Clock()
    with issuer.endpoint(answer=(200, {"access_token": "abc", "expires_in": life})) as url:
        tokens = EndpointTokens(endpoint(url), clock)
        before = issuer.asked
        assert tokens.current() == tokens.current() == "abc"
        clock.now = 61.0
        tokens.current()
        assert issuer.asked == before + 2


def test_an_endpoint_that_is_not_there_or_not_trusted(tmp_path: Path) -> None:
    (port,) = unused_ports(1)
    with pytest.raises(NoTokenError, match="cannot connect"):
        EndpointTokens(endpoint(f"http://127.0.0.1:{port}/token")).current()
    gone = TokenEndpoint("https://127.0.0.1/token", CLIENT, SECRET, ca_file=tmp_path / "absent.pem")
    with pytest.raises(NoTokenError, match="KEELWATCH_KAFKA_TOKEN_CA_FILE"):
        EndpointTokens(gone).current()


def test_a_file_is_read_at_every_connection(tmp_path: Path) -> None:
    file = tmp_path / "token"
    source = TokenFile(file)
    with pytest.raises(NoTokenError, match=r"KEELWATCH_KAFKA_TOKEN_FILE=.*cannot be read"):
        source.current()
    for bad in ("", "two words", "a\x01b", "x" * 70_000):
        file.write_text(bad)
        with pytest.raises(NoTokenError, match="holds no token"):
            source.current()
    for token in ("first.token.a=", "second"):
        file.write_text(f"{token}\n")
        assert source.current() == token


def test_secrets_do_not_show() -> None:
    assert SECRET not in repr(endpoint("https://issuer.example/token"))
