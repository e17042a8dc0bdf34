"""OpenTelemetry: one event `gen_ai.evaluation.result` for each answer, as OTLP JSON, a run a line. Pure.

After the semantic conventions of generative AI (status: development; open-telemetry/semantic-conventions-genai,
model/gen-ai/events.yaml) and the file form of OTLP (one `LogsData` a line), which a collector's `otlpjsonfile` receiver
reads. Answers and questions are not in it, only what was found of them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from services.evaluate.exporters.protocol import answer_event
from services.evaluate.result import AskedItem, RunResult, SuiteAnswer

EVENT: Final = "gen_ai.evaluation.result"
LABELS: Final[Mapping[bool | None, str]] = {True: "fail", False: "pass", None: "unknown"}
"""`gen_ai.evaluation.score.label`. An answer that is unknown has no score."""
_INFO: Final = 9
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_LONGEST: Final = 1_000


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
        **({"service.version": run.packages["keelwatch"]} if "keelwatch" in run.packages else {}),
        **({"keelwatch.run.reason": run.reason[:_LONGEST]} if run.reason is not None else {}),
    }
    scope = {"scope": {"name": "keelwatch.evaluate"}, "logRecords": list(_records(run))}
    return {"resourceLogs": [{"resource": {"attributes": _attributes(about)}, "scopeLogs": [scope]}]}


def _records(run: RunResult) -> Iterator[dict[str, Any]]:
    events, items = run.events, {item.id: item for item in run.suite.items}
    for answer in run.answers:
        item = items[answer.item]
        nanoseconds = (answer.ts - _EPOCH) // timedelta(microseconds=1) * 1_000
        yield {
            "timeUnixNano": str(nanoseconds),
            "observedTimeUnixNano": str(nanoseconds),
            "severityNumber": _INFO,
            "severityText": "INFO",
            "eventName": EVENT,
            "attributes": _attributes(_of_answer(answer, item, answer_event(answer, item, events))),
        }


def _of_answer(answer: SuiteAnswer, item: AskedItem, event: bool | None) -> dict[str, Any]:
    found: dict[str, Any] = {"gen_ai.evaluation.name": item.measure, "gen_ai.evaluation.score.label": LABELS[event]}
    if event is not None:
        found["gen_ai.evaluation.score.value"] = float(event)
    reason = answer.scored.reason if answer.scored is not None else answer.error
    if reason:
        found["gen_ai.evaluation.explanation"] = reason[:_LONGEST]
    if isinstance(answer.raw, Mapping) and isinstance(id := answer.raw.get("id"), str) and id:
        found["gen_ai.response.id"] = id[:_LONGEST]
    if answer.error is not None:
        found["error.type"] = str(answer.http_status or "_OTHER")
    found["gen_ai.request.model"] = answer.requested
    if answer.served is not None:
        found["gen_ai.response.model"] = answer.served
    return {**found, "keelwatch.item": item.id, "keelwatch.hazard": item.hazard, "keelwatch.repeat": answer.repeat}


def _attributes(found: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [{"key": key, "value": _value(value)} for key, value in found.items()]


def _value(value: Any) -> dict[str, Any]:
    if isinstance(value, float):
        return {"doubleValue": value}
    return {"intValue": str(value)} if isinstance(value, int) else {"stringValue": str(value)}
