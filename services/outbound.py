"""Requests to URLs that people configured: only to hosts that may be called, at the very address that was checked.

Against a URL, or a name's answer, that points into the network behind us: what is not listed by the operator is called
by https at a public address alone. Nothing is taken from the environment, no redirect is followed, no compression is
accepted (the limit of size then holds), and every request has an end.
"""

from __future__ import annotations

import asyncio
import re
import socket
import ssl
import time
from collections.abc import Awaitable, Callable, Collection, Coroutine, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from typing import Any, Final, Literal, Self, TypeVar
from urllib.parse import quote

import anyio
import httpx

from services.errors import InputError

MOST_BYTES: Final = 4 * 1024 * 1024
EVENT_STREAM: Final = "text/event-stream"
PORTS: Final = (443, 8443)
RESOLVE_SECONDS: Final = 10.0
CONNECT_SECONDS: Final = 10.0
_NAT64: Final = IPv6Network("64:ff9b::/96")
_METADATA: Final = frozenset({ip_address("168.63.129.16")})  # Azure's, which looks public; others are link-local
_CONTENT_TYPE: Final = re.compile(r"[a-z0-9!#$&^_.+-]{1,60}/[a-z0-9!#$&^_.+-]{1,60}", re.ASCII)
_NUMBER: Final = re.compile(r"(?:.*\.)?(?:\d+|0x[0-9a-f]*)", re.ASCII | re.IGNORECASE)

_T = TypeVar("_T")

Address = IPv4Address | IPv6Address
Resolve = Callable[[str, int], Awaitable[Sequence[str]]]
"""(host, port) -> its addresses, best first. Raises OSError for a name that has none."""
Trouble = Literal["timeout", "unreachable", "oversized", "redirect", "broken"]


class UrlRefused(InputError):  # noqa: N818 -- an answer, not a malfunction
    """A URL that is not called; the message says why and what to do, and never shows the path, which may be secret."""


@dataclass(frozen=True, slots=True)
class HttpReply:
    """A whole answer, whatever its status; the names of `headers` are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def content_type(self) -> str:
        """What it says that the body is, without parameters; empty when it does not say it in the usual form."""
        return _content_type(self.headers.get("content-type", ""))

    @property
    def told(self) -> str:
        """Its status and content type in words: `502 with text/html`."""
        return _told(self.status, self.headers.get("content-type", ""))


class Unanswered(Exception):  # noqa: N818
    """A request without an answer that can be used. `trouble` is its class, the message says it in words.

    `begun` is what was read of the answer: status and headers, without its body. None if it never began.
    """

    def __init__(self, trouble: Trouble, words: str, begun: HttpReply | None = None) -> None:
        super().__init__(words)
        self.trouble = trouble
        self.begun = begun


async def system_resolve(host: str, port: int) -> Sequence[str]:
    """What the machine's resolver says."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(entry[4][0]) for entry in found]


class Outbound:
    """Requests to the host of one URL; its name is resolved once, and every request goes to what was checked then."""

    def __init__(
        self,
        url: str,
        allow_hosts: Collection[str] = (),
        *,
        connections: int = 8,
        resolve: Resolve = system_resolve,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        """`allow_hosts` names hosts that may be private, and called by http and at any port.

        Raises:
            UrlRefused: if the URL may not be called, as far as it tells without being resolved.
        """
        self.url: Final = checked_url(url, allow_hosts)
        self._pinned = _Pinned(self.url, _host(self.url) in _listed(allow_hosts), connections, resolve, tls)
        self._client: Final = httpx.AsyncClient(
            transport=self._pinned,
            trust_env=False,
            follow_redirects=False,
            timeout=httpx.Timeout(None, connect=CONNECT_SECONDS),  # the whole has an end in `post`
            headers={"User-Agent": "keelwatch"},
        )

    async def post(
        self,
        path: str,
        body: bytes,
        headers: Mapping[str, str],
        *,
        seconds: float,
        most: int = MOST_BYTES,
        most_events: int | None = None,
        query: Mapping[str, str] | None = None,
    ) -> HttpReply:
        """What the host answers to a POST to the URL with `path` added, within `seconds` from now.

        Args:
            path: goes before what the URL asks with.
            body: JSON.
            headers: sent beside those of every request.
            seconds: until the last byte, however it drips.
            most: bytes of the answer.
            most_events: bytes of an event stream, which says the same with more of them; None: as many.
            query: parameters by name, behind those of the URL.

        Raises:
            UrlRefused: if the host's address may not be called.
            Unanswered: if there is no whole answer of so many bytes in time, or it is a redirect.
        """
        url = _extended(self.url, path, query or {})
        sent = {"Accept": "application/json", "Accept-Encoding": "identity", "Content-Type": "application/json"}
        begun: HttpReply | None = None

        async def exchanged() -> HttpReply:
            nonlocal begun
            async with self._client.stream("POST", url, content=body, headers={**sent, **headers}) as answer:
                begun = HttpReply(answer.status_code, dict(answer.headers), b"")
                return replace(begun, body=await _whole(answer, begun, most, most_events))

        try:
            async with asyncio.timeout(seconds):
                return await _until_closed(exchanged())
        except TimeoutError:
            raise Unanswered("timeout", _too_slow(begun, seconds), begun) from None
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            raise Unanswered("unreachable", f"cannot connect to {_shown(url)}: {_reason(error)}") from None
        except httpx.HTTPError as error:
            raise Unanswered("broken", _broken(begun, error), begun) from None

    async def addresses(self) -> Sequence[str]:
        """The addresses of the host, for a process that calls it in our place: all of them may be called.

        Raises:
            UrlRefused: if one of them may not be called.
            Unanswered: if the name has none.
        """
        try:
            return await self._pinned.checked()
        except httpx.ConnectError as error:
            raise Unanswered("unreachable", f"cannot connect to {_shown(self.url)}: {_reason(error)}") from None

    async def close(self) -> None:
        """Close the connections."""
        await _until_closed(self._client.aclose())

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()


async def _until_closed(work: Coroutine[Any, Any, _T]) -> _T:
    """What `work` returns; its sockets are closed even if the caller is cancelled.

    httpx closes sockets under shields of anyio, which `Task.cancel`, and asyncio's timeouts with it, break. So `work`
    has a task of its own, which is cancelled by anyio's means and waited for.
    """
    scope = anyio.CancelScope()

    async def inside() -> _T:
        with scope:
            return await work
        raise asyncio.CancelledError

    task = asyncio.create_task(inside())
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.wait({task})
        except asyncio.CancelledError as error:
            cancelled = error
            scope.cancel()
    if cancelled is not None:
        if not task.cancelled():
            task.exception()  # asyncio complains of one that nobody has looked at
        raise cancelled
    return task.result()


def checked_url(url: str, allow_hosts: Collection[str] = ()) -> httpx.URL:
    """The URL, parsed, if it may be called as far as it tells without being resolved.

    Raises:
        Refused: says why not, and the remedy.
    """
    try:
        parsed = httpx.URL(url)
        host = _host(parsed)
    except (httpx.InvalidURL, UnicodeError, ValueError):
        raise UrlRefused("the URL cannot be read; write https://HOST/PATH") from None
    if parsed.scheme not in ("http", "https") or not host:
        raise UrlRefused("the URL is none of http or https; write https://HOST/PATH")
    if parsed.userinfo:
        raise UrlRefused(f"{_shown(parsed)}: must not hold user or password; name an environment variable for the key")
    if _address(host) is None and _NUMBER.fullmatch(host):
        raise UrlRefused(f"{_shown(parsed)}: not the usual form of an address; write it as four decimal numbers")
    if host in _listed(allow_hosts):
        return parsed
    address = _address(host)
    if address is not None and not is_public(address):
        raise UrlRefused(f"{_shown(parsed)}: {_not_public_message(host, host)}")
    remedy = f"or list {host} under allow_hosts"
    if parsed.scheme != "https":
        raise UrlRefused(f"{_shown(parsed)}: only https is called; use https, {remedy}")
    if _port(parsed) not in PORTS:
        raise UrlRefused(f"{_shown(parsed)}: only the ports {PORTS[0]} and {PORTS[1]} are called; use one, {remedy}")
    return parsed


def is_public(address: Address) -> bool:
    """Whether an address, and the one that it is mapped from or tunnels to, is one of the public Internet."""
    inner = _inner(address)
    if inner is not None and not is_public(inner):
        return False
    special = address.is_multicast or address.is_reserved or getattr(address, "is_site_local", False)
    return address in _NAT64 or (address.is_global and not special and address not in _METADATA)


class _Pinned(httpx.AsyncBaseTransport):
    """Connects to the addresses that a host had at the first request, if all of them may be called."""

    def __init__(
        self, url: httpx.URL, listed: bool, connections: int, resolve: Resolve, tls: ssl.SSLContext | None
    ) -> None:
        self._url = url
        self._listed = listed
        self._resolve = resolve
        self._addresses: Sequence[str] = ()
        self._lock = asyncio.Lock()
        limits = httpx.Limits(max_connections=connections, max_keepalive_connections=connections)
        self._inner = httpx.AsyncHTTPTransport(verify=tls or _certificates(), trust_env=False, limits=limits)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send it to the first address that can be reached; certificate and Host stay those of the name."""
        addresses = await self.checked()
        for number, address in enumerate(addresses, 1):
            extensions = {**request.extensions, "sni_hostname": _host(self._url)}
            pinned = httpx.Request(
                request.method,
                request.url.copy_with(host=address),
                headers=request.headers,
                stream=request.stream,
                extensions=extensions,
            )
            try:
                return await self._inner.handle_async_request(pinned)
            except (httpx.ConnectError, httpx.ConnectTimeout):
                if number == len(addresses):
                    raise
        raise AssertionError("a host without addresses was not refused")

    async def aclose(self) -> None:
        await self._inner.aclose()

    async def checked(self) -> Sequence[str]:
        """The addresses, looked up and checked once."""
        async with self._lock:
            self._addresses = self._addresses or await self._looked_up()
        return self._addresses

    async def _looked_up(self) -> Sequence[str]:
        host, port = _host(self._url), _port(self._url)
        try:
            async with asyncio.timeout(RESOLVE_SECONDS):
                found = list(dict.fromkeys(await self._resolve(host, port)))
        except (OSError, UnicodeError):
            found = []
        if not found:
            raise httpx.ConnectError(f"the name {host} has no address")
        for address in found:
            parsed = _address(address)
            if parsed is None or not (is_public(parsed) or (self._listed and _may_be_listed(parsed, host))):
                raise UrlRefused(f"{_shown(self._url)}: {_not_public_message(host, address)}")
        return found


def _not_public_message(host: str, address: str) -> str:
    what = "is" if host == address else f"has the address {address},"
    return f"{what} no address of the public Internet, which is not called; use another, or list it under allow_hosts"


def _may_be_listed(address: Address, host: str) -> bool:
    """Link-local addresses, among them those of cloud metadata, are called only where they are listed themselves."""
    inner = _inner(address) or address
    return _address(host) == address or not (inner.is_link_local or inner in _METADATA)


def _inner(address: Address) -> IPv4Address | None:
    if isinstance(address, IPv4Address):
        return None
    if address in _NAT64:
        return IPv4Address(address.packed[-4:])
    return address.ipv4_mapped or address.sixtofour or (address.teredo[1] if address.teredo else None)


def _address(text: str) -> Address | None:
    try:
        return ip_address(text)
    except ValueError:
        return None


def _host(url: httpx.URL) -> str:
    return url.raw_host.decode("ascii").lower().rstrip(".")


def _port(url: httpx.URL) -> int:
    return (443 if url.scheme == "https" else 80) if url.port is None else url.port


def _listed(allow_hosts: Collection[str]) -> frozenset[str]:
    return frozenset(host.lower().strip("[]").rstrip(".") for host in allow_hosts)


def _shown(url: httpx.URL) -> str:
    """Scheme, host and port: the path of a webhook is a secret."""
    return f"{url.scheme}://{url.netloc.decode('ascii', 'replace')}"


def _reason(error: httpx.TransportError) -> str:
    text = str(error)
    if "CERTIFICATE_VERIFY_FAILED" in text:
        return "its certificate is not valid for this name; let this machine trust who issued it, or correct the URL"
    return text or "no connection"


def _certificates() -> ssl.SSLContext:
    """Public authorities, and those that the machine trusts, read once an hour: it takes 0.1 s of the processor."""
    return _read_certificates(int(time.monotonic() // 3600))


@lru_cache(maxsize=1)
def _read_certificates(_hour: int) -> ssl.SSLContext:
    context = httpx.create_ssl_context(trust_env=False)
    context.load_default_certs()
    return context


def _extended(url: httpx.URL, path: str, query: Mapping[str, str]) -> httpx.URL:
    """The URL with `path` added to its path, and `query` to what it asks with."""
    before, _, asked = url.raw_path.partition(b"?")
    added = "&".join(f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in query.items())
    whole = b"&".join(part for part in (asked, added.encode()) if part)
    bare = before.rstrip(b"/") + path.encode() if path else before
    return url.copy_with(raw_path=bare + (b"?" + whole if whole else b""))


def _content_type(header: str) -> str:
    bare = header.partition(";")[0].strip().lower()
    return bare if _CONTENT_TYPE.fullmatch(bare) else ""


def _told(status: int, header: str) -> str:
    unnamed = "a content type that cannot be read" if header.strip() else "no content type"
    return f"{status} with {_content_type(header) or unnamed}"


def _too_slow(begun: HttpReply | None, seconds: float) -> str:
    if begun is None:
        return f"no answer within {seconds:g} s"
    return f"the endpoint answers {begun.told}, and not to its end within {seconds:g} s"


def _broken(begun: HttpReply | None, error: httpx.HTTPError) -> str:
    broke = f"the connection broke off ({type(error).__name__})"
    return f"the endpoint answers {begun.told}, and {broke} before the end" if begun else broke


async def _whole(answer: httpx.Response, begun: HttpReply, most: int, most_events: int | None) -> bytes:
    told = f"the endpoint answers {begun.told}"
    if answer.is_redirect:
        raise Unanswered("redirect", f"{told}, a redirect, which is not followed; name its end", begun)
    if begun.headers.get("content-encoding", "identity") != "identity":
        raise Unanswered("broken", f"{told}, compressed, which was not asked for", begun)
    if most_events is not None and begun.content_type == EVENT_STREAM:
        most = most_events
    body = bytearray()
    async for chunk in answer.aiter_raw():
        body += chunk
        if len(body) > most:
            raise Unanswered("oversized", f"{told} and more than {most:,} bytes", begun)
    return bytes(body)
