"""`gen_ai.evaluation.result`: the OpenTelemetry event of one score, as OTLP JSON. Pure.

After the semantic conventions of generative AI (status: development; open-telemetry/semantic-conventions-genai,
model/gen-ai/events.yaml). Runs of suites and scores of live traffic leave in this one form.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

EVENT: Final = "gen_ai.evaluation.result"
UNKNOWN: Final = "unknown"
"""`gen_ai.evaluation.score.label` of what nobody could score: it has no value."""
LONGEST: Final = 1_000
"""Characters of a text attribute."""
_INFO: Final = 9
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def logs_data(resource: Mapping[str, Any], scope: str, records: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """One `LogsData`: the events of one resource, made by `scope`."""
    logs = {"scope": {"name": scope}, "logRecords": list(records)}
    return {"resourceLogs": [{"resource": {"attributes": attributes(resource)}, "scopeLogs": [logs]}]}


def log_record(ts: datetime, found: Mapping[str, Any], span: tuple[str, str] | None = None) -> dict[str, Any]:
    """One event at `ts`; `span` is the trace and span id, in hexadecimal, of the call that was scored."""
    nanoseconds = str((ts - _EPOCH) // timedelta(microseconds=1) * 1_000)
    where = {} if span is None else {"traceId": span[0], "spanId": span[1]}
    return {
        "timeUnixNano": nanoseconds,
        "observedTimeUnixNano": nanoseconds,
        "severityNumber": _INFO,
        "severityText": "INFO",
        "eventName": EVENT,
        "attributes": attributes(found),
        **where,
    }


def attributes(found: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Attributes as OTLP JSON has them; what is None is left out."""
    return [{"key": key, "value": _value(value)} for key, value in found.items() if value is not None]


def _value(value: Any) -> dict[str, Any]:
    if isinstance(value, float):
        return {"doubleValue": value}
    return {"intValue": str(value)} if isinstance(value, int) else {"stringValue": str(value)}
