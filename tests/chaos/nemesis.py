"""Kills and suspends workers and restarts servers as a plan has it, and writes down of what there is evidence."""

from __future__ import annotations

import signal
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from tests.chaos import quick_session
from tests.chaos.plan import Moment, Plan, Point
from tests.support.streams import Worker


@dataclass
class Victim:
    """A worker process and the fail points at which it is to die; it is started with the next of them."""

    worker: Worker
    points: deque[Point] = field(default_factory=deque)
    _printed: int = 0

    def start(self) -> None:
        """Start it, armed."""
        armed = {"KEELWATCH_FAILPOINTS": f"{self.points[0].place}:{self.points[0].count}"} if self.points else {}
        self.worker.environment = armed
        self._printed = self.worker.log.stat().st_size if self.worker.log.exists() else 0
        self.worker.start()

    def says(self, words: str) -> bool:
        """Whether the process that runs has printed this."""
        with self.worker.log.open("rb") as log:
            log.seek(self._printed)
            return words.encode() in log.read()

    @property
    def runs(self) -> bool:
        """It has started, and is at work."""
        return self.worker.process is not None and self.worker.process.poll() is None and self.says('"running ')

    @property
    def code(self) -> int | None:
        """How the process ended; None while it runs."""
        assert self.worker.process is not None
        return self.worker.process.poll()


ASLEEP_SECONDS = quick_session.SECONDS + 3.0


@dataclass
class Nemesis:
    """`fired` is what was done and of which there is evidence, `ended` the processes that ended otherwise.

    `servers` restart what workers depend on. `asleep` is who is suspended, by which moment and until when.
    """

    victims: dict[str, Victim]
    moments: deque[Moment]
    servers: Mapping[str, Callable[[], None]] = field(default_factory=dict)
    asleep: tuple[Moment, float] | None = None
    fired: list[str] = field(default_factory=list)
    ended: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, plan: Plan, workers: dict[str, Worker], servers: Mapping[str, Callable[[], None]]) -> Nemesis:
        """The nemesis that carries out a plan; nothing is started yet."""
        points = {name: deque(point for point in plan.points if point.victim == name) for name in workers}
        return cls({name: Victim(one, points[name]) for name, one in workers.items()}, deque(plan.moments), servers)

    @property
    def done(self) -> bool:
        """Every kill of the plan has happened."""
        waits = any(victim.points for victim in self.victims.values())
        return not self.moments and self.asleep is None and not waits

    def look(self, share: float) -> None:
        """Revive what died, and kill what is due when `share` of the exchanges is sent."""
        for name, victim in self.victims.items():
            if victim.code is not None:
                self._bury(name, victim)
                victim.start()
        if self.asleep is not None:
            self._wake(*self.asleep)
        elif self.moments and self.moments[0].share <= share:
            self._do(self.moments[0])

    def _do(self, moment: Moment) -> None:
        if moment.how == "restarted":
            self.servers[moment.victim]()
            self.fired.append(str(self.moments.popleft()))
        elif moment.how == "suspended":
            if self.victims[moment.victim].runs:
                self.victims[moment.victim].worker.suspend()
                self.asleep = self.moments.popleft(), time.monotonic() + ASLEEP_SECONDS
        else:
            self._kill(moment)

    def _wake(self, moment: Moment, until: float) -> None:
        """Let it go on when its group has given it up."""
        if time.monotonic() >= until:
            self.victims[moment.victim].worker.resume()
            self.asleep = None
            self.fired.append(str(moment))

    def _bury(self, name: str, victim: Victim) -> None:
        """A process that came to its place has said so, and died by its own hand."""
        code = victim.code
        if victim.points and code == -signal.SIGKILL and victim.says(f"fail point {victim.points[0].place}\n"):
            self.fired.append(str(victim.points.popleft()))
        else:
            self.ended.append(f"{name}: exit code {code}")

    def _kill(self, moment: Moment) -> None:
        """Kill a process that is at work; one that is not yet is waited for."""
        victim = self.victims[moment.victim]
        if not victim.runs:
            return
        process = victim.worker.process
        assert process is not None
        process.kill()
        if process.wait(10) == -signal.SIGKILL and not self._at_its_place(victim):
            self.fired.append(str(moment))
            self.moments.popleft()
            victim.start()

    def _at_its_place(self, victim: Victim) -> bool:
        """It died at its fail point a moment before: the next look sees to that, and this kill has yet to come."""
        return bool(victim.points) and victim.says(f"fail point {victim.points[0].place}\n")
