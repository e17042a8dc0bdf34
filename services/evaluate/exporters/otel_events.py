"""OpenTelemetry: one event `gen_ai.evaluation.result` for each answer, as OTLP JSON, a run a line. Pure.

The file form of OTLP (one `LogsData` a line), which a collector's `otlpjsonfile` receiver reads. Answers and questions
are not in it, only what was found of them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from services.evaluate.exporters.protocol import answer_event
from services.evaluate.result import AskedItem, RunResult, SuiteAnswer
from services.evaluation_events import LONGEST, UNKNOWN, log_record, logs_data

LABELS: Final[Mapping[bool | None, str]] = {True: "fail", False: "pass", None: UNKNOWN}
"""`gen_ai.evaluation.score.label`. An answer that is unknown has no score."""


@dataclass(frozen=True, slots=True)
class OtelEvents:
    """`--to otel`."""

    name: str = "otel"
    ending: str = ".jsonl"
    several: bool = True

    def export(self, found: Sequence[RunResult]) -> bytes:
        """A line of OTLP JSON for each run."""
        return "".join(f"{json.dumps(_logs(run))}\n" for run in found).encode()


def _logs(run: RunResult) -> dict[str, Any]:
    about = {
        "service.name": "keelwatch",
        "keelwatch.run.id": run.id,
        "keelwatch.run.status": run.status,
        "keelwatch.route": run.route,
        "keelwatch.suite.name": run.suite.name,
        "keelwatch.suite.version": run.suite.version,
        "keelwatch.suite.sha256": run.suite.sha256,
        "service.version": run.packages.get("keelwatch"),
        "keelwatch.run.reason": None if run.reason is None else run.reason[:LONGEST],
    }
    return logs_data(about, "keelwatch.evaluate", _records(run))


def _records(run: RunResult) -> Iterator[dict[str, Any]]:
    events, items = run.events, {item.id: item for item in run.suite.items}
    for answer in run.answers:
        item = items[answer.item]
        yield log_record(answer.ts, _of_answer(answer, item, answer_event(answer, item, events)))


def _of_answer(answer: SuiteAnswer, item: AskedItem, event: bool | None) -> dict[str, Any]:
    reason = answer.scored.reason if answer.scored is not None else answer.error
    id = answer.raw.get("id") if isinstance(answer.raw, Mapping) else None
    return {
        "gen_ai.evaluation.name": item.measure,
        "gen_ai.evaluation.score.label": LABELS[event],
        "gen_ai.evaluation.score.value": None if event is None else float(event),
        "gen_ai.evaluation.explanation": reason[:LONGEST] if reason else None,
        "gen_ai.response.id": id[:LONGEST] if isinstance(id, str) and id else None,
        "error.type": None if answer.error is None else str(answer.http_status or "_OTHER"),
        "gen_ai.request.model": answer.requested,
        "gen_ai.response.model": answer.served,
        "keelwatch.item": item.id,
        "keelwatch.hazard": item.hazard,
        "keelwatch.repeat": answer.repeat,
    }
