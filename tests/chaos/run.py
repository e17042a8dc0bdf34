"""Kills worker processes while exchanges are published, and judges by sets what became of them.

`python -m tests.chaos.run --seed 1` starts an Apache Kafka, a PostgreSQL and three `keelwatch worker` processes of its
own. Exit code 0: the promises were kept, 1: they were not, 2: it cannot be run here, 3: the run shows nothing.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from schemas.topics import EXCHANGES
from services.store.engine import open_database
from services.stream.config import Broker
from tests.chaos.accounts import account, oracle, redelivered
from tests.chaos.judge import Account, Violation, judge
from tests.chaos.ledger import CHANGED, ROUTES, Ledger, payloads
from tests.chaos.nemesis import Nemesis
from tests.chaos.outcome import KEPT, Outcome
from tests.chaos.plan import STEPS, plan
from tests.chaos.publisher import Publisher
from tests.support import kafka, postgres
from tests.support.streams import Worker, lag, make_topics, read_all, until

MONITOR = "defaults: {baseline: {size: 200, min_size: 100}}\n"
FLOW = ["score", "detect", "evaluate", "alert", "record"]
LATE_SECONDS, DRAIN_SECONDS = 30.0, 120.0


@dataclass(frozen=True)
class Run:
    """What is run, and on what: `broker` has no topics yet, the database at `url` is empty, `folder` is for files."""

    seed: int
    exchanges: int
    kills: int
    rate: float
    broker: Broker
    url: str
    folder: Path


def chaos(run: Run) -> Outcome:
    """Publish, kill, drain, stop and judge; no process is left behind.

    Raises:
        AssertionError: if the workers do not start, or do not drain in time.
    """
    config = run.folder / "keelwatch.yaml"
    config.write_text(MONITOR)
    make_topics(run.broker)
    kills = plan(run.seed, run.exchanges, run.kills)
    workers = {name: Worker(run.folder, run.broker, only, run.url, config) for name, only in STEPS.items()}
    nemesis = Nemesis.of(kills, workers)
    ledger = Ledger(run.folder / "ledger")
    publisher = Publisher(run.broker, ledger, list(payloads(run.seed, run.exchanges)), run.rate)
    try:
        drained = _disturbed(run.broker, nemesis, publisher)
        nemesis.ended += [f"{name}: exit code {code} when stopped" for name, code in _stopped(workers) if code]
    finally:
        for worker in workers.values():
            worker.kill()
        ledger.close()
    undisturbed = oracle(read_all(run.broker, EXCHANGES.name), run.broker.cluster, config, run.folder / "oracle.db")
    seen = _seen(run)
    violations = judge(ledger.sent(), seen, undisturbed)
    if violations:
        _write_down(run.folder, seen, undisturbed)
    return Outcome(
        planned=kills.names,
        fired=nemesis.fired,
        redelivered=redelivered(run.broker),
        drained=drained,
        scored=len({row.id for row in seen.rows}),
        dead=len(set(seen.dead)),
        incidents={route: len(told["incidents"]) for route, told in seen.told.items()},
        expected=CHANGED,
        violations=[*violations, *(Violation("ended by itself", what) for what in nemesis.ended)],
    )


def _disturbed(broker: Broker, nemesis: Nemesis, publisher: Publisher) -> float:
    """Run the workers until all is sent, every kill has happened and everything is committed; seconds of the last."""
    for victim in nemesis.victims.values():
        victim.start()
    until(lambda: all(victim.runs for victim in nemesis.victims.values()), "the workers run")
    publisher.start()
    while publisher.is_alive():
        nemesis.look(publisher.share)
        if nemesis.done:
            publisher.hurry.set()
        time.sleep(0.02)
    if publisher.failure is not None:
        raise publisher.failure
    begin = time.monotonic()
    while not nemesis.done and time.monotonic() < begin + LATE_SECONDS:
        nemesis.look(1.0)
        time.sleep(0.02)
    until(lambda: _drained(broker, nemesis), "everything is committed", DRAIN_SECONDS)
    return time.monotonic() - begin


def _drained(broker: Broker, nemesis: Nemesis) -> bool:
    nemesis.look(1.0)
    return lag(broker, FLOW) == 0


def _stopped(workers: dict[str, Worker]) -> list[tuple[str, int]]:
    return [(name, worker.stop()) for name, worker in workers.items()]


def _seen(run: Run) -> Account:
    database = open_database(run.url, create=False)
    try:
        return account(database, run.broker)
    finally:
        database.close()


def _write_down(folder: Path, seen: Account, undisturbed: Account) -> None:
    """For whoever looks for the cause."""
    for name, one in (("seen", seen), ("undisturbed", undisturbed)):
        (folder / f"{name}.json").write_text(json.dumps(asdict(one)["told"], indent=1))


def main() -> int:
    """Read the command line, start what is needed, run, and print the account."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=1, help="of what is sent, and of what is killed when")
    parser.add_argument("--exchanges", type=int, default=20_000, help=f"over {len(ROUTES)} routes; at most 25,000")
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--rate", type=float, default=250.0, help="exchanges a second")
    given = parser.parse_args()
    if not 1000 <= given.exchanges <= 25_000:  # the database keeps 5,000 of a route
        parser.error("--exchanges: must be 1,000 to 25,000")
    folder = Path(tempfile.mkdtemp(prefix="keelwatch-chaos-"))
    with kafka.apache_kafka() as broker, postgres.running() as database:
        if broker is None or database is None:
            print(kafka.ABSENT if broker is None else postgres.ABSENT, file=sys.stderr)
            return 2
        print(f"seed {given.seed}: {given.exchanges} exchanges of {len(ROUTES)} routes, {len(CHANGED)} of them updated")
        found = chaos(
            Run(**vars(given), broker=kafka.cluster_of(broker.bootstrap).broker, url=database.fresh(), folder=folder)
        )
    print(*found.lines(), sep="\n")
    if found.code == KEPT:
        shutil.rmtree(folder)
    else:
        print(f"logs and ledger: {folder}")
    return found.code


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    sys.exit(main())
