"""Everything as people run it: Apache Kafka, PostgreSQL, a worker of all steps, a model's endpoint and a Slack."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from services.store import journal
from services.store.engine import open_database
from services.stream.broker import Broker
from tests.support import kafka as brokers
from tests.support.brokers import unused_ports
from tests.support.fake_slack import TOKEN
from tests.support.slack import FakeSlack, fake_slack
from tests.support.source import ROOT
from tests.support.streams import Worker, make_topics, running, until

SECRET = "8f742231b10e8888abcd99yyyzzz85a5"
MENTION = "<!subteam^S123>"
ROUTES = ("support-bot/prod", "shop-bot/prod", "own-bot/prod")
OWN = ROUTES[2]
"""The route that asks its own questions again, and nothing else."""

MONITOR = """\
defaults: {{baseline: {{size: 250, min_size: 100, per_hour: 100000}}}}
allow_hosts: [127.0.0.1]
slack_access:
  team: T0KEELWATCH
  app: A0KEELWATCH
  people:
    - {{users: [U1], role: operator, routes: ["*"]}}
receivers:
  oncall: {{slack: {{channel: "#llm-safety", token_env: KEELWATCH_SLACK_TOKEN, mention: "{mention}"}}}}
routes:
"""
ROUTE = """\
  {route}:
    suites: {suites}
    target: {{url: "http://127.0.0.1:{port}/v1", model: harbour-chat, settings: {{temperature: 0}}}}
    after_change: [0m]
    notify: [oncall]
"""
REASK = "    reask: {share: 0.5, max_items: 100, daily_budget: 200}\n"


@dataclass(frozen=True)
class Service:
    """What runs, and where it is reached. `models`: the address of each route's endpoint."""

    broker: Broker
    database: str
    url: str
    slack: FakeSlack
    models: dict[str, str]
    worker: Worker

    def ask(self, method: str, path: str, **more: Any) -> httpx.Response:
        """One request to the API."""
        return httpx.request(method, f"{self.url}{path}", trust_env=False, timeout=30, **more)

    def replace_model(self, route: str, **served: str) -> None:
        """Another model answers from now on."""
        answer = httpx.post(f"{self.models[route]}/replace", params=served, trust_env=False, timeout=30)
        assert answer.status_code == 200

    def facts(self, route: str, kind: type) -> list[Any]:
        """The recorded facts of a kind."""
        database = open_database(self.database, create=False)
        try:
            return [fact for fact in database.query(journal.facts, route) if isinstance(fact, kind)]
        finally:
            database.close()


def _section(route: str, port: int) -> str:
    suites = "[]" if route == OWN else "[smoke]"
    return ROUTE.format(route=route, port=port, suites=suites) + (REASK if route == OWN else "")


@contextmanager
def _model(port: int) -> Iterator[str]:
    url = f"http://127.0.0.1:{port}"
    with subprocess.Popen([sys.executable, "-m", "services.demo.endpoint", str(port)], cwd=ROOT) as process:
        try:
            until(lambda: _answers(f"{url}/health"), "the model's endpoint answers", 30)
            yield url
        finally:
            process.kill()


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, trust_env=False).status_code == 200
    except httpx.TransportError:
        return False


@pytest.fixture(scope="module")
def service(postgres: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """All of it, started, and gone at the end."""
    folder: Path = tmp_path_factory.mktemp("service")
    *ports, port = unused_ports(len(ROUTES) + 1)
    config = folder / "keelwatch.yaml"
    routes = "".join(_section(route, one) for route, one in zip(ROUTES, ports, strict=True))
    config.write_text(MONITOR.format(mention=MENTION) + routes)
    with brokers.apache_kafka() as server:
        if server is None:
            pytest.skip(brokers.ABSENT)
        broker = brokers.cluster_of(server.bootstrap, server).broker
        make_topics(broker)
        with fake_slack(folder) as slack, ExitStack() as stack:
            models = {route: stack.enter_context(_model(one)) for route, one in zip(ROUTES, ports, strict=True)}
            environment = {
                "KEELWATCH_SLACK_TOKEN": TOKEN,
                "KEELWATCH_SLACK_SIGNING_SECRET": SECRET,
                "KEELWATCH_SLACK_API_URL": slack.url,
            }
            url = postgres.fresh()
            names = "score,detect,evaluate,alert,record,notify,api"
            worker = Worker(folder, broker, names, url, config, environment, ("--port", str(port)))
            with running(worker):
                until(lambda: _answers(f"http://127.0.0.1:{port}/readyz"), "the worker is ready")
                yield Service(broker, url, f"http://127.0.0.1:{port}", slack, models, worker)
                assert worker.stop() == 0
