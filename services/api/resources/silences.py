"""`/v1/silences`: what nobody is told of, why and until when; made, ended and shortened here."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field

from schemas.base import Hash16, Part, iso
from schemas.decision import LASTS, DecisionKind, Silence, silences_of
from schemas.exchange import ToldRoute
from services.alert.state import Mute
from services.api.auth.authorization import Guard, needs, visible_globs, who
from services.api.decision_outbox import DecisionWriter
from services.api.http.body import BodyBudget, read_model
from services.api.http.etags import tagged
from services.api.http.openapi import FAULTS, UNCHANGED
from services.api.http.paging import MOST, PAGE, cursor_of, is_id, place_of
from services.api.http.problems import Problem, ProblemBody, query_store
from services.api.resources.decisions import POST_RESPONSES, ActorName, DecisionDraft, Hours, Reason, write_draft
from services.api.route_snapshot import muted_alerts
from services.monitor import Monitor
from services.ports import Clock
from services.store import decisions, silences
from services.store.decisions import DecisionFilter, RecordedDecision
from services.store.engine import Database
from services.store.silences import KeptNotification

_READ_AT_ONCE: Final = 1_000
LASTS_HOURS: Final = LASTS / timedelta(hours=1)


class NewSilence(Part):
    """A silence: nobody is told of the route's alerts for some hours; the incident stays open, and shows them."""

    route: ToldRoute
    hours: Hours = Field(LASTS_HOURS, description="How long it holds.")
    reason: Reason
    actor: ActorName | None = Field(None, description="Who; the key's name where it is left out.")
    fingerprint: Hash16 | None = Field(None, description="Only this alert; null for all of the route.")
    incident: Hash16 | None = Field(None, description="The incident on whose timeline it stands.")


class SilenceEnd(Part):
    """The end of a silence: at once, or some hours from now, which is then earlier than it was to end."""

    hours: Hours | None = Field(None, description="From now; null ends it at once.")
    reason: Reason
    actor: ActorName | None = Field(None, description="Who; the key's name where it is left out.")


class KeptAlert(BaseModel):
    """An alert that nobody was told of when it fired."""

    incident: str
    text: str
    ts: datetime
    state: Literal["waits", "told", "passed"] = Field(
        description="waits: told at the end of the silence if it still stands. passed: over before that, never told."
    )


class SilenceSummary(BaseModel):
    """A silence: before `until` alerts are recorded, and nobody is told. At its end people are told what stands."""

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
                "ended_by": None,
                "ended_reason": None,
                "state": "active",
                "applied": True,
                "kept": [],
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
    until: datetime = Field(description="Its end, as it is now.")
    ended_by: str | None = Field(description="Who ended or shortened it; null when it runs as long as it was made for.")
    ended_reason: str | None
    state: Literal["active", "past"]
    applied: bool = Field(description="False while the decision is on its way.")
    kept: list[KeptAlert] = Field(description="What was kept from people, oldest first; at most the newest 50.")


class MutedAlert(BaseModel):
    """An alert that fires unheard since somebody decided about it: muted is not quiet."""

    fingerprint: str
    kind: DecisionKind = Field(description="The decision since which nobody hears of it.")
    actor: str
    reason: str
    since: datetime
    until: datetime = Field(description="The latest end; before it when the effect is gone, or doubles.")


class SilencePage(BaseModel):
    """Silences, newest first."""

    items: list[SilenceSummary]
    next: str | None = Field(description="Give this as `cursor` for the page that follows; null on the last one.")
    muted: list[MutedAlert] | None = Field(description="Of the route that was asked for; null when none was.")
    accepted: list[MutedAlert] | None = Field(
        description="What is the new normal of that route since somebody accepted it, until it is learned."
    )


def router(database: Database, guard: Guard, clock: Clock) -> APIRouter:
    """The path, for those whom `guard` lets view."""
    made = APIRouter(prefix="/v1", tags=["decisions"], dependencies=[needs(guard, "viewer")])

    @made.get(
        "/silences",
        operation_id="listSilences",
        summary="List silences",
        responses={200: {"model": SilencePage}, **UNCHANGED, **FAULTS},
    )
    async def list_silences(
        request: Request,
        route: Annotated[ToldRoute | None, Query(description="Only of this route, and what it mutes.")] = None,
        state: Annotated[Literal["active", "past"] | None, Query(description="Only these.")] = None,
        cursor: Annotated[str | None, Query(description="`next` of the page before.", max_length=200)] = None,
        limit: Annotated[int, Query(description="How many at most.", ge=1, le=MOST)] = PAGE,
    ) -> Response:
        """Silences that hold and that have ended, each with what it kept from people."""
        seen, now = visible_globs(who(request), route), clock()
        after = None if cursor is None else place_of(cursor)
        wanted = DecisionFilter(seen, kinds=("silence",))
        found = await query_store(database, decisions.page, wanted, after, _READ_AT_ONCE)
        as_they_are = await query_store(database, silences.by_id, [one.id for one in found])
        pairs = [(one, as_they_are.get(one.id) or _made(one)) for one in found]
        kept = [(one, silence) for one, silence in pairs if state in (None, _state(silence, now))]
        following = cursor_of(*kept[limit - 1][0].place) if len(kept) > limit else None
        if following is None and len(found) == _READ_AT_ONCE:
            following = cursor_of(*found[-1].place)
        held_back = await query_store(database, silences.kept_by, [one.id for one, _ in kept[:limit]])
        items = [_shown(one, silence, held_back.get(one.id, ()), now) for one, silence in kept[:limit]]
        told: dict[str, Any] = {"items": items, "next": following, "muted": None, "accepted": None}
        if route is not None:
            mutes = await query_store(database, muted_alerts, route, now) if seen else ()
            told["muted"] = [_mute(one) for one in mutes if not one.is_accepted]
            told["accepted"] = [_mute(one) for one in mutes if one.is_accepted]
        return tagged(request, told)

    return made


def posting_router(
    writer: DecisionWriter, database: Database, guard: Guard, budget: BodyBudget, watched: Monitor
) -> APIRouter:
    """The paths that make and end silences, for those whom `guard` lets operate."""
    made = APIRouter(prefix="/v1", tags=["decisions"], dependencies=[needs(guard, "operator")])

    @made.post(
        "/silences",
        status_code=202,
        operation_id="addSilence",
        summary="Silence a route",
        openapi_extra=_body_of(NewSilence, {"route": "support-bot/prod", "hours": 4, "reason": "load test until six"}),
        responses=POST_RESPONSES,
    )
    async def add(request: Request) -> Response:
        """Tell nobody of a route's alerts, or of one of them, for some hours: the decision `silence`."""
        with budget.share() as share:
            asked = await read_model(request, share, NewSilence)
        given = dict(asked)
        expires = writer.clock() + timedelta(hours=given.pop("hours"))
        draft = DecisionDraft(kind="silence", expires=expires, **given)
        return await write_draft(writer, database, watched, draft, who(request))

    @made.post(
        "/silences/{id}/end",
        status_code=202,
        operation_id="endSilence",
        summary="End or shorten a silence",
        openapi_extra=_body_of(SilenceEnd, {"hours": None, "reason": "the load test is over"}),
        responses={404: {"model": ProblemBody, "description": "There is no such silence."}, **POST_RESPONSES},
    )
    async def end(request: Request, id: str) -> Response:
        """Have people told again: of what still stands within a minute, and of what comes: `end_silence`."""
        with budget.share() as share:
            asked = await read_model(request, share, SilenceEnd)
        wanted = DecisionFilter(visible_globs(who(request)), kinds=("silence",), id=id)
        found = await query_store(database, decisions.page, wanted, None, 1) if is_id(id) else ()
        if not found:
            raise Problem(404, "there is no such silence; GET /v1/silences lists them")
        silence = found[0].decision
        expires = None if asked.hours is None else writer.clock() + timedelta(hours=asked.hours)
        what: dict[str, Any] = {"route": silence.route, "incident": silence.incident, "silence": id}
        said: dict[str, Any] = {"actor": asked.actor, "reason": asked.reason}
        draft = DecisionDraft(kind="end_silence", expires=expires, **what, **said)
        return await write_draft(writer, database, watched, draft, who(request))

    return made


def _body_of(record: type[Part], example: dict[str, Any]) -> dict[str, Any]:
    schema = {"$ref": f"#/components/schemas/{record.__name__}"}
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema, "example": example}}}}


def _made(one: RecordedDecision) -> Silence:
    """A silence that is on its way."""
    (silence,) = silences_of([one.decision])
    return silence


def _state(one: Silence, now: datetime) -> Literal["active", "past"]:
    return "active" if one.holds(now) else "past"


def _shown(one: RecordedDecision, silence: Silence, kept: Sequence[KeptNotification], now: datetime) -> dict[str, Any]:
    names = ("id", "route", "fingerprint", "incident", "actor", "reason", "ended_by", "ended_reason")
    return {
        **{name: getattr(silence, name) for name in names},
        "since": iso(silence.since),
        "until": iso(silence.until),
        "state": _state(silence, now),
        "applied": one.applied,
        "kept": [{"incident": k.incident, "text": k.text, "ts": iso(k.ts), "state": k.state} for k in kept],
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
