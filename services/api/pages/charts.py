"""An incident's chart as a file, for messages, tickets and `<img>`: the rate that moved, with the change marked."""

from __future__ import annotations

from functools import lru_cache

from fastapi import APIRouter, Request
from fastapi.responses import Response

from services import moved
from services.api.guard import needs, who
from services.api.pages.render import Parts
from services.api.problems import Problem, of_store
from services.api.rest.incidents import ID
from services.api.rest.paging import etag_of, unchanged
from services.charts import Picture, rates_picture
from services.charts.png import png
from services.store import incidents
from services.store.repository import Repository


def routers(parts: Parts) -> tuple[APIRouter, ...]:
    """The paths of the files."""
    made = APIRouter(include_in_schema=False, dependencies=[needs(parts.guard, "viewer")])

    @made.get("/incidents/{id}/chart.svg")
    async def svg(request: Request, id: str) -> Response:
        drawn = (await _picture(request, parts.repository, id)).svg.encode()
        headers = etag_of(drawn)
        return unchanged(request, headers) or Response(drawn, media_type="image/svg+xml", headers=headers)

    @made.get("/incidents/{id}/chart.png")
    async def picture(request: Request, id: str) -> Response:
        drawn = (await _picture(request, parts.repository, id)).svg
        headers = etag_of(b"png" + drawn.encode())
        if (known := unchanged(request, headers)) is not None:
            return known
        return Response(await of_store(lambda: _png(drawn)), media_type="image/png", headers=headers)

    return (made,)


@lru_cache(maxsize=32)
def _png(svg: str) -> bytes:
    """Whoever asks again for the same picture costs nothing."""
    return png(svg)


async def _picture(request: Request, repository: Repository, id: str) -> Picture:
    sees = who(request).sees

    def read() -> Picture | None:
        with repository.database.read() as connection:
            incident = incidents.get(connection, id)
            if incident is None or not sees(incident.route):
                return None
            found = moved.read(connection, incident)
            return None if found is None else rates_picture(found.rates)

    found = await of_store(read) if ID.fullmatch(id) else None
    if found is None:
        raise Problem(404, "there is no chart: no such incident, or no rate moved in it")
    return found
