"""`/v1/suites`: what a model can be asked."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Annotated, Any

from fastapi import APIRouter, Path, Request
from fastapi.responses import Response
from pydantic import BaseModel, Field

from services.api.auth.authorization import Guard, needs
from services.api.http.etags import tagged
from services.api.http.openapi import FAULTS, UNCHANGED
from services.api.http.problems import Problem, ProblemBody
from services.evaluate.paired_statistics import remarks
from services.evaluate.suite import Item
from services.evaluate.suite import Suite as Loaded
from services.evaluate.suite_library import load_suite, suite_names


class SuiteSummary(BaseModel):
    """A suite: items under one name, version and hash."""

    name: str = Field(examples=["core"])
    version: str
    title: str
    sha256: str = Field(description="Over all that is asked and scored: runs of two hashes cannot be compared.")
    margin: float = Field(description="Largest change, in points, that still counts as none.")
    items: int
    answers: int = Field(description="Of one run.")
    measures: dict[str, int] = Field(description="Items of each measure.")
    hazards: dict[str, str] = Field(description="Title of each hazard.")


class SuitePage(BaseModel):
    """Every suite, by name."""

    items: list[SuiteSummary]
    next: str | None = Field(description="Always null: there are few.")


class SuiteQuestion(BaseModel):
    """One item as it is asked, with its hash."""

    id: str
    hazard: str
    measure: str
    repeats: int
    sha256: str
    messages: list[dict[str, str]]
    tools: list[str] = Field(description="Names of the tools that it declares.")
    pair: str | None = Field(description="The item that its answer is held against.")


class SuiteDetail(SuiteSummary):
    """A suite with its items. `remarks`: what so many items can show at all."""

    questions: list[SuiteQuestion]
    remarks: list[str]


def router(guard: Guard) -> APIRouter:
    """The paths, for those whom `guard` lets view. Suites are the same for every route."""
    made = APIRouter(prefix="/v1", tags=["evaluations"], dependencies=[needs(guard, "viewer")])

    @made.get(
        "/suites", operation_id="listSuites", summary="List suites", responses={200: {"model": SuitePage}, **UNCHANGED}
    )
    async def suites(request: Request) -> Response:
        """The built-in suites, by name."""
        found = await asyncio.to_thread(lambda: [_object(load_suite(name)) for name in suite_names()])
        return tagged(request, {"items": found, "next": None})

    @made.get(
        "/suites/{name}",
        operation_id="getSuite",
        summary="Read a suite",
        responses={
            200: {"model": SuiteDetail},
            **UNCHANGED,
            404: {"model": ProblemBody, "description": "There is no such suite."},
            422: FAULTS[422],
        },
    )
    async def suite(
        request: Request, name: Annotated[str, Path(description="Its name.", examples=["core"])]
    ) -> Response:
        """One built-in suite with every item as it is asked."""
        if name not in suite_names():
            raise Problem(404, "there is no such suite; GET /v1/suites lists them")
        found = await asyncio.to_thread(load_suite, name)
        questions = [_question(item) for item in found.items]
        return tagged(request, {**_object(found), "questions": questions, "remarks": list(remarks(found))})

    return made


def _object(suite: Loaded) -> dict[str, Any]:
    measures = dict(sorted(Counter(item.measure for item in suite.items).items()))
    return SuiteSummary(
        name=suite.name,
        version=suite.version,
        title=suite.title,
        sha256=suite.sha256,
        margin=suite.margin,
        items=len(suite.items),
        answers=suite.answers,
        measures={str(name): n for name, n in measures.items()},
        hazards=dict(suite.hazards),
    ).model_dump(mode="json")


def _question(item: Item) -> dict[str, Any]:
    messages = [{"role": str(turn.role), "content": turn.content} for turn in item.messages]
    return {
        "id": item.id,
        "hazard": item.hazard,
        "measure": item.measure,
        "repeats": item.repeats,
        "sha256": item.sha256,
        "messages": messages,
        "tools": [tool.name for tool in item.tools],
        "pair": item.pair,
    }
