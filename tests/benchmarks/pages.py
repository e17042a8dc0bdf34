"""Every list and page under 300 ms: `python -m tests.benchmarks.pages [--database URL] [--times N] [--only PART]`.

Fills a database with the rollups of 1,000,000 exchanges and 10,000 incidents (pages_data), lets uvicorn serve the
application from a process of its own, and asks every path that can be read N times, one after another. Prints p50 and
p95 of each; exit code 1 when a p95 is above 300 ms, or a path has no example (pages_asked). Without `--database` both
databases are made anew. A database that is named is filled unless it is already.
"""

from __future__ import annotations

import argparse
import multiprocessing
import statistics
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx
import uvicorn
from fastapi import FastAPI
from fastapi.routing import APIRoute

from services.api.app import make
from services.store import routes
from services.store.engine import Database, open_database
from tests.benchmarks.pages_asked import ASKED, LEFT_OUT
from tests.benchmarks.pages_data import fill
from tests.benchmarks.pages_known import Filled, known
from tests.support.api import Wire, api_on
from tests.support.brokers import unused_ports
from tests.support.postgres import ABSENT, own_cluster

MOST_MS = 300.0
READY_SECONDS = 30.0


def app_on(url: str) -> FastAPI:
    """The application as it is served."""
    return make(api_on(open_database(url), Wire()))


def serve(url: str, port: int) -> None:
    """Serve until the process is ended."""
    uvicorn.run(app_on(url), host="127.0.0.1", port=port, log_level="warning")


def paths(app: FastAPI) -> list[str]:
    """The templates of all paths that are read.

    Raises:
        SystemExit: if one has no example.
    """
    found = {route.path for route in leaves(app.routes) if "GET" in route.methods} - LEFT_OUT
    missing = sorted(found - ASKED.keys())
    if missing:
        raise SystemExit(f"no example of {', '.join(missing)}: add one to tests/benchmarks/pages_asked.py")
    return sorted(found)


def leaves(routes: Iterable[object]) -> Iterator[APIRoute]:
    """The paths of an application with those of the routers that it includes."""
    for route in routes:
        if isinstance(route, APIRoute):
            yield route
        yield from leaves(getattr(getattr(route, "original_router", None), "routes", ()))


def measured(client: httpx.Client, path: str, times: int) -> list[float]:
    """Milliseconds of each of so many answers.

    Raises:
        SystemExit: if an answer is no success.
    """
    took = []
    for _ in range(times):
        start = time.perf_counter()
        answer = client.get(path)
        took.append((time.perf_counter() - start) * 1000)
        if answer.status_code >= 400:
            raise SystemExit(f"{path}: {answer.status_code} {answer.text[:300]}")
    return sorted(took)


def report(url: str, filled: Filled, times: int, only: str) -> bool:
    """Ask everything and print a line for each; whether all is fast enough."""
    asked = [one.format(**asdict(filled)) for path in paths(app_on(url)) for one in ASKED[path] if only in one]
    slowest, name = 0.0, ""
    with served(url) as base, httpx.Client(base_url=base, timeout=60, trust_env=False) as client:
        for path in asked:
            took = measured(client, path, times)
            p95 = took[min(len(took) - 1, int(0.95 * len(took)))]
            print(f"{'ok    ' if p95 <= MOST_MS else 'MISSED'} {statistics.median(took):7.1f} {p95:7.1f} ms  {path}")
            slowest, name = max((slowest, name), (p95, path))
    print(f"worst p95: {slowest:.1f} ms {name} (at most {MOST_MS:.0f} ms, {times} times each)")
    return slowest <= MOST_MS


@contextmanager
def served(url: str) -> Iterator[str]:
    """The application in a process of its own, ready; its address."""
    [port] = unused_ports(1)
    process = multiprocessing.get_context("spawn").Process(target=serve, args=(url, port))
    process.start()
    base, end = f"http://127.0.0.1:{port}", time.monotonic() + READY_SECONDS
    try:
        while True:
            try:
                httpx.get(f"{base}/openapi.json", trust_env=False)
                break
            except httpx.TransportError:
                if time.monotonic() > end or not process.is_alive():
                    raise
                time.sleep(0.1)
        yield base
    finally:
        process.terminate()
        process.join()


def ready(database: Database) -> Filled:
    """Fill the database unless it is filled."""
    if database.query(routes.names):
        return known(database)
    start = time.perf_counter()
    fill(database)
    filled = known(database)
    print(f"filled in {time.perf_counter() - start:.0f} s")
    return filled


def run(url: str, times: int, only: str) -> bool:
    """Fill and ask one database."""
    database = open_database(url)
    try:
        print(f"{database.engine.dialect.name}:")
        return report(url, ready(database), times, only)
    finally:
        database.close()


def main() -> int:
    """Both databases, or the one that is named."""
    parser = argparse.ArgumentParser(description=__doc__.partition(":")[0])
    parser.add_argument("--database", help="URL of one that is filled already, or empty")
    parser.add_argument("--times", type=int, default=40)
    parser.add_argument("--only", default="", help="only paths that contain this")
    given = parser.parse_args()
    if given.database:
        return 0 if run(given.database, given.times, given.only) else 1
    with TemporaryDirectory() as folder, own_cluster(settings={}) as cluster:
        fast = run(f"sqlite:///{Path(folder) / 'keelwatch.db'}", given.times, given.only)
        if cluster is None:
            print(f"postgresql: not measured: {ABSENT}")
        else:
            fast = run(cluster.url, given.times, given.only) and fast
    return 0 if fast else 1


if __name__ == "__main__":
    sys.exit(main())
