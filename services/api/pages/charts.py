"""An incident's chart as a file, for messages, tickets and `<img>`: the rate that moved, with the change marked."""

from __future__ import annotations

from functools import lru_cache

from fastapi import APIRouter, Request
from fastapi.responses import Response
from sqlalchemy import Connection

from services.api.auth.authorization import Principal, needs, who
from services.api.http.etags import etag_of, unchanged
from services.api.http.paging import is_id
from services.api.http.problems import Problem, call_store, query_store
from services.api.pages.render import PageContext
from services.charts import Picture, incident_chart, rates_picture
from services.charts.png import png
from services.store import incidents, routes
from services.store.engine import Database


def routers(parts: PageContext) -> tuple[APIRouter, ...]:
    """The paths of the files."""
    made = APIRouter(include_in_schema=False, dependencies=[needs(parts.guard, "viewer")])

    @made.get("/incidents/{id}/chart.svg")
    async def svg(request: Request, id: str) -> Response:
        drawn = (await _picture(request, parts.database, id)).svg.encode()
        headers = etag_of(drawn)
        return unchanged(request, headers) or Response(drawn, media_type="image/svg+xml", headers=headers)

    @made.get("/incidents/{id}/chart.png")
    async def picture(request: Request, id: str) -> Response:
        drawn = (await _picture(request, parts.database, id)).svg
        headers = etag_of(b"png" + drawn.encode())
        if (known := unchanged(request, headers)) is not None:
            return known
        return Response(await call_store(lambda: _png(drawn)), media_type="image/png", headers=headers)

    return (made,)


@lru_cache(maxsize=32)
def _png(svg: str) -> bytes:
    """Whoever asks again for the same picture costs nothing."""
    return png(svg)


async def _picture(request: Request, database: Database, id: str) -> Picture:
    seen = who(request)
    found = await query_store(database, _read, seen, id) if is_id(id) else None
    if found is None:
        raise Problem(404, "there is no chart: no such incident, or no rate moved in it")
    return found


def _read(connection: Connection, seen: Principal, id: str) -> Picture | None:
    incident = incidents.get(connection, id)
    if incident is None or not seen.sees(incident.route):
        return None
    found = incident_chart.read(connection, incident, routes.clock(connection, incident.route))
    return None if found is None else rates_picture(found.rates)
