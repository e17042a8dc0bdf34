"""A route as a person names it on the command line: its form, and that it was ever seen unless it is said to be new."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated

import typer
from pydantic import TypeAdapter, ValidationError

from schemas.exchange import Route
from services.errors import InputError
from services.monitor import Monitor
from services.monitor.known_routes import is_known, near_routes
from services.settings import load_settings
from services.store import routes
from services.store.engine import StoreError, open_database
from services.wording.routes import never_seen

NewOption = Annotated[bool, typer.Option("--new", help="The route is a new one: nothing of it was ever seen.")]
_ROUTE = TypeAdapter[str](Route)


def checked_route(route: str) -> str:
    """The route itself.

    Raises:
        InputError: if it is none.
    """
    try:
        return _ROUTE.validate_python(route)
    except ValidationError:
        raise InputError(f"route {route!r}: must be 1-200 characters of a-z, 0-9 and . _ / -") from None


def refuse_unknown(route: str, seen: Iterable[str], watched: Monitor) -> None:
    """That the route was seen, or that the monitor file lists it.

    Raises:
        InputError: if neither; it names routes with a similar name.
    """
    names = tuple(seen)
    if not is_known(route, names, watched):
        raise InputError(f"route {never_seen(route, near_routes(route, names, watched))}")


def check_named(route: str, watched: Monitor, database: str | None, new: bool) -> str:
    """The route of a run by hand, which needs no service and no database.

    Where no route was ever seen, and the monitor file lists none, a name is only a label.

    Raises:
        InputError: if it is no route, or one that was never seen and is not said to be `new`.
    """
    checked_route(route)
    seen = () if new else _seen(database)
    if seen or (watched.routes and not new):
        refuse_unknown(route, seen, watched)
    return route


def _seen(database: str | None) -> tuple[str, ...]:
    """The routes of the database that was named, or of the settings'; none where there is none yet."""
    settings = load_settings()
    url = database or settings.database
    try:
        opened = open_database(url, create=False, heads=settings.data_dir)
    except StoreError:
        if database is not None and not url.startswith("sqlite"):  # before anything is asked, and cannot be stored
            raise
        return ()
    try:
        with opened.read() as connection:
            return routes.names(connection)
    finally:
        opened.close()
