"""`/v1/exchanges`: exchanges sent in, and what was measured of them with redacted text."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, Final, Literal

import msgspec
from fastapi import APIRouter, Query, Request
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, Field

from schemas.base import HEX16
from schemas.exchange import Route
from services.api.auth.authorization import Guard, needs, who
from services.api.exchange_publisher import ExchangePublisher, ExchangeResult
from services.api.http.batch import BatchError
from services.api.http.body import BodyBudget, read_body
from services.api.http.etags import tagged
from services.api.http.openapi import FAULTS, UNCHANGED
from services.api.http.paging import MOST, PAGE, AskedSpan, index_cursor, index_place_of
from services.api.http.parameters import NO_NUL
from services.api.http.problems import (
    MEDIA_TYPE,
    RETRY_SECONDS,
    FieldFault,
    Problem,
    ProblemBody,
    problem_members,
    query_store,
)
from services.ingest.routing import Carriage, RouteRule
from services.store import scores
from services.store.engine import Database
from services.store.scores import ExchangeFilter, StoredExchange

_LINE_TYPES: Final = frozenset({"application/x-ndjson", "application/ndjson", "application/jsonl"})
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


class ExchangeResults(BaseModel):
    """What became of each exchange of a request; nothing is left out."""

    counts: dict[str, int] = Field(description="How many results have each status.", examples=[{"accepted": 2}])
    results: list[ExchangeResult]


class ExchangeResultsProblem(ProblemBody, ExchangeResults):
    """A problem with the result of each exchange; without one where the request as a whole was refused."""

    counts: dict[str, int] = Field({}, description="How many results have each status.")
    results: list[ExchangeResult] = Field([], description="One for each exchange, in the order of the request.")


_SENT: Final[dict[int | str, dict[str, Any]]] = {
    202: {"model": ExchangeResults, "description": "The broker has acknowledged every one."},
    207: {
        "model": ExchangeResults,
        "description": "The broker has some; look at each result. Retry-After where some are beyond a limit.",
    },
    403: {"model": ExchangeResultsProblem, "description": "The key may not send, or not to these routes."},
    408: {"model": ProblemBody, "description": "The body did not arrive in time."},
    413: {"model": ProblemBody, "description": "The body is too large."},
    415: {"model": ProblemBody, "description": "The body is compressed by something else than gzip."},
    422: {"model": ExchangeResultsProblem, "description": "Nothing was sent: no exchange can be read."},
    429: {
        "model": ExchangeResultsProblem,
        "description": "Too much at one time, or beyond a limit of the key or the routes; send again after "
        "Retry-After seconds.",
    },
    503: {
        "model": ExchangeResultsProblem,
        "description": "Nothing was acknowledged; send again after Retry-After seconds.",
    },
}


def ingest_router(
    gateway: ExchangePublisher, guard: Guard, budget: BodyBudget, rules: tuple[RouteRule, ...] = ()
) -> APIRouter:
    """The path, for those whom `guard` lets ingest; `rules` give a route to what names none."""
    made = APIRouter(prefix="/v1", tags=["exchanges"], dependencies=[needs(guard, "ingest")])

    @made.post(
        "/exchanges",
        status_code=202,
        operation_id="sendExchanges",
        summary="Send exchanges",
        openapi_extra=_BODY,
        responses=_SENT,
    )
    async def send(request: Request) -> Response:
        """Send one exchange, an array, `{"exchanges": [...]}`, or one object a line (`application/x-ndjson`).

        An exchange without `id` is given one, which is returned. 202 is answered after the broker has acknowledged
        all of them. A repeated id among a route's last 1,024 exchanges counts once, so that what is `unknown` or
        `unavailable` can be sent again with its id.
        """
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        with budget.share() as share:
            raw = await read_body(request, share, packed=True)
            try:
                carriage = Carriage(told_headers(request), rules)
                asks = who(request)
                return results_response(await gateway.take(raw, kind in _LINE_TYPES, asks.sees, carriage, asks.name))
            except BatchError as error:
                field, _, remedy = str(error).partition(": ")
                raise Problem(422, str(error), errors=(FieldFault(field=field, remedy=remedy),)) from None

    return made


_UNTOLD: Final = frozenset({"authorization", "cookie", "proxy-authorization"})


def told_headers(request: Request) -> dict[str, str]:
    """The headers of a request by which its records are read and given a route: none that proves who sent it."""
    return {name: value for name, value in request.headers.items() if name not in _UNTOLD}


def results_response(results: Sequence[ExchangeResult]) -> Response:
    """The answer: 202 when all were accepted, 207 when some were, 422 or 403 when none may be sent.

    429 when all that may be are beyond a limit, else 503.
    """
    statuses = Counter(result.status for result in results)
    waits = [result.retry_after for result in results if result.retry_after is not None]
    headers = {"retry-after": str(max(waits))} if waits else None
    body = {
        "counts": dict(statuses),
        "results": [
            result.model_dump(exclude_none=True, exclude={"flags"} if not result.flags else set()) for result in results
        ],
    }
    if statuses["accepted"]:
        return JSONResponse(body, 202 if statuses["accepted"] == len(results) else 207, headers)
    if waits and len(waits) == len(results) - statuses["invalid"] - statuses["forbidden"]:
        beyond = next(result.detail or "" for result in results if result.retry_after is not None)
        return JSONResponse({**problem_members(429, beyond), **body}, 429, headers, MEDIA_TYPE)
    worst = "unknown" if statuses["unknown"] else "unavailable" if statuses["unavailable"] else "refused"
    status, detail = 503, _DETAILS[worst]
    if not set(statuses) - {"invalid", "forbidden"}:
        status, detail = (422 if statuses["invalid"] else 403), _unsent(results)
    headers = {"retry-after": str(max([RETRY_SECONDS, *waits]))} if status == 503 else None
    return JSONResponse({**problem_members(status, detail), **body}, status, headers, MEDIA_TYPE)


_DETAILS: Final = {
    "unknown": "unknown outcome: the broker did not acknowledge in time; send again with the ids of the results",
    "unavailable": "not sent: there is no connection to the broker; send again",
    "refused": "the broker did not take it; the results say why",
}


def _unsent(results: Sequence[ExchangeResult]) -> str:
    first, more = results[0].detail or "", len(results) - 1
    return first + (f" (and {more} more, each with its own result)" if more else "")


_ROUTE: Final = Query(description="Of this route.", examples=["support-bot/prod"])
_RESPONSES: Final[dict[int | str, dict[str, Any]]] = {**UNCHANGED, **FAULTS}


class SignalValue(BaseModel):
    """One signal of an exchange."""

    value: bool | float | str | None = Field(description="A category is a text. Null when it could not be measured.")
    probability: float | None
    status: str = Field(examples=["scored"])
    parts: dict[str, bool] = Field(description="The same of each tool or guardrail alone; empty where it has none.")


class ScoredExchange(BaseModel):
    """One exchange: text is redacted, and null where it was not kept."""

    id: str
    route: str
    ts: datetime
    identity: str = Field(description="Who answered.")
    event_index: int | None = Field(description="Its number on the route; null when its scores are no longer kept.")
    flags: list[str]
    signals: dict[str, SignalValue] | None = Field(description="Null when its scores are no longer kept.")
    text: Literal["kept", "text not kept"]
    why: list[str] = Field(description="Signals for which its text was kept; empty when it was drawn.")
    prompt: str | None
    response: str | None


class ExchangePage(BaseModel):
    """Exchanges, newest first."""

    items: list[ScoredExchange]
    next: str | None = Field(description="Give this as `cursor` for the page that follows; null on the last one.")


def router(database: Database, guard: Guard) -> APIRouter:
    """The paths, for those whom `guard` lets view."""
    made = APIRouter(prefix="/v1", tags=["exchanges"], dependencies=[needs(guard, "viewer")])
    _add_list(made, database)
    _add_one(made, database)
    return made


def _add_list(made: APIRouter, database: Database) -> None:
    @made.get(
        "/exchanges",
        operation_id="listExchanges",
        summary="List scored exchanges",
        responses={200: {"model": ExchangePage}, **_RESPONSES},
    )
    async def listed(
        request: Request,
        span: AskedSpan,
        route: Annotated[Route, _ROUTE],
        identity: Annotated[str | None, Query(description="Only answered by this.", pattern=HEX16)] = None,
        signal: Annotated[
            str | None,
            Query(description="Only where it was true.", pattern="^[a-z0-9_.]{1,100}$", examples=["refusal"]),
        ] = None,
        conversation: Annotated[
            str | None, Query(description="Only of this conversation.", max_length=500, pattern=NO_NUL)
        ] = None,
        kept: Annotated[bool, Query(description="Only those whose redacted text was kept.")] = False,
        cursor: Annotated[str | None, Query(description="`next` of the page before.", max_length=200)] = None,
        limit: Annotated[int, Query(description="How many at most.", ge=1, le=MOST)] = PAGE,
    ) -> Response:
        """The newest exchanges of a route: the last 5,000 of each identity, and those around incidents.

        Text is redacted before it is stored; of most exchanges none is kept.
        """
        before = None if cursor is None else index_place_of(cursor)[0]
        seen = who(request).sees(route)

        found: tuple[StoredExchange, ...] = ()
        if seen:
            wanted = ExchangeFilter(identity, signal, conversation, span, kept)
            found = await query_store(database, scores.exchanges, route, before, limit + 1, wanted)
        items = [scored_exchange(one).model_dump(mode="json") for one in found[:limit]]
        following = index_cursor(found[limit - 1].event_index or 0) if len(found) > limit else None
        return tagged(request, {"items": items, "next": following})


def _add_one(made: APIRouter, database: Database) -> None:
    @made.get(
        "/exchanges/{id:path}",
        operation_id="getExchange",
        summary="Read a scored exchange",
        responses={
            200: {"model": ScoredExchange},
            404: {"model": ProblemBody, "description": "There is no such exchange, or it is no longer kept."},
            **_RESPONSES,
        },
    )
    async def one(request: Request, id: str, route: Annotated[Route, _ROUTE]) -> Response:
        """One exchange of a route by its id, such as an exemplar of an incident: scores, and text where it was kept."""
        known = "\0" not in id and who(request).sees(route)
        found = await query_store(database, scores.exchange, route, id) if known else None
        if found is None:
            raise Problem(404, "there is no such exchange of this route, or it is no longer kept")
        return tagged(request, scored_exchange(found).model_dump(mode="json"))


def scored_exchange(one: StoredExchange) -> ScoredExchange:
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
        else {name: SignalValue(**msgspec.structs.asdict(signal)) for name, signal in signals.items()},
        text="text not kept" if sample is None else "kept",
        why=[] if sample is None else list(sample.signals),
        prompt=None if sample is None else sample.prompt,
        response=None if sample is None else sample.response,
    )
