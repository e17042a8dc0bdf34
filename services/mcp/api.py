"""The running API, as somebody's key sees it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from time import monotonic
from typing import Any, Final

import httpx

_SECONDS: Final = 30.0
_MOST_BYTES: Final = 8 * 1024 * 1024
_KNOWN_SECONDS: Final = 10.0


class Refused(Exception):  # noqa: N818 -- an answer, not a malfunction
    """The API did not do it; the message is what it says, with the remedy."""


class ApiClient:
    """Asks the API at one URL. Roles and scopes are its: this process decides nothing."""

    def __init__(self, url: str, transport: httpx.AsyncBaseTransport | None = None, seconds: float = _SECONDS) -> None:
        """`transport` takes the place of the network; an answer takes at most `seconds`."""
        shown = httpx.URL(url)
        self._shown: Final = f"{shown.scheme}://{shown.netloc.decode('ascii', 'replace').rpartition('@')[2]}"
        self._seconds: Final = seconds
        self._client: Final = httpx.AsyncClient(
            base_url=url, timeout=seconds, trust_env=False, follow_redirects=False, transport=transport
        )
        self._wants_keys_until = 0.0

    async def ask(
        self,
        method: str,
        path: str,
        authorization: str | None,
        query: Mapping[str, Any] | None = None,
        body: Mapping[str, Any] | None = None,
    ) -> Any:
        """What the API answers, decoded. `authorization` is the header of that name; None sends none.

        Raises:
            Refused: if it cannot be reached, or answers with an error, too late or with too much.
        """
        status, reason, told = await self._answer(method, path, authorization, query, body)
        if 200 <= status < 300:
            return told
        detail = told.get("detail") if isinstance(told, dict) else None
        raise Refused(f"{status}: {detail or reason}")

    async def wants_keys(self) -> bool:
        """Whether it answers nobody without a key. One that has no key yet takes whoever asks from here for admin."""
        if monotonic() >= self._wants_keys_until:
            status, _, _ = await self._answer("GET", "/v1/routes", None, {"limit": 1}, None)
            if status != 401:
                return False
            self._wants_keys_until = monotonic() + _KNOWN_SECONDS
        return True

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def _answer(
        self,
        method: str,
        path: str,
        authorization: str | None,
        query: Mapping[str, Any] | None,
        body: Mapping[str, Any] | None,
    ) -> tuple[int, str, Any]:
        headers = {} if authorization is None else {"authorization": authorization}
        asked = {name: value for name, value in (query or {}).items() if value is not None}
        try:
            async with (
                asyncio.timeout(self._seconds),
                self._client.stream(method, path, params=asked, headers=headers, json=body) as answer,
            ):
                return answer.status_code, answer.reason_phrase, json.loads(await _whole(answer))
        except httpx.InvalidURL:
            raise Refused("what is asked for is too long for an address; ask for less") from None
        except (httpx.HTTPError, TimeoutError, ValueError, RecursionError) as error:
            raise Refused(
                f"no Keelwatch API answers at {self._shown} ({type(error).__name__}): start `keelwatch api` or "
                "`keelwatch up`, or set KEELWATCH_API_URL"
            ) from None


async def _whole(answer: httpx.Response) -> bytes:
    held = bytearray()
    async for piece in answer.aiter_bytes():
        held += piece
        if len(held) > _MOST_BYTES:
            raise Refused(f"the answer has more than {_MOST_BYTES >> 20} MiB; ask for less")
    return bytes(held)
