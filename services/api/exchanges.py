"""`POST /v1/exchanges`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, Final

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, Field

from services.api.batch import BatchError
from services.api.body import Budget, read
from services.api.gateway import Gateway, Result
from services.api.guard import Guard, needs, who
from services.api.problems import MEDIA_TYPE, RETRY_SECONDS, Fault, Problem, ProblemBody, head

_LINES: Final = frozenset({"application/x-ndjson", "application/ndjson", "application/jsonl"})
_EXCHANGE: Final = {
    "route": "support-bot/prod",
    "model": {"requested": "gpt-4", "served": "gpt-4-0613"},
    "prompt": "Where is my order?",
    "response": "It left our warehouse this morning.",
}
_SCHEMA: Final = {"$ref": "#/components/schemas/Exchange"}
_MANY: Final = {"type": "array", "items": _SCHEMA, "maxItems": 1000}
_WRAPPED: Final = {"type": "object", "required": ["exchanges"], "properties": {"exchanges": _MANY}}
_BODY: Final[dict[str, Any]] = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {"oneOf": [_SCHEMA, _MANY, _WRAPPED]},
                "examples": {
                    "one": {"value": _EXCHANGE},
                    "many": {"value": {"exchanges": [_EXCHANGE, {**_EXCHANGE, "id": "my-own-id-2"}]}},
                },
            },
            "application/x-ndjson": {"schema": {"type": "string"}, "example": "{...}\n{...}\n"},
        },
    }
}


class Taken(BaseModel):
    """What became of each exchange of a request; nothing is left out."""

    counts: dict[str, int] = Field(description="How many results have each status.", examples=[{"accepted": 2}])
    results: list[Result]


class NotTaken(ProblemBody, Taken):
    """A problem with the result of each exchange."""


def router(gateway: Gateway, guard: Guard, budget: Budget) -> APIRouter:
    """The path, for those whom `guard` lets ingest."""
    made = APIRouter(prefix="/v1", tags=["exchanges"], dependencies=[needs(guard, "ingest")])

    @made.post(
        "/exchanges",
        status_code=202,
        summary="Send exchanges",
        openapi_extra=_BODY,
        responses={
            202: {"model": Taken, "description": "The broker has acknowledged every one."},
            207: {"model": Taken, "description": "The broker has some; look at each result."},
            403: {"model": NotTaken, "description": "The key may not send, or not to these routes."},
            408: {"model": ProblemBody, "description": "The body did not arrive in time."},
            413: {"model": ProblemBody, "description": "The body is too large."},
            415: {"model": ProblemBody, "description": "The body is compressed."},
            422: {"model": NotTaken, "description": "Nothing was sent: no exchange can be read."},
            429: {"model": ProblemBody, "description": "Too much at one time; send again after Retry-After seconds."},
            503: {"model": NotTaken, "description": "Nothing was acknowledged; send again after Retry-After seconds."},
        },
    )
    async def send(request: Request) -> Response:
        """Send one exchange, an array, `{"exchanges": [...]}`, or one object a line (`application/x-ndjson`).

        An exchange without `id` is given one, which is returned. 202 is answered after the broker has acknowledged
        all of them. A repeated id among a route's last 1,024 exchanges counts once, so that what is `unknown` or
        `unavailable` can be sent again with its id.
        """
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        with budget.share() as share:
            raw = await read(request, share)
            try:
                return told(await gateway.take(raw, kind in _LINES, who(request).sees))
            except BatchError as error:
                field, _, remedy = str(error).partition(": ")
                raise Problem(422, str(error), errors=(Fault(field=field, remedy=remedy),)) from None

    return made


def told(results: Sequence[Result]) -> Response:
    """The answer: 202 when all were accepted, 207 when some were, 422 or 403 when none may be sent, else 503."""
    statuses = Counter(result.status for result in results)
    body = {
        "counts": dict(statuses),
        "results": [
            result.model_dump(exclude_none=True, exclude={"flags"} if not result.flags else set()) for result in results
        ],
    }
    if statuses["accepted"]:
        return JSONResponse(body, 202 if statuses["accepted"] == len(results) else 207)
    worst = "unknown" if statuses["unknown"] else "unavailable" if statuses["unavailable"] else "refused"
    status, detail = 503, _DETAILS[worst]
    if not set(statuses) - {"invalid", "forbidden"}:
        status, detail = (422 if statuses["invalid"] else 403), _unsent(results)
    headers = {"retry-after": str(RETRY_SECONDS)} if status == 503 else None
    return JSONResponse({**head(status, detail), **body}, status, headers, MEDIA_TYPE)


_DETAILS: Final = {
    "unknown": "unknown outcome: the broker did not acknowledge in time; send again with the ids of the results",
    "unavailable": "not sent: there is no connection to the broker; send again",
    "refused": "the broker did not take it; the results say why",
}


def _unsent(results: Sequence[Result]) -> str:
    first, more = results[0].detail or "", len(results) - 1
    return first + (f" (and {more} more, each with its own result)" if more else "")
