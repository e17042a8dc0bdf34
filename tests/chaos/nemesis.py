"""Kills worker processes as a plan has it, starts them again, and writes down of which kills there is evidence."""

from __future__ import annotations

import signal
from collections import deque
from dataclasses import dataclass, field

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


@dataclass
class Nemesis:
    """`fired` are the kills of which there is evidence, `ended` the processes that ended otherwise."""

    victims: dict[str, Victim]
    moments: deque[Moment]
    fired: list[str] = field(default_factory=list)
    ended: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, plan: Plan, workers: dict[str, Worker]) -> Nemesis:
        """The nemesis that carries out a plan; nothing is started yet."""
        points = {name: deque(point for point in plan.points if point.victim == name) for name in workers}
        return cls({name: Victim(one, points[name]) for name, one in workers.items()}, deque(plan.moments))

    @property
    def done(self) -> bool:
        """Every kill of the plan has happened."""
        return not self.moments and not any(victim.points for victim in self.victims.values())

    def look(self, share: float) -> None:
        """Revive what died, and kill what is due when `share` of the exchanges is sent."""
        for name, victim in self.victims.items():
            if victim.code is not None:
                self._bury(name, victim)
                victim.start()
        if self.moments and self.moments[0].share <= share:
            self._kill(self.moments[0])

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
