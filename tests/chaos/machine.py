"""What machine and cluster do to workers: full disk, locked SQLite, a wrong clock, a topic made anew.

`python -m tests.chaos.machine [--only NAME] [--seconds N]` needs Apache Kafka and PostgreSQL; the disk is a small
tmpfs in a mount namespace of its own, the clock is faketime's. Each scene is judged by sets and against an undisturbed
replay. Exit code 1: something was lost, counted twice or told otherwise; what cannot be run here is printed.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from schemas.exchange import Exchange
from schemas.topics import EXCHANGES
from services.monitor import load
from services.store.engine import open_database
from services.stream import topic_adoption, topics
from services.stream.broker import Broker
from tests.chaos import outages
from tests.chaos.check import SCRIPT, check, configured, difference
from tests.chaos.outages import DRAINED_SECONDS, ENOUGH, RATE, locked
from tests.support.fleet import Fleet
from tests.support.oracle import replayed, scorer_of, seen_ids, text
from tests.support.source import ROOT
from tests.support.streams import PARTITIONS, make_topics, read_all, remove_topics, seen
from tests.support.traffic import ROUTES, Steady, story

DISK_MB: Final = 48
AHEAD: Final = "+26h"
_INSIDE: Final = "KEELWATCH_TEST_OWN_MOUNTS"
FAKETIME: Final = Path("/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1")


class CannotRun(Exception):  # noqa: N818
    """Why a scene cannot be run here."""


@dataclass(frozen=True)
class Setting:
    """What a scene is played on: topics that are new, a new PostgreSQL database, a folder."""

    broker: Broker
    url: str
    folder: Path
    seconds: float


def disk_full(on: Setting) -> str:
    """The disk of database and data directory has no byte left, under a worker of all steps."""
    with _small_disk(on.folder / "disk") as disk:
        url, environment = f"sqlite:///{disk / 'keelwatch.db'}", {"KEELWATCH_DATA_DIR": str(disk)}
        full = {"disk full": lambda: _filled(disk)}
        [drained] = outages.run(on.broker, url, on.folder, full, on.seconds, environment=environment)
        return drained.line()


def sqlite_locked(on: Setting) -> str:
    """Somebody else holds the lock on SQLite's file."""
    url = f"sqlite:///{on.folder / 'keelwatch.db'}"
    [drained] = outages.run(on.broker, url, on.folder, {"SQLite locked": lambda: locked(url)}, on.seconds)
    return drained.line()


def clock_skewed(on: Setting) -> str:
    """Of two workers one has a clock that is a day and two hours ahead."""
    if not FAKETIME.exists():
        raise CannotRun("needs Debian's package faketime")
    config = configured(on.folder)
    with Fleet(on.folder, on.broker, on.url, config) as fleet:
        fleet.join("right")
        fleet.environment = skewed_environment()
        fleet.join("ahead")
        fleet.until(lambda: fleet.shared(2), "both have their shares")
        with Steady(on.broker, story(SCRIPT), RATE) as traffic:
            fleet.until(lambda: len(traffic.accepted) >= ENOUGH, "all is published")
            accepted = traffic.finish()
        drained = fleet.until(fleet.settled, "every group has committed everything", DRAINED_SECONDS)
        assert fleet.restarts == [], fleet.restarts
        for name in ("right", "ahead"):
            fleet.leave(name)
    check(on.broker, on.url, config, accepted)
    return f"one of two clocks {AHEAD}: {len(accepted)} accepted, all in the database {drained:.1f} s later"


def skewed_environment(ahead: str = AHEAD) -> dict[str, str]:
    """What makes a process believe in another time; how long something takes stays true (tests/support/shifted)."""
    path = os.pathsep.join((str(ROOT / "tests" / "support" / "shifted"), os.environ.get("PYTHONPATH", "")))
    known = {"FAKETIME": ahead, "FAKETIME_DONT_FAKE_MONOTONIC": "1", "FAKETIME_FORCE_MONOTONIC_FIX": "0"}
    return {"LD_PRELOAD": str(FAKETIME), "PYTHONPATH": path, **known}


def topic_made_anew(on: Setting) -> str:
    """The topic of exchanges is deleted and made anew under a worker, and accepted by `keelwatch topics adopt`."""
    config, exchanges = configured(on.folder), story(SCRIPT)
    with Fleet(on.folder, on.broker, on.url, config) as fleet:
        worker = fleet.join("worker")
        fleet.until(lambda: fleet.shared(1), "the worker is a member of its groups")
        accepted, held = _published(fleet, exchanges)
        remove_topics(on.broker, [EXCHANGES])
        asyncio.run(topics.create(on.broker, [replace(EXCHANGES, partitions=PARTITIONS)]))
        topic_adoption.adopt(database := open_database(on.url, create=False), EXCHANGES.name)
        database.close()
        worker.kill()
        worker.start()
        fleet.until(lambda: fleet.shared(1), "the worker is back")
        more, anew = _published(fleet, exchanges)
        fleet.leave("worker")
    ids = seen_ids(on.url)
    assert set(ids) == {*accepted, *more}, f"{len({*accepted, *more} - set(ids))} lost"
    assert max(ids.values()) == 1, "counted twice"
    policy = load(config).policy
    expected = replayed(scorer_of(policy), policy, chain(held, anew))
    for route in ROUTES:
        told = difference(text(expected[route]), text(seen(on.url, route)))
        assert told == "", f"{route}: told otherwise than by replay\n{told}"
        assert expected[route].incidents, f"{route}: no incident, which shows nothing"
    return f"topic made anew: {len(accepted)} accepted before and {len(more)} after it, all in the database once"


def _published(fleet: Fleet, exchanges: Iterator[Exchange]) -> tuple[list[str], list[Exchange]]:
    """Half of a run: ids that were accepted, and what the topic holds of them."""
    with Steady(fleet.broker, exchanges, RATE) as traffic:
        fleet.until(lambda: len(traffic.accepted) >= ENOUGH // 2 + len(ROUTES), "half is published")
        accepted = traffic.finish()
    fleet.until(lambda: set(accepted) <= set(seen_ids(fleet.database)), "it is scored", DRAINED_SECONDS)
    fleet.until(fleet.settled, "every group has committed everything", DRAINED_SECONDS)
    found = sorted(read_all(fleet.broker, EXCHANGES.name), key=lambda one: (one.partition, one.offset))
    return accepted, [Exchange.decode(one.value) for one in found]


@contextmanager
def _small_disk(folder: Path) -> Iterator[Path]:
    if os.environ.get(_INSIDE) != "1":
        raise CannotRun("needs a mount namespace of its own: util-linux's unshare, as root or with user namespaces")
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK_MB}m,mode=0700", "tmpfs", str(folder)], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


@contextmanager
def _filled(disk: Path) -> Iterator[None]:
    """Not a byte is left, until it is."""
    with (disk / "ballast").open("wb", buffering=0) as ballast:
        for size in (1 << 20, 1 << 12, 1):
            try:
                while ballast.write(b"x" * size) == size:
                    pass
            except OSError:
                continue
    assert os.statvfs(disk).f_bavail == 0
    try:
        yield
    finally:
        (disk / "ballast").unlink()


SCENES: Final[dict[str, Callable[[Setting], str]]] = {
    "disk full": disk_full,
    "SQLite locked": sqlite_locked,
    "clock skewed": clock_skewed,
    "topic made anew": topic_made_anew,
}


def play(broker: Broker, url: Callable[[], str], seconds: float, only: str = "") -> list[str]:
    """Play every scene on topics and databases of its own, and print what it came to; the names of those that failed.

    Raises:
        KeyError: if there is none of that name.
    """
    failed = []
    for name in [only] if only else SCENES:
        make_topics(broker)
        with TemporaryDirectory(prefix="keelwatch-machine-") as folder:
            try:
                print(SCENES[name](Setting(broker, url(), Path(folder), seconds)), flush=True)
            except CannotRun as reason:
                print(f"{name}: NOT RUN: {reason}", flush=True)
            except AssertionError as error:
                print(f"{name}: VIOLATED: {error}", flush=True)
                failed.append(name)
        remove_topics(broker)
    return failed


def main() -> int:
    """Read the command line, start what is needed, play; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=sorted(SCENES), default="")
    parser.add_argument("--seconds", type=float, default=20.0, help="that disk or database are away (default 20)")
    given = parser.parse_args()
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # the broker goes away on purpose
    with outages.stage() as stage:
        return 1 if play(stage.broker(), stage.url, given.seconds, given.only) else 0


def own_mounts() -> None:
    """Go on in a mount namespace of one's own, where there is a way: the process is replaced."""
    if _INSIDE in os.environ:
        return
    os.environ[_INSIDE] = "0"
    for way in (["unshare", "--mount"], ["unshare", "--mount", "--map-root-user"]):
        tried = ["sh", "-c", "d=$(mktemp -d) && mount -t tmpfs tmpfs $d && umount $d && rmdir $d"]
        try:
            if subprocess.run([*way, *tried], capture_output=True, check=False).returncode == 0:
                os.environ[_INSIDE] = "1"
                os.execvp(way[0], [*way, *sys.orig_argv])
        except FileNotFoundError:
            return


if __name__ == "__main__":
    own_mounts()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    sys.exit(main())
