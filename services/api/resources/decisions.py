"""`/v1/decisions`, and `POST /v1/changes`: what people decide, taken in and listed."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated, Any, Final

from fastapi import APIRouter, Query, Request
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from schemas.base import Hash16, Part, Timestamp, iso, plain_object
from schemas.decision import LASTS, Decision, DecisionKind
from schemas.exchange import ToldRoute
from schemas.identity import Model
from services.api.auth.authorization import Guard, Principal, needs, visible_globs, who
from services.api.decision_outbox import NO_INCIDENT, DecisionWriter, decision_time
from services.api.http.body import BodyBudget, read_model
from services.api.http.etags import tagged
from services.api.http.openapi import FAULTS, UNCHANGED
from services.api.http.paging import MOST, PAGE, cursor_of, is_id, place_of
from services.api.http.problems import Problem, ProblemBody, problem_of_violation, query_store
from services.api.known_routes import check_route_known
from services.api.route_snapshot import muted_alerts
from services.monitor import Monitor
from services.store import decisions as decision_store
from services.store import incidents
from services.store.decisions import DecisionFilter, RecordedDecision, StaleDecision
from services.store.engine import Database

MOST_REASON_CHARS: Final = 2_000
_AHEAD: Final = timedelta(hours=1)
LONGEST_BEHIND: Final = timedelta(days=366)
"""How old what was decided or announced may be: more is a slip of the year."""
LONGEST_QUIET: Final = timedelta(days=30)
"""How long a silence or a snooze may last; whoever wants more takes another one, and so looks at it again."""
Reason = Annotated[str, StringConstraints(min_length=1, max_length=MOST_REASON_CHARS, strip_whitespace=True)]
Hours = Annotated[float, Field(gt=0, le=LONGEST_QUIET / timedelta(hours=1))]
Share = Annotated[float, Field(gt=0, le=1, description="Share of the route's exchanges; null is all of them.")]
ActorName = Annotated[str, StringConstraints(min_length=1, max_length=200, strip_whitespace=True)]


class ChangeAnnouncement(Part):
    """A change of the model that is announced. Who announces it is the key's name, where there are keys.

    With a `share` it is a canary: the model is to answer that part of the route's exchanges. A route that was never
    seen is refused unless it is said to be `new`.
    """

    route: ToldRoute
    model: Model
    reason: Reason
    actor: ActorName | None = None
    ts: Timestamp | None = None
    share: Share | None = None
    new: bool = False


class DecisionDraft(Part):
    """A decision. Without `ts` it is taken now; the same one with the same `ts` is one, however often it is sent.

    `actor` is the key's name where it is left out; another one that is given is kept as `given via key's name`. A
    snooze or a silence lasts until `expires`, or for `hours`; without either for 24 of them. An `end_silence` ends the
    `silence` that it names, at once or at `expires`; without one all of the route. What is decided on a route that was
    never seen is refused, but for an `announce` of one that is said to be `new`.
    """

    kind: DecisionKind
    route: ToldRoute
    incident: Hash16 | None = None
    fingerprint: Hash16 | None = None
    silence: Hash16 | None = None
    model: Model | None = None
    actor: ActorName | None = None
    reason: Reason
    ts: Timestamp | None = None
    expires: Timestamp | None = None
    hours: Hours | None = Field(None, description="How long a snooze or a silence lasts, instead of `expires`.")
    share: Share | None = None
    new: bool = False


class DecisionReceipt(BaseModel):
    """The decision was written, and will be published."""

    id: str = Field(description="Its id, made of its content.", examples=["1fec9bb08f43a022"])
    ts: str = Field(description="When it was taken.", examples=["2026-11-24T18:00:00Z"])
    until: str | None = Field(
        description="When a snooze or a silence ends, or is to end now; null of other decisions.",
        examples=["2026-11-25T18:00:00Z"],
    )


def posting_router(
    decisions: DecisionWriter, database: Database, guard: Guard, budget: BodyBudget, watched: Monitor
) -> APIRouter:
    """The paths, for those whom `guard` lets operate."""
    made = APIRouter(prefix="/v1", tags=["decisions"], dependencies=[needs(guard, "operator")])

    async def written(draft: DecisionDraft, caller: Principal) -> Response:
        return await write_draft(decisions, database, watched, draft, caller)

    @made.post(
        "/changes",
        status_code=202,
        operation_id="announceChange",
        summary="Announce a change",
        openapi_extra=_body_of(ChangeAnnouncement),
        responses=POST_RESPONSES,
    )
    async def announce(request: Request) -> Response:
        """Announce that another model will answer on a route: what follows is attributed to it, and re-evaluated."""
        with budget.share() as share:
            change = await read_model(request, share, ChangeAnnouncement)
        return await written(DecisionDraft(kind="announce", **dict(change)), who(request))

    @made.post(
        "/decisions",
        status_code=202,
        operation_id="decide",
        summary="Decide",
        openapi_extra=_body_of(DecisionDraft),
        responses=POST_RESPONSES,
    )
    async def decide(request: Request) -> Response:
        """Acknowledge, snooze, resolve, comment ... on an incident, or accept, silence, announce on a route.

        202 means that it is written and will be published; what it does shows in the incident's timeline. 409 says
        why it would change nothing: the incident was resolved, somebody decided the same, none is open.
        """
        with budget.share() as share:
            draft = await read_model(request, share, DecisionDraft)
        return await written(draft, who(request))

    return made


async def write_draft(
    decisions: DecisionWriter, database: Database, watched: Monitor, draft: DecisionDraft, caller: Principal
) -> Response:
    """Take the decision of a draft for `caller`: the receipt.

    Raises:
        Problem: 403 if the caller may not, 409 says why it would change nothing, 422 names a field, also the route
            where it was never seen.
    """
    check_may_write(caller, draft.route)
    announces = draft.kind == "announce"
    if draft.incident is None and not (announces and draft.new):  # an incident is of a route that was seen
        await check_route_known(database, watched, caller, draft.route, may_be_new=announces)
    named = None if draft.incident is None else await query_store(database, incidents.get, draft.incident or "")
    if named is not None and not caller.sees(named.route):
        raise Problem(409, NO_INCIDENT)
    now = decisions.clock()
    ts = decision_time(named, now)
    if draft.kind == "unmute":  # what was muted by a route's clock that runs ahead is unmuted after that
        mutes = await query_store(database, muted_alerts, draft.route, now)
        ts = max([ts, *(one.since for one in mutes if not one.is_accepted)])
    signed = draft.model_copy(update={"actor": actor_of(draft.actor, caller)})
    decision = completed(_timed(signed, now if draft.kind in _BY_THE_WALL else ts), ts, wall=now)
    try:
        id = await decisions.decide(decision)
    except StaleDecision as error:
        raise Problem(409, str(error)) from None
    return JSONResponse({"id": id, "ts": iso(decision.ts), "until": _until(decision)}, 202)


def check_may_write(caller: Principal, route: str) -> None:
    """That a key may write to the route, whether there is such a route or not.

    Raises:
        Problem: 403 if it may not.
    """
    if not caller.sees(route):
        remedy = f"must be one of this key's routes ({', '.join(caller.routes)})"
        raise Problem.of_field("route", remedy, 403)


def actor_of(given: str | None, caller: Principal) -> str:
    """Who decides, as the timeline shows it: the key vouches for its own name alone.

    Raises:
        Problem: 422 if nobody is named.
    """
    if caller.name is None:
        if given is None:
            raise Problem.of_field("actor", "is missing")
        return given
    return caller.name if given in (None, caller.name) else f"{given} via {caller.name}"


def completed(draft: DecisionDraft, now: datetime, named: bool = True, wall: datetime | None = None) -> Decision:
    """The decision of a draft, taken `now` when it does not say. Whether an announcement must have its model `named`.

    `wall` is the time of people, by which silences end, where the route's clock, which is `now`, may run ahead of it.

    Raises:
        Problem: 422 names what is missing for its kind, or the time that cannot be.
    """
    ts = draft.ts or now
    by = wall or now if draft.kind in _BY_THE_WALL else now
    if ts - now > _AHEAD:
        raise Problem.of_field("ts", "lies in the future; leave it out to decide now")
    if now - ts > LONGEST_BEHIND:
        raise Problem.of_field("ts", f"lies more than {LONGEST_BEHIND.days} days back; send the time at which it was")
    if draft.kind == "announce" and draft.model is None and named:
        raise Problem(422, "model: an announcement names the model that will answer")
    if draft.kind == "comment" and draft.incident is None:
        raise Problem.of_field("incident", "is missing; a comment names the incident that it is about")
    if draft.share is not None and draft.kind != "announce":
        raise Problem.of_field("share", "is of an announcement alone; leave it out")
    _check_not_over(draft, max(draft.ts or by, by) if draft.kind in _ENDING else ts, ts)
    if draft.kind in TIMED_KINDS and draft.expires is not None and draft.expires - max(ts, now) > LONGEST_QUIET:
        raise Problem.of_field(
            "expires", f"lies more than {LONGEST_QUIET.days} days ahead; send an earlier time, and look again then"
        )
    try:
        told = {name: value for name, value in dict(draft).items() if name not in ("new", "hours")}
        return Decision(**{**told, "ts": ts})
    except ValidationError as error:
        raise problem_of_violation(error) from None


def _check_not_over(draft: DecisionDraft, now: datetime, ts: datetime) -> None:
    """That what ends by itself, taken at `ts`, has not ended `now`, when it would do nothing.

    Raises:
        Problem: 422 names what says the end.
    """
    ends = draft.expires or (ts + LASTS if draft.kind in TIMED_KINDS else None)
    if ends is None or ends > now:
        return
    if draft.hours is not None:
        raise Problem.of_field("hours", "is over already, counted from `ts`; leave `ts` out to count from now")
    if draft.expires is None:
        raise Problem.of_field("ts", "lies so far back that it is over already; leave it out, or send `expires`")
    raise Problem.of_field("expires", f"{iso(ends)} is over already; send a time after {iso(now)}")


def _timed(draft: DecisionDraft, now: datetime) -> DecisionDraft:
    """The draft with its end as a time, counted from its `ts`, else from `now`: by the service's own clock.

    Of a silence that is the clock on the wall, of a snooze the route's, which may run ahead.

    Raises:
        Problem: 422 if it says twice when it ends, or ends what has no end.
    """
    if draft.hours is None:
        return draft
    if draft.kind not in TIMED_KINDS:
        raise Problem.of_field("hours", "is of a snooze or a silence alone; leave it out")
    if draft.expires is not None:
        raise Problem.of_field("hours", "is said beside `expires`; send one of the two")
    return draft.model_copy(update={"expires": (draft.ts or now) + timedelta(hours=draft.hours)})


def _until(decision: Decision) -> str | None:
    return iso(decision.until) if decision.kind in (*TIMED_KINDS, "end_silence") else None


def _body_of(record: type[Part]) -> dict[str, Any]:
    schema = {"$ref": f"#/components/schemas/{record.__name__}"}
    return {
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": schema, "example": _BODY_EXAMPLES[record]}},
        }
    }


_BODY_EXAMPLES: Final[dict[type[Part], Any]] = {
    ChangeAnnouncement: {
        "route": "support-bot/prod",
        "model": {"provider": "openai", "requested": "gpt-4", "served": "gpt-4-0613"},
        "reason": "the vendor retires the old version",
        "actor": "mara",
    },
    DecisionDraft: {
        "kind": "acknowledge",
        "route": "support-bot/prod",
        "incident": "b2a6b1e24b1c0c5e",
        "actor": "mara",
        "reason": "I am looking at it",
    },
}
POST_RESPONSES: Final[dict[int | str, dict[str, Any]]] = {
    202: {"model": DecisionReceipt},
    403: {"model": ProblemBody, "description": "The key may not do this, or not on this route."},
    409: {"model": ProblemBody, "description": "It would change nothing; detail says why."},
    413: {"model": ProblemBody, "description": "The body is too large."},
    422: {"model": ProblemBody, "description": "A field cannot be used; errors name field and remedy."},
    503: {"model": ProblemBody, "description": "The database does not answer; send again."},
}

TIMED_KINDS: Final = frozenset({"snooze", "silence"})
"""Kinds that end by themselves."""
_ENDING: Final = TIMED_KINDS | {"end_silence"}
_BY_THE_WALL: Final = frozenset({"silence", "end_silence"})
"""Kinds that are of people, and go by the clock on their wall, not by that of the route."""
_EXAMPLE: Final[dict[str, Any]] = {
    "id": "1fec9bb08f43a022",
    "kind": "acknowledge",
    "route": "support-bot/prod",
    "incident": "b2a6b1e24b1c0c5e",
    "fingerprint": None,
    "silence": None,
    "model": None,
    "share": None,
    "actor": "mara",
    "reason": "I am looking at it",
    "ts": "2026-11-24T18:00:00Z",
    "expires": None,
    "until": None,
    "applied": True,
}


class DecisionSummary(BaseModel):
    """A decision as it was taken, and what became of it."""

    model_config = ConfigDict(json_schema_extra={"example": _EXAMPLE})
    id: str = Field(description="Made of its content.")
    kind: DecisionKind
    route: str
    incident: str | None = Field(description="The incident that it is about; null for the route as a whole.")
    fingerprint: str | None = Field(description="The alert that it is about; null for all of them.")
    silence: str | None = Field(description="The silence that it ends; null for all of the route.")
    model: Model | None = Field(description="The model that was announced or accepted.")
    share: float | None = Field(description="Share of the exchanges that an announced model is to answer; null is all.")
    actor: str = Field(description="Who decided.")
    reason: str
    ts: datetime = Field(description="When it was decided.")
    expires: datetime | None
    until: datetime | None = Field(description="When a snooze or a silence ends: `expires`, else 24 hours later.")
    applied: bool = Field(description="Whether it took effect; false while it is on its way.")


class DecisionPage(BaseModel):
    """Decisions, newest first."""

    items: list[DecisionSummary]
    next: str | None = Field(description="Give this as `cursor` for the page that follows; null on the last one.")


def router(database: Database, guard: Guard) -> APIRouter:
    """The paths, for those whom `guard` lets view."""
    made = APIRouter(prefix="/v1", tags=["decisions"], dependencies=[needs(guard, "viewer")])

    @made.get(
        "/decisions",
        operation_id="listDecisions",
        summary="List decisions",
        responses={200: {"model": DecisionPage}, **UNCHANGED, **FAULTS},
    )
    async def decisions(
        request: Request,
        route: Annotated[
            ToldRoute | None, Query(description="Only of this route.", examples=["support-bot/prod"])
        ] = None,
        incident: Annotated[Hash16 | None, Query(description="Only of this incident.")] = None,
        kind: Annotated[list[DecisionKind] | None, Query(description="Only of these kinds; may be repeated.")] = None,
        cursor: Annotated[str | None, Query(description="`next` of the page before.", max_length=200)] = None,
        limit: Annotated[int, Query(description="How many at most.", ge=1, le=MOST)] = PAGE,
    ) -> Response:
        """What people decided, newest first: also what did not take effect yet."""
        wanted = DecisionFilter(visible_globs(who(request), route), incident, tuple(kind or ()))
        after = None if cursor is None else place_of(cursor)
        found = await query_store(database, decision_store.page, wanted, after, limit + 1)
        following = cursor_of(*found[limit - 1].place) if len(found) > limit else None
        return tagged(request, {"items": [decision_object(one) for one in found[:limit]], "next": following})

    @made.get(
        "/decisions/{id}",
        operation_id="getDecision",
        summary="Read a decision",
        responses={200: {"model": DecisionSummary}, **UNCHANGED, 404: _MISSING, **FAULTS},
    )
    async def decision(request: Request, id: str) -> Response:
        """One decision, by the id that `POST /v1/decisions` answered."""
        wanted = DecisionFilter(visible_globs(who(request)), id=id)
        found = await query_store(database, decision_store.page, wanted, None, 1) if is_id(id) else ()
        if not found:
            raise Problem(404, "there is no such decision; GET /v1/decisions lists them")
        return tagged(request, decision_object(found[0]))

    return made


def decision_object(one: RecordedDecision) -> dict[str, Any]:
    """A decision as the API shows it."""
    until = iso(one.decision.until) if one.decision.kind in TIMED_KINDS else None
    return {"id": one.id, **plain_object(one.decision), "until": until, "applied": one.applied}


_MISSING: Final = {"model": ProblemBody, "description": "There is no such decision."}
