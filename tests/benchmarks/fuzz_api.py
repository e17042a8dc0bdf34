"""`python -m tests.benchmarks.fuzz_api --examples N`: the API fuzzed for every role; exit code 1 on a fault."""

from __future__ import annotations

import argparse
import sys
import time
from contextlib import closing
from tempfile import TemporaryDirectory

from services.store.engine import open_database
from tests.support.fuzz import MARK, OWN, PRINCIPALS, Fuzz, app_for, fill
from tests.support.known import parameters


def main() -> None:
    """Fuzz, and say what came of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--examples", type=int, default=50, metavar="N", help="of each operation, twice")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--role", choices=list(PRINCIPALS), help="one alone")
    given = parser.parse_args()
    wrong = 0
    for name in [given.role] if given.role else PRINCIPALS:
        with TemporaryDirectory() as folder, closing(open_database(f"sqlite:///{folder}/kw.db")) as database:
            fill(database)
            begin = time.monotonic()
            unseen = MARK if name == "own routes" else None
            app = app_for(database, PRINCIPALS[name])
            seen = Fuzz(app, given.examples, given.seed, unseen, parameters(app, OWN)).run()
        told = ", ".join(f"{n} x {status}" for status, n in sorted(seen.statuses.items()))
        print(
            f"{name}: {seen.requests} requests in {time.monotonic() - begin:.0f} s: {told}; {len(seen.faults)} faults"
        )
        for fault in seen.faults.values():
            print(f"  {fault}")
        wrong += len(seen.faults)
    sys.exit(wrong > 0)


if __name__ == "__main__":
    main()
