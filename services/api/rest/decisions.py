"""`GET /v1/decisions` and `/v1/decisions/{id}`."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Final

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field

from schemas.base import Hash16, iso, plain_object
from schemas.decision import DecisionKind
from schemas.exchange import Route
from schemas.identity import Model
from services.api.guard import Guard, needs, who
from services.api.problems import Problem, ProblemBody, of_store
from services.api.rest.incidents import ID
from services.api.rest.paging import FAULTS, MOST, PAGE, cursor_of, place_of, tagged
from services.api.scope import globs
from services.store.decided import Decided, Filter
from services.store.ledger import Ledger

TIMED: Final = frozenset({"snooze", "silence"})
"""Kinds that end by themselves."""
_EXAMPLE: Final[dict[str, Any]] = {
    "id": "1fec9bb08f43a022",
    "kind": "acknowledge",
    "route": "support-bot/prod",
    "incident": "b2a6b1e24b1c0c5e",
    "fingerprint": None,
    "model": None,
    "actor": "mara",
    "reason": "I am looking at it",
    "ts": "2026-11-24T18:00:00Z",
    "expires": None,
    "until": None,
    "applied": True,
}


class DecisionShown(BaseModel):
    """A decision as it was taken, and what became of it."""

    model_config = ConfigDict(json_schema_extra={"example": _EXAMPLE})
    id: str = Field(description="Made of its content.")
    kind: DecisionKind
    route: str
    incident: str | None = Field(description="The incident that it is about; null for the route as a whole.")
    fingerprint: str | None = Field(description="The alert that it is about; null for all of them.")
    model: Model | None = Field(description="The model that was announced or accepted.")
    actor: str = Field(description="Who decided.")
    reason: str
    ts: datetime = Field(description="When it was decided.")
    expires: datetime | None
    until: datetime | None = Field(description="When a snooze or a silence ends: `expires`, else 24 hours later.")
    applied: bool = Field(description="Whether it took effect; false while it is on its way.")


class DecisionPage(BaseModel):
    """Decisions, newest first."""

    items: list[DecisionShown]
    next: str | None = Field(description="Give this as `cursor` for the page that follows; null on the last one.")


def router(ledger: Ledger, guard: Guard) -> APIRouter:
    """The paths, for those whom `guard` lets view."""
    made = APIRouter(prefix="/v1", tags=["decisions"], dependencies=[needs(guard, "viewer")])

    @made.get("/decisions", summary="List decisions", responses={200: {"model": DecisionPage}, **_UNCHANGED, **FAULTS})
    async def decisions(
        request: Request,
        route: Annotated[Route | None, Query(description="Only of this route.", examples=["support-bot/prod"])] = None,
        incident: Annotated[Hash16 | None, Query(description="Only of this incident.")] = None,
        kind: Annotated[list[DecisionKind] | None, Query(description="Only of these kinds; may be repeated.")] = None,
        cursor: Annotated[str | None, Query(description="`next` of the page before.", max_length=200)] = None,
        limit: Annotated[int, Query(description="How many at most.", ge=1, le=MOST)] = PAGE,
    ) -> Response:
        """What people decided, newest first: also what did not take effect yet."""
        wanted = Filter(globs(who(request), route), incident, tuple(kind or ()))
        after = None if cursor is None else place_of(cursor)
        found = await of_store(lambda: ledger.decisions(wanted, after, limit + 1))
        following = cursor_of(*found[limit - 1].place) if len(found) > limit else None
        return tagged(request, {"items": [shown(one) for one in found[:limit]], "next": following})

    @made.get(
        "/decisions/{id}",
        summary="Read a decision",
        responses={200: {"model": DecisionShown}, **_UNCHANGED, 404: _MISSING, **FAULTS},
    )
    async def decision(request: Request, id: str) -> Response:
        """One decision, by the id that `POST /v1/decisions` answered."""
        wanted = Filter(globs(who(request)), id=id)
        found = await of_store(lambda: ledger.decisions(wanted, None, 1)) if ID.fullmatch(id) else ()
        if not found:
            raise Problem(404, "there is no such decision; GET /v1/decisions lists them")
        return tagged(request, shown(found[0]))

    return made


def shown(one: Decided) -> dict[str, Any]:
    """A decision as the API shows it."""
    until = iso(one.decision.until) if one.decision.kind in TIMED else None
    return {"id": one.id, **plain_object(one.decision), "until": until, "applied": one.applied}


_UNCHANGED: Final[dict[int | str, dict[str, Any]]] = {304: {"description": "As If-None-Match knows it."}}
_MISSING: Final = {"model": ProblemBody, "description": "There is no such decision."}
