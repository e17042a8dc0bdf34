"""`python -m tests.planted.run`: are the tests blind? Plants one fault at a time and says which tier catches it.

Each fault is planted in a copy of this tree. The tiers are tried from the fastest: those that need nothing, then what
needs the embedder, a database, processes, a browser, a broker, kills. A tier begins with the tests that a person would
run first, and the first failure ends the fault. Exit code 1 when a fault is not caught by what `.ci/run` runs.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.planted.faults import FAULTS, PlantedFault
from tests.support.source import ROOT

TIERS = (
    ("fast", "fast"),
    ("embedding", "embedding and not (postgres or kafka or browser or processes)"),
    ("postgres", "postgres and not (kafka or browser or processes)"),
    ("processes", "processes and not (kafka or browser)"),
    ("browser", "browser and not kafka"),
    ("kafka", "kafka"),
)
CAUGHT, NO_TESTS = 1, 5
SHARED = ROOT.parent / "shared"


@dataclass(frozen=True)
class Caught:
    """What became of one fault: the tier and the test that failed; `tier` is None when none did."""

    fault: PlantedFault
    tier: str | None
    test: str
    seconds: float


def plant(fault: PlantedFault, tree: Path) -> None:
    """Put the fault into a tree.

    Raises:
        ValueError: if what it replaces does not stand there exactly once.
    """
    path = tree / fault.path
    text = path.read_text(encoding="utf-8")
    if text.count(fault.old) != 1:
        raise ValueError(f"{fault.name}: {fault.path} holds {fault.old!r} {text.count(fault.old)} times, not once")
    path.write_text(text.replace(fault.old, fault.new), encoding="utf-8")


def caught(fault: PlantedFault, tree: Path, only: tuple[str, ...]) -> Caught:
    """Try the tiers on a tree that has the fault."""
    begin = time.monotonic()
    for tier, expression in TIERS:
        if only and tier not in only:
            continue
        for paths in (fault.first, ("tests",)):
            failed = _failed(tree, expression, paths)
            if failed is not None:
                return Caught(fault, tier, failed, time.monotonic() - begin)
    return Caught(fault, None, "", time.monotonic() - begin)


def _failed(tree: Path, expression: str, paths: tuple[str, ...]) -> str | None:
    """The first test of the tier that fails, None when all pass.

    Raises:
        RuntimeError: if the tests could not be run.
    """
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", "-m", expression, *paths]
    shared = {
        "KEELWATCH_DATA": ROOT.parent / "shared" / "data",
        "KEELWATCH_KAFKA_HOME": ROOT.parent / "shared" / "kafka",
    }
    environment = {**{name: str(path) for name, path in shared.items()}, **os.environ, "PYTHONPATH": str(tree)}
    run = subprocess.run(command, cwd=tree, env=environment, capture_output=True, text=True, check=False)
    if run.returncode in (0, NO_TESTS):
        return None
    names = [line.split()[1] for line in run.stdout.splitlines() if line.startswith(("FAILED ", "ERROR "))]
    if run.returncode != CAUGHT or not names:
        raise RuntimeError(f"the tests could not be run:\n{run.stdout[-3000:]}\n{run.stderr[-3000:]}")
    return names[0]


def copies() -> Iterator[Path]:
    """Fresh copies of the tracked and new files of this tree, one after the other."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    while True:
        with tempfile.TemporaryDirectory(prefix="planted-") as folder:
            tree = Path(folder) / "tree"
            for name in filter(None, listed.split("\0")):
                if (ROOT / name).is_file():
                    (tree / name).parent.mkdir(parents=True, exist_ok=True)
                    shutil.copy2(ROOT / name, tree / name)
            yield tree


def main() -> int:
    """Plant, try, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", metavar="TEXT", help="faults whose name has this text")
    parser.add_argument("--tiers", default="", metavar="T,T", help=f"of {', '.join(tier for tier, _ in TIERS)}")
    given = parser.parse_args()
    tiers = tuple(filter(None, given.tiers.split(",")))
    missed = 0
    for fault, tree in zip([one for one in FAULTS if given.only in one.name], copies(), strict=False):
        plant(fault, tree)
        found = caught(fault, tree, tiers)
        missed += found.tier is None
        print(f"{found.tier or 'MISSED':<10} {found.seconds:6.0f} s  {fault.name:<40} {found.test}", flush=True)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
