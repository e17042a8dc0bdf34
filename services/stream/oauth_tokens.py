"""OAuthTokens of SASL OAUTHBEARER: from a file that somebody else keeps fresh, or from a token endpoint.

One source serves all clients of a process, on whatever thread their loops run: a token is asked for once and used by
all until four fifths of its life are over (RFC 6749, section 4.4; RFC 7628).
"""

from __future__ import annotations

import asyncio
import base64
import json
import re
import ssl
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock, Thread
from typing import Any, Final, Protocol
from urllib.parse import quote_plus, urlencode, urlsplit

from aiokafka import conn
from aiokafka.abc import AbstractTokenProvider
from aiokafka.errors import KafkaError, SaslAuthenticationFailed

from services.errors import InputError
from services.outbound import HttpReply, Outbound, Unanswered

MOST_BYTES: Final = 64 * 1024
ASK_SECONDS: Final = 8.0
UNKNOWN_LIFE: Final = 60.0
"""Seconds that a token is used whose life nobody told."""
FAILED_SECONDS: Final = 5.0
"""Seconds for which an endpoint that gave no token is not asked again."""
_USED_SHARE: Final = 0.8
_ASKING: Final = ThreadPoolExecutor(max_workers=1, thread_name_prefix="oauth")
"""Its own: an endpoint that is silent must not keep the threads of all other work."""
_TOKEN: Final = re.compile(r"[A-Za-z0-9._~+/=-]+")


class NoTokenError(KafkaError):  # type: ignore[misc]
    """There is no token to show; the text names the setting and the remedy, and holds no secret.

    An error of Kafka's clients, who then try another broker, or again.
    """


class TokenSource(Protocol):
    """Where tokens come from."""

    def current(self) -> str:
        """A token that is good now; it may wait for an answer.

        Raises:
            NoTokenError: if there is none.
        """
        ...


@dataclass(frozen=True, slots=True)
class TokenFile:
    """The token that a file holds now."""

    path: Path

    def current(self) -> str:
        """What the file holds, without space around it."""
        named = f"KEELWATCH_KAFKA_TOKEN_FILE={self.path}"
        try:
            with self.path.open("rb") as file:
                text = file.read(MOST_BYTES + 1).decode("utf-8", "replace").strip()
        except OSError as error:
            raise NoTokenError(f"{named}: cannot be read ({error.strerror}); let this user read it") from None
        if len(text) > MOST_BYTES or not _TOKEN.fullmatch(text):
            raise NoTokenError(f"{named}: holds no token; write the token alone into it")
        return text


@dataclass(frozen=True, slots=True)
class TokenEndpoint:
    """Whom to ask for a token, as which client. The secret does not show."""

    url: str
    client: str
    secret: str = field(repr=False)
    scope: str = ""
    ca_file: Path | None = None


@dataclass(frozen=True, slots=True)
class _Kept:
    """A token, and until when it is used as it is, and used at all."""

    token: str = field(repr=False)
    fresh_until: float
    good_until: float


class EndpointTokens:
    """OAuthTokens by the grant of client credentials; one is kept as long as it is good."""

    def __init__(self, endpoint: TokenEndpoint, clock: Callable[[], float] = time.monotonic) -> None:
        """Nothing is asked yet. `clock` counts seconds."""
        self._endpoint = endpoint
        self._clock = clock
        self._asking, self._beginning = Lock(), Lock()
        self._kept = _Kept("", float("-inf"), float("-inf"))
        self._failure, self._failed_until = "", float("-inf")
        self._renewal: Thread | None = None

    def current(self) -> str:
        """The kept token, or a new one. While the kept one is good nobody waits: a new one is asked for beside.

        A failure is told again for some seconds before the endpoint is asked again: whoever waited for it does not
        wait for another.
        """
        kept, now = self._kept, self._clock()
        if now < kept.good_until:
            if now >= max(kept.fresh_until, self._failed_until):
                self._begin_renewal()
            return kept.token
        with self._asking:
            if self._clock() >= self._kept.good_until:
                self._renew()
            return self._kept.token

    def _begin_renewal(self) -> None:
        with self._beginning:
            if self._renewal is None or not self._renewal.is_alive():
                self._renewal = Thread(target=self._renew_beside, name="oauth-renewal", daemon=True)
                self._renewal.start()

    def _renew_beside(self) -> None:
        with self._asking, suppress(NoTokenError):
            if self._clock() >= self._kept.fresh_until:
                self._renew()

    def _renew(self) -> None:
        now = self._clock()
        if now < self._failed_until:
            raise NoTokenError(self._failure)
        try:
            token, life = _granted(self._endpoint, asyncio.run(_ask(self._endpoint)))
        except NoTokenError as error:
            self._failure, self._failed_until = str(error.args[0]), self._clock() + FAILED_SECONDS
            raise
        self._kept = _Kept(token, now + _USED_SHARE * life, now + life)


@dataclass(frozen=True, slots=True)
class OAuthTokens(AbstractTokenProvider):  # type: ignore[misc]
    """What aiokafka and faust ask at each connection.

    Attributes:
        told: what the broker is told beside the token, by name.
    """

    source: TokenSource
    told: Mapping[str, str] = field(default_factory=dict)

    async def token(self) -> str:
        """A token that is good now; the loop goes on while it is waited for."""
        return await asyncio.get_running_loop().run_in_executor(_ASKING, self.source.current)

    def extensions(self) -> Mapping[str, str]:
        """What the broker is told beside it."""
        return self.told


class _HeardAuthenticator(conn.OAuthAuthenticator):  # type: ignore[misc]
    """Hears what the broker says of a token. aiokafka takes any answer for yes, and fails at a later question."""

    async def step(self, payload: bytes | None) -> tuple[bytes, bool] | None:
        if payload:
            status = _object(payload).get("status", "no reason given")
            raise SaslAuthenticationFailed(f"the broker refuses the token: {status}")
        answer: tuple[bytes, bool] | None = await super().step(payload)
        return answer


conn.OAuthAuthenticator = _HeardAuthenticator


async def _ask(endpoint: TokenEndpoint) -> HttpReply:
    """The answer of the endpoint, which the operator named: it may be private."""
    asked = {"grant_type": "client_credentials"} | ({"scope": endpoint.scope} if endpoint.scope else {})
    proof = f"{quote_plus(endpoint.client)}:{quote_plus(endpoint.secret)}".encode()
    headers = {
        "Content-Type": "application/x-www-form-urlencoded",
        "Authorization": f"Basic {base64.b64encode(proof).decode()}",
    }
    try:
        host = urlsplit(endpoint.url).hostname or ""
        async with Outbound(endpoint.url, [host], connections=1, tls=_trusted(endpoint.ca_file)) as outbound:
            body = urlencode(asked).encode()
            return await outbound.post("", body, headers, seconds=ASK_SECONDS, most=MOST_BYTES)
    except (Unanswered, InputError) as error:
        raise NoTokenError(f"KEELWATCH_KAFKA_TOKEN_URL: {error}") from None


def _trusted(ca_file: Path | None) -> ssl.SSLContext | None:
    try:
        return None if ca_file is None else ssl.create_default_context(cafile=ca_file)
    except OSError as error:
        why = error.strerror or "holds no certificate"
        raise NoTokenError(
            f"KEELWATCH_KAFKA_TOKEN_CA_FILE={ca_file}: {why}; name a PEM file of the token endpoint's authority"
        ) from None


def _granted(endpoint: TokenEndpoint, reply: HttpReply) -> tuple[str, float]:
    """The token and its life in seconds."""
    told = _object(reply.body)
    token, life = told.get("access_token"), told.get("expires_in", UNKNOWN_LIFE)
    if reply.status != 200 or not (isinstance(token, str) and _TOKEN.fullmatch(token)):
        raise NoTokenError(f"KEELWATCH_KAFKA_TOKEN_URL: {_refusal(endpoint, reply, told)}")
    try:
        seconds = float(life)
    except (TypeError, ValueError):
        seconds = UNKNOWN_LIFE
    return token, seconds if 0 < seconds < float("inf") else UNKNOWN_LIFE


def _refusal(endpoint: TokenEndpoint, reply: HttpReply, told: Mapping[str, Any]) -> str:
    """Why there is no token, by the codes of RFC 6749; what else the endpoint says may repeat what it was sent."""
    code = told.get("error")
    if reply.status == 401 or code in ("invalid_client", "unauthorized_client"):
        return (
            f"the token endpoint refuses client {endpoint.client}; correct KEELWATCH_KAFKA_TOKEN_CLIENT_ID and "
            "KEELWATCH_KAFKA_TOKEN_CLIENT_SECRET, and allow it the grant client_credentials"
        )
    if code == "invalid_scope":
        return "the token endpoint does not know the scope; correct KEELWATCH_KAFKA_TOKEN_SCOPE"
    if reply.status == 200:
        return "the token endpoint answers without a token; correct the URL"
    return f"the token endpoint answers {reply.told}; correct the URL, or look into its log"


def _object(body: bytes) -> Mapping[str, Any]:
    try:
        told = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return told if isinstance(told, dict) else {}
