"""The running API, as somebody's key sees it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import httpx

_SECONDS: Final = 30.0


class Refused(Exception):  # noqa: N818 -- an answer, not a malfunction
    """The API did not do it; the message is what it says, with the remedy."""


class ApiClient:
    """Asks the API at one URL. Roles and scopes are its: this process decides nothing."""

    def __init__(self, url: str, transport: httpx.AsyncBaseTransport | None = None) -> None:
        """`transport` takes the place of the network."""
        self._url: Final = url
        self._client: Final = httpx.AsyncClient(
            base_url=url, timeout=_SECONDS, trust_env=False, follow_redirects=False, transport=transport
        )

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
            Refused: if it cannot be reached, or answers with an error.
        """
        headers = {} if authorization is None else {"authorization": authorization}
        asked = {name: value for name, value in (query or {}).items() if value is not None}
        try:
            answer = await self._client.request(method, path, params=asked, headers=headers, json=body)
            told = answer.json()
        except (httpx.HTTPError, ValueError) as error:
            raise Refused(
                f"no Keelwatch API answers at {self._url} ({type(error).__name__}): start `keelwatch api` or "
                "`keelwatch up`, or set KEELWATCH_API_URL"
            ) from None
        if answer.is_success:
            return told
        detail = told.get("detail") if isinstance(told, dict) else None
        raise Refused(f"{answer.status_code}: {detail or answer.reason_phrase}")

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()
