"""Before the first exchange: how each source sends one, which routes wait, and what came that could not be read."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

from fastapi import APIRouter, Request
from fastapi.responses import Response
from sqlalchemy import Connection

from services.api.auth.authorization import Principal, needs, who
from services.api.http.problems import query_store
from services.api.pages.render import PageContext, page
from services.monitor import Monitor
from services.monitor.known_routes import named_routes
from services.store import dead_letters, routes
from services.wording import onboarding as words
from services.wording.sources import EXAMPLE_ROUTE, UNKNOWN_BROKER, SourceAddresses, SourceSnippet, snippets

_MOST_ROUTES: Final = 40
_MOST_REASONS: Final = 3
_READ_BY: Final = "score"


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
    named = named_routes(watched)
    names = sorted(one for one in set(named) - set(seen) if sees(one))
    empty = [one for one in watched.routes if one not in named and sees(one)]
    if empty:
        held = {id(watched.policy(route)) for route in seen}
        empty = [one for one in empty if id(watched.routes[one]) not in held]
    return WaitingRoutes(tuple(names[:_MOST_ROUTES]), tuple(sorted(empty)[:_MOST_ROUTES]), len(names[_MOST_ROUTES:]))


def waiting_for(parts: PageContext, caller: Principal, connection: Connection) -> WaitingRoutes:
    """The same, of what is stored."""
    seen = routes.names(connection) if parts.watched.routes else ()
    return waiting_routes(parts.watched, seen, caller.sees)


def connect_view(parts: PageContext, request: Request, connection: Connection) -> ConnectView:
    """What the page shows to whoever asks."""
    caller = who(request)
    waiting = waiting_for(parts, caller, connection)
    at = replace(addresses_of(parts.addresses, request), keyed=caller.name is not None)
    route = waiting.names[0] if waiting.names else EXAMPLE_ROUTE
    key = words.KEY_FIRST if at.keyed else ""
    return ConnectView(snippets(at, route), key, at.broker or UNKNOWN_BROKER, waiting, _refused(caller, connection))


def addresses_of(known: SourceAddresses | None, request: Request) -> SourceAddresses:
    """Where sources reach us; the API is where this request came in, by the socket, where no setting says it.

    The name by which it was asked for is never repeated: whoever asks chooses it.
    """
    found = known or SourceAddresses()
    if found.api is not None or request.scope.get("server") is None:
        return found
    host, port = request.scope["server"]
    return replace(found, api=f"http://{f'[{host}]' if ':' in host else host}:{port}")


def _refused(caller: Principal, connection: Connection) -> tuple[str, ...]:
    """Nobody knows of whom a dead letter is: only who sees every route is told of them."""
    if not caller.sees_all:
        return ()
    found = [one for one in dead_letters.most_frequent(connection, 50) if one.step == _READ_BY]
    return tuple(words.refused(one.n, one.reason) for one in found[:_MOST_REASONS])


def routers(parts: PageContext) -> tuple[APIRouter, ...]:
    """The path of the page."""
    made = APIRouter(include_in_schema=False, dependencies=[needs(parts.guard, "viewer")])

    @made.get("/connect")
    async def connect(request: Request) -> Response:
        view = await query_store(parts.database, partial(connect_view, parts, request))
        return page(request, "connect.html", {"view": view})

    return (made,)
