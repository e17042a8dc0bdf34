"""`GET /v1/exchanges` and `/v1/exchanges/{id}`: what was measured of exchanges, with their redacted text."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response
from pydantic import BaseModel, Field

from schemas.base import HEX16
from schemas.exchange import Route
from services.api.guard import Guard, needs, who
from services.api.problems import Problem, ProblemBody, of_store
from services.api.rest.numbered import number_of, numbered
from services.api.rest.paging import FAULTS, MOST, PAGE, tagged
from services.store import exchanges
from services.store.exchanges import Scored
from services.store.repository import Repository

_ROUTE: Final = Query(description="Of this route.", examples=["support-bot/prod"])
_SAME: Final[dict[int | str, dict[str, Any]]] = {304: {"description": "As If-None-Match knows it."}, **FAULTS}


class Value(BaseModel):
    """One signal of an exchange."""

    value: bool | float | None = Field(description="Null when it could not be measured.")
    probability: float | None
    status: str = Field(examples=["scored"])


class ScoredExchange(BaseModel):
    """One exchange: text is redacted, and null where it was not kept."""

    id: str
    route: str
    ts: datetime
    identity: str = Field(description="Who answered.")
    event_index: int | None = Field(description="Its number on the route; null when its scores are no longer kept.")
    flags: list[str]
    signals: dict[str, Value] | None = Field(description="Null when its scores are no longer kept.")
    text: Literal["kept", "text not kept"]
    why: list[str] = Field(description="Signals for which its text was kept; empty when it was drawn.")
    prompt: str | None
    response: str | None


class Page(BaseModel):
    """Exchanges, newest first."""

    items: list[ScoredExchange]
    next: str | None = Field(description="Give this as `cursor` for the page that follows; null on the last one.")


def router(repository: Repository, guard: Guard) -> APIRouter:
    """The paths, for those whom `guard` lets view."""
    made = APIRouter(prefix="/v1", tags=["exchanges"], dependencies=[needs(guard, "viewer")])
    _add_list(made, repository)
    _add_one(made, repository)
    return made


def _add_list(made: APIRouter, repository: Repository) -> None:
    @made.get("/exchanges", summary="List scored exchanges", responses={200: {"model": Page}, **_SAME})
    async def listed(
        request: Request,
        route: Annotated[Route, _ROUTE],
        identity: Annotated[str | None, Query(description="Only answered by this.", pattern=HEX16)] = None,
        signal: Annotated[
            str | None, Query(description="Only where it was true.", pattern="^[a-z0-9_]{1,100}$", examples=["refusal"])
        ] = None,
        kept: Annotated[bool, Query(description="Only those whose redacted text was kept.")] = False,
        cursor: Annotated[str | None, Query(description="`next` of the page before.", max_length=200)] = None,
        limit: Annotated[int, Query(description="How many at most.", ge=1, le=MOST)] = PAGE,
    ) -> Response:
        """The newest exchanges of a route: the last 5,000 of each identity, and those around incidents.

        Text is redacted before it is stored; of most exchanges none is kept.
        """
        before = None if cursor is None else number_of(cursor)[0]
        seen = who(request).sees(route)

        def read() -> tuple[Scored, ...]:
            with repository.database.read() as connection:
                more = {"identity": identity, "signal": signal}
                return exchanges.page(connection, route, before, limit + 1, **more, kept=kept)

        found = await of_store(read) if seen else ()
        items = [shown(one).model_dump(mode="json") for one in found[:limit]]
        following = numbered(found[limit - 1].event_index or 0) if len(found) > limit else None
        return tagged(request, {"items": items, "next": following})


def _add_one(made: APIRouter, repository: Repository) -> None:
    @made.get(
        "/exchanges/{id:path}",
        summary="Read a scored exchange",
        responses={
            200: {"model": ScoredExchange},
            404: {"model": ProblemBody, "description": "There is no such exchange, or it is no longer kept."},
            **_SAME,
        },
    )
    async def one(request: Request, id: str, route: Annotated[Route, _ROUTE]) -> Response:
        """One exchange of a route by its id, such as an exemplar of an incident: scores, and text where it was kept."""

        def read() -> Scored | None:
            with repository.database.read() as connection:
                return exchanges.get(connection, route, id)

        found = await of_store(read) if "\0" not in id and who(request).sees(route) else None
        if found is None:
            raise Problem(404, "there is no such exchange of this route, or it is no longer kept")
        return tagged(request, shown(found).model_dump(mode="json"))


def shown(one: Scored) -> ScoredExchange:
    """An exchange as it is told: never more than what was redacted."""
    sample, signals = one.sample, one.signals
    return ScoredExchange(
        id=one.id,
        route=one.route,
        ts=one.ts,
        identity=one.identity,
        event_index=one.event_index,
        flags=list(one.flags),
        signals=None
        if signals is None
        else {name: Value(value=v, probability=p, status=s) for name, (v, p, s) in signals.items()},
        text="text not kept" if sample is None else "kept",
        why=[] if sample is None else list(sample.why),
        prompt=None if sample is None else sample.prompt,
        response=None if sample is None else sample.response,
    )
