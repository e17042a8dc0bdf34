"""`POST /v1/exchanges` over one connection that stays open, by the standard library alone."""

from __future__ import annotations

import http.client
import json
import ssl
from collections.abc import Mapping, Sequence
from email.utils import parsedate_to_datetime
from time import time
from typing import Any, Final
from urllib.parse import urlsplit

from keelwatch_client.buffer import Fate, PendingExchange
from keelwatch_client.delivery import SendOutcome

PATH: Final = "/v1/exchanges"
TIMEOUT_SECONDS: Final = 15.0
"""Longer than the server waits for its broker."""
LONGEST_RETRY_AFTER: Final = 300.0
_MOST_ANSWER: Final = 4 * 1024 * 1024
_PROBLEM: Final = "application/problem+json"  # a 422 of something else says nothing of an exchange
_FATES: Final[Mapping[str, Fate]] = {
    "accepted": "sent",
    "invalid": "invalid",
    "forbidden": "forbidden",
    "refused": "refused",
    "unavailable": "again",
    "unknown": "again",
}
_WITH_RESULTS: Final = (207, 403, 422, 503)
_WORDS: Final[Mapping[int, str]] = {
    401: "the API key is missing or unknown: set KEELWATCH_API_KEY to one of the role `ingest`",
    403: "the API key may not publish: take one of the role `ingest`",
    408: "the exchanges did not arrive in time: look at the connection",
    415: "something on the way compresses the body: let it through as it is",
    429: "too many at one time",
    503: "Keelwatch cannot take them now",
}


class HttpTransport:
    """Sends batches as one exchange a line. Every exchange has its own id, so that sending it again counts once."""

    def __init__(
        self, url: str, key: str | None, timeout: float = TIMEOUT_SECONDS, context: ssl.SSLContext | None = None
    ) -> None:
        """`url` is the address of Keelwatch's API, `key` an API key of the role `ingest`.

        Raises:
            ValueError: if the address is none, or the key holds what no header can.
        """
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"url: must be the address of Keelwatch's API, such as http://127.0.0.1:8400, not {url!r}")
        if key is not None and not (key.isascii() and key.isprintable() and key.strip() == key):
            raise ValueError("key: must be an API key as `keelwatch key create` prints it, without spaces or line ends")
        try:
            port = parts.port or (443 if parts.scheme == "https" else 80)
        except ValueError:
            raise ValueError(f"url: must have a port from 1 to 65535, or none, not {url!r}") from None
        # With a port of its own an address of IPv6 is not taken for a host and a port.
        self._host, self._port, self._timeout = parts.hostname, port, timeout
        self._context = (context or ssl.create_default_context()) if parts.scheme == "https" else None
        self._path = parts.path.rstrip("/") + PATH
        self._headers = {"Content-Type": "application/x-ndjson", "User-Agent": "keelwatch-client-python"}
        if key is not None:
            self._headers["Authorization"] = f"Bearer {key}"
        self._connection: http.client.HTTPConnection | None = None

    def send(self, batch: Sequence[PendingExchange]) -> SendOutcome:
        """What the server says of each. What is too much in one request is sent in halves."""
        try:
            status, headers, raw = self._post(b"\n".join(one.body for one in batch))
        except (OSError, http.client.HTTPException) as error:
            self.close()
            return SendOutcome(["again"] * len(batch), why=f"no answer ({type(error).__name__})")
        if status == 202:
            return SendOutcome(["sent"] * len(batch))
        if status in _WITH_RESULTS and (fates := _fates(raw, len(batch))) is not None:
            after = _retry_after(headers) if "again" in fates else None
            return SendOutcome(fates, after, None if "again" not in fates else f"answer {status}")
        if status == 413 or (status == 422 and headers.get("content-type", "").startswith(_PROBLEM)):
            return self._halves(batch, "too_large" if status == 413 else "invalid")
        why = f"answer {status}: {_WORDS.get(status, 'not one of Keelwatch: look at the address')}"
        return SendOutcome(["again"] * len(batch), _retry_after(headers), why, too_many=status == 429)

    def _halves(self, batch: Sequence[PendingExchange], alone: Fate) -> SendOutcome:
        """Each half of a batch by itself; `alone` is the fate of a single one."""
        if len(batch) == 1:
            return SendOutcome([alone])
        middle = len(batch) // 2
        first = self.send(batch[:middle])
        if "again" in first.fates:
            rest: list[Fate] = ["again"] * (len(batch) - middle)
            return SendOutcome(first.fates + rest, first.retry_after, first.why)
        second = self.send(batch[middle:])
        return SendOutcome(first.fates + second.fates, second.retry_after, second.why)

    def _post(self, body: bytes) -> tuple[int, Mapping[str, str], bytes]:
        """One request; a connection that the server closed while it was idle is opened anew."""
        reused = self._connection is not None
        try:
            return self._request(body)
        except (ConnectionError, http.client.RemoteDisconnected):
            self.close()
            if not reused:
                raise
            return self._request(body)

    def _request(self, body: bytes) -> tuple[int, Mapping[str, str], bytes]:
        if self._connection is None:
            self._connection = self._open()
        self._connection.request("POST", self._path, body, self._headers)
        answer = self._connection.getresponse()
        raw = answer.read(_MOST_ANSWER)
        if answer.will_close or not answer.isclosed():
            self.close()
        return answer.status, {name.lower(): value for name, value in answer.headers.items()}, raw

    def _open(self) -> http.client.HTTPConnection:
        if self._context is not None:
            return http.client.HTTPSConnection(self._host, self._port, timeout=self._timeout, context=self._context)
        return http.client.HTTPConnection(self._host, self._port, timeout=self._timeout)

    def close(self) -> None:
        """Close the connection; the next request opens another."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def _fates(raw: bytes, count: int) -> list[Fate] | None:
    """The fate of each by the results of an answer; None if it has none."""
    try:
        results: Any = json.loads(raw)["results"]
        found = [_FATES[one["status"]] for one in sorted(results, key=lambda one: one["index"])]
    except (ValueError, KeyError, TypeError):
        return None
    return found if len(found) == count else None


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds the server asks to wait, given as such or as a date."""
    told = headers.get("retry-after", "").strip()
    try:
        seconds = float(told) if told.isdigit() else parsedate_to_datetime(told).timestamp() - time()
    except (ValueError, TypeError, OverflowError):
        return None
    return min(max(seconds, 0.0), LONGEST_RETRY_AFTER)
