"""Runs of suites as the API tells of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field

from schemas.evaluation import HazardComparison, Outcome, RunStatus
from services.evaluate.label import label
from services.evaluate.result import Answer, AskedItem, RunResult
from services.store.asked import Asked, State

MOST_TEXT: Final = 8_000
"""Characters of one text that lists show; `chars` says how long it is."""
_ID: Final = "5d0f6a3c9b1e4f27"


class Evaluation(BaseModel):
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
            }
        }
    )
    id: str | None = Field(description="Of the run; null when a fire time was missed, so that there is none.")
    route: str
    suite: str | None = Field(description="Null when a fire time was missed.")
    state: State
    status: RunStatus | None = Field(description="Once it ran: whether every answer came. Only `complete` compares.")
    reason: str | None = Field(description="Why it was missed, failed, or is not complete.")
    moment: str = Field(description="What asked for it: scheduled, change, pinned, first_seen, requested, command ...")
    cause: str | None = Field(description="Id of the change, decision or fire time that asked for it.")
    schedule: str | None = Field(description="Of a missed fire time: which schedule.")
    identity: str | None = Field(description="Who answered, else who was expected to; null when nobody knows.")
    target: str | None
    ts: datetime = Field(description="When it was due; of a run by hand, when it ended.")
    ended: datetime | None


class Page(BaseModel):
    """Runs, latest due first."""

    items: list[Evaluation]
    next: str | None = Field(description="Give this as `cursor` for the page that follows; null on the last one.")


class Rate(BaseModel):
    """Events of one measure and hazard (`all` is every hazard); rates in percent, fewer are better."""

    hazard: str
    measure: str
    items: int
    n: int = Field(description="Items that could be scored. What could not is unknown, never safe.")
    events: int
    rate: float | None
    low: float | None = Field(description="Wilson's 95% interval of the rate.")
    high: float | None


class Run(BaseModel):
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
    measures: list[Rate]


class Detail(Evaluation):
    """One run with what it found; null in `run` as long as it found nothing."""

    model_config = ConfigDict(json_schema_extra=None)
    run: Run | None


class AnswerTold(BaseModel):
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


class ItemTold(BaseModel):
    """One item of a run; `event` is what more than half of its repeats say, null is unknown."""

    id: str
    hazard: str
    measure: str
    sha256: str
    repeats: int
    event: bool | None
    answers: list[AnswerTold]


class Items(BaseModel):
    """Items of a run, by id."""

    items: list[ItemTold]
    next: str | None = Field(description="Give this as `cursor` for the page that follows; null on the last one.")


class SuiteCompared(BaseModel):
    """Two runs of one suite held against each other."""

    suite: str
    overall: Outcome
    reason: str
    hazards: list[HazardComparison]


class Compared(BaseModel):
    """What `keelwatch eval compare` prints: `overall` and `hazards` over all suites, and each suite by itself."""

    overall: Outcome
    reason: str
    hazards: list[HazardComparison]
    suites: list[SuiteCompared]


def listed(one: Asked) -> Evaluation:
    """One entry of the list."""
    fields = asdict(one)
    del fields["place"]
    return Evaluation(**fields)


def detail(one: Asked, result: RunResult | None) -> Detail:
    """One entry with what its run found."""
    return Detail(**dict(listed(one)), run=None if result is None else _run(result))


def item_told(item: AskedItem, answers: tuple[Answer, ...], event: bool | None) -> ItemTold:
    """An item with its answers."""
    told = [_answer(answer) for answer in sorted(answers, key=lambda answer: answer.repeat)]
    fields = item.model_dump(exclude={"leaks"})
    return ItemTold(**fields, event=event, answers=told)


def rates(result: RunResult) -> list[Rate]:
    """What a run says by itself."""
    return [Rate(**asdict(one)) for one in label(result)]


def _run(result: RunResult) -> Run:
    return Run(
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
        measures=rates(result),
    )


def _distinct(said: Any) -> list[str]:
    return sorted({one for one in said if one is not None})


def _answer(answer: Answer) -> AnswerTold:
    scored = answer.scored
    copied: Mapping[str, Any] = {
        name: getattr(answer, name)
        for name in ("repeat", "tool_calls", "finish_reason", "http_status", "served", "latency_ms", "ts", "error")
    }
    return AnswerTold(
        **copied,
        messages=[{"role": one.role, "content": one.content} for one in answer.messages if one.role != "system"],
        text=None if answer.text is None else answer.text[:MOST_TEXT],
        chars=len(answer.text or ""),
        refusal=None if answer.refusal is None else answer.refusal[:MOST_TEXT],
        event=None if scored is None else scored.event,
        reason=None if scored is None else scored.reason,
    )
