"""`GET /v1/silences`: what nobody is told of, and why."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import Connection

from schemas.base import iso
from schemas.decision import DecisionKind
from schemas.exchange import Route
from services.alert.state import AlertState, Mute
from services.api.auth.authorization import Guard, needs, visible_globs, who
from services.api.http.etags import tagged
from services.api.http.openapi import FAULTS, UNCHANGED
from services.api.http.paging import MOST, PAGE, cursor_of, place_of
from services.api.http.problems import query_store
from services.ports import Clock
from services.store import decisions, step_states
from services.store.baselines import MOST_SILENCES
from services.store.codec import CodecError, unpack
from services.store.decisions import DecisionFilter, RecordedDecision
from services.store.engine import Database

_STEP: Final = "alert"


class SilenceSummary(BaseModel):
    """A silence: alerts of the time before `until` are recorded, and nobody is told."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "id": "1fec9bb08f43a022",
                "route": "support-bot/prod",
                "fingerprint": None,
                "incident": None,
                "actor": "mara",
                "reason": "load test until six",
                "since": "2026-11-24T12:00:00Z",
                "until": "2026-11-24T18:00:00Z",
                "state": "active",
                "applied": True,
            }
        }
    )
    id: str = Field(description="Of the decision that made it.")
    route: str
    fingerprint: str | None = Field(description="The alert that is silenced; null for all of the route.")
    incident: str | None = Field(description="The incident on which it was decided.")
    actor: str
    reason: str
    since: datetime
    until: datetime
    state: Literal["active", "past"]
    applied: bool = Field(description="False while the decision is on its way.")


class MutedAlert(BaseModel):
    """An alert that fires unheard since somebody decided about it: muted is not quiet."""

    fingerprint: str
    kind: DecisionKind = Field(description="The decision that muted it.")
    actor: str
    reason: str
    since: datetime
    until: datetime = Field(description="The latest end; before it when the effect is gone, or doubles.")


class SilencePage(BaseModel):
    """Silences, newest first."""

    items: list[SilenceSummary]
    next: str | None = Field(description="Give this as `cursor` for the page that follows; null on the last one.")
    muted: list[MutedAlert] | None = Field(description="Of the route that was asked for; null when none was.")


def router(database: Database, guard: Guard, clock: Clock) -> APIRouter:
    """The path, for those whom `guard` lets view."""
    made = APIRouter(prefix="/v1", tags=["decisions"], dependencies=[needs(guard, "viewer")])

    @made.get(
        "/silences",
        summary="List silences",
        responses={200: {"model": SilencePage}, **UNCHANGED, **FAULTS},
    )
    async def silences(
        request: Request,
        route: Annotated[Route | None, Query(description="Only of this route, and what it mutes.")] = None,
        state: Annotated[Literal["active", "past"] | None, Query(description="Only these.")] = None,
        cursor: Annotated[str | None, Query(description="`next` of the page before.", max_length=200)] = None,
        limit: Annotated[int, Query(description="How many at most.", ge=1, le=MOST)] = PAGE,
    ) -> Response:
        """Silences that hold and that have ended. `POST /v1/decisions` with the kind `silence` makes one.

        Nobody can end one early: it ends at its time. Give it a short one, and another when it is over.
        """
        seen, now = visible_globs(who(request), route), clock()
        after = None if cursor is None else place_of(cursor)
        wanted = DecisionFilter(seen, kinds=("silence",))
        found = await query_store(database, decisions.page, wanted, after, MOST_SILENCES)
        kept = [one for one in found if state in (None, silence_state(one, now))]
        following = cursor_of(*kept[limit - 1].place) if len(kept) > limit else None
        if following is None and len(found) == MOST_SILENCES:
            following = cursor_of(*found[-1].place)
        muted = None
        if route is not None:
            muted = []
            if seen:
                muted = [_mute(one) for one in await query_store(database, muted_alerts, route, now)]
        return tagged(request, {"items": [_shown(one, now) for one in kept[:limit]], "next": following, "muted": muted})

    return made


def silence_state(one: RecordedDecision, now: datetime) -> Literal["active", "past"]:
    """Whether the silence holds."""
    return "active" if now < one.decision.until else "past"


def muted_alerts(connection: Connection, route: str, now: datetime) -> tuple[Mute, ...]:
    """What fires unheard on the route since people decided about it."""
    stored = step_states.load(connection, _STEP, route)
    try:
        return () if stored is None else unpack(AlertState, stored[1]).muted(now)
    except CodecError:  # of another version: its worker writes it anew
        return ()


def _shown(one: RecordedDecision, now: datetime) -> dict[str, Any]:
    made = one.decision
    return {
        "id": one.id,
        "route": made.route,
        "fingerprint": made.fingerprint,
        "incident": made.incident,
        "actor": made.actor,
        "reason": made.reason,
        "since": iso(made.ts),
        "until": iso(made.until),
        "state": silence_state(one, now),
        "applied": one.applied,
    }


def _mute(one: Mute) -> dict[str, Any]:
    return {
        "fingerprint": one.fingerprint,
        "kind": one.kind,
        "actor": one.actor,
        "reason": one.reason,
        "since": iso(one.since),
        "until": iso(one.until),
    }
