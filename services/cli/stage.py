"""The demonstration's stage: broker, simulated model and worker as processes of their own, gone when it is left."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final, TypeVar

import httpx

from services.cli.up import worker_command
from services.demo.bot import ROUTE
from services.settings import apart
from services.stream import child, topics
from services.stream.config import Broker
from services.stream.embedded import free_port, started

_MONITOR: Final = """\
allow_hosts: [127.0.0.1]
routes:
  {route}:
    suites: [core]
    target: {{url: "http://127.0.0.1:{port}/v1", model: harbour-chat, settings: {{temperature: 0}}}}
    after_change: [0m]
"""
_LOOK_SECONDS: Final = 0.2
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
    worker: child.Child
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
            time.sleep(_LOOK_SECONDS)
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
        EmbeddedError: if the embedded broker does not start.
    """
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="keelwatch-demo-")))
        embedded = started()
        stack.callback(embedded.stop)
        asyncio.run(topics.create(embedded.broker, topics.all_topics()))
        model, port = free_port(), free_port()
        (folder / "keelwatch.yaml").write_text(_MONITOR.format(route=ROUTE, port=model), encoding="utf-8")
        database = f"sqlite:///{folder / 'keelwatch.db'}"
        environment = apart({"KEELWATCH_DATA_DIR": str(folder), "KEELWATCH_DATABASE_URL": database})
        log = stack.enter_context((folder / "worker.log").open("ab"))
        endpoint = child.start(_endpoint_command(model), output=log, environment=environment)
        stack.callback(child.stop, endpoint, 2.0)
        command = worker_command(embedded.broker, "demo", ("127.0.0.1", port), str(folder / "keelwatch.yaml"))
        worker = child.start(command, output=log, environment=environment)
        stack.callback(child.stop, worker, 15.0)
        pages = (f"http://127.0.0.1:{port}", f"http://127.0.0.1:{model}")
        yield Stage(embedded.broker, database, *pages, folder, worker, time.monotonic() + seconds, stopped)


def _endpoint_command(port: int) -> tuple[str, ...]:
    program = f"import sys; sys.path.insert(0, {str(_ROOT)!r}); from services.demo.endpoint import main; main({port})"
    return (sys.executable, "-P", "-c", program)
