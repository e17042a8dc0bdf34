"""`GET /v1/dead-letters` and the replay of them."""

from __future__ import annotations

import asyncio
import base64
import json
from dataclasses import astuple
from datetime import datetime
from typing import Annotated, Any, Final, Literal, get_args

from fastapi import APIRouter, Query, Request
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, Field, TypeAdapter

from schemas.base import Part
from schemas.dead_letter import DeadLetter
from schemas.topics import dead_topics
from services.api.auth.authorization import Guard, Principal, needs, who
from services.api.dead_letter_replays import ReplayStatus
from services.api.http.body import BodyBudget, read_model
from services.api.http.etags import tagged
from services.api.http.openapi import FAULTS, UNCHANGED
from services.api.http.paging import MOST, PAGE, cursor_after, foreign_cursor, key_of
from services.api.http.problems import LOG, Problem, ProblemBody, query_store
from services.api.system import SystemHealth
from services.store import dead_letters
from services.store.dead_letters import DeadLetterCount
from services.store.engine import Database
from services.wording.dead_letters import missing_content

DeadLetterStep = Literal["score", "detect", "evaluate", "alert", "record"]
LETTERS_SECONDS: Final = 10.0
_KEY: Final = 4
_COUNTS: Final = TypeAdapter(list[DeadLetterCount])
assert {topic.producer for topic in dead_topics()} <= set(get_args(DeadLetterStep))


class DeadLetterContent(BaseModel):
    """One dead letter with its content, which may be personal."""

    step: str = Field(examples=["score"])
    topic: str = Field(examples=["keelwatch.exchanges"])
    partition: int
    offset: int
    reason: str = Field(examples=["prompt: must be text"])
    first_seen: datetime | None
    length: int = Field(description="Bytes of the record; its first 256 KiB are kept.")
    content: str = Field(description="The record as text; what is no UTF-8 is replaced. Empty where there is none.")
    no_content: str | None = Field(None, description="Why there is no content, such as a key that was forgotten.")


class DeadLetterPage(BaseModel):
    """Dead letters counted by step, topic and reason; with `show_content`, the newest letters themselves too."""

    items: list[DeadLetterCount]
    next: str | None = Field(description="Give this as `cursor` for the page that follows; null on the last one.")
    letters: list[DeadLetterContent] | None = Field(None, description="Only with show_content=true.")


class ReplayRequest(Part):
    """What is to be sent again."""

    step: DeadLetterStep = Field(description="The step whose dead letters are sent again.", examples=["score"])


def routers(database: Database, health: SystemHealth, guard: Guard, budget: BodyBudget) -> tuple[APIRouter, ...]:
    """The paths: counts for those whom `guard` lets view, content and replay for those whom it lets do everything."""
    return _reading(database, health, guard), _replaying(health, guard, budget)


def _reading(database: Database, health: SystemHealth, guard: Guard) -> APIRouter:
    made = APIRouter(prefix="/v1", tags=["dead letters"], dependencies=[needs(guard, "viewer")])

    @made.get(
        "/dead-letters",
        operation_id="listDeadLetters",
        summary="Count dead letters",
        responses={
            200: {"model": DeadLetterPage},
            **UNCHANGED,
            403: {"model": ProblemBody, "description": "The content is for an admin of all routes."},
            **FAULTS,
        },
    )
    async def counts(
        request: Request,
        step: Annotated[DeadLetterStep | None, Query(description="Only of this step.", examples=["score"])] = None,
        show_content: Annotated[
            bool, Query(description="Also the newest letters, with their content, which may be personal: for admins.")
        ] = False,
        cursor: Annotated[str | None, Query(description="`next` of the page before.", max_length=4000)] = None,
        limit: Annotated[int, Query(description="How many at most.", ge=1, le=MOST)] = PAGE,
    ) -> Response:
        """What steps could not read: how many by step, topic and reason, and when first and last."""
        if show_content:
            check_sees_all(who(request), "sees the content of dead letters")
        after = None if cursor is None else _place_of(cursor)
        found = await query_store(database, dead_letters.page, step, after, limit + 1)
        items = _COUNTS.dump_python(list(found[:limit]), mode="json")
        following = cursor_after(json.dumps(astuple(found[limit - 1])[:_KEY])) if len(found) > limit else None
        body: dict[str, Any] = {"items": items, "next": following}
        if show_content:
            body["letters"] = await _letters(health, step, limit)
        return tagged(request, body)

    return made


def _replaying(health: SystemHealth, guard: Guard, budget: BodyBudget) -> APIRouter:
    made = APIRouter(prefix="/v1", tags=["dead letters"], dependencies=[needs(guard, "admin")])

    @made.get(
        "/dead-letters/replay",
        operation_id="getDeadLetterReplay",
        summary="Read the last replay",
        responses={200: {"model": ReplayStatus}, **_NO_REPLAY},
    )
    async def last(request: Request) -> Response:
        """What became of the last replay that this process was asked for."""
        if health.replays.last is None:
            raise Problem(404, "no replay was asked for; POST /v1/dead-letters/replay begins one")
        return tagged(request, health.replays.last.model_dump(mode="json"))

    @made.post(
        "/dead-letters/replay",
        status_code=202,
        operation_id="replayDeadLetters",
        summary="Replay dead letters",
        openapi_extra=_REPLAY_BODY,
        responses=_REPLAY_RESPONSES,
    )
    async def replay(request: Request) -> Response:
        """Send a step's dead letters again, after the cause was mended, in the background.

        What an earlier replay has sent, and what failed once more, is not sent: a second one sends nothing.
        """
        principal = who(request)
        check_sees_all(principal, "replays dead letters")
        with budget.share() as share:
            wanted = await read_model(request, share, ReplayRequest)
        begun = health.replays.begin(wanted.step, principal.name)
        return JSONResponse(begun.model_dump(mode="json"), 202, {"location": "/v1/dead-letters/replay"})

    return made


def check_sees_all(principal: Principal, does: str) -> None:
    """That somebody may do what concerns every route: nobody knows of which route a dead letter is.

    Raises:
        Problem: 403 if they may not.
    """
    if not (principal.may("admin") and principal.sees_all):
        raise Problem(403, f"only an admin key for all routes {does}; ask somebody who has one")


async def _letters(health: SystemHealth, step: str | None, most: int) -> list[dict[str, Any]]:
    try:
        async with asyncio.timeout(LETTERS_SECONDS):
            found = await health.operations.letters(step, most)
    except Exception as error:  # also a time-out: the letters lie on the broker
        LOG.warning("dead letters cannot be read: %s", type(error).__name__)
        raise Problem.later("the broker does not answer; try again, or leave show_content out") from None
    return [_shown(one).model_dump(mode="json") for one in found]


def _shown(letter: DeadLetter) -> DeadLetterContent:
    at = letter.source
    return DeadLetterContent(
        step=letter.step,
        topic=at.topic,
        partition=at.partition,
        offset=at.offset,
        reason=letter.reason,
        first_seen=letter.first_seen,
        length=letter.length,
        content=base64.b64decode(letter.raw).decode(errors="replace"),
        no_content=missing_content(letter),
    )


def _place_of(cursor: str) -> tuple[str, ...]:
    try:
        place = json.loads(key_of(cursor))
        if len(place) == _KEY and all(isinstance(one, str) and "\0" not in one and one.encode() for one in place):
            return tuple(place)
    except (TypeError, ValueError, RecursionError):
        pass
    raise foreign_cursor()


_NO_REPLAY: Final[dict[int | str, dict[str, Any]]] = {404: {"model": ProblemBody, "description": "None was asked for."}}
_REPLAY_BODY: Final = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {"$ref": f"#/components/schemas/{ReplayRequest.__name__}"},
                "example": {"step": "score"},
            }
        },
    }
}
_REPLAY_RESPONSES: Final[dict[int | str, dict[str, Any]]] = {
    202: {"model": ReplayStatus},
    403: {"model": ProblemBody, "description": "It is for an admin of all routes."},
    409: {"model": ProblemBody, "description": "One is running already."},
    422: {"model": ProblemBody, "description": "A field cannot be used; errors name field and remedy."},
}
