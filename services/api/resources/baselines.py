"""`GET /v1/baselines` and `/v1/baselines/{id}`: what the routes are held against, without the vectors."""

from __future__ import annotations

import math
from datetime import datetime
from typing import Annotated, Any, Final

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field

from schemas.base import iso
from schemas.exchange import Route
from schemas.identity import Model
from services.api.auth.authorization import Guard, needs, visible_globs, who
from services.api.http.etags import tagged
from services.api.http.openapi import FAULTS, UNCHANGED
from services.api.http.paging import MOST, PAGE, cursor_of, is_id, place_of
from services.api.http.problems import Problem, ProblemBody, query_store
from services.store import baselines as baseline_store
from services.store.baselines import PinnedBaseline
from services.store.decisions import RecordedDecision
from services.store.engine import Database


class Acceptance(BaseModel):
    """Who accepted a baseline, and why."""

    id: str
    actor: str
    reason: str
    ts: datetime


class FalseAlarmBudget(BaseModel):
    """How often a baseline may call for nothing."""

    streams: int = Field(description="Detectors, signals and slices that can open an incident.")
    arl: float = Field(description="Exchanges between two false alarms of one stream, on average.")
    threshold: float = Field(description="Log evidence at which a statistical stream fires: the logarithm of `arl`.")


class BaselineSummary(BaseModel):
    """A pinned baseline in figures; the artefact itself, megabytes of vectors, stays in the database."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "id": "b2a6b1e24b1c0c5e",
                "route": "support-bot/prod",
                "current": True,
                "identity": "1fec9bb08f43a022",
                "model": {"provider": "openai", "requested": "gpt-4", "served": "gpt-4-0314"},
                "pinned_at": "2026-11-24T18:00:00Z",
                "event_index": 999,
                "exchanges": 1000,
                "rates": {"refusal": 0.158},
                "budget": {"streams": 6, "arl": 180180.0, "threshold": 12.1},
                "bytes": 1851392,
                "accepted": None,
            }
        }
    )
    id: str
    route: str
    current: bool = Field(description="Whether the route is held against it; false once another one was pinned.")
    identity: str
    model: Model | None
    pinned_at: datetime
    event_index: int = Field(description="Exchange of the route at which it was pinned, from 0.")
    exchanges: int | None = Field(description="How many it was made of.")
    rates: dict[str, float] = Field(description="Signal -> share of its exchanges for which it was true.")
    budget: FalseAlarmBudget | None
    bytes: int | None = Field(description="Size of the artefact; null when it is not stored here.")
    accepted: Acceptance | None = Field(description="Null for the first one of a route, which is learned.")


class BaselinePage(BaseModel):
    """Baselines, those pinned last first."""

    items: list[BaselineSummary]
    next: str | None = Field(description="Give this as `cursor` for the page that follows; null on the last one.")


def router(database: Database, guard: Guard) -> APIRouter:
    """The paths, for those whom `guard` lets view."""
    made = APIRouter(prefix="/v1", tags=["baselines"], dependencies=[needs(guard, "viewer")])

    @made.get(
        "/baselines",
        operation_id="listBaselines",
        summary="List baselines",
        responses={200: {"model": BaselinePage}, **UNCHANGED, **FAULTS},
    )
    async def baselines(
        request: Request,
        route: Annotated[Route | None, Query(description="Only of this route.", examples=["support-bot/prod"])] = None,
        cursor: Annotated[str | None, Query(description="`next` of the page before.", max_length=200)] = None,
        limit: Annotated[int, Query(description="How many at most.", ge=1, le=MOST)] = PAGE,
    ) -> Response:
        """Every baseline that was pinned: of a route the first one is what it is held against now."""
        seen = visible_globs(who(request), route)
        after = None if cursor is None else place_of(cursor)
        found = await query_store(database, baseline_store.page, seen, after, limit + 1)
        last = found[limit - 1].change if len(found) > limit else None
        following = None if last is None else cursor_of(last.ts, last.id)
        return tagged(request, {"items": [baseline_object(one) for one in found[:limit]], "next": following})

    @made.get(
        "/baselines/{id}",
        operation_id="getBaseline",
        summary="Read a baseline",
        responses={200: {"model": BaselineSummary}, **UNCHANGED, 404: _MISSING, **FAULTS},
    )
    async def baseline(request: Request, id: str) -> Response:
        """One baseline in figures."""
        found = await query_store(database, baseline_store.get, id) if is_id(id) else None
        if found is None or not who(request).sees(found.change.route):
            raise Problem(404, "there is no such baseline; GET /v1/baselines lists them")
        return tagged(request, baseline_object(found))

    return made


def baseline_object(one: PinnedBaseline) -> dict[str, Any]:
    """A baseline as the API shows it."""
    change, facts = one.change, one.change.pinning
    return {
        "id": change.baseline,
        "route": change.route,
        "current": one.is_current,
        "identity": change.to_identity,
        "model": None if change.model is None else change.model.model_dump(mode="json"),
        "pinned_at": iso(change.ts),
        "event_index": change.event_index,
        "exchanges": None if facts is None else facts.n,
        "rates": {} if facts is None else dict(facts.rates),
        "budget": None
        if facts is None
        else {"streams": facts.streams, "arl": facts.arl, "threshold": threshold_of(facts.arl)},
        "bytes": one.size,
        "accepted": None if one.decided is None else _acceptance(one.decided),
    }


def threshold_of(arl: float) -> float:
    """The log evidence at which a stream fires that may be wrong once in so many exchanges."""
    return round(math.log(max(arl, 1.0)), 6)


def _acceptance(one: RecordedDecision) -> dict[str, Any]:
    made = one.decision
    return {"id": one.id, "actor": made.actor, "reason": made.reason, "ts": iso(made.ts)}


_MISSING: Final = {"model": ProblemBody, "description": "There is no such baseline."}
