"""The quickstart with a stopwatch: from nothing to the first incident in Slack, as a newcomer comes to it.

    python -m tests.e2e.quickstart --install

clones this repository into an empty folder, installs the core and, in an environment of its own, the client with the
OpenAI SDK; then `keelwatch init`, `keelwatch up`, an application whose model is silently replaced, and a Slack of this
machine. Without --install all runs in this environment. Exit code 1 if the incident is not there in 15 minutes.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from html import unescape
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx

from tests.e2e.model import questions
from tests.support.brokers import unused_ports
from tests.support.fake_slack import TOKEN
from tests.support.slack import FakeSlack, fake_slack
from tests.support.source import ROOT

ROUTE, CHANNEL = "support-bot/prod", "#llm-safety"
LEARNS = 300
"""Exchanges of a trial baseline."""
MOST_MINUTES = 15.0
CLIENT = ROOT / "tests" / "e2e" / "client.py"


@dataclass
class Stopwatch:
    """Says what was done, and when."""

    begun: float = field(default_factory=time.monotonic)

    def say(self, what: str) -> None:
        print(f"{time.monotonic() - self.begun:7.1f} s  {what}", flush=True)

    def wait(self, true: Callable[[], bool], what: str, seconds: float = 300.0) -> None:
        """Look again and again until it is true."""
        until = time.monotonic() + seconds
        while not true():
            if time.monotonic() > until:
                raise TimeoutError(f"not within {seconds:.0f} s: {what}")
            time.sleep(0.2)
        self.say(what)


@dataclass(frozen=True)
class Programs:
    """What a newcomer has: `keelwatch` with its folder, and the Python of the application."""

    keelwatch: tuple[str, ...]
    application: str
    environment: Mapping[str, str]


def here() -> Programs:
    """Those of this environment."""
    return Programs((sys.executable, "-m", "services.cli"), sys.executable, {"PYTHONPATH": f"{ROOT}:{ROOT / 'sdk'}"})


def installed(folder: Path, watch: Stopwatch) -> Programs:
    """Those of a fresh clone: the core, and beside it an application's own environment."""
    source, application = folder / "keelwatch", folder / "application"
    _run(["git", "clone", "--quiet", "--depth", "1", f"file://{ROOT}", str(source)])
    watch.say("cloned")
    _run(["make", "install"], cwd=source)
    watch.say("the core is installed")
    _run([sys.executable, "-m", "venv", str(application)])
    python = str(application / "bin" / "python")
    _run([python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", str(source / "sdk"), "openai"])
    watch.say("the application has keelwatch-client and the OpenAI SDK")
    return Programs((str(source / ".venv" / "bin" / "keelwatch"),), python, {})


def _run(command: Sequence[str], **more: Any) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False, **more)
    if done.returncode:
        raise RuntimeError(
            f"{' '.join(command[:4])}: exit code {done.returncode}: {(done.stderr or done.stdout)[-2000:]}"
        )
    return done.stdout


@dataclass(frozen=True)
class Newcomer:
    """The folder that `init` wrote, and what runs: Keelwatch at `api`, the model at `model`, a Slack."""

    folder: Path
    programs: Programs
    api: str
    model: str
    slack: FakeSlack
    log: Path

    def get(self, path: str) -> httpx.Response | None:
        """What a page or the API says; None while nobody answers."""
        with suppress(httpx.TransportError):
            return httpx.get(f"{self.api}{path}", trust_env=False, timeout=30)
        return None

    def ready(self) -> bool:
        answer = self.get("/readyz")
        return answer is not None and answer.status_code == 200

    def learned(self) -> bool:
        """Whether the route has a baseline."""
        answer = self.get(f"/v1/routes/{ROUTE}")
        return answer is not None and answer.status_code == 200 and answer.json()["baseline"] is not None

    def ask(self, some: Sequence[str]) -> None:
        """Let the application ask its model these questions."""
        file = self.folder / "questions.jsonl"
        file.write_text("".join(f"{json.dumps(one)}\n" for one in some), encoding="utf-8")
        command = [self.programs.application, str(CLIENT), f"{self.model}/v1", self.api, ROUTE, str(file)]
        _run(command, env=_environment(self.programs), cwd=self.folder)

    def snippets(self) -> dict[str, str]:
        """Title -> text of what the page shows to be copied."""
        answer = self.get("/connect")
        text = "" if answer is None else answer.text
        return {unescape(a): unescape(b) for a, b in re.findall(r'aria-label="([^"]+)"><code>(.*?)</code>', text, re.S)}

    def messages(self) -> list[dict[str, Any]]:
        """What stands in the channel."""
        return self.slack.accepted("chat.postMessage")

    def incident(self) -> dict[str, Any]:
        """The route's incident."""
        answer = self.get(f"/v1/incidents?route={ROUTE}")
        found = [] if answer is None else answer.json()["items"]
        return found[0] if found else {}


def _environment(programs: Programs) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("KEELWATCH_", "PYTHONPATH"))}
    return {**kept, "OMP_NUM_THREADS": "1", **programs.environment}


@contextmanager
def beginning(folder: Path, programs: Programs, watch: Stopwatch) -> Iterator[Newcomer]:
    """Up to `keelwatch up` that runs, from the questions of `init` on."""
    model, port, broker = unused_ports(3)
    place, address = folder / "watch", f"http://127.0.0.1:{model}"
    environment = _environment(programs)
    with ExitStack() as stack:
        slack = stack.enter_context(fake_slack(folder))
        stack.enter_context(
            _process([sys.executable, "-m", "tests.e2e.model", str(model)], folder / "model.log", cwd=ROOT)
        )
        told = ("--route", ROUTE, "--target", f"{address}/v1", "--model", "harbour-chat", "--key-env", "none")
        _run([*programs.keelwatch, "init", str(place), *told, "--slack", CHANNEL], env=environment, cwd=folder)
        secrets = place / ".env"
        secrets.write_text(secrets.read_text().replace("KEELWATCH_SLACK_TOKEN=", f"KEELWATCH_SLACK_TOKEN={TOKEN}"))
        watch.say("keelwatch init; the Slack token is filled in")
        up = [*programs.keelwatch, "up", "--port", str(port), "--broker-port", str(broker)]
        shell = ["/bin/sh", "-c", 'cd "$0" && set -a && . ./.env && set +a && exec "$@"', str(place), *up]
        log = folder / "up.log"
        stack.enter_context(_process(shell, log, env={**environment, "KEELWATCH_SLACK_API_URL": slack.url}, cwd=folder))
        made = Newcomer(place, programs, f"http://127.0.0.1:{port}", address, slack, log)
        watch.wait(made.ready, f"keelwatch up is ready at {made.api}/")
        yield made


@contextmanager
def _process(command: Sequence[str], log: Path, **more: Any) -> Iterator[None]:
    with log.open("ab") as out:
        process = subprocess.Popen(command, stdout=out, stderr=out, **more)
    try:
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(40)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def story(newcomer: Newcomer, watch: Stopwatch) -> None:
    """Customers ask, the model is replaced without a word, and Slack tells of it."""
    before, after = questions()
    newcomer.ask(before[: LEARNS + 20])
    watch.say(f"{LEARNS + 20} customers were answered, and published")
    watch.wait(newcomer.learned, "what is normal is learned")
    assert newcomer.messages() == [], "an alert before anything has changed"
    httpx.post(f"{newcomer.model}/replace", trust_env=False).raise_for_status()
    watch.say("the model is replaced behind its name; nobody tells Keelwatch")
    newcomer.ask(after[:100])
    watch.say("100 more customers were answered")
    watch.wait(lambda: bool(newcomer.messages()), "the first incident is in Slack")


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--install", action="store_true", help="clone and install first")
    options = asked.parse_args()
    watch = Stopwatch()
    with TemporaryDirectory(prefix="keelwatch-quickstart-") as place:
        folder = Path(place)
        programs = installed(folder, watch) if options.install else here()
        with beginning(folder, programs, watch) as newcomer:
            story(newcomer, watch)
            took = (time.monotonic() - watch.begun) / 60
            watch.wait(lambda: newcomer.incident().get("verdict") == "model", "its verdict: the model changed", 120)
            print(newcomer.incident()["headline"])
    print(f"first incident after {took:.1f} minutes of at most {MOST_MINUTES:g}")
    sys.exit(took > MOST_MINUTES)


if __name__ == "__main__":
    main()
