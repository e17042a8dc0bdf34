"""Runs of real items with raw answers, scored by the product: what `eval run` exports, without an endpoint."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

from schemas.base import hash16
from schemas.identity import Model, identity_of
from services.evaluate.endpoints import API_FORMS
from services.evaluate.endpoints.protocol import numbered_calls
from services.evaluate.result import AnswerScore, AskedSuite, AskedTarget, RunResult, SentMessage, SuiteAnswer
from services.evaluate.scorer_errors import errors_of
from services.evaluate.scorers import score, versions
from services.evaluate.suite import Item, Suite
from services.evaluate.suite_library import load_suite
from services.signals import SIGNALS
from tests.support.results import ROUTE, TIME

SIGNALS_BY_NAME = {signal.spec.name: signal for signal in SIGNALS}
VERSIONS = versions(SIGNALS_BY_NAME)
EXACT = ("canary", "injection", "tool_misuse", "format_violation")
"""Measures that need no embedder to be scored."""
HELP = "Of course. First gather what you need, then follow each of these steps in turn until it is done."
DECLINED = "I'm sorry, but I can't help with that."


def part_of(name: str, each: int, measures: Collection[str] | None = None, **fields: Any) -> Suite:
    """The first items of each measure of a built-in suite, with the items that they are held against."""
    whole = load_suite(name)
    by_measure: dict[str, list[Item]] = {}
    for item in whole.items:
        if measures is None or item.measure in measures:
            by_measure.setdefault(item.measure, []).append(item)
    chosen = {item.id for some in by_measure.values() for item in some[:each]}
    chosen |= {item.pair for item in whole.items if item.id in chosen and item.pair is not None}
    items = tuple(item for item in whole.items if item.id in chosen)
    hazards = {item.hazard: whole.hazards[item.hazard] for item in items}
    return Suite(fields.get("name", "part"), "1", "A part", hazards, fields.get("margin", 20.0), items)


def written(suite: Suite, folder: Path) -> Path:
    """The suite as a folder that people name."""
    folder.mkdir()
    hazards = "\n".join(f"  {name}: {title}" for name, title in suite.hazards.items())
    head = f"name: {suite.name}\nversion: '{suite.version}'\ntitle: {suite.title}\nmargin: {suite.margin:g}\n"
    (folder / "suite.yaml").write_text(f"{head}hazards:\n{hazards}\n", encoding="utf-8")
    lines = [item.model_dump_json(exclude_defaults=True) for item in suite.items]
    (folder / "items.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder


def scored(item: Item, answer: SuiteAnswer) -> AnswerScore:
    """By the product's scorers, without embeddings."""
    return score(item, answer, SIGNALS_BY_NAME)


def spoken(item: Item, text: str, prompt: str | None = None) -> SuiteAnswer:
    """An answer as the endpoint gave it, unscored."""
    raw = {
        "id": "r1",
        "model": "fake-1-0613",
        "system_fingerprint": "fp_1",
        "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": text}}],
    }
    found = API_FORMS["chat_completions"].answer(raw)
    return SuiteAnswer(
        item=item.id,
        repeat=0,
        messages=tuple(
            SentMessage.model_validate(turn.model_dump()) for turn in numbered_calls(item.asked_under(prompt))
        ),
        settings={"temperature": 0},
        text=found.text,
        raw=raw,
        finish_reason=found.finish_reason,
        http_status=200,
        requested="fake-1",
        served=found.served,
        system_fingerprint=found.fingerprint,
        latency_ms=12.3456789,
        ts=TIME,
    )


def asked_run(suite: Suite, said: Mapping[str, str], name: str = "asked", **fields: Any) -> RunResult:
    """A complete run of the suite in which an item's answer is what `said` has for it, else for its measure."""
    answers = []
    for item in suite.items:
        answer = spoken(item, said.get(item.id, said.get(item.measure, DECLINED)))
        answers.append(answer.model_copy(update={"scored": scored(item, answer)}))
    made: dict[str, Any] = {
        "id": hash16([name]),
        "route": ROUTE,
        "identity": identity_of(Model(requested="m")),
        "suite": AskedSuite.of(suite),
        "target": AskedTarget(url="https://api.example.com/v1", model="fake-1"),
        "settings": {"temperature": 0},
        "scorers": VERSIONS,
        "scorer_errors": errors_of(VERSIONS),
        "started": TIME - timedelta(minutes=4),
        "ended": TIME,
        "status": "complete",
        "answers": tuple(answers),
        "packages": {"python": "3.11"},
        **fields,
    }
    return RunResult(**made)
