"""Signals of a monitor file for tests: of each kind one, and a judge that is a real server of this machine."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from services.monitor import Monitor
from services.monitor.loader import examine
from services.signals.custom.definition import CustomSignal

KINDS = """\
signals:
  rivals: {keywords: [Acme, Globex Corp, "\u4e1c\u4eac", Stra\u00dfe], floor: 0.02, title: Rivals named}
  orders: {pattern: "ORD-[0-9]{4,8}", value: count}
  nested: {pattern: "(a+)+b"}
  disclaimer: {must_contain: [no financial advice]}
  slang: {must_not_contain: [lol, kek]}
  shape: {json_schema: {type: object, required: [a], properties: {a: {type: string, pattern: "^(x+)+$"}}}}
"""
MODEL = "judge-2026-01-01"
MARK = re.compile(r"both read (\S+?)\.")


def monitor_of(text: str) -> Monitor:
    monitor, problems = examine(text, "keelwatch.yaml")
    assert [str(one) for one in problems] == []
    assert monitor is not None
    return monitor


def own_signals(text: str = KINDS) -> dict[str, CustomSignal]:
    return {one.name: CustomSignal(one) for one in monitor_of(text).signals}


@dataclass
class JudgeServer:
    """A running judge. `say` makes its reply of the mark and the data that it was shown; None hangs."""

    port: int
    seen: list[dict[str, Any]] = field(default_factory=list)
    keys: list[str | None] = field(default_factory=list)
    say: Callable[[str, dict[str, Any]], str | None] = lambda mark, data: reply(mark, "no")
    model: str | None = MODEL
    status: int = 200

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    def monitor(self, **more: Any) -> Monitor:
        judge = {"question": "Is it about tea?", "endpoint": self.url, "model": MODEL, "share": 1.0, **more}
        return monitor_of(
            json.dumps({"allow_hosts": ["127.0.0.1"], "signals": {"tea": {"judge": judge, "floor": 0.05}}})
        )


def reply(mark: str, verdict: str, **more: Any) -> str:
    return json.dumps({"mark": mark, "verdict": verdict, **more})


def about_tea(mark: str, data: dict[str, Any]) -> str:
    return reply(mark, "yes" if "tea" in data["response"] else "no")


@contextmanager
def judging() -> Iterator[JudgeServer]:
    """A judge on a free port of this machine, until the end of the block."""
    server = JudgeServer(0)
    over = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            server.seen.append(asked)
            server.keys.append(self.headers["Authorization"])
            system, user = (turn["content"] for turn in asked["messages"])
            found = MARK.search(system)
            assert found is not None
            _, data, _ = user.split(found[1])
            said = server.say(found[1], json.loads(data))
            if said is None:
                over.wait(30)
                return
            choice = {"index": 0, "message": {"role": "assistant", "content": said}, "finish_reason": "stop"}
            body = json.dumps({"id": "1", "model": server.model, "choices": [choice]}).encode()
            self.send_response(server.status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            """Tests print enough."""

    listening = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    listening.daemon_threads = True
    server.port = listening.server_port
    thread = threading.Thread(target=listening.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        over.set()
        listening.shutdown()
        listening.server_close()
        thread.join()
