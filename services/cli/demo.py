"""`keelwatch demo`: a support bot whose model is silently replaced, watched live, from its traffic to the message.

Broker, simulated model and worker are processes of their own, gone when the demonstration ends.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Final, TypeVar

import httpx
import typer
from rich.panel import Panel
from rich.text import Text

from schemas.change import Change
from schemas.evaluation import Comparison, Run
from schemas.exchange import Exchange
from schemas.fact import Fact
from schemas.incident import Incident
from schemas.position import Position
from schemas.topics import EXCHANGES
from services.cli import rendering
from services.cli.output import ERR, OUT
from services.cli.up import worker_command
from services.demo.support_bot import ROUTE, Script, traffic
from services.ingest.jsonl import FileLine
from services.notify.message import MessageOptions, of_incident, plain_lines
from services.settings import isolated_environment
from services.specs import EVALUATION
from services.store import evaluation_queue, incidents, journal
from services.store.engine import Database, open_database
from services.stream import child_process, topics
from services.stream.broker import Broker
from services.stream.embedded_broker import EmbeddedBrokerError, free_port, start_broker
from services.stream.publish import publish
from services.stream.supervisor import stoppable
from services.wording import commands as words
from services.wording.evaluations import run_result

_MONITOR: Final = """\
allow_hosts: [127.0.0.1]
routes:
  {route}:
    suites: [smoke]
    target: {{url: "http://127.0.0.1:{port}/v1", model: harbour-chat, settings: {{temperature: 0}}}}
    after_change: [0m]
"""
_POLL_SECONDS: Final = 0.2
_ROOT: Final = Path(__file__).resolve().parents[2]

T = TypeVar("T")


class DemoFailed(Exception):  # noqa: N818
    """The story did not come to its end; the text says why."""


@dataclass(frozen=True, slots=True)
class Stage:
    """Where everything is. `until`: monotonic time by which the story must be told; `stopped`: a person has enough."""

    broker: Broker
    database: str
    page: str
    model: str
    folder: Path
    worker: child_process.Child
    until: float
    stopped: Callable[[], bool]

    def replace_model(self) -> None:
        """Put the new model behind the old one's name."""
        httpx.post(f"{self.model}/replace", trust_env=False).raise_for_status()

    def wait(self, look: Callable[[], T | None], what: str) -> T:
        """What `look` finds, once it finds something.

        Raises:
            DemoFailed: if the worker ends, or time is up.
        """
        while (found := look()) is None:
            if self.stopped():
                raise DemoFailed(f"interrupted before: {what}")
            if self.worker.poll() is not None:
                raise DemoFailed(f"the worker ended with {self.worker.returncode}: {self._last_words()}")
            if time.monotonic() > self.until:
                raise DemoFailed(f"not in time: {what}; the worker's last words: {self._last_words()}")
            time.sleep(_POLL_SECONDS)
        return found

    def ready(self) -> bool | None:
        """True once the worker says that it is ready."""
        try:
            return httpx.get(f"{self.page}/readyz", trust_env=False).is_success or None
        except httpx.HTTPError:
            return None

    def _last_words(self) -> str:
        return "\n".join((self.folder / "worker.log").read_text(errors="replace").splitlines()[-5:])


@contextmanager
def staged(seconds: float, stopped: Callable[[], bool]) -> Iterator[Stage]:
    """Everything started on free ports, in a folder of its own that is removed at the end.

    Raises:
        EmbeddedBrokerError: if the embedded broker does not start.
    """
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="keelwatch-demo-")))
        embedded = start_broker()
        stack.callback(embedded.stop)
        asyncio.run(topics.create(embedded.broker, topics.all_topics()))
        model, port = free_port(), free_port()
        (folder / "keelwatch.yaml").write_text(_MONITOR.format(route=ROUTE, port=model), encoding="utf-8")
        database = f"sqlite:///{folder / 'keelwatch.db'}"
        environment = isolated_environment({"KEELWATCH_DATA_DIR": str(folder), "KEELWATCH_DATABASE_URL": database})
        log = stack.enter_context((folder / "worker.log").open("ab"))
        endpoint = child_process.start(_endpoint_command(model), output=log, environment=environment)
        stack.callback(child_process.stop, endpoint, 2.0)
        command = worker_command(embedded.broker, "demo", ("127.0.0.1", port), str(folder / "keelwatch.yaml"))
        worker = child_process.start(command, output=log, environment=environment)
        stack.callback(child_process.stop, worker, 15.0)
        pages = (f"http://127.0.0.1:{port}", f"http://127.0.0.1:{model}")
        yield Stage(embedded.broker, database, *pages, folder, worker, time.monotonic() + seconds, stopped)


def _endpoint_command(port: int) -> tuple[str, ...]:
    program = f"import sys; sys.path.insert(0, {str(_ROOT)!r}); from services.demo.endpoint import main; main({port})"
    return (sys.executable, "-P", "-c", program)


SECONDS: Final = 120.0
_LOOK_SECONDS: Final = 0.2

Say = Callable[[str], None]
F = TypeVar("F")


def demo(
    leave: Annotated[
        bool, typer.Option("--exit", help="End when the story is told; without a terminal it always does.")
    ] = False,
    seed: Annotated[int, typer.Option(help="The same seed tells the same story.")] = 7,
) -> None:
    """Watch a simulated support bot whose model is silently replaced by one that refuses less and leaks a key.

    Everything runs on free ports of this machine, in a folder that is removed at the end. Exit code 1 with the reason
    if the incident and its evaluation do not come within two minutes.
    """
    begin = time.monotonic()

    def say(line: str) -> None:
        OUT.print(Text(f"{time.monotonic() - begin:5.1f} s", "dim").append(f"  {line}", "not dim"), soft_wrap=True)

    try:
        with stoppable() as stop, staged(SECONDS, lambda: stop.asked) as stage:
            _story(stage, seed, say)
            if not leave and OUT.is_terminal:
                OUT.print(f"\n{words.stays_up(stage.page)}")
                while not stop.asked:
                    time.sleep(_LOOK_SECONDS)
    except (DemoFailed, EmbeddedBrokerError) as failure:
        ERR.print(f"keelwatch: {failure}", markup=False)
        raise typer.Exit(1) from None


def _story(stage: Stage, seed: int, say: Say) -> None:
    """Tell it, and see each part happen before the next one begins."""
    script = Script()
    script = Script(starts=datetime.now(UTC) - timedelta(seconds=script.step * (script.before + script.after)))
    story = list(traffic(script, seed))
    stage.wait(stage.ready, "the worker is ready")
    say(words.all_runs(stage.page))
    _publish(stage, story[: script.before])
    say(words.answered(script.before, _hours(script.before, script), again=False))
    pinned = stage.wait(lambda: _first(stage, Change, lambda one: one.kind == "pinned"), "a baseline is pinned")
    say(words.learned(ROUTE, pinned.pinning.n if pinned.pinning else pinned.event_index))
    run = stage.wait(lambda: _run_for(stage, pinned), "the suite runs")
    say(words.suite_asked(run.suite, run_result(run)))
    stage.replace_model()
    say(words.REPLACED)
    _publish(stage, story[script.before :])
    say(words.answered(script.after, _hours(script.after, script), again=True))
    suspected = stage.wait(lambda: _first(stage, Change, lambda one: one.kind == "suspected"), "a change is suspected")
    say(words.SUSPECTED)
    compared = stage.wait(lambda: _first(stage, Comparison, lambda one: one.change == suspected.id), "it is compared")
    found = stage.wait(lambda: _evaluated(stage, compared), "the incident has its evaluation")
    say(words.DONE)
    _tell(stage, found, compared)


def _publish(stage: Stage, exchanges: Sequence[Exchange]) -> None:
    place = Position(cluster="demo", topic="demo", partition=0, offset=0)
    some = [FileLine(exchange.encode(), place, "exchange") for exchange in exchanges]
    done = asyncio.run(publish(stage.broker, EXCHANGES.name, some, None, lambda _: None))
    if done.failed:
        raise DemoFailed(f"{done.failed} exchanges were not acknowledged: {done.reasons}")


def _first(stage: Stage, kind: type[F], which: Callable[[F], bool]) -> F | None:
    """The first fact of a kind that is the one."""
    return next((fact for fact in _facts(stage) if isinstance(fact, kind) and which(fact)), None)


def _run_for(stage: Stage, change: Change) -> Run | None:
    """The run that a pinned baseline asked for, once it, and the one of the route's first sight, are recorded."""
    with _reading(stage) as database:
        asked = database.query(evaluation_queue.find, ROUTE)
    recorded = {fact.id for fact in _facts(stage) if isinstance(fact, Run)}
    done = {one.what.moment for one in asked if one.what.id in recorded}
    mine = {one.what.id for one in asked if one.what.cause == change.id}
    return _first(stage, Run, lambda run: run.id in mine) if done >= {"first_seen", "pinned"} else None


def _facts(stage: Stage) -> Sequence[Fact]:
    with _reading(stage) as database:
        return database.query(journal.facts, ROUTE)


def _evaluated(stage: Stage, compared: Comparison) -> Incident | None:
    """The incident, once its timeline has the comparison, and the alert of a suite that regressed."""
    with _reading(stage) as database:
        found = database.query(incidents.find, ROUTE)
    told = (one for one in found if compared.id in {entry.ref for entry in one.timeline})
    return next((one for one in told if compared.overall != "regressed" or EVALUATION.name in one.families), None)


@contextmanager
def _reading(stage: Stage) -> Iterator[Database]:
    """The database of the worker, to look at."""
    database = open_database(stage.database, create=False)
    try:
        yield database
    finally:
        database.close()


def _hours(n: int, script: Script) -> float:
    return n * script.step / 3600


def _tell(stage: Stage, found: Incident, compared: Comparison) -> None:
    """The incident, the comparison, the message as it would look, and the two lines that checks read."""
    OUT.print(rendering.incident_panel(found))
    message = of_incident(found, MessageOptions(stage.page, buttons=True))
    OUT.print(Panel(Text("\n".join(plain_lines(message))), title=words.IN_SLACK, title_align="left"))
    OUT.print(f"page: {stage.page}/incidents/{found.id}", markup=False)
    OUT.print(f"verdict: {found.verdict}")
    OUT.print(f"evaluation: {compared.overall}")
