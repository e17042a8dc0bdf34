"""Kills and suspends workers, restarts broker and database under traffic, and judges by sets what became of it.

`python -m tests.chaos.run --seed 1` starts an Apache Kafka, a PostgreSQL and three `keelwatch worker` processes of its
own. Exit code 0: the promises were kept, 1: they were not, 2: it cannot be run here, 3: the run shows nothing.

`--in-all N` is the long tier: seed after seed, each on new topics and a new database, until there were N kills (or
`--minutes` are over), and the sum of it all.
"""

from __future__ import annotations

import argparse
import json
import logging
import math
import os
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from schemas.topics import EXCHANGES
from services.store.engine import open_database
from services.stream.broker import Broker
from tests.chaos import quick_session
from tests.chaos.accounts import account, is_scored, oracle, redelivered
from tests.chaos.judge import Account, Violation, judge
from tests.chaos.ledger import CHANGED, ROUTES, Ledger, payloads, probe
from tests.chaos.nemesis import Nemesis
from tests.chaos.outcome import INVALID, KEPT, Outcome
from tests.chaos.plan import STEPS, plan
from tests.chaos.publisher import Publisher
from tests.support import kafka, postgres
from tests.support.streams import Worker, lag, make_topics, read_all, remove_topics, until

MONITOR = "defaults: {baseline: {size: 200, min_size: 100}}\n"
FLOW = ["score", "detect", "evaluate", "alert", "record"]
LATE_SECONDS = 30.0
DRAIN_SECONDS, PROBE_SECONDS = 120.0, 10.0  # what is promised
BESIDES = ("suspended at a random moment", "restarted at a random moment")
"""How the names of faults end that are no kills."""


@dataclass(frozen=True)
class Run:
    """What is run, and on what: `broker` has no topics yet, the database at `url` is empty, `folder` is for files.

    `servers` are what can be restarted, by name. A run that suspends has sessions of 6 s, the least that Kafka allows.
    """

    seed: int
    exchanges: int
    kills: int
    rate: float
    broker: Broker
    url: str
    folder: Path
    suspensions: int = 0
    restarts: int = 0
    servers: Mapping[str, Callable[[], None]] = field(default_factory=dict)


def chaos(run: Run) -> Outcome:
    """Publish, kill, drain, probe, stop and judge; no process is left behind.

    Raises:
        AssertionError: if the workers do not start.
    """
    config = run.folder / "keelwatch.yaml"
    config.write_text(MONITOR)
    make_topics(run.broker)
    faults = plan(run.seed, run.exchanges, run.kills, run.suspensions, run.restarts)
    module = quick_session.__name__ if run.suspensions else "services.cli"
    workers = {
        name: Worker(run.folder, run.broker, only, run.url, config, module=module) for name, only in STEPS.items()
    }
    nemesis = Nemesis.of(faults, workers, run.servers)
    ledger = Ledger(run.folder / "ledger")
    try:
        drained, probed = _disturbed(run, nemesis, ledger)
        nemesis.ended += [f"{name}: exit code {code} when stopped" for name, code in _stopped(workers) if code]
    finally:
        for worker in workers.values():
            worker.kill()
        ledger.close()
    undisturbed = oracle(read_all(run.broker, EXCHANGES.name), run.broker.cluster, config, run.folder / "oracle.db")
    sent, seen = ledger.sent(), _seen(run)
    violations = [*judge(sent, seen, undisturbed), *_late(drained, probed)]
    violations += [Violation("ended by itself", what) for what in nemesis.ended]
    if violations:
        _write_down(run.folder, seen, undisturbed)
    return Outcome(
        planned=faults.names,
        fired=nemesis.fired,
        redelivered=redelivered(run.broker),
        unaccepted=len(sent.issued - sent.accepted),
        drained=drained,
        probed=probed,
        scored=len({row.id for row in seen.rows}),
        dead=len(set(seen.dead)),
        incidents={route: len(told["incidents"]) for route, told in seen.told.items()},
        expected=CHANGED,
        violations=violations,
    )


def _disturbed(run: Run, nemesis: Nemesis, ledger: Ledger) -> tuple[float, float]:
    """Run the workers until all is sent and every kill has happened.

    Returns the seconds from then on until everything is committed, and those that a fresh exchange takes afterwards.
    """
    for victim in nemesis.victims.values():
        victim.start()
    until(lambda: all(victim.runs for victim in nemesis.victims.values()), "the workers run")
    publisher = Publisher(run.broker, ledger, list(payloads(run.seed, run.exchanges)), run.rate)
    publisher.start()
    while publisher.is_alive():
        nemesis.look(publisher.share)
        if nemesis.done:
            publisher.hurry.set()
        time.sleep(0.02)
    if publisher.failure is not None:
        raise publisher.failure
    _within(LATE_SECONDS, lambda: nemesis.done, nemesis)
    drained = _within(DRAIN_SECONDS, lambda: lag(run.broker, FLOW) == 0, nemesis)
    id, *_ = fresh = probe(run.seed)
    Publisher(run.broker, ledger, [fresh], run.rate).run()
    return drained, _within(PROBE_SECONDS, lambda: is_scored(run.url, id), nemesis)


def _within(seconds: float, true: Callable[[], bool], nemesis: Nemesis) -> float:
    """Look until it is true, and revive what dies: the seconds that it took, infinite when it took too long."""
    begin = time.monotonic()
    while not true():
        if time.monotonic() > begin + seconds:
            return math.inf
        nemesis.look(1.0)
        time.sleep(0.02)
    return time.monotonic() - begin


def _late(drained: float, probed: float) -> Iterator[Violation]:
    if math.isinf(drained):
        yield Violation("late", f"not everything was committed within {DRAIN_SECONDS:g} s")
    if math.isinf(probed):
        yield Violation("late", f"a fresh exchange was not scored within {PROBE_SECONDS:g} s")


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
    parser.add_argument("--exchanges", type=int, default=20_000, help=f"over {len(ROUTES)} routes; at most 24,000")
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--suspensions", type=int, default=2, help="of workers, past their session")
    parser.add_argument("--restarts", type=int, default=2, help="of broker and database, by turns")
    parser.add_argument("--rate", type=float, default=250.0, help="exchanges a second")
    parser.add_argument("--in-all", type=int, default=0, help="kills, over as many seeds as that takes")
    parser.add_argument("--minutes", type=float, default=24 * 60.0, help="after which no further seed is begun")
    given = parser.parse_args()
    if not 1000 <= given.exchanges <= 24_000:  # the database keeps 5,000 of a route
        parser.error("--exchanges: must be 1,000 to 24,000")
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # the broker goes away on purpose
    with kafka.apache_kafka() as broker, postgres.own_cluster() as database:
        if broker is None or database is None:
            print(kafka.ABSENT if broker is None else postgres.ABSENT, file=sys.stderr)
            return 2
        servers = {"broker": lambda: _restart(broker), "database": lambda: _restart(database)}
        cluster = kafka.cluster_of(broker.bootstrap)
        until = time.monotonic() + 60 * given.minutes
        found: list[Outcome] = []

        def next_run() -> int:
            seed = given.seed + len(found)
            folder = Path(tempfile.mkdtemp(prefix="keelwatch-chaos-"))
            print(f"seed {seed}: {given.exchanges} exchanges of {len(ROUTES)} routes, {len(CHANGED)} of them updated")
            faults = {name: getattr(given, name) for name in ("exchanges", "kills", "rate", "suspensions", "restarts")}
            url = postgres.Server(database.url).fresh()
            return _told(Run(seed, broker=cluster.broker, url=url, folder=folder, servers=servers, **faults), found)

        code = next_run()
        while code == KEPT and _kills(found) < given.in_all and time.monotonic() < until:
            remove_topics(cluster.broker)
            code = next_run()
    if given.in_all:
        print(*_sum(found), sep="\n")
    return code


def _kills(found: Sequence[Outcome]) -> int:
    return sum(not name.endswith(BESIDES) for one in found for name in one.fired)


def _sum(found: Sequence[Outcome]) -> Iterator[str]:
    """What all runs together have come to."""
    kinds = Counter(one.kind for outcome in found for one in outcome.violations)
    yield f"in all: {len(found)} runs, {_kills(found)} kills, {sum(len(one.fired) for one in found)} faults"
    yield (
        f"{sum(one.scored for one in found)} exchanges scored, {sum(one.dead for one in found)} dead letters, "
        f"{sum(one.redelivered for one in found)} records made again"
    )
    yield f"lost: {kinds['lost']}, counted twice: {kinds['counted twice']}, other violations: " + str(
        kinds.total() - kinds["lost"] - kinds["counted twice"]
    )


def _restart(server: kafka.Kafka | postgres.Cluster) -> None:
    server.stop()
    server.start()


def _told(run: Run, found: list[Outcome]) -> int:
    """Run, and print the account; a run that did not come to its end shows nothing."""
    try:
        found.append(chaos(run))
    except AssertionError as error:
        print(f"INVALID: {error}; logs and ledger: {run.folder}", flush=True)
        return INVALID
    print(*found[-1].lines(), sep="\n", flush=True)
    if found[-1].code == KEPT:
        shutil.rmtree(run.folder)
    else:
        print(f"logs and ledger: {run.folder}")
    return found[-1].code


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    sys.exit(main())
