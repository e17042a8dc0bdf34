"""A small server for clients that publish: takes exchanges at `/v1/exchanges`, or misbehaves as told. Standard library.

`python -m tests.support.exchange_taker MODE` is one in a process of its own: it prints its port, and at the end of its
standard input how many exchanges it took and how many of them were repeated.
"""

from __future__ import annotations

import json
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Say = Callable[["TakenRequest", list[dict[str, Any]]], None]


class ExchangeTaker(ThreadingHTTPServer):
    """`behaviours` are for the next requests, one each; then it takes what comes, or does what `always` does."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, port: int = 0, always: Say | None = None) -> None:
        super().__init__(("127.0.0.1", port), TakenRequest)
        self.taken: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.behaviours: deque[Say] = deque()
        self.always = always or take
        self.stopping = threading.Event()
        self.lock = threading.Lock()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    @property
    def ids(self) -> list[str]:
        return [one["id"] for one in self.taken]

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that go away are what tests do."""


class TakenRequest(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: ExchangeTaker

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        lines = [json.loads(line) for line in body.splitlines()]
        self.server.headers.append({name.lower(): value for name, value in self.headers.items()})
        with self.server.lock:
            behave = self.server.behaviours.popleft() if self.server.behaviours else self.server.always
        behave(self, lines)

    def reply(self, status: int, body: Any = None, **headers: str) -> None:
        raw = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(raw)))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(raw)

    def log_message(self, *_: Any) -> None:
        """Tests print enough."""


def take(request: TakenRequest, lines: list[dict[str, Any]]) -> None:
    """As Keelwatch does when its broker has all."""
    results(request, lines, ["accepted"] * len(lines))


def results(request: TakenRequest, lines: list[dict[str, Any]], statuses: list[str]) -> None:
    """Each exchange with its own status, under the answer that Keelwatch gives to such."""
    with request.server.lock:
        request.server.taken += [one for one, status in zip(lines, statuses, strict=True) if status == "accepted"]
    told = [
        {"index": i, "id": one["id"], "status": status}
        for i, (one, status) in enumerate(zip(lines, statuses, strict=True))
    ]
    accepted = statuses.count("accepted")
    status = 202 if accepted == len(lines) else 207 if accepted else 422 if "invalid" in statuses else 503
    request.reply(status, {"results": told}, **({"retry_after": "0"} if status == 503 else {}))


def say(status: int, **headers: str) -> Say:
    """An answer without results."""
    return lambda request, _: request.reply(status, {"status": status}, **headers)


def hang(request: TakenRequest, _: list[dict[str, Any]]) -> None:
    """No answer until the server stops."""
    request.server.stopping.wait(60)
    request.close_connection = True


def cut_off(request: TakenRequest, lines: list[dict[str, Any]]) -> None:
    """Everything is taken, and the connection breaks before the answer."""
    with request.server.lock:
        request.server.taken += lines
    request.close_connection = True


def at_most(n: int) -> Say:
    """As a proxy that takes small bodies only."""
    return lambda request, lines: take(request, lines) if len(lines) <= n else request.reply(413)


MODES: dict[str, Say] = {"take": take, "hang": hang, "503": say(503), "429": say(429, retry_after="1")}


@contextmanager
def taker(port: int = 0, always: Say | None = None) -> Iterator[ExchangeTaker]:
    """A running one; it is gone at the end of the block."""
    server = ExchangeTaker(port, always)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.stopping.set()
        server.shutdown()
        server.server_close()
        thread.join()


def main(mode: str, port: str = "0") -> None:
    """Serve until the standard input ends."""
    with taker(int(port), MODES[mode]) as server:
        print(server.server_address[1], flush=True)
        sys.stdin.read()
        print(json.dumps({"taken": len(server.taken), "repeated": len(server.ids) - len(set(server.ids))}), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
