"""What went wrong, as problem+json (RFC 9457): every answer that is no success names field and remedy."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any, Concatenate, Final, ParamSpec, TypeVar

from fastapi import FastAPI, Request
from fastapi.exceptions import HTTPException, RequestValidationError
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, Field, ValidationError
from sqlalchemy import Connection

from services.api.http import otlp_answers
from services.store.engine import Database, is_unavailable

P = ParamSpec("P")
T = TypeVar("T")

LOG: Final = logging.getLogger("keelwatch.api")
MEDIA_TYPE: Final = "application/problem+json"
RETRY_SECONDS: Final = 5
STORE_SECONDS: Final = 15.0
"""Longer than a writer waits for its turn."""


class FieldFault(BaseModel):
    """One field that cannot be used."""

    field: str = Field(description="Where, such as model.requested.", examples=["model.requested"])
    remedy: str = Field(description="What to send there.", examples=["is missing, and every exchange needs it"])


class ProblemBody(BaseModel):
    """RFC 9457. `errors` names each field with its remedy, where a field is to blame."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    errors: list[FieldFault] = []


class Problem(Exception):  # noqa: N818
    """An answer that is no success.

    Attributes:
        detail: one line for people, with the remedy. more: further members of the answer.
    """

    def __init__(
        self, status: int, detail: str, *, headers: Mapping[str, str] | None = None, errors: tuple[FieldFault, ...] = ()
    ) -> None:
        super().__init__(detail)
        self.status, self.detail, self.headers, self.errors = status, detail, dict(headers or {}), errors

    @classmethod
    def of_field(cls, field: str, remedy: str, status: int = 422) -> Problem:
        """One field that cannot be used."""
        return cls(status, f"{field}: {remedy}", errors=(FieldFault(field=field, remedy=remedy),))

    @classmethod
    def later(cls, detail: str, status: int = 503, seconds: int = RETRY_SECONDS) -> Problem:
        """What may succeed when it is tried again after so many seconds."""
        return cls(status, detail, headers={"retry-after": str(seconds)})


def problem_response(problem: Problem) -> Response:
    """The problem as it is sent."""
    faults = [fault.model_dump() for fault in problem.errors]
    return JSONResponse(
        {**problem_members(problem.status, problem.detail), **({"errors": faults} if faults else {})},
        problem.status,
        problem.headers,
        MEDIA_TYPE,
    )


def problem_members(status: int, detail: str) -> dict[str, Any]:
    """The members that every problem has."""
    return {"type": "about:blank", "title": HTTPStatus(status).phrase, "status": status, "detail": detail}


def problem_of_violation(error: ValidationError) -> Problem:
    """A body that violates its schema; what was sent is not repeated."""
    faults = tuple(
        FieldFault(
            field=".".join(str(step) for step in item["loc"]) or "body", remedy=_remedy(item["type"], item["msg"])
        )
        for item in error.errors(include_url=False, include_input=False)
    )
    first, more = faults[0], len(faults) - 1
    return Problem(422, f"{first.field}: {first.remedy}{f' (and {more} more)' if more else ''}", errors=faults)


def _remedy(kind: str, message: str) -> str:
    if kind == "missing":
        return "is missing"
    if kind == "extra_forbidden":
        return "is no field here; leave it out"
    return message.removeprefix("Value error, ").replace("Input should", "must")


def responder(page: Callable[[Request, Problem], Response]) -> Callable[[Request, Problem], Response]:
    """What makes an answer of a problem: `page` of one for a browser that did not ask the API, and of OTLP its own."""

    def told(request: Request, problem: Problem) -> Response:
        if request.scope["path"] in otlp_answers.PATHS:
            return otlp_answers.refused(request, problem.status, problem.detail, _fields(problem), problem.headers)
        browses = "text/html" in request.headers.get("accept", "") and not request.scope["path"].startswith("/v1/")
        return page(request, problem) if browses else problem_response(problem)

    return told


def _fields(problem: Problem) -> dict[str, str]:
    return {fault.field: fault.remedy for fault in problem.errors}


def install(app: FastAPI, page: Callable[[Request, Problem], Response]) -> None:
    """Let every failure of `app` leave as a problem, `page` of one for a browser that did not ask the API."""
    told = responder(page)

    @app.exception_handler(Problem)
    async def problem(request: Request, error: Problem) -> Response:
        return told(request, error)

    @app.exception_handler(404)
    @app.exception_handler(405)
    async def nothing_there(request: Request, error: HTTPException) -> Response:
        return told(request, Problem(error.status_code, _NOTHING[error.status_code], headers=error.headers))

    @app.exception_handler(Exception)
    async def ours(request: Request, error: Exception) -> Response:
        return told(request, Problem(500, "a fault of Keelwatch itself; its log names it"))

    @app.exception_handler(RequestValidationError)
    async def query(request: Request, error: RequestValidationError) -> Response:
        faults = tuple(
            FieldFault(field=str(item["loc"][-1]), remedy=_remedy(item["type"], item["msg"])) for item in error.errors()
        )
        return told(request, Problem(422, f"{faults[0].field}: {faults[0].remedy}", errors=faults))


_NOTHING: Final = {
    404: "there is nothing here; /openapi.json lists every path",
    405: "this path takes another method; /openapi.json names it",
}


async def call_store(work: Callable[[], T]) -> T:
    """What `work` returns, from a thread; a database that is away is a problem that passes.

    Raises:
        Problem: 503 if the database does not answer. What was to be written may then be there.
    """
    try:
        async with asyncio.timeout(STORE_SECONDS):
            return await asyncio.to_thread(work)
    except Exception as error:
        if not (is_unavailable(error) or isinstance(error, TimeoutError)):
            raise
        LOG.warning("the database does not answer: %s", type(error).__name__)
        raise Problem.later("the database does not answer; try again, `keelwatch doctor` says why") from None


async def query_store(
    database: Database, work: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs
) -> T:
    """What `work` finds in one state of the database.

    Raises:
        Problem: 503 if the database does not answer.
    """
    return await call_store(lambda: database.query(work, *args, **kwargs))
