"""A collector's OTLP/HTTP receiver for logs: decodes what it gets as strictly as protobuf's JSON mapping, on 127.0.0.1.

A field that OTLP does not have, or a value of another type than it has, is answered with 400, as a collector does.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

_FIELDS = {
    "logs": {"resourceLogs"},
    "resourceLogs": {"resource", "scopeLogs", "schemaUrl"},
    "resource": {"attributes", "droppedAttributesCount"},
    "scopeLogs": {"scope", "logRecords", "schemaUrl"},
    "scope": {"name", "version", "attributes", "droppedAttributesCount"},
    "logRecord": {"timeUnixNano", "observedTimeUnixNano", "severityNumber", "severityText", "body", "attributes"}
    | {"droppedAttributesCount", "flags", "traceId", "spanId", "eventName"},
    "keyValue": {"key", "value"},
}


@dataclass(frozen=True)
class TakenLog:
    """One log record as the collector has it."""

    event: str
    nanoseconds: int
    trace: str
    span: str
    resource: dict[str, Any]
    scope: str
    attributes: dict[str, Any]


def decoded(raw: bytes) -> list[TakenLog]:
    """The log records of an `ExportLogsServiceRequest` in JSON.

    Raises:
        ValueError: if it is none.
    """
    found = []
    for of_resource in _list(_message(json.loads(raw), "logs"), "resourceLogs"):
        about = _attributes(_message(_message(of_resource, "resourceLogs").get("resource", {}), "resource"))
        for of_scope in _list(of_resource, "scopeLogs"):
            scope = _message(_message(of_scope, "scopeLogs").get("scope", {}), "scope").get("name", "")
            for one in _list(of_scope, "logRecords"):
                _message(one, "logRecord")
                number = one.get("severityNumber", 0)
                if not (isinstance(number, int) and 0 <= number <= 24):
                    raise ValueError("severityNumber")
                ids = _hex(one.get("traceId", ""), 32), _hex(one.get("spanId", ""), 16)
                _whole(one.get("observedTimeUnixNano", "0"))
                when = _whole(one["timeUnixNano"])
                found.append(TakenLog(one["eventName"], when, *ids, about, scope, _attributes(one)))
    return found


def _message(value: Any, kind: str) -> dict[str, Any]:
    if not isinstance(value, dict) or value.keys() - _FIELDS[kind]:
        raise ValueError(f"no {kind}: {value!r}"[:200])
    return value


def _list(value: dict[str, Any], name: str) -> list[Any]:
    if not isinstance(value.get(name, []), list):
        raise ValueError(f"{name} is no list")
    return value.get(name, [])


def _attributes(value: dict[str, Any]) -> dict[str, Any]:
    pairs = [_message(one, "keyValue") for one in _list(value, "attributes")]
    made = {one["key"]: _any(one["value"]) for one in pairs}
    if len(made) != len(pairs) or not all(isinstance(key, str) and key for key in made):
        raise ValueError("keys of attributes must be texts, each once")
    return made


def _any(value: Any) -> Any:
    [(kind, held)] = value.items()
    if kind == "intValue":
        return _whole(held)
    wanted = {"stringValue": str, "boolValue": bool, "doubleValue": float}[kind]
    if type(held) is not wanted:
        raise ValueError(f"{kind}: {held!r}")
    return held


def _whole(value: Any) -> int:
    if not (isinstance(value, str) and re.fullmatch(r"-?\d{1,19}", value)):
        raise ValueError("64 bits are a text of digits in JSON")
    return int(value)


def _hex(value: Any, length: int) -> str:
    if value and not re.fullmatch(rf"[0-9a-f]{{{length}}}", value):
        raise ValueError("an id is no hexadecimal")
    return str(value)


@dataclass
class OtlpCollector:
    """A running one. `answers` are given first, each (status, headers, body); then 200.

    Attributes:
        taken: log records of requests that were answered by 200. seen: headers of every request, names in lower case.
    """

    url: str = ""
    answers: list[tuple[int, dict[str, str], bytes]] = field(default_factory=list)
    taken: list[TakenLog] = field(default_factory=list)
    seen: list[dict[str, str]] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)


@contextmanager
def running() -> Iterator[OtlpCollector]:
    """Start one in a thread on a free port, end it with the block."""
    state, turn = OtlpCollector(), threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            raw = self.rfile.read(int(self.headers["content-length"]))
            with turn:
                state.seen.append({name.lower(): value for name, value in self.headers.items()})
                status, headers, body = state.answers.pop(0) if state.answers else self._take(raw)
            self.send_response(status)
            for name, value in (headers | {"content-type": "application/json"}).items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def _take(self, raw: bytes) -> tuple[int, dict[str, str], bytes]:
            if self.path != "/v1/logs" or self.headers["content-type"] != "application/json":
                return 404, {}, b"{}"
            try:
                found = decoded(raw)
            except (ValueError, KeyError) as error:
                return 400, {}, json.dumps({"code": 3, "message": str(error)}).encode()
            state.taken += found
            state.bodies.append(raw)
            return 200, {}, b"{}"

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    state.url = f"http://127.0.0.1:{server.server_port}/v1/logs"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield state
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
