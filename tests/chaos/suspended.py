"""A worker is suspended past its session, under traffic: `python -m tests.chaos.suspended [--runs N] [--real-session]`.

Needs Apache Kafka and PostgreSQL. Two workers of all steps on new topics, of which nothing is committed; one is
stopped with SIGSTOP, exchanges are published, and it goes on when its group has given it up. Prints for each run what
was lost, judged by sets, and how many records were fetched while a group was dealt anew, which faust drops; exit code
1 when anything was lost, counted twice or told otherwise than by replay, 3 when no run had a record dropped.
"""

from __future__ import annotations

import argparse
import re
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from services.stream.broker import SESSION_SECONDS, Broker
from tests.chaos import quick_session
from tests.chaos.check import SCRIPT, check, configured
from tests.support import kafka, postgres
from tests.support.fleet import Fleet
from tests.support.oracle import seen_ids
from tests.support.streams import make_topics, remove_topics
from tests.support.traffic import Steady, story

EXCHANGES = 3000
_PAST_SESSION = 3.0
_DROPPED = re.compile(r"keelwatch\.(\w+): (\d+) records came while the group was dealt anew")


@dataclass(frozen=True)
class SuspendedRun:
    """What one run has come to.

    Attributes:
        accepted: exchanges that the broker had. lost: of those, how many are not in the database. wrong: what else
            was not as it must be. dropped: step -> records that came while its group was dealt anew.
    """

    accepted: int
    lost: int
    wrong: str
    dropped: dict[str, int]

    def line(self) -> str:
        """For people."""
        told = ", ".join(f"{step} {n}" for step, n in sorted(self.dropped.items())) or "none"
        ends = f"; {self.wrong}" if self.wrong else ""
        return f"{self.accepted} accepted, {self.lost} lost; fetched while a group was dealt anew: {told}{ends}"


def suspended(
    broker: Broker, database: str, folder: Path, *, count: int = EXCHANGES, session: float = quick_session.SECONDS
) -> SuspendedRun:
    """One run on topics that are new."""
    config = configured(folder)
    module = "services.cli" if session == SESSION_SECONDS else quick_session.__name__
    asleep = session + _PAST_SESSION
    with Fleet(folder, broker, database, config, module=module) as fleet:
        fleet.join("first")
        suspect = fleet.join("second")
        fleet.until(lambda: fleet.shared(2), "both have their shares")
        with Steady(broker, story(SCRIPT), count / (asleep * 1.5)) as traffic:
            suspect.suspend()
            begin = time.monotonic()
            try:
                fleet.until(lambda: time.monotonic() - begin > asleep, "its sessions have ended", asleep + 30)
            finally:
                suspect.resume()
            fleet.until(lambda: len(traffic.accepted) >= count, "all is published", asleep + 60)
            accepted = traffic.finish()
        fleet.until(fleet.settled, "every group has committed everything", 180)
        for name in ("first", "second"):
            fleet.leave(name)
    lost = set(accepted) - set(seen_ids(database))
    return SuspendedRun(len(accepted), len(lost), _wrong(broker, database, config, accepted), _dropped(folder))


def _wrong(broker: Broker, database: str, config: Path, accepted: list[str]) -> str:
    try:
        check(broker, database, config, accepted)
    except AssertionError as error:
        return str(error).splitlines()[0]
    return ""


def _dropped(folder: Path) -> dict[str, int]:
    """What the workers have logged of it."""
    found: dict[str, int] = {}
    for log in folder.glob("*/*.log"):
        for step, n in _DROPPED.findall(log.read_text(errors="replace")):
            found[step] = found.get(step, 0) + int(n)
    return found


def main(runs: int, session: float) -> int:
    """Run it again and again on new topics and databases; the exit code."""
    found = []
    with kafka.apache_kafka() as server, postgres.running() as databases:
        if server is None or databases is None:
            raise SystemExit(kafka.ABSENT if server is None else postgres.ABSENT)
        broker = kafka.cluster_of(server.bootstrap, server).broker
        for number in range(1, runs + 1):
            make_topics(broker)
            with TemporaryDirectory(prefix="keelwatch-suspended-") as folder:
                found.append(suspended(broker, databases.fresh(), Path(folder), session=session))
            print(f"run {number}: {found[-1].line()}", flush=True)
            remove_topics(broker)
    if any(one.lost or one.wrong for one in found):
        return 1
    return 0 if any(one.dropped for one in found) else 3


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="A worker is suspended past its session, under traffic.")
    parser.add_argument("--runs", type=int, default=1, help="each on new topics (default 1)")
    parser.add_argument("--real-session", action="store_true", help="30 s, as workers have it, and not 6 s")
    given = parser.parse_args()
    sys.exit(main(given.runs, SESSION_SECONDS if given.real_session else quick_session.SECONDS))
