"""Worker processes that share the steps, with the test as their supervisor."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from services.observability.watchdog import EXIT_FAILED
from services.stream.broker import Broker
from tests.support.streams import STEPS, Worker, groups, lag, running, until


@dataclass
class Fleet:
    """Workers by their names, each of which is its KEELWATCH_INSTANCE.

    One that ends with 70 is started again, as its supervisor would; any other end is a failure of the test. Leaving
    the block ends all of them; when the block failed, the ends of their logs are printed.
    """

    folder: Path
    broker: Broker
    database: str
    config: Path | None = None
    only: str = ",".join(STEPS)
    environment: Mapping[str, str] = field(default_factory=dict)
    module: str = "services.cli"
    workers: dict[str, Worker] = field(default_factory=dict)
    restarts: list[str] = field(default_factory=list)
    _stack: ExitStack = field(default_factory=ExitStack)

    def __enter__(self) -> Fleet:
        return self

    def __exit__(self, *error: Any) -> None:
        self._stack.__exit__(*error)

    @property
    def steps(self) -> tuple[str, ...]:
        """What each worker runs."""
        return tuple(self.only.split(","))

    def join(self, name: str) -> Worker:
        """Start one more worker, which need not be a member of its groups yet."""
        (folder := self.folder / name).mkdir()
        given = {**self.environment, "KEELWATCH_INSTANCE": name}
        one = Worker(folder, self.broker, self.only, self.database, self.config, given, module=self.module)
        self.workers[name] = self._stack.enter_context(running(one))
        return one

    def leave(self, name: str) -> float:
        """End a worker cleanly; how many seconds it took."""
        begin = time.monotonic()
        code = self.workers.pop(name).stop()
        assert code == 0, f"{name} left with exit code {code}"
        return time.monotonic() - begin

    def kill(self, name: str) -> Worker:
        """Kill a worker with signal 9; it can be started again."""
        one = self.workers[name]
        one.kill()
        return one

    def tend(self) -> None:
        """Start again what has ended with 70."""
        for name, one in self.workers.items():
            code = one.process.poll() if one.process is not None else None
            if code is not None:
                assert code == EXIT_FAILED, f"{name} ended with exit code {code}"
                self.restarts.append(name)
                one.start()

    def until(self, true: Callable[[], bool], what: str, seconds: float = 90.0) -> float:
        """Wait for it, tending the workers meanwhile; how many seconds it took.

        Raises:
            AssertionError: if it is not in time.
        """

        def tended() -> bool:
            self.tend()
            return true()

        begin = time.monotonic()
        until(tended, what, seconds)
        return time.monotonic() - begin

    def lag(self) -> int:
        """Records that the groups of the steps have not committed yet."""
        return lag(self.broker, self.steps)

    def settled(self) -> bool:
        """Whether every group has committed all that lies on its topics."""
        return self.lag() == 0

    def shared(self, n: int) -> bool:
        """Whether every step's partitions are dealt to n workers, and no group is being dealt anew."""
        return set(groups(self.broker, self.steps).values()) == {("Stable", n)}
