"""Who asks, by the key or the session that comes with a request; while no key exists everybody on this machine.

Keys and sessions are read once a second, however many ask. Of wrong ones a client has a few at once, and is then
slowed down; whoever is right is never slowed down.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable, Collection
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from math import ceil
from typing import Final
from urllib.parse import urlsplit

from fastapi import Request

from services.api.auth.api_key import digest, key_state, may, parse_key, proves, role_of
from services.api.auth.authorization import LOCAL, LOOPBACK, Principal
from services.api.http.problems import LOG, Problem, call_store
from services.store import api_keys
from services.store.api_keys import USED_EVERY, ApiCredentials, ApiKey, BrowserSession
from services.store.engine import Database, is_unavailable

BURST: Final = 10
EVERY_SECONDS: Final = 2.0
MOST_CLIENTS: Final = 4_096


class Throttle:
    """Lets each client fail `BURST` times at once, and then once every `EVERY_SECONDS`."""

    def __init__(self) -> None:
        self._until: OrderedDict[str, float] = OrderedDict()

    def waits(self, client: str, now: float) -> bool:
        """Whether the client has failed so often that its next failure is slowed down."""
        return self._until.get(client, now) - now > (BURST - 1) * EVERY_SECONDS

    def failed(self, client: str, now: float) -> float:
        """Count one failure at `now`, in seconds; how many seconds the client should wait, 0 while it need not."""
        before = max(self._until.pop(client, now), now)
        wait = before - now - (BURST - 1) * EVERY_SECONDS
        self._until[client] = before if wait > 0 else before + EVERY_SECONDS
        while len(self._until) > MOST_CLIENTS:
            self._until.popitem(last=False)
        return max(wait, 0.0)


FRESH_SECONDS: Final = 1.0
"""How long a key that was revoked may still be used, and a first key may still be overlooked."""
STALE_SECONDS: Final = 300.0
"""How long what was last seen counts while the database is away: exchanges still arrive, nobody new is let in."""
_SHORT_SECONDS: Final = 0.25
_LONG_SECONDS: Final = 10.0


class KeyCache:
    """Reads all keys and sessions, one look at a time, in a thread of its own."""

    def __init__(
        self, database: Database, clock: Callable[[], datetime], tick: Callable[[], float] = time.monotonic
    ) -> None:
        """`clock` tells the time, `tick` how old a look is."""
        self._database, self._clock, self._tick = database, clock, tick
        # Its own: pages that wait for a database that hangs must not keep exchanges from being let in.
        self._thread = ThreadPoolExecutor(1, "keys")
        self._seen: tuple[float, ApiCredentials] | None = None
        self._looking: Future[Exception | None] | None = None

    async def get(self, again: bool = False) -> ApiCredentials:
        """What there was within the last second, or with `again`, for who was not found in that, at this moment.

        Raises:
            Problem: 503 if the database does not answer, and what was last seen is too old.
        """
        wanted = self._tick() - (0.0 if again else FRESH_SECONDS)
        while self._seen is None or self._seen[0] < wanted:
            if not await self._looked():
                break
        if self._seen is None or self._tick() - self._seen[0] > STALE_SECONDS:
            raise Problem.later("the database does not answer, so that nobody can be let in; try again")
        return self._seen[1]

    async def _looked(self) -> bool:
        """Whether a look came to its end in time; one that is under way is waited for by all who want it."""
        if self._looking is None or self._looking.done():
            self._looking = self._thread.submit(self._look)
        patience = _LONG_SECONDS if self._seen is None else _SHORT_SECONDS
        looked = asyncio.wrap_future(self._looking)
        await asyncio.wait({looked}, timeout=patience)
        if not looked.done():
            return False
        error = looked.result()
        if error is not None and not is_unavailable(error):
            raise error
        return error is None

    def _look(self) -> Exception | None:
        begin = self._tick()
        try:
            with self._database.read() as connection:
                self._seen = (begin, api_keys.credentials(connection, self._clock()))
        except Exception as error:
            LOG.warning("the keys cannot be read: %s", type(error).__name__)
            return error
        return None


SESSION_COOKIE: Final = "keelwatch_session"
SESSION_LENGTH: Final = timedelta(hours=12)
_REALM: Final = 'Bearer realm="keelwatch"'
_KEY_NEEDED: Final = "an API key is needed: send it as `Authorization: Bearer kw_...` (commands: KEELWATCH_API_KEY)"
_WRONG_KEY: Final = "this is no key of this deployment; `keelwatch key create` makes one"


class Authenticator:
    """Tells who asks, and signs browsers in and out.

    Args:
        database: where keys and sessions are.
        names: names of this machine. While no key exists, everybody who asks for one of them is `LOCAL`; another name
            is a page elsewhere whose name was pointed to this machine. Without names nobody is.
    """

    def __init__(
        self, database: Database, names: Collection[str] = LOOPBACK, clock: Callable[[], datetime] | None = None
    ) -> None:
        self._database, self._names = database, names
        self._clock = clock or (lambda: datetime.now(UTC))
        self._rings = KeyCache(database, self._clock)
        self._wrong, self._dead = Throttle(), Throttle()  # keys, cookies
        self._noted: dict[str, datetime] = {}
        self._writes: set[asyncio.Task[None]] = set()

    async def caller(self, request: Request) -> Principal:
        """Who asks. Nothing but headers is looked at.

        Raises:
            Problem: 401 if a key is needed and none is right, 429 after too many wrong ones, 421 for a name that is
                none of this machine, 503 if the database does not answer.
        """
        ring = await self._rings.get()
        kind, _, sent = request.headers.get("authorization", "").partition(" ")
        is_keyed = kind.lower() == "bearer"
        if not ring.keys and is_keyed:
            ring = await self._rings.get(again=True)  # whoever sends the first key has just made it
        if not ring.keys:
            return self._local(request)
        if is_keyed:
            return self._admitted(await self._key(sent.strip(), client_of(request)))
        found = await self._signed_in(ring, request.cookies.get(SESSION_COOKIE, ""), client_of(request))
        if found is None:
            raise Problem(401, _KEY_NEEDED, headers={"www-authenticate": _REALM})
        return self._admitted(found, signed_in=True)

    async def is_locked(self) -> bool:
        """Whether a key is needed: one exists, or nobody is let in without."""
        return bool((await self._rings.get()).keys) or not self._names

    async def sign_in(self, sent: str, client: str) -> tuple[str, datetime]:
        """What a browser's cookie is to hold, and until when, for a key. It ends with the key.

        Raises:
            Problem: as `caller`, and 403 if the key reads nothing.
        """
        key = await self._key(sent, client)
        if not may(role_of(key.role), "viewer"):
            raise Problem(403, f"the key {key.name} sends exchanges and sees no page; take one of another role")
        token, now = secrets.token_urlsafe(32), self._clock()
        until = min(now + SESSION_LENGTH, key.expires or now + SESSION_LENGTH)
        session = BrowserSession(digest(token), key.id, until)
        await call_store(lambda: self._database.transact(lambda to: api_keys.sign_in(to, session, now)))
        return token, until

    async def sign_out(self, token: str) -> None:
        """End a session; nobody can go on with it, also not with a copy of the cookie."""
        await call_store(lambda: self._database.transact(lambda to: api_keys.sign_out(to, digest(token))))

    def _local(self, request: Request) -> Principal:
        if not self._names:
            raise Problem(401, "there is no API key yet: `keelwatch key create`", headers={"www-authenticate": _REALM})
        if _host_name(request.headers.get("host", "")) not in self._names:
            raise Problem(421, f"ask for it by one of these names: {', '.join(sorted(self._names))}")
        return LOCAL

    async def _key(self, sent: str, client: str) -> ApiKey:
        """The key that was sent. It may be younger than the last look, unless the client often sent a wrong one."""
        found = _proven(await self._rings.get(), sent)
        if found is None and not self._wrong.waits(client, time.monotonic()):
            found = _proven(await self._rings.get(again=True), sent)
        if found is None:
            raise self._refusal(_WRONG_KEY, client)
        worth = key_state(found.expires, found.revoked, self._clock())
        if worth != "active":
            raise self._refusal(f"the key {found.name} is {worth}; `keelwatch key create` makes another one", client)
        return found

    def _refusal(self, why: str, client: str) -> Problem:
        wait = self._wrong.failed(client, time.monotonic())
        if wait > 0:
            return Problem.later("too many wrong keys; send the right one, or wait", 429, ceil(wait))
        LOG.warning("a key was refused: %s", why)
        return Problem(401, why, headers={"www-authenticate": f'{_REALM}, error="invalid_token"'})

    async def _signed_in(self, ring: ApiCredentials, token: str, client: str) -> ApiKey | None:
        """The key of a browser's session. Another replica may have begun it a moment ago."""
        if not token:
            return None
        id, now = digest(token), time.monotonic()
        if id not in ring.sessions and not self._dead.waits(client, now):
            ring = await self._rings.get(again=True)
        session = ring.sessions.get(id)
        if session is None or session.expires <= self._clock():
            self._dead.failed(client, now)
            return None
        key = ring.keys[session.key]
        return key if key_state(key.expires, key.revoked, self._clock()) == "active" else None

    def _admitted(self, key: ApiKey, signed_in: bool = False) -> Principal:
        self._note(key)
        return Principal(key.name, role_of(key.role), key.routes, signed_in)

    def _note(self, key: ApiKey) -> None:
        """Note when the key was used, at most once a minute, and without letting anybody wait for that."""
        now = self._clock()
        last = self._noted.get(key.id) or key.used
        if last is None or now - last >= USED_EVERY:
            self._noted[key.id] = now
            write = asyncio.create_task(self._write_used(key.id, now))
            self._writes.add(write)
            write.add_done_callback(self._writes.discard)

    async def _write_used(self, id: str, now: datetime) -> None:
        try:
            await call_store(lambda: self._database.transact(lambda to: api_keys.note_used(to, id, now)))
        except Exception as error:
            LOG.warning("the use of key %s was not noted: %s", id, type(error).__name__)


def client_of(request: Request) -> str:
    """The address that a request came from."""
    return request.client.host if request.client is not None else ""


def _proven(ring: ApiCredentials, sent: str) -> ApiKey | None:
    """The key whose secret was sent. What is no key, and what nobody has, take the same work as a wrong secret."""
    secret = parse_key(sent)
    found = None if secret is None else ring.keys.get(secret.id)
    right = proves(sent if secret is None else secret.secret, None if found is None else found.secret_sha256)
    return found if right else None


def _host_name(host: str) -> str | None:
    try:
        return urlsplit(f"//{host}").hostname
    except ValueError:
        return None
