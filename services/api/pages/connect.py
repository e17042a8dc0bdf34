"""Before the first exchange: how each source sends one, which routes wait, and what came that could not be read."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Final

from fastapi import APIRouter, Request
from fastapi.responses import Response
from pydantic import TypeAdapter, ValidationError
from sqlalchemy import Connection

from schemas.exchange import Route
from services.api.auth.authorization import Principal, needs, who
from services.api.http.problems import query_store
from services.api.pages.render import PageContext, page
from services.monitor import Monitor
from services.monitor.known_routes import named_routes, waiting_names
from services.store import dead_letters, routes
from services.wording import numbers
from services.wording import onboarding as words
from services.wording.sources import EXAMPLE_ROUTE, UNKNOWN_BROKER, SourceAddresses, SourceSnippet, snippets

_MOST_ROUTES: Final = 40
_MOST_REASONS: Final = 3
_READ_BY: Final = "score"
_RECENT: Final = timedelta(days=1)
_WILD: Final = frozenset("*?[")
_TRIAL: Final = "try"
_ROUTE: Final[TypeAdapter[str]] = TypeAdapter(Route)


@dataclass(frozen=True, slots=True)
class WaitingRoutes:
    """Routes of the monitor file that had no exchange: `names`, the `patterns` that fit none, how many are left out."""

    names: tuple[str, ...] = ()
    patterns: tuple[str, ...] = ()
    more: int = 0

    def __bool__(self) -> bool:
        """Whether any waits."""
        return bool(self.names or self.patterns)

    @property
    def heading(self) -> str:
        """How many wait."""
        return words.waiting_routes(len(self.names) + self.more) if self.names else words.NO_EXCHANGE_YET


@dataclass(frozen=True, slots=True)
class ConnectView:
    """How exchanges are sent. `key` is what a source needs first, `refused` what came and could not be read."""

    snippets: tuple[SourceSnippet, ...]
    key: str
    broker: str
    waiting: WaitingRoutes
    refused: tuple[str, ...]


def waiting_routes(watched: Monitor, seen: Collection[str], sees: Callable[[str], bool]) -> WaitingRoutes:
    """The routes that the file names, and whoever asks sees, of which nothing came yet."""
    named, names = named_routes(watched), waiting_names(watched, seen, sees)
    empty = [one for one in watched.routes if one not in named and sees(one)]
    if empty:
        held = {id(watched.policy(route)) for route in seen}
        empty = [one for one in empty if id(watched.routes[one]) not in held]
    return WaitingRoutes(names[:_MOST_ROUTES], tuple(sorted(empty)[:_MOST_ROUTES]), len(names[_MOST_ROUTES:]))


def waiting_for(parts: PageContext, caller: Principal, connection: Connection) -> WaitingRoutes:
    """The same, of what is stored."""
    seen = routes.names(connection) if parts.watched.routes else ()
    return waiting_routes(parts.watched, seen, caller.sees)


def example_route(watched: Monitor, waiting: WaitingRoutes, seen: Collection[str], caller: Principal) -> str:
    """The route that what is copied sends to: one that this deployment takes and this key may use.

    The first that waits; else one of its own for trying out, so that what is invented gets into nobody's baseline; one
    that has traffic only where the monitor file and the key leave nothing else.
    """
    used = sorted(one for one in seen if caller.sees(one) and _is_route(one))
    trials = (f"{one}/{_TRIAL}" for one in used[:_MOST_ROUTES])
    globs = (*waiting.patterns, *sorted(watched.routes), *caller.routes)
    filled = (one.replace("*", _TRIAL).replace("?", "x") for one in globs if not _WILD.isdisjoint(one))
    new = (*waiting.names, *trials, EXAMPLE_ROUTE, *filled)
    ours = (one for one in new if one.endswith(f"/{_TRIAL}") or one not in seen)
    taken = (one for one in (*ours, *used) if _is_route(one) and caller.sees(one) and _takes(watched, one))
    return next(taken, EXAMPLE_ROUTE)


def _takes(watched: Monitor, route: str) -> bool:
    return watched.unlisted_routes != "refuse" or watched.lists(route)


def _is_route(text: str) -> bool:
    try:
        _ROUTE.validate_python(text)
    except ValidationError:
        return False
    return True


def connect_view(parts: PageContext, request: Request, connection: Connection) -> ConnectView:
    """What the page shows to whoever asks."""
    caller = who(request)
    seen, now = routes.names(connection), parts.decisions.clock()
    waiting = waiting_routes(parts.watched, seen, caller.sees)
    at = replace(addresses_of(parts.addresses, request), keyed=caller.name is not None)
    route = example_route(parts.watched, waiting, seen, caller)
    key = words.KEY_FIRST if at.keyed else ""
    refused = _refused(caller, connection, now)
    return ConnectView(snippets(at, route), key, at.broker or UNKNOWN_BROKER, waiting, refused)


def addresses_of(known: SourceAddresses | None, request: Request) -> SourceAddresses:
    """Where sources reach us; the API is where this request came in, by the socket, where no setting says it.

    The name by which it was asked for is never repeated: whoever asks chooses it.
    """
    found = known or SourceAddresses()
    if found.api is not None or request.scope.get("server") is None:
        return found
    host, port = request.scope["server"]
    return replace(found, api=f"http://{f'[{host}]' if ':' in host else host}:{port}")


def _refused(caller: Principal, connection: Connection, now: datetime) -> tuple[str, ...]:
    """Nobody knows of whom a dead letter is: only who sees every route is told of them."""
    if not caller.sees_all:
        return ()
    found = dead_letters.newest(connection, _READ_BY, now - _RECENT, _MOST_REASONS)
    ages = (None if one.last_seen is None else numbers.ago(one.last_seen, now) for one in found)
    return tuple(words.refused(one.n, one.reason, age) for one, age in zip(found, ages, strict=True))


def routers(parts: PageContext) -> tuple[APIRouter, ...]:
    """The path of the page."""
    made = APIRouter(include_in_schema=False, dependencies=[needs(parts.guard, "viewer")])

    @made.get("/connect")
    async def connect(request: Request) -> Response:
        view = await query_store(parts.database, partial(connect_view, parts, request))
        return page(request, "connect.html", {"view": view})

    return (made,)
