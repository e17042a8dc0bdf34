"""A page that stays live for long, beside many listeners, grows by nothing: `python -m tests.benchmarks.live`.

A server process with a database, N listeners to `/live`, and an incident's page and the fleet in headless Chromium,
while exchanges, incidents and decisions keep coming. Each minute: resident memory, open files and tasks of the server,
JavaScript heap of each page, and its DOM nodes for each one that it shows, since a timeline grows. It ends with 1 when
the last minute has more than `BOUNDS` of the first.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import uvicorn
from fastapi import FastAPI
from playwright.sync_api import Page, sync_playwright

from services.api.app import make
from services.monitor import Monitor
from services.record.recorder import Recorder
from services.store import incidents
from services.store.engine import open_database
from tests.record.stories import scores
from tests.support.api import Wire, api_on
from tests.support.browser import ABSENT, chromium
from tests.support.records import alert, at, decision

BOUNDS = {"rss": 1.15, "fds": 1.1, "tasks": 1.1, "heap": 1.3, "nodes": 1.1}
"""What the last minute may have of the first, after a minute to get warm."""
_SHOWN = (
    """() => { let n = 0; const all = document.createNodeIterator(document); while (all.nextNode()) n++; return n; }"""
)
ROUTES = tuple(f"bench/{place:02d}" for place in range(20))


@dataclass(frozen=True, slots=True)
class Sample:
    """One look: bytes, counts; `nodes` for each node that is shown."""

    rss: float
    fds: float
    tasks: float
    heap: float
    nodes: float


def serve(url: str, port: int) -> None:
    """The server, in a process of its own; /grown tells what it holds."""
    app = make(api_on(open_database(url), Wire(), live=None))

    @app.get("/grown")
    async def grown() -> dict[str, int]:
        gc.collect()
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        fds = len(os.listdir("/proc/self/fd"))
        return {"rss": pages * os.sysconf("SC_PAGE_SIZE"), "fds": fds, "tasks": len(asyncio.all_tasks())}

    _first(app)
    uvicorn.run(app, port=port, log_level="warning")


def _first(app: FastAPI) -> None:
    """Put the newest path before the mounted ones."""
    app.router.routes.insert(0, app.router.routes.pop())


@contextmanager
def changing(url: str, per_second: float) -> Iterator[None]:
    """Write what makes incidents open, move and resolve, again and again."""
    ended = threading.Event()
    database = open_database(url)
    recorder = Recorder(database, Monitor().policy)

    def work() -> None:
        turn = 0
        while not ended.wait(1 / per_second):
            route, hours = ROUTES[turn % len(ROUTES)], 20 + turn / 10
            found = [one for one in database.query(incidents.find, route) if one.state != "resolved"]
            told: Any = alert("firing", 1000 + turn, route=route, hours=hours)
            if found:
                kind = ("acknowledge", "false_alarm")[turn // len(ROUTES) % 2]
                told = decision(kind, hours, route=route, incident=found[0].id)
            recorder.apply([told])
            turn += 1

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join(30)
        database.close()


@contextmanager
def listeners(base: str, n: int) -> Iterator[None]:
    """So many that read `/live` until the block ends."""
    ended = threading.Event()

    async def one(client: httpx.AsyncClient) -> None:
        async with client.stream("GET", f"{base}/live") as answer:
            async for _ in answer.aiter_lines():
                if ended.is_set():
                    return

    async def work() -> None:
        async with httpx.AsyncClient(timeout=None, limits=httpx.Limits(max_connections=None)) as client:
            tasks = [asyncio.create_task(one(client)) for _ in range(n)]
            while not ended.is_set():
                await asyncio.sleep(0.2)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    thread = threading.Thread(target=lambda: asyncio.run(work()))
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join(30)


def look(base: str, pages: list[Page]) -> Sample:
    """What server and pages hold now, garbage left out."""
    server = httpx.get(f"{base}/grown", timeout=30).json()
    heap = nodes = shown = 0.0
    for page in pages:
        session = page.context.new_cdp_session(page)
        session.send("HeapProfiler.collectGarbage")
        session.send("Performance.enable")
        told = {one["name"]: one["value"] for one in session.send("Performance.getMetrics")["metrics"]}
        heap, nodes, shown = heap + told["JSHeapUsedSize"], nodes + told["Nodes"], shown + page.evaluate(_SHOWN)
        session.detach()
    return Sample(server["rss"], server["fds"], server["tasks"], heap, nodes / shown)


def measured(base: str, minutes: float, every: float) -> list[Sample]:
    """A look every so many seconds, at an incident's page and the fleet."""
    found = []
    with sync_playwright() as started:
        browser = started.chromium.launch(executable_path=chromium(), args=["--no-sandbox"])
        context = browser.new_context()
        pages = [context.new_page() for _ in range(2)]
        incident = httpx.get(f"{base}/v1/incidents").json()["items"][0]["id"]
        for page, path in zip(pages, ("/", f"/incidents/{incident}"), strict=True):
            page.goto(f"{base}{path}")
            page.wait_for_selector("#live:text-is('Live')")
        end = time.monotonic() + minutes * 60
        while time.monotonic() < end:
            pages[0].wait_for_timeout(min(every, max(end - time.monotonic(), 0.1)) * 1000)
            looks = [look(base, pages) for _ in range(3)]  # what was replaced a moment ago may not be swept yet
            found.append(Sample(*(min(getattr(one, name) for one in looks) for name in BOUNDS)))
            print(_line(len(found), found[-1]), flush=True)
        browser.close()
    return found


def _line(place: int, seen: Sample) -> str:
    return (
        f"{place:3d}  rss {seen.rss / 2**20:7.1f} MiB  fds {seen.fds:4.0f}  tasks {seen.tasks:4.0f}  "
        f"heap {seen.heap / 2**20:6.2f} MiB  nodes {seen.nodes:.3f} per shown"
    )


def verdict(seen: list[Sample]) -> dict[str, float]:
    """Last by first, of each measure; the first look is left out where there are more than two."""
    first, last = seen[1 if len(seen) > 2 else 0], seen[-1]
    return {name: getattr(last, name) / getattr(first, name) for name in BOUNDS}


def main() -> int:
    """Run it; 1 when something grew."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--listeners", type=int, default=50)
    parser.add_argument("--changes", type=float, default=4, help="a second")
    parser.add_argument("--port", type=int, default=8499)
    parser.add_argument("--serve", metavar="URL")
    given = parser.parse_args()
    if given.serve:
        serve(given.serve, given.port)
        return 0
    if chromium() is None:
        print(ABSENT)
        return 2
    base = f"http://127.0.0.1:{given.port}"
    with (
        tempfile.TemporaryDirectory() as folder,
        started(f"sqlite:///{folder}/kw.db", given.port, base) as url,
        listeners(base, given.listeners),
        changing(url, given.changes),
    ):
        seen = measured(base, given.minutes, 60 if given.minutes > 2 else 10)
    ratios = verdict(seen)
    for name, ratio in ratios.items():
        print(
            f"{name:6} last/first {ratio:.3f}, at most {BOUNDS[name]:.2f}: {'ok' if ratio <= BOUNDS[name] else 'GREW'}"
        )
    return 0 if all(ratio <= BOUNDS[name] for name, ratio in ratios.items()) else 1


@contextmanager
def started(url: str, port: int, base: str) -> Iterator[str]:
    """The server as a process, on a database with some exchanges and an incident a route."""
    database = open_database(url)
    recorder = Recorder(database, Monitor().policy)
    for route in ROUTES:
        recorder.apply([*scores(route), alert("firing", 900, route=route, ts=at(1))])
    database.close()
    command = [sys.executable, "-m", "tests.benchmarks.live", "--serve", url, "--port", str(port)]
    process = subprocess.Popen(command)
    try:
        end = time.monotonic() + 60
        while True:
            try:
                httpx.get(f"{base}/grown", timeout=5)
                break
            except httpx.HTTPError:
                if process.poll() is not None or time.monotonic() > end:
                    raise
                time.sleep(0.2)
        yield url
    finally:
        process.terminate()
        process.wait(30)


if __name__ == "__main__":
    sys.exit(main())
