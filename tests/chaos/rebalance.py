"""Workers that join, leave and are killed under steady traffic: `python -m tests.chaos.rebalance [--seconds N]`.

Needs Apache Kafka and PostgreSQL. Prints how long each change took and how long the longest exchange waited to be
scored; exit code 1 when anything was lost, counted twice or told otherwise than by replay.
"""

from __future__ import annotations

import argparse
import math
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from services.stream.broker import Broker
from tests.chaos.check import SCRIPT, check, configured
from tests.support import kafka, postgres
from tests.support.fleet import Fleet
from tests.support.streams import make_topics
from tests.support.traffic import Delay, Steady, delays, story

RATE = 40.0


@dataclass
class Figures:
    """What was measured: each change, when it was and how long it took; the waits of exchanges; how many restarts."""

    began: float = field(default_factory=time.time)
    changes: list[tuple[str, float, float]] = field(default_factory=list)
    delays: Sequence[Delay] = ()
    restarts: int = 0

    def note(self, what: str, seconds: float) -> None:
        """It is done now, and took so long."""
        self.changes.append((what, time.time() - self.began - seconds, seconds))

    def lines(self) -> Iterator[str]:
        """For people."""
        ends = [at for _, at, _ in self.changes[1:]] + [math.inf]
        for (what, at, seconds), end in zip(self.changes, ends, strict=True):
            pause = max((one.seconds for one in self.delays if at <= one.published - self.began < end), default=0.0)
            yield f"at {at:5.1f} s {what}: took {seconds:.1f} s, longest pause until the next change {pause:.1f} s"
        n = len(self.delays)
        half, most, worst = self.delays[n // 2], self.delays[int(n * 0.99)], self.delays[-1]
        yield (
            f"{n} exchanges at {RATE:g}/s, published to scored: p50 {half.seconds:.2f} s, p99 {most.seconds:.2f} s, "
            f"longest pause {worst.seconds:.2f} s; {self.restarts} restarts"
        )


def rebalance(broker: Broker, database: str, folder: Path, seconds: float, for_good: bool = False) -> Figures:
    """Let two workers join a first one, one leave and one be killed, each under traffic.

    The killed one is started again at once, as by its supervisor; `for_good`: then one more is, and is not.

    Raises:
        AssertionError: if anything was lost, counted twice, or told otherwise than by replay.
    """
    config = configured(folder)
    found = Figures()
    begin = time.monotonic()
    with Fleet(folder, broker, database, config) as fleet, Steady(broker, story(SCRIPT), RATE) as traffic:
        fleet.join("first")
        fleet.until(lambda: fleet.shared(1), "the first worker is a member of its groups")
        fleet.join("second")
        found.note("second joined", fleet.until(lambda: fleet.shared(2), "a second worker has its share"))
        fleet.join("third")
        found.note("third joined", fleet.until(lambda: fleet.shared(3), "a third worker has its share"))
        found.note("second left", fleet.leave("second"))
        found.note("its share was dealt anew", fleet.until(lambda: fleet.shared(2), "the group is two again"))
        fleet.kill("third").start()
        found.note("third killed and started", fleet.until(lambda: _progress(fleet, traffic), "the third goes on"))
        if for_good:
            fleet.workers.pop("third").kill()
            found.note("third killed for good", fleet.until(lambda: fleet.shared(1), "one has all"))
        fleet.until(lambda: time.monotonic() - begin >= seconds, "the traffic has lasted long enough", seconds + 60)
        accepted = traffic.finish()
        found.note("drained", fleet.until(fleet.settled, "every group has committed everything", 120))
        for name in list(fleet.workers):
            found.note(f"{name} left at the end", fleet.leave(name))
        found.restarts = len(fleet.restarts)
    found.delays = delays(broker)
    check(broker, database, config, accepted)
    return found


def _progress(fleet: Fleet, traffic: Steady) -> bool:
    """All that is on the topics by now was committed, within what comes in during a look."""
    return fleet.shared(2) and fleet.lag() < 3 * RATE


@contextmanager
def stage() -> Iterator[tuple[Broker, str]]:
    """A broker with topics, and a database."""
    with kafka.apache_kafka() as server, postgres.running() as databases:
        if server is None or databases is None:
            raise SystemExit(kafka.ABSENT if server is None else postgres.ABSENT)
        broker = kafka.cluster_of(server.bootstrap, server).broker
        make_topics(broker)
        yield broker, databases.fresh()


def main(arguments: Mapping[str, float]) -> int:
    """Run it and print the figures."""
    with stage() as (broker, database), TemporaryDirectory(prefix="keelwatch-rebalance-") as folder:
        found = rebalance(broker, database, Path(folder), arguments["seconds"], for_good=True)
    print("\n".join(found.lines()))
    return 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Workers join, leave and are killed under traffic.")
    parser.add_argument("--seconds", type=float, default=90.0, help="of traffic, at least (default 90)")
    sys.exit(main(vars(parser.parse_args())))
