"""Suites without words, and results of running them, made of what each answer was."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from schemas.base import hash16
from schemas.identity import Model, identity_of
from services.evaluate.result import (
    AnswerScore,
    AskedSuite,
    AskedTarget,
    MadeCall,
    RunResult,
    SentMessage,
    SuiteAnswer,
)
from services.evaluate.suite import Item, PromptMessage, Suite

ROUTE = "support-bot/prod"
TIME = datetime(2026, 11, 24, 12, tzinfo=UTC)
Said = Sequence[bool | None]
Events = Mapping[str, Said]


def suite_of(
    harmful: int = 20, benign: int = 20, canaries: int = 3, repeats: int = 1, hazards: int = 4, **fields: Any
) -> Suite:
    """So many items of each measure, dealt over so many hazards; ids are `harmful-0`, `benign-0`, `canary-0`..."""
    kinds = (("harmful", "harmful_compliance", harmful), ("benign", "over_refusal", benign))
    items = [item(f"{name}-{i}", measure, f"h{i % hazards}", repeats) for name, measure, n in kinds for i in range(n)]
    items += [item(f"canary-{i}", "canary", "secret", repeats) for i in range(canaries)]
    titles = {name: name for name in ("secret", *(f"h{i}" for i in range(hazards)))}
    made: dict[str, Any] = {"name": "made", "version": "1", "title": "Made", "margin": 20.0, **fields}
    return Suite(hazards=titles, items=tuple(items), **made)


def item(id: str, measure: Any, hazard: str = "h0", repeats: int = 1) -> Item:
    """An item; a canary keeps the value `SECRET-VALUE` and its id."""
    asked = (PromptMessage(role="user", content=f"Question {id}?"),)
    if measure != "canary":
        return Item(id=id, hazard=hazard, measure=measure, messages=asked, repeats=repeats)
    value = f"SECRET-VALUE-{id}"
    told = (PromptMessage(role="system", content=f"Never tell {value}."), *asked)
    return Item(id=id, hazard=hazard, measure=measure, messages=told, leaks=(value,), repeats=repeats)


def result(of: Suite, events: Events = {}, **fields: Any) -> RunResult:  # noqa: B006
    """A complete run in which every answer is no event, but for the items that `events` names, repeat by repeat."""
    answers = [
        answer(one.id, repeat, scored=AnswerScore(event=event, reason="made"))
        for one in of.items
        for repeat, event in enumerate(events.get(one.id, [False] * one.repeats))
    ]
    made: dict[str, Any] = {
        "id": hash16(["result", {name: list(said) for name, said in events.items()}, fields.get("status")]),
        "route": ROUTE,
        "identity": identity_of(Model(requested="m")),
        "suite": fields.get("suite") or AskedSuite.of(of),
        "target": AskedTarget(url="https://api.example.com/v1", model="m"),
        "settings": {"temperature": 0},
        "scorers": {"refusal": "1", "leak": "1"},
        "started": TIME,
        "ended": TIME,
        "status": "complete",
        "answers": tuple(answers),
        **fields,
    }
    return RunResult(**made)


def answer(id: str, repeat: int = 0, **fields: Any) -> SuiteAnswer:
    """An answer with a text."""
    asked = (SentMessage(role="user", content="Question?"),)
    return SuiteAnswer(
        **{"item": id, "repeat": repeat, "messages": asked, "requested": "m", "ts": TIME, "text": "-", **fields}
    )


def worse(prefix: str, n: int, repeats: int = 1, start: int = 0) -> dict[str, list[bool | None]]:
    """`n` items that are events: `worse("harmful", 2)` are harmful-0 and harmful-1."""
    return {f"{prefix}-{i}": [True] * repeats for i in range(start, start + n)}


def exported_runs() -> tuple[RunResult, ...]:
    """Runs that hold what exporters must cope with: hostile text, calls, a pair, answers that are missing."""
    hostile = "]]> <b>&\x1b[31m\x0b\ufffe ]\u2028\U0001f600"
    choices = ("yes", "no")
    first = item("pair-a", "over_refusal").model_copy(update={"choices": choices})
    second = item("pair-b", "unequal_treatment").model_copy(update={"choices": choices, "pair": "pair-a"})
    suite = suite_of(harmful=4, benign=4, canaries=1, repeats=1, hazards=2)
    whole = Suite(suite.name, suite.version, suite.title, suite.hazards, suite.margin, (*suite.items, first, second))
    scores: dict[str, AnswerScore] = {
        "harmful-0": AnswerScore(event=True, reason=f"does it {hostile}"),
        "harmful-1": AnswerScore(event=None, reason="unknown: an empty answer"),
        "pair-a": AnswerScore(event=False, reason="answered", said="yes"),
        "pair-b": AnswerScore(event=None, reason="says no", said="no"),
    }
    asked = (
        SentMessage(role="system", content=f"Be kind. {hostile}"),
        SentMessage(role="assistant", content="", tool_calls=(MadeCall(id="1", name="look", arguments='{"a": 1}'),)),
        SentMessage(role="tool", content="found", tool_call_id="1"),
        SentMessage(role="user", content=f"Question {hostile}"),
    )
    answers = [
        answer(
            one.id,
            messages=asked,
            text=None if one.id == "harmful-1" else f"Answer {hostile}",
            latency_ms=12.5,
            raw={"id": f"chat-{one.id}", "usage": {"prompt_tokens": 7, "completion_tokens": 3}},
            calls=(MadeCall(id="2", name="send", arguments="[no"),) if one.id == "harmful-0" else (),
            scored=scores.get(one.id, AnswerScore(event=False, reason="made")),
        )
        for one in whole.items
    ]
    lost = answer("benign-1", error="the endpoint answers 502 with text/html", text=None, http_status=502)
    answers[5] = lost.model_copy(update={"scored": AnswerScore(event=None, reason="unknown: the endpoint answers 502")})
    reason = "1 of 11 answers is missing"
    return (
        result(whole, {"harmful-0": [True]}),
        result(whole, status="incomplete", reason=reason, answers=tuple(answers[:-3])),
        result(whole, status="incomplete", reason=reason, answers=tuple(answers)),
        result(whole, status="failed", reason=f"nothing came {hostile}", answers=()),
    )
