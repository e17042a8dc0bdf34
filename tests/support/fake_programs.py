"""The programs that incidents are told to beside Slack, in a process of their own.

`python -m tests.support.fake_programs CALLS` prints its port, and serves `/KIND/...`; each call is answered in the next
mode of its script, `ok` when there is none, and written to CALLS as a JSON line, with whether it paged somebody:
alerts are kept by key, and one that is open takes a second trigger as a line in its log. `POST /_script` with a list
of modes adds to the script. Modes: ok; limited (429, Retry-After); dated (429, Retry-After as a date); busy (503,
Retry-After); error (500); late (accepts, then 500); lost (accepts, then closes); redirect; garbage (200, no JSON);
bomb (accepts with 1 MB), packed (accepts, compressed), cut (accepts, and closes within the answer); else a status.
"""

from __future__ import annotations

import gzip
import hashlib
import hmac
import json
import re
import sys
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any, ClassVar

from tests.support.fake_server import serve

SECRET = "whsec-fake"
ROUTING_KEY = "R0123456789abcdef0123456789abcde"
DATE = "Tue, 01 Dec 2026 00:00:07 GMT"
SIGNED = re.compile(r"t=(\d+),v1=([0-9a-f]{64})")

Said = tuple[int, Any]


def webhook(headers: dict[str, str], raw: bytes, _path: str) -> Said:
    """Takes what is signed, as the documentation says that it is verified."""
    found = SIGNED.fullmatch(headers.get("keelwatch-signature", ""))
    if found is None:
        return 401, {"error": "no signature"}
    made = hmac.new(SECRET.encode(), found[1].encode() + b"." + raw, hashlib.sha256).hexdigest()
    if not hmac.compare_digest(made, found[2]):
        return 401, {"error": "another signature"}
    return 204, None


def pagerduty(_headers: dict[str, str], raw: bytes, _path: str) -> Said:
    """The Events API v2: what it requires, its limits, and its answers."""
    event = json.loads(raw)
    errors = _pagerduty_errors(event)
    if errors:
        return 400, {"status": "invalid event", "message": "Event object is invalid", "errors": errors}
    return 202, {"status": "success", "message": "Event processed", "dedup_key": event["dedup_key"]}


def _pagerduty_errors(event: dict[str, Any]) -> list[str]:
    if event.get("routing_key") != ROUTING_KEY:
        return ["Invalid routing key"]
    if event.get("event_action") not in ("trigger", "acknowledge", "resolve"):
        return ["'event_action' is unknown"]
    if not 0 < len(event.get("dedup_key", "")) <= 255:
        return ["'dedup_key' is missing or too long"]
    if event["event_action"] != "trigger":
        return []
    payload = event.get("payload", {})
    wrong = [f"'payload.{name}' is missing or blank" for name in ("summary", "source") if not payload.get(name)]
    wrong += ["'payload.severity' is invalid"] * (
        payload.get("severity") not in ("critical", "error", "warning", "info")
    )
    return wrong + ["'payload.summary' is too long"] * (len(payload.get("summary", "")) > 1024)


def opsgenie(headers: dict[str, str], raw: bytes, path: str) -> Said:
    """The Alert API: who may, what it requires, and its limits."""
    if headers.get("authorization") != f"GenieKey {ROUTING_KEY}":
        return 401, {"message": "Could not authenticate", "took": 0.0}
    body, bare = json.loads(raw), path.partition("?")[0]
    if bare.endswith(("/acknowledge", "/close")):
        found = "identifierType=alias" in path and set(body) <= {"source", "note", "user"}
    else:
        limits = (("message", 130), ("alias", 512), ("entity", 512), ("description", 15_000))
        found = all(0 < len(body.get(name, "")) <= most for name, most in limits)
        found = found and re.fullmatch("P[1-5]", body.get("priority", "")) is not None
    return (
        (202, {"result": "Request will be processed"})
        if found
        else (422, {"message": "Request body is not processable"})
    )


def teams(_headers: dict[str, str], raw: bytes, _path: str) -> Said:
    """A workflow: one Adaptive Card of the elements and properties that its schema has, within Teams' size."""
    try:
        (attachment,) = json.loads(raw)["attachments"]
        card = attachment["content"]
        right = attachment["contentType"] == "application/vnd.microsoft.card.adaptive" and len(raw) <= 28_000
        right = right and card["type"] == "AdaptiveCard" and bool(card["body"])
        right = right and all(_block(one) for one in card["body"])
        right = right and all(one["type"] == "Action.OpenUrl" and one["title"] for one in card.get("actions", []))
    except (ValueError, KeyError, TypeError):
        right = False
    return (202, None) if right else (400, {"error": {"code": "TriggerInputSchemaMismatch"}})


def _block(element: dict[str, Any]) -> bool:
    runs = element["inlines"]
    known = {"type", "text", "weight", "isSubtle", "size"}
    return element["type"] == "RichTextBlock" and all(run["type"] == "TextRun" and set(run) <= known for run in runs)


def actions(kind: str, path: str, body: Any) -> tuple[str, str]:
    """What an accepted call does to which alert."""
    if kind == "pagerduty":
        return body["event_action"], body["dedup_key"]
    *_, alias, does = path.partition("?")[0].split("/")
    return {"acknowledge": ("acknowledge", alias), "close": ("resolve", alias)}.get(does) or ("trigger", body["alias"])


def pages(alerts: dict[str, str], action: str, key: str) -> bool:
    """Whether somebody is paged: by a trigger where no alert is open. One that is not there is not acknowledged."""
    is_open = alerts.get(key, "resolve") != "resolve"
    if action == "trigger" and is_open:
        return False
    if action == "trigger" or is_open:
        alerts[key] = action
    return action == "trigger"


KINDS: dict[str, Callable[[dict[str, str], bytes, str], Said]] = {
    "webhook": webhook,
    "pagerduty": pagerduty,
    "opsgenie": opsgenie,
    "teams": teams,
}


ACCEPTING = frozenset({"ok", "late", "lost", "bomb", "packed", "cut"})


class Handler(BaseHTTPRequestHandler):
    """One call."""

    protocol_version = "HTTP/1.1"
    lock = threading.Lock()
    script: ClassVar[list[str]] = []
    alerts: ClassVar[dict[str, str]] = {}
    calls: Path

    def do_POST(self) -> None:
        raw = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.path == "/_script":
            self.script.extend(json.loads(raw))
            return self._answer(200, {})
        with self.lock:
            mode = self.script.pop(0) if self.script else "ok"
        headers = {name.lower(): value for name, value in self.headers.items()}
        kind = self.path.split("/")[1]
        status, body = KINDS[kind](headers, raw, self.path) if mode in ACCEPTING else (0, None)
        call = {"kind": kind, "path": self.path, "headers": headers, "body": json.loads(raw), "raw": raw.decode()}
        accepted = 200 <= status < 300
        with self.lock, self.calls.open("a", encoding="utf-8") as file:
            alerting = accepted and kind in ("pagerduty", "opsgenie")
            paged = alerting and pages(self.alerts, *actions(kind, self.path, call["body"]))
            file.write(json.dumps({**call, "mode": mode, "accepted": accepted, "paged": paged}) + "\n")
        return self._say(mode, status, body)

    def _say(self, mode: str, status: int, body: Any) -> None:
        more: dict[str, dict[str, str]] = {
            "limited": {"Retry-After": "7"},
            "dated": {"Retry-After": DATE},
            "busy": {"Retry-After": "9"},
            "redirect": {"Location": "http://127.0.0.1:1/"},
        }
        statuses = {"limited": 429, "dated": 429, "busy": 503, "error": 500, "late": 500, "redirect": 307}
        if mode == "lost":
            self.close_connection = True
        elif mode == "garbage":
            self._answer(200, None, raw=b"<html>what is this")
        elif mode == "bomb":
            self._answer(status, None, raw=b" " * 1_000_000)
        elif mode == "packed":
            self._answer(status, None, {"Content-Encoding": "gzip"}, gzip.compress(b"{}"))
        elif mode == "cut":
            self.close_connection = True
            self._answer(status, None, {"Content-Length": "100"}, b"{")
        elif mode == "ok":
            self._answer(status, body)
        else:
            self._answer(statuses.get(mode) or int(mode), {"error": mode}, more.get(mode))

    def _answer(self, status: int, body: Any, more: dict[str, str] | None = None, raw: bytes | None = None) -> None:
        sent = raw if raw is not None else b"" if body is None else json.dumps(body).encode()
        self.send_response(status)
        if sent or status != 204:
            self.send_header("Content-Type", "application/json" if raw is None else "text/html")
            if "Content-Length" not in (more or {}):
                self.send_header("Content-Length", str(len(sent)))
        for name, value in (more or {}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(sent)

    def log_message(self, *_: Any) -> None:
        """Quietly."""


def main(calls: str) -> None:
    """Serve until killed."""
    Handler.calls = Path(calls)
    serve(Handler)


if __name__ == "__main__":
    main(sys.argv[1])
