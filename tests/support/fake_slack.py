"""A Slack that is a process of its own: `python -m tests.support.fake_slack CALLS` prints its port, and serves.

Each call is answered in the next mode of its script, `ok` when there is none, and written to CALLS as a JSON line.
`POST /_script` with a list of modes adds to the script,
`/_scopes` with a list is what the app may do, `/_people` with {"users": {id: user}, "groups": {id: [user]}} is who is
there. Modes: ok; limited (429); error (500, nothing accepted);
late (accepts, then 500); hang (takes nothing, never answers); stall (accepts, never answers); lost (accepts, then
closes); garbage; else an `error` as Slack says it.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from tests.support.block_kit import problems
from tests.support.fake_server import serve

TOKEN = "xoxb-fake"
HANG_SECONDS = 5.0
_METHODS = ("chat.", "files.", "users.", "usergroups.")
UNKNOWN = {"chat.postMessage": "channel_not_found", "chat.update": "channel_not_found"}


class State:
    """What Slack knows."""

    def __init__(self, calls: Path) -> None:
        self.lock = threading.Lock()
        self.script: list[dict[str, Any]] = []
        self.messages: set[tuple[str, str]] = set()
        self.files: dict[str, bool] = {}
        self.scopes = {"chat:write", "files:write", "users:read", "usergroups:read"}
        self.users: dict[str, dict[str, Any]] = {}
        self.groups: dict[str, list[str]] = {}
        self.calls = calls
        self.n = 0

    def next_mode(self) -> dict[str, Any]:
        with self.lock:
            return self.script.pop(0) if self.script else {"mode": "ok"}

    def write(self, call: dict[str, Any]) -> None:
        with self.lock, self.calls.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"at": time.time(), **call}) + "\n")

    def accept(self, method: str, body: dict[str, Any]) -> dict[str, Any]:
        """What Slack says to a call that reached it."""
        if found := [*problems(body), *self.unknown_files(body)]:
            code = "no_text" if found == ["no_text"] else "invalid_blocks"
            return {"ok": False, "error": code, "response_metadata": {"messages": found}}
        channel = body.get("channel", "")
        if not channel.startswith(("#", "C")) or channel == "#missing":
            return {"ok": False, "error": "channel_not_found"}
        channel = channel if channel.startswith("C") else "C" + channel[1:].upper()
        with self.lock:
            if method == "chat.update" and (channel, body.get("ts")) not in self.messages:
                return {"ok": False, "error": "message_not_found"}
            if "thread_ts" in body and (channel, body["thread_ts"]) not in self.messages:
                return {"ok": False, "error": "thread_not_found"}
            self.n += 1
            ts = body["ts"] if method == "chat.update" else f"1700000000.{self.n:06d}"
            self.messages.add((channel, ts))
        return {"ok": True, "channel": channel, "ts": ts}

    def unknown_files(self, body: dict[str, Any]) -> list[str]:
        """The files that a message shows and that are not there, or not complete."""
        shown = [block["slack_file"]["id"] for block in body.get("blocks") or [] if block["type"] == "image"]
        return [f"invalid slack file {file}" for file in shown if not self.files.get(file)]

    def looked_up(self, method: str, body: dict[str, Any]) -> dict[str, Any]:
        """Who somebody is, and who is in a group."""
        scope = "users:read" if method == "users.info" else "usergroups:read"
        if scope not in self.scopes:
            return {"ok": False, "error": "missing_scope", "needed": scope}
        if method == "users.info":
            found = self.users.get(body.get("user", ""))
            return {"ok": True, "user": found} if found else {"ok": False, "error": "user_not_found"}
        users = self.groups.get(body.get("usergroup", ""))
        return {"ok": False, "error": "no_such_subteam"} if users is None else {"ok": True, "users": users}

    def filed(self, method: str, body: dict[str, Any]) -> dict[str, Any]:
        """An address for a file, and its completion: only then messages may show it."""
        if "files:write" not in self.scopes:
            return {"ok": False, "error": "missing_scope", "needed": "files:write"}
        with self.lock:
            if method == "files.getUploadURLExternal":
                id = f"F{len(self.files):08d}"
                self.files[id] = False
                return {"ok": True, "file_id": id, "upload_url": f"/upload/{id}"}
            for file in json.loads(body["files"]):
                self.files[file["id"]] = True
        return {"ok": True, "files": []}


class Handler(BaseHTTPRequestHandler):
    """One call."""

    protocol_version = "HTTP/1.1"
    state: State

    def do_POST(self) -> None:
        raw = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.path.startswith("/upload/"):
            return self._act({"bytes": len(raw), "png": raw[:4] == b"\x89PNG"}, "upload", self.state.next_mode())
        query = urlsplit(self.path).query
        body = json.loads(raw) if raw else dict(parse_qsl(query))
        if self.path == "/_scopes":
            self.state.scopes = set(body)
            return self._answer(200, {"ok": True})
        if self.path == "/_people":
            self.state.users, self.state.groups = body["users"], body["groups"]
            return self._answer(200, {"ok": True})
        if self.path == "/_script":
            with self.state.lock:
                self.state.script += body
            return self._answer(200, {"ok": True})
        if self.path == "/_forget":
            with self.state.lock:
                self.state.messages.clear()
            return self._answer(200, {"ok": True})
        return self._act(body, urlsplit(self.path).path.rsplit("/", 1)[-1], self.state.next_mode())

    def _act(self, body: dict[str, Any], method: str, mode: dict[str, Any]) -> None:
        call = {"method": method, "path": self.path, "body": body, "mode": mode["mode"]}
        if mode["mode"] == "hang":
            self.state.write({**call, "accepted": False})
            time.sleep(HANG_SECONDS)
            self.close_connection = True
            return
        said = self._said(method, body, mode["mode"])
        self.state.write({**call, "accepted": said.get("ok", False), "answer": said})
        self._say(method, said, mode)

    def _said(self, method: str, body: dict[str, Any], mode: str) -> dict[str, Any]:
        if mode in ("limited", "error"):
            return {"ok": False, "error": mode}
        if mode not in ("ok", "late", "stall", "lost", "garbage"):
            return {"ok": False, "error": mode}
        if method == "upload":
            return {"ok": True}
        if not method.startswith(_METHODS):
            return (
                {"ok": True} if not (found := problems(body)) else {"ok": False, "error": "invalid_blocks", "f": found}
            )
        if self.headers.get("Authorization") != f"Bearer {TOKEN}":
            return {"ok": False, "error": "invalid_auth"}
        said = self._reached(method)(method, body)
        if "upload_url" in said:
            said["upload_url"] = f"http://127.0.0.1:{self.server.server_port}{said['upload_url']}"  # type: ignore[attr-defined]
        return said

    def _reached(self, method: str) -> Callable[[str, dict[str, Any]], dict[str, Any]]:
        if method.startswith("files."):
            return self.state.filed
        return self.state.looked_up if method.startswith("user") else self.state.accept

    def _say(self, method: str, said: dict[str, Any], mode: dict[str, Any]) -> None:
        kind = mode["mode"]
        if kind in ("lost", "stall"):
            time.sleep(HANG_SECONDS if kind == "stall" else 0)
            self.close_connection = True
        elif kind == "limited":
            self._answer(429, {"ok": False, "error": "ratelimited"}, {"Retry-After": str(mode.get("after", 1))})
        elif kind in ("error", "late"):
            self._answer(500, "<html>oops</html>")
        elif kind == "garbage":
            self._answer(200, "not what you expect")
        elif method.startswith(_METHODS):
            self._answer(200, said)
        else:
            self._answer(200 if said["ok"] else 400, "ok" if said["ok"] else said["error"])

    def _answer(self, status: int, said: Any, headers: dict[str, str] | None = None) -> None:
        is_text = isinstance(said, str)
        raw = said.encode() if is_text else json.dumps(said).encode()
        self.send_response(status)
        kind = "text/html" if is_text and said.startswith("<") else "text/plain" if is_text else "application/json"
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(raw)))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(raw)

    def log_message(self, *_: Any) -> None:
        """Quietly."""


def main(calls: str) -> None:
    """Serve until killed."""
    Handler.state = State(Path(calls))
    serve(Handler)


if __name__ == "__main__":
    main(sys.argv[1])
