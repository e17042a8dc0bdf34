"""`/v1/traces` and `/v1/logs`: what SDKs and the Collector of OpenTelemetry export by OTLP over HTTP."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, Final

from fastapi import APIRouter, Request
from fastapi.responses import Response

from services.api.auth.authorization import Guard, needs, who
from services.api.exchange_publisher import ExchangePublisher, ExchangeResult
from services.api.http import otlp_answers
from services.api.http.body import BodyBudget, read_body
from services.api.http.otlp_answers import ANSWER, JSON, LOGS, PROTOBUF, STATUS, TRACES
from services.api.http.problems import Problem
from services.api.resources.exchanges import told_headers
from services.ingest.errors import FormatError
from services.ingest.routing import Carriage, RouteRule

_LATER: Final = {"unavailable", "unknown"}
_MOST_REASONS: Final = 3
_TOLD: Final[dict[int, str]] = {
    400: "The body is not OTLP, or holds too much: it is not to be sent again as it is.",
    403: "The key may not send, or to none of these routes.",
    408: "The body did not arrive in time.",
    413: "The body is too large, or unpacks to too much.",
    415: "Neither protobuf nor JSON, or compressed by something else than gzip.",
    429: "Too much at one time; send again after Retry-After seconds.",
    503: "The broker did not acknowledge all; send again after Retry-After seconds, and what it has counts once.",
}


def router(
    gateway: ExchangePublisher, guard: Guard, budget: BodyBudget, rules: tuple[RouteRule, ...] = ()
) -> APIRouter:
    """The paths, for those whom `guard` lets ingest; `rules` give a route to what names none."""
    made = APIRouter(prefix="/v1", tags=["exchanges"], dependencies=[needs(guard, "ingest")])
    responses: dict[int | str, dict[str, Any]] = {
        200: {"content": ANSWER, "description": "Taken, but for what `partialSuccess` says was rejected, and why."},
        **{status: {"content": STATUS, "description": told} for status, told in _TOLD.items()},
    }
    spans, logs = (TRACES, "spans", "resourceSpans"), (LOGS, "logs", "resourceLogs")
    for path, what, field in (spans, logs):
        made.add_api_route(
            path.removeprefix("/v1"),
            _exporting(gateway, budget, rules),
            methods=["POST"],
            name=f"export_{what}",
            operation_id=f"export{what.capitalize()}",
            summary=f"Export {what}",
            response_class=Response,
            responses=responses,
            openapi_extra=_body(field),
        )
    return made


def _body(field: str) -> dict[str, Any]:
    schema = {"type": "object", "properties": {field: {"type": "array", "items": {"type": "object"}}}}
    content = {JSON: {"schema": schema, "example": {field: []}}, PROTOBUF: {"schema": {"type": "string"}}}
    return {"requestBody": {"required": True, "content": content}}


def _exporting(gateway: ExchangePublisher, budget: BodyBudget, rules: tuple[RouteRule, ...]) -> Any:
    async def export(request: Request) -> Response:
        """OTLP over HTTP in protobuf or JSON, also packed by gzip.

        Each span that is a call of a model, and the log records of each that hold its texts, are an exchange; all else
        is passed over. The answers are the messages of OTLP; 200 comes after the broker has acknowledged every exchange
        that can be read.
        """
        if otlp_answers.content_type(request) not in {JSON, PROTOBUF}:
            raise Problem.of_field("content-type", f"must be {PROTOBUF} or {JSON}", 415)
        with budget.share() as share:
            raw = await read_body(request, share, packed=True)
            try:
                asks, carriage = who(request), Carriage(told_headers(request), rules)
                results = await gateway.take_calls(raw, asks.sees, carriage, asks.name)
            except FormatError as error:
                field, _, remedy = str(error).partition(": ")
                raise Problem.of_field(field, remedy, 400) from None
            return _answer(request, results)

    return export


def _answer(request: Request, results: Sequence[ExchangeResult]) -> Response:
    """What became of all: a part that may succeed later asks for the whole again, since what has arrived counts once.

    Raises:
        Problem: 503 if the broker did not acknowledge one, 403 if the key may send none.
    """
    statuses = Counter(one.status for one in results)
    if _LATER & statuses.keys():
        raise Problem.later("not all acknowledged by the broker; send all again: what it has counts once")
    if statuses and set(statuses) == {"forbidden"}:
        raise Problem(403, results[0].detail or "")
    rejected = [one for one in results if one.status != "accepted"]
    return otlp_answers.accepted(request, len(rejected), _reasons(rejected))


def _reasons(rejected: Sequence[ExchangeResult]) -> str:
    """Why calls were rejected, the most frequent first."""
    told = Counter(one.detail or one.status for one in rejected).most_common()
    more = [f"and {len(told) - _MOST_REASONS} other reasons"] if len(told) > _MOST_REASONS else []
    return "; ".join([f"{n} x {why}" for why, n in told[:_MOST_REASONS]] + more)
