"""That what is decided is about a route that was ever seen; an announcement may be about one that is said to be new."""

from __future__ import annotations

from services.api.auth.authorization import Principal
from services.api.http.problems import Problem, query_store
from services.monitor import Monitor
from services.monitor.known_routes import is_known, near_routes
from services.store import routes
from services.store.engine import Database
from services.wording.routes import never_seen


async def check_route_known(
    database: Database, watched: Monitor, caller: Principal, route: str, *, may_be_new: bool = True
) -> None:
    """That exchanges of the route arrived, or that the monitor file lists it.

    `may_be_new` is whether a caller may say that it is a new one: a refusal says so.

    Raises:
        Problem: 422 names `route`, and routes with a similar name among those that the caller may see.
    """
    seen = await query_store(database, routes.names)
    if not is_known(route, seen, watched):
        near = near_routes(route, seen, watched, caller.sees)
        raise Problem.of_field("route", never_seen(route, near, may_be_new=may_be_new))
