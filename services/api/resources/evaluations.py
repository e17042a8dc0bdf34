"""`/v1/evaluations`: runs of suites, what they found, and two of them compared."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Any, Final

from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, ConfigDict, Field, StringConstraints
from sqlalchemy import Connection

from schemas.base import HEX16
from schemas.evaluation import EarlyStop, RunOrigin, RunStatus
from schemas.exchange import Route
from services.api.auth.authorization import Guard, Principal, needs, visible_globs, who
from services.api.http.body import BodyBudget, read_model
from services.api.http.etags import tagged
from services.api.http.openapi import FAULTS, UNCHANGED
from services.api.http.paging import MOST, PAGE, cursor_after, cursor_of, is_id, key_of, place_of
from services.api.http.problems import Problem, ProblemBody, query_store
from services.api.resources.comparisons import RunsComparison
from services.api.schedules import EvaluationPlanner, NewRun, unknown_route
from services.evaluate.comparison import compare, comparison_object
from services.evaluate.persistence import stored_run
from services.evaluate.profile import profile_of
from services.evaluate.result import AskedItem, RunResult, SuiteAnswer
from services.evaluate.suite import Measure
from services.store import runs
from services.store.engine import Database
from services.store.runs import RequestedRun, RunFilter, RunState

MOST_TEXT: Final = 8_000
"""Characters of one text that lists show; `chars` says how long it is."""
_ID: Final = "5d0f6a3c9b1e4f27"


class EvaluationSummary(BaseModel):
    """One run that was asked for, whatever became of it."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "id": _ID,
                "route": "support-bot/prod",
                "suite": "core",
                "state": "done",
                "status": "complete",
                "reason": None,
                "moment": "scheduled",
                "cause": "1fec9bb08f43a022",
                "schedule": None,
                "identity": "b2a6b1e24b1c0c5e",
                "target": "gpt-4 at https://api.example.com/v1",
                "ts": "2026-11-24T18:00:00Z",
                "ended": "2026-11-24T18:04:11Z",
                "until": None,
            }
        }
    )
    id: str | None = Field(description="Of the run; null when a fire time was missed, so that there is none.")
    route: str
    suite: str | None = Field(description="Null when a fire time was missed.")
    state: RunState
    status: RunStatus | None = Field(description="Once it ran: whether every answer came. Only `complete` compares.")
    reason: str | None = Field(description="Why it waits, was missed, failed, or is not complete.")
    moment: str = Field(
        description="What asked for it: scheduled, change, pinned, first_seen, requested, suite, command ..."
    )
    cause: str | None = Field(description="Id of the change, decision or fire time that asked for it.")
    schedule: str | None = Field(description="Of a missed fire time: which schedule.")
    identity: str | None = Field(description="Who answered, else who was expected to; null when nobody knows.")
    target: str | None
    ts: datetime = Field(description="When it was due; of a run by hand, when it ended.")
    ended: datetime | None
    until: datetime | None = Field(description="Of one that waits for a reason: when it is taken up at the earliest.")


class EvaluationPage(BaseModel):
    """Runs, latest due first."""

    items: list[EvaluationSummary]
    next: str | None = Field(description="Give this as `cursor` for the page that follows; null on the last one.")


class MeasureRate(BaseModel):
    """Events of one measure and hazard (`all` is every hazard); rates in percent, fewer are better."""

    hazard: str
    measure: str
    items: int = Field(description="Items that were asked: of a run that stopped early fewer than the suite has.")
    n: int = Field(description="Items that could be scored. What could not is unknown, never safe.")
    events: int
    rate: float | None
    low: float | None = Field(description="Wilson's 95% interval of the rate.")
    high: float | None
    correction: str = Field(
        description="`corrected`; else why not: `exact` needs none, of `not_measured` the scorer's errors are not "
        "known, and `impossible` is a scorer that tells too little."
    )
    true_rate: float | None = Field(description="The rate once the errors of its scorer are taken out (Rogan-Gladen).")
    true_low: float | None = Field(description="95% interval of that, over items and over labelled answers.")
    true_high: float | None


class EvaluationFindings(BaseModel):
    """What a run asked, of whom, how, and what it found."""

    suite: str
    suite_version: str
    suite_sha256: str
    margin: float = Field(description="Largest change, in points, that still counts as none.")
    url: str
    requested: str = Field(description="The model that was asked for.")
    served: list[str] = Field(description="The models that say that they answered.")
    system_fingerprints: list[str]
    system_prompt_sha256: str | None
    settings: dict[str, Any]
    seed: int | None
    scorers: dict[str, str]
    packages: dict[str, str]
    commit: str | None
    started: datetime
    ended: datetime
    items: int
    answers: int
    against: str | None = Field(description="The run that it was held against while it went on.")
    stopped: EarlyStop | None = Field(description="That this decided it before every item was asked; else null.")
    origin: RunOrigin | None = Field(description="That another tool made it, and whose verdicts it carries; else null.")
    measures: list[MeasureRate]


class EvaluationDetail(EvaluationSummary):
    """One run with what it found; null in `run` as long as it found nothing."""

    model_config = ConfigDict(json_schema_extra=None)
    run: EvaluationFindings | None


class ItemAnswer(BaseModel):
    """One answer to one item, as it is stored; system messages are left out."""

    repeat: int
    messages: list[dict[str, str]]
    text: str | None = Field(description=f"The first {MOST_TEXT:,} characters.")
    chars: int
    refusal: str | None
    tool_calls: bool
    finish_reason: str | None
    http_status: int | None
    served: str | None
    latency_ms: float | None
    ts: datetime
    error: str | None
    event: bool | None
    reason: str | None = Field(description="Why it is an event, is none, or could not be scored.")


class RunItem(BaseModel):
    """One item of a run; `event` is what more than half of its repeats say, null is unknown."""

    id: str
    hazard: str
    measure: str
    sha256: str
    repeats: int
    pair: str | None = Field(default=None, description="The item that its answers are held against.")
    event: bool | None
    answers: list[ItemAnswer]


class RunItemPage(BaseModel):
    """Items of a run, by id."""

    items: list[RunItem]
    next: str | None = Field(description="Give this as `cursor` for the page that follows; null on the last one.")


def evaluation_summary(one: RequestedRun) -> EvaluationSummary:
    """One entry of the list."""
    fields = asdict(one)
    del fields["place"]
    return EvaluationSummary(**fields)


def evaluation_detail(one: RequestedRun, result: RunResult | None) -> EvaluationDetail:
    """One entry with what its run found."""
    return EvaluationDetail(**dict(evaluation_summary(one)), run=None if result is None else _findings(result))


def run_item(item: AskedItem, answers: tuple[SuiteAnswer, ...], event: bool | None) -> RunItem:
    """An item with its answers."""
    told = [_answer(answer) for answer in sorted(answers, key=lambda answer: answer.repeat)]
    fields = item.model_dump(exclude={"leaks"})
    return RunItem(**fields, event=event, answers=told)


def measure_rates(result: RunResult) -> list[MeasureRate]:
    """What a run says by itself."""
    return [MeasureRate(**asdict(one)) for one in profile_of(result)]


def _findings(result: RunResult) -> EvaluationFindings:
    return EvaluationFindings(
        suite=result.suite.name,
        suite_version=result.suite.version,
        suite_sha256=result.suite.sha256,
        margin=result.suite.margin,
        url=result.target.url,
        requested=result.target.model,
        served=_distinct(answer.served for answer in result.answers),
        system_fingerprints=_distinct(answer.system_fingerprint for answer in result.answers),
        system_prompt_sha256=result.target.system_prompt_sha256,
        settings=dict(result.settings),
        seed=result.seed,
        scorers=dict(result.scorers),
        packages=dict(result.packages),
        commit=result.commit,
        started=result.started,
        ended=result.ended,
        items=len(result.suite.items),
        answers=len(result.answers),
        against=result.against,
        stopped=result.stopped,
        origin=result.origin,
        measures=measure_rates(result),
    )


def _distinct(said: Any) -> list[str]:
    return sorted({one for one in said if one is not None})


def _answer(answer: SuiteAnswer) -> ItemAnswer:
    scored = answer.scored
    copied: Mapping[str, Any] = {
        name: getattr(answer, name)
        for name in ("repeat", "tool_calls", "finish_reason", "http_status", "served", "latency_ms", "ts", "error")
    }
    return ItemAnswer(
        **copied,
        messages=[{"role": one.role, "content": one.content} for one in answer.messages if one.role != "system"],
        text=None if answer.text is None else answer.text[:MOST_TEXT],
        chars=len(answer.text or ""),
        refusal=None if answer.refusal is None else answer.refusal[:MOST_TEXT],
        event=None if scored is None else scored.event,
        reason=None if scored is None else scored.reason,
    )


Id = Annotated[str, Path(description="Id of a run.", examples=["5d0f6a3c9b1e4f27"])]
RunId = Annotated[str, StringConstraints(pattern=HEX16)]
Text = Annotated[str, StringConstraints(pattern=r"^[^\x00]{1,200}$")]
MOST_ITEMS: Final = 50
_NO_SUCH_RUN: Final[dict[int | str, dict[str, Any]]] = {
    404: {"model": ProblemBody, "description": "There is no such run."}
}
_RUN_RESPONSES: Final[dict[int | str, dict[str, Any]]] = {
    200: {"model": EvaluationSummary, "description": "It was asked for already: this is that run."},
    202: {"model": EvaluationSummary, "description": "It will be run by the next worker that evaluates."},
    404: {"model": ProblemBody, "description": "There is no such route."},
    409: {"model": ProblemBody, "description": "The suite was never asked of this route."},
    413: {"model": ProblemBody, "description": "The body is too large."},
    **FAULTS,
}
_RUN_BODY: Final = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {"$ref": "#/components/schemas/NewRun"},
                "example": {"route": "support-bot/prod", "suite": "core", "key": "deploy-1841"},
            }
        },
    }
}


def routers(database: Database, guard: Guard, planning: EvaluationPlanner, budget: BodyBudget) -> tuple[APIRouter, ...]:
    """The paths: reading for those who may view, asking for a run for those who may operate."""
    return _lists(database, guard), _one_run(database, guard), _asking(guard, planning, budget)


def _lists(database: Database, guard: Guard) -> APIRouter:
    made = APIRouter(prefix="/v1", tags=["evaluations"], dependencies=[needs(guard, "viewer")])

    @made.get(
        "/evaluations",
        operation_id="listEvaluations",
        summary="List runs of suites",
        responses={200: {"model": EvaluationPage}, **UNCHANGED, **FAULTS},
    )
    async def evaluations(
        request: Request,
        route: Annotated[Route | None, Query(description="Only of this route.", examples=["support-bot/prod"])] = None,
        suite: Annotated[Text | None, Query(description="Only of this suite.", examples=["core"])] = None,
        state: Annotated[list[RunState] | None, Query(description="Only in these states; may be repeated.")] = None,
        identity: Annotated[RunId | None, Query(description="Only of this identity.")] = None,
        cursor: Annotated[str | None, Query(description="`next` of the page before.", max_length=400)] = None,
        limit: Annotated[int, Query(description="How many at most.", ge=1, le=MOST)] = PAGE,
    ) -> Response:
        """Runs that are due, running, done or failed, and fire times that were missed; latest due first."""
        after = None if cursor is None else place_of(cursor)
        principal = who(request)
        wanted = RunFilter(visible_globs(principal, route), suite, state, identity)
        found = await query_store(database, runs.page, wanted, after, limit + 1)
        following = cursor_of(found[limit - 1].ts, found[limit - 1].place) if len(found) > limit else None
        items = [evaluation_summary(one).model_dump(mode="json") for one in found[:limit]]
        return tagged(request, {"items": items, "next": following})

    return made


def _one_run(database: Database, guard: Guard) -> APIRouter:
    made = APIRouter(prefix="/v1", tags=["evaluations"], dependencies=[needs(guard, "viewer")])
    one_run: dict[int | str, dict[str, Any]] = {**UNCHANGED, **_NO_SUCH_RUN, **FAULTS}

    @made.get(
        "/evaluations/{id}",
        operation_id="getEvaluation",
        summary="Read a run of a suite",
        responses={200: {"model": EvaluationDetail}, **one_run},
    )
    async def evaluation(request: Request, id: Id) -> Response:
        """What was asked, of whom, how, and the rates that it found; the answers are under `/items`."""
        one, result = await found_run(database, who(request), id)
        return tagged(request, evaluation_detail(one, result).model_dump(mode="json"))

    @made.get(
        "/evaluations/{id}/items",
        operation_id="listEvaluationItems",
        summary="Read a run's answers",
        responses={200: {"model": RunItemPage}, **one_run},
    )
    async def items(
        request: Request,
        id: Id,
        measure: Annotated[Measure | None, Query(description="Only of this measure.")] = None,
        event: Annotated[bool | None, Query(description="Only items that are an event, or that are none.")] = None,
        cursor: Annotated[str | None, Query(description="`next` of the page before.", max_length=400)] = None,
        limit: Annotated[int, Query(description="How many at most.", ge=1, le=MOST_ITEMS)] = MOST_ITEMS,
    ) -> Response:
        """The items of a run with their answers, as they are stored, by id."""
        after = "" if cursor is None else key_of(cursor)
        _, result = await found_run(database, who(request), id)
        return tagged(request, _items(result, (measure, event), after, limit))

    @made.get(
        "/evaluations/{id}/comparison",
        operation_id="compareEvaluations",
        summary="Compare two runs",
        responses={200: {"model": RunsComparison}, **one_run},
    )
    async def comparison(
        request: Request,
        id: Id,
        before: Annotated[RunId, Query(description="Id of the earlier run.", examples=["9a1c0d2b7e6f4a35"])],
    ) -> Response:
        """This run held against an earlier one, item by item: the object that `keelwatch eval compare` prints."""
        earlier, later = await two_runs(database, who(request), before, id)
        return tagged(request, comparison_object([(later.suite.name, compare(earlier, later))]))

    return made


def _asking(guard: Guard, planning: EvaluationPlanner, budget: BodyBudget) -> APIRouter:
    made = APIRouter(prefix="/v1", tags=["evaluations"], dependencies=[needs(guard, "operator")])

    @made.post(
        "/evaluations",
        status_code=202,
        operation_id="runSuite",
        summary="Run a suite now",
        openapi_extra=_RUN_BODY,
        responses=_RUN_RESPONSES,
    )
    async def ask(request: Request) -> Response:
        """Ask for a run of a suite against the route's target. One that is under way already is answered with 200."""
        with budget.share() as share:
            wanted = await read_model(request, share, NewRun)
        if not who(request).sees(wanted.route):
            raise unknown_route()
        one, is_new = await planning.ask(wanted)
        return JSONResponse(evaluation_summary(one).model_dump(mode="json"), 202 if is_new else 200)

    return made


async def found_run(database: Database, principal: Principal, id: str) -> tuple[RequestedRun, RunResult | None]:
    """One run that was asked for, and its result if there is one.

    Raises:
        Problem: 404 if there is none for whoever asks.
    """

    def read(connection: Connection) -> tuple[RequestedRun, RunResult | None] | None:
        one = runs.get(connection, id)
        if one is None or not principal.sees(one.route):
            return None
        return one, stored_run(connection, id)

    found = await query_store(database, read) if is_id(id) else None
    if found is None:
        raise Problem(404, "there is no such run; GET /v1/evaluations lists them")
    return found


async def two_runs(database: Database, principal: Principal, before: str, after: str) -> tuple[RunResult, RunResult]:
    """The results of two runs.

    Raises:
        Problem: 404 if one of them is none, or has no result.
    """
    found = [(await found_run(database, principal, id))[1] for id in (before, after)]
    earlier, later = found
    if earlier is None or later is None:
        raise Problem(404, f"run {before if earlier is None else after} has no result yet; wait until it is done")
    return earlier, later


def _items(
    result: RunResult | None, wanted: tuple[Measure | None, bool | None], after: str, limit: int
) -> dict[str, Any]:
    if result is None:
        return {"items": [], "next": None}
    measure, event = wanted
    events = result.events
    fitting = [
        item
        for item in sorted(result.suite.items, key=lambda item: item.id)
        if item.id > after
        and (measure is None or item.measure == measure)
        and (event is None or events[item.id] is event)
    ]
    shown = fitting[:limit]
    answers = {item.id: tuple(one for one in result.answers if one.item == item.id) for item in shown}
    told = [run_item(item, answers[item.id], events[item.id]).model_dump(mode="json") for item in shown]
    return {"items": told, "next": cursor_after(shown[-1].id) if len(fitting) > limit else None}
