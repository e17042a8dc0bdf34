"""`keelwatch up`: a worker of all steps, started again when it ends, and the embedded broker where no other is."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

from services.stream import child_process
from services.stream.embedded_broker import MOST_BYTES, WARN_BYTES, EmbeddedBroker
from services.wording import receipts

BAD_INPUT: Final = 2
EXIT_GAVE_UP: Final = 1
"""The broker is lost, or the worker failed again and again."""


@dataclass(frozen=True, slots=True)
class RestartPolicy:
    """How patient a supervisor is.

    Attributes:
        first, longest: seconds before a restart, doubled from failure to failure. healthy: a worker that ran as long
            was well, and the count begins anew. most: failures in a row after which it is given up.
    """

    first: float = 0.5
    longest: float = 30.0
    healthy: float = 60.0
    most: int = 10


@dataclass(frozen=True, slots=True)
class Restart:
    """Start it again after `after` seconds; it is the failure number `failures` in a row."""

    after: float
    failures: int
    why: str


@dataclass(frozen=True, slots=True)
class GiveUp:
    """End, with this exit code."""

    code: int
    why: str


def decide_restart(policy: RestartPolicy, failures: int, code: int, ran: float) -> Restart | GiveUp:
    """What follows when a worker ended with `code` (negative: by that signal) after `ran` seconds.

    `failures` is how many in a row there were before. Only what a person must mend is not tried again: bad input.
    """
    if code == BAD_INPUT:
        return GiveUp(BAD_INPUT, "the worker cannot run like this")
    failures = 1 if ran >= policy.healthy else failures + 1
    why = f"the worker was ended by signal {-code}" if code < 0 else f"the worker ended with exit code {code}"
    if failures > policy.most:
        return GiveUp(EXIT_GAVE_UP, f"{why}, {failures} times in a row, each within {policy.healthy:g} s: given up")
    return Restart(min(policy.first * 2.0 ** (failures - 1), policy.longest), failures, why)


REAL_BROKER: Final = "point to a real one: KEELWATCH_KAFKA_BOOTSTRAP=HOST:PORT, or --bootstrap"
_LOOK_SECONDS: Final = 0.1
_STOP_SECONDS: Final = 15.0


class StopRequest:
    """Whether a person, or the system, has asked for the end."""

    asked = False


@contextmanager
def stoppable() -> Iterator[StopRequest]:
    """SIGTERM, Ctrl-C and a closed terminal ask for the end, while the block runs, and do nothing else."""
    stop = StopRequest()

    def ask(*_: object) -> None:
        stop.asked = True

    before = {one: signal.signal(one, ask) for one in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)}
    try:
        yield stop
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)


@dataclass(frozen=True, slots=True)
class Supervision:
    """What is supervised.

    Attributes:
        worker: its command. broker: the embedded one, None with a real one. say: tells a person one line.
        policy: of restarts. most_bytes: of the embedded broker's memory. patience: seconds that a worker has to save
            and acknowledge what it handled before it is killed.
    """

    worker: tuple[str, ...]
    broker: EmbeddedBroker | None
    say: Callable[[str], Any]
    policy: RestartPolicy = field(default_factory=RestartPolicy)
    most_bytes: int = MOST_BYTES
    patience: float = _STOP_SECONDS


def supervise(plan: Supervision, stop: StopRequest) -> int:
    """Run the worker until `stop` is asked for: 0 then, 2 if a person must mend something, else 1.

    Whichever way it ends, the worker is stopped; the broker is its maker's to stop, after this.
    """
    return _Supervisor(plan, stop).run()


class _Supervisor:
    def __init__(self, plan: Supervision, stop: StopRequest) -> None:
        self._plan, self._stop = plan, stop
        self._warned = False
        self._failures = 0

    def run(self) -> int:
        while not self._stop.asked:
            code = self._once()
            if code is not None:
                return code
        return 0

    def _once(self) -> int | None:
        """One life of the worker, and the pause after it; an exit code when it was the last one."""
        worker, begin = child_process.start(self._plan.worker), time.monotonic()
        try:
            while (code := worker.poll()) is None:
                if self._stop.asked:
                    return 0
                if self._broker_is_lost():
                    return EXIT_GAVE_UP
                time.sleep(_LOOK_SECONDS)
        finally:
            child_process.stop(worker, self._plan.patience)
        return 0 if self._stop.asked else self._after(code, time.monotonic() - begin)

    def _after(self, code: int, ran: float) -> int | None:
        decision = decide_restart(self._plan.policy, self._failures, code, ran)
        if isinstance(decision, GiveUp):
            self._plan.say(decision.why)
            return decision.code
        self._failures = decision.failures
        self._plan.say(receipts.started_again(decision.why, decision.after))
        until = time.monotonic() + decision.after
        while time.monotonic() < until and not self._stop.asked:
            if self._broker_is_lost():
                return EXIT_GAVE_UP
            time.sleep(_LOOK_SECONDS)
        return None

    def _broker_is_lost(self) -> bool:
        """The embedded broker has ended, or takes too much memory; nothing can make it forget or refuse a record."""
        broker = self._plan.broker
        if broker is None:
            return False
        if broker.ended():
            self._plan.say(receipts.broker_gone(REAL_BROKER))
            return True
        resident = broker.resident()
        if resident >= self._plan.most_bytes:
            self._plan.say(receipts.broker_full(resident, REAL_BROKER))
            return True
        if resident >= WARN_BYTES and not self._warned:
            self._warned = True
            self._plan.say(receipts.broker_fills(resident, self._plan.most_bytes, REAL_BROKER))
        return False
