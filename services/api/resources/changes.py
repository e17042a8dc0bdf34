"""`GET /v1/changes`: who began to answer, what moved under the same name, what was pinned, what was announced."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field

from schemas.change import Change, Pinning
from schemas.decision import Decision
from schemas.exchange import Route
from schemas.identity import Model, identity_of
from services.api.auth.authorization import Guard, needs, visible_globs, who
from services.api.http.etags import tagged
from services.api.http.openapi import FAULTS, UNCHANGED
from services.api.http.paging import MOST, PAGE, AskedSpan, cursor_of, place_of
from services.api.http.problems import query_store
from services.store import journal
from services.store.engine import Database

AnyChangeKind = Literal["observed", "suspected", "pinned", "provider", "share", "announced"]


class ChangeSummary(BaseModel):
    """One change of a route."""

    model_config = ConfigDict(
        populate_by_name=True,
        json_schema_extra={
            "example": {
                "id": "0f3b5a7c9d1e2f46",
                "kind": "observed",
                "route": "support-bot/prod",
                "ts": "2026-11-24T18:00:00Z",
                "from": "b2a6b1e24b1c0c5e",
                "to": "1fec9bb08f43a022",
                "model": {"provider": "openai", "requested": "gpt-4", "served": "gpt-4-0613"},
                "reason": "a new identity answers",
                "actor": None,
                "event_index": 1204,
                "baseline": None,
                "fingerprint": None,
                "pinning": None,
                "share": 0.05,
                "of": None,
            }
        },
    )
    id: str
    kind: AnyChangeKind
    route: str
    ts: datetime
    from_identity: str | None = Field(alias="from", description="Who answered before; null when nobody is known.")
    to_identity: str | None = Field(alias="to", description="Who answers now, or is announced to.")
    model: Model | None
    reason: str
    actor: str | None = Field(description="Who announced it.")
    event_index: int | None = Field(description="Exchange of the route at which it was seen, from 0.")
    baseline: str | None
    fingerprint: str | None
    pinning: Pinning | None
    share: float | None = Field(description="Share of the exchanges that `to` answers, or is to answer; null is all.")
    of: str | None = Field(description="Of kind `share`: the change whose share it tells of.")


class ChangePage(BaseModel):
    """Changes, newest first."""

    items: list[ChangeSummary]
    next: str | None = Field(description="Give this as `cursor` for the page that follows; null on the last one.")


def router(database: Database, guard: Guard) -> APIRouter:
    """The path, for those whom `guard` lets view."""
    made = APIRouter(prefix="/v1", tags=["changes"], dependencies=[needs(guard, "viewer")])

    @made.get(
        "/changes",
        operation_id="listChanges",
        summary="List changes",
        responses={200: {"model": ChangePage}, **UNCHANGED, **FAULTS},
    )
    async def listed(
        request: Request,
        span: AskedSpan,
        route: Annotated[Route | None, Query(description="Only of this route.", examples=["support-bot/prod"])] = None,
        kind: Annotated[list[AnyChangeKind] | None, Query(description="Only of these kinds; may be repeated.")] = None,
        cursor: Annotated[str | None, Query(description="`next` of the page before.", max_length=400)] = None,
        limit: Annotated[int, Query(description="How many at most.", ge=1, le=MOST)] = PAGE,
    ) -> Response:
        """Changes of the models behind the routes, newest first."""
        after, principal = None if cursor is None else place_of(cursor), who(request)

        found = await query_store(
            database, journal.changes, visible_globs(principal, route), kind, after, limit + 1, span
        )
        following = cursor_of(found[limit - 1].ts, found[limit - 1].id) if len(found) > limit else None
        items = [change_summary(one).model_dump(mode="json", by_alias=True) for one in found[:limit]]
        return tagged(request, {"items": items, "next": following})

    return made


def change_summary(one: Change | Decision) -> ChangeSummary:
    """A change, or the decision that announced one."""
    if isinstance(one, Decision):
        nothing = dict.fromkeys(("from_identity", "event_index", "baseline", "fingerprint", "pinning", "of"))
        to = None if one.model is None else identity_of(one.model)
        own = {name: getattr(one, name) for name in ("id", "route", "ts", "model", "reason", "actor", "share")}
        return ChangeSummary(**own, **nothing, kind="announced", to_identity=to)
    names = (name for name in ChangeSummary.model_fields if name != "actor")
    return ChangeSummary(**{name: getattr(one, name) for name in names}, actor=None)
