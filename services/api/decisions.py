"""`POST /v1/changes` and `POST /v1/decisions`."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated, Any, Final

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, Field, StringConstraints, ValidationError

from schemas.base import Hash16, Part, Timestamp, iso
from schemas.decision import Decision, DecisionKind
from schemas.exchange import Route
from schemas.identity import Model
from services.api.body import Budget, read_as
from services.api.deciding import NO_INCIDENT, Decisions, stamp
from services.api.guard import Guard, Principal, needs, who
from services.api.problems import Fault, Problem, ProblemBody, of_store, of_violation
from services.store.decisions import Stale
from services.store.repository import Repository

MOST_WORDS: Final = 2_000
_AHEAD: Final = timedelta(hours=1)
Words = Annotated[str, StringConstraints(min_length=1, max_length=MOST_WORDS, strip_whitespace=True)]
Name = Annotated[str, StringConstraints(min_length=1, max_length=200, strip_whitespace=True)]


class Change(Part):
    """A change of the model that is announced. Who announces it is the key's name, where there are keys."""

    route: Route
    model: Model
    reason: Words
    actor: Name | None = None
    ts: Timestamp | None = None


class Deciding(Part):
    """A decision. Without `ts` it is taken now; the same one with the same `ts` is one, however often it is sent.

    `actor` is the key's name where it is left out; another one that is given is kept as `given via key's name`.
    """

    kind: DecisionKind
    route: Route
    incident: Hash16 | None = None
    fingerprint: Hash16 | None = None
    model: Model | None = None
    actor: Name | None = None
    reason: Words
    ts: Timestamp | None = None
    expires: Timestamp | None = None


class Decided(BaseModel):
    """The decision was written, and will be published."""

    id: str = Field(description="Its id, made of its content.", examples=["1fec9bb08f43a022"])
    ts: str = Field(description="When it was taken.", examples=["2026-11-24T18:00:00Z"])


def router(decisions: Decisions, repository: Repository, guard: Guard, budget: Budget) -> APIRouter:
    """The paths, for those whom `guard` lets operate."""
    made = APIRouter(prefix="/v1", tags=["decisions"], dependencies=[needs(guard, "operator")])

    async def written(draft: Deciding, caller: Principal) -> Response:
        check_route(caller, draft.route)
        named = None if draft.incident is None else await of_store(lambda: repository.incident(draft.incident or ""))
        if named is not None and not caller.sees(named.route):
            raise Problem(409, NO_INCIDENT)
        signed = draft.model_copy(update={"actor": actor_of(draft.actor, caller)})
        decision = completed(signed, stamp(named, decisions.clock()))
        try:
            id = await decisions.decide(decision)
        except Stale as error:
            raise Problem(409, str(error)) from None
        return JSONResponse({"id": id, "ts": iso(decision.ts)}, 202)

    @made.post("/changes", status_code=202, summary="Announce a change", openapi_extra=_of("Change"), responses=_TOLD)
    async def announce(request: Request) -> Response:
        """Announce that another model will answer on a route: what follows is attributed to it, and re-evaluated."""
        with budget.share() as share:
            change = await read_as(request, share, Change)
        return await written(Deciding(kind="announce", **dict(change)), who(request))

    @made.post("/decisions", status_code=202, summary="Decide", openapi_extra=_of("Deciding"), responses=_TOLD)
    async def decide(request: Request) -> Response:
        """Acknowledge, snooze, resolve ... an incident, or accept, silence, announce on a route.

        202 means that it is written and will be published; what it does shows in the incident's timeline. 409 says
        why it would change nothing: the incident was resolved, somebody decided the same, none is open.
        """
        with budget.share() as share:
            draft = await read_as(request, share, Deciding)
        return await written(draft, who(request))

    return made


def check_route(caller: Principal, route: str) -> None:
    """That a key may write to the route, whether there is such a route or not.

    Raises:
        Problem: 403 if it may not.
    """
    if not caller.sees(route):
        remedy = f"must be one of this key's routes ({', '.join(caller.routes)})"
        raise Problem(403, f"route: {remedy}", errors=(Fault(field="route", remedy=remedy),))


def actor_of(given: str | None, caller: Principal) -> str:
    """Who decides, as the timeline shows it: the key vouches for its own name alone.

    Raises:
        Problem: 422 if nobody is named.
    """
    if caller.name is None:
        if given is None:
            raise Problem(422, "actor: is missing", errors=(Fault(field="actor", remedy="is missing"),))
        return given
    return caller.name if given in (None, caller.name) else f"{given} via {caller.name}"


def completed(draft: Deciding, now: datetime) -> Decision:
    """The decision of a draft, taken `now` when it does not say.

    Raises:
        Problem: 422 names what is missing for its kind, or the time that cannot be.
    """
    ts = draft.ts or now
    if ts - now > _AHEAD:
        raise Problem(422, "ts: lies in the future; leave it out to decide now")
    if draft.kind == "announce" and draft.model is None:
        raise Problem(422, "model: an announcement names the model that will answer")
    if draft.expires is not None and draft.expires <= ts:
        raise Problem(422, "expires: lies before the decision; send a later time")
    try:
        return Decision(**{**dict(draft), "ts": ts})
    except ValidationError as error:
        raise of_violation(error) from None


def _of(name: str) -> dict[str, Any]:
    schema = {"$ref": f"#/components/schemas/{name}"}
    return {
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": schema, "example": _EXAMPLES[name]}},
        }
    }


_EXAMPLES: Final = {
    "Change": {
        "route": "support-bot/prod",
        "model": {"provider": "openai", "requested": "gpt-4", "served": "gpt-4-0613"},
        "reason": "the vendor retires the old version",
        "actor": "mara",
    },
    "Deciding": {
        "kind": "acknowledge",
        "route": "support-bot/prod",
        "incident": "b2a6b1e24b1c0c5e",
        "actor": "mara",
        "reason": "I am looking at it",
    },
}
_TOLD: Final[dict[int | str, dict[str, Any]]] = {
    202: {"model": Decided},
    403: {"model": ProblemBody, "description": "The key may not do this, or not on this route."},
    409: {"model": ProblemBody, "description": "It would change nothing; detail says why."},
    413: {"model": ProblemBody, "description": "The body is too large."},
    422: {"model": ProblemBody, "description": "A field cannot be used; errors name field and remedy."},
    503: {"model": ProblemBody, "description": "The database does not answer; send again."},
}
