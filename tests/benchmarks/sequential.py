"""Is a watched run right, and what does it save? python -m tests.benchmarks.sequential [--swaps N] [--orders N].

On the recorded updates of XSTest and refusal_direction, in both directions. A replay endpoint answers from the files,
the product's own runner asks it and its scorers score it, once; then the scored answers are permuted.

1. Fixed design (all items asked): the verdict of each measure beside the one that the files' own labels give, and in
   how many hazards the two name a change: the same direction, opposite ones, or one of them alone.
2. Null: per item the two versions' answers change places with probability 1/2. How often the fixed design, the watched
   run (stopped or at its end) and both say regressed or improved.
3. Saving: items asked by the watched run in random orders, in shares of the fixed design, where that one decides; and
   where nothing changed (a version against itself, and the swaps).
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Mapping, Sequence
from statistics import median

import numpy as np

from detectors.stats.intervals import wilson
from services.evaluate.comparison import JudgedRows
from services.evaluate.paired_statistics import WATCHED, WHOLE, Design
from services.evaluate.paired_watch import RunningComparison
from services.evaluate.result import AskedItem
from tests.benchmarks.recorded_suites import MARGIN, UPDATES, RecordedUpdate, labelled, runs, suite

SEED = 20261130
Events = Mapping[str, bool | None]


def fixed(items: Sequence[AskedItem], was: Events, now: Events, design: Design = WHOLE) -> JudgedRows:
    """What all items say, looked at once."""
    running = RunningComparison.of(items, MARGIN)
    for item in items:
        running.add(item, was[item.id], now[item.id])
    return running.judged(design)


def watched(items: Sequence[AskedItem], was: Events, now: Events, rng: np.random.Generator) -> tuple[str, int]:
    """What a watched run says in a random order, and after how many items."""
    running = RunningComparison.of(items, MARGIN)
    for n, at in enumerate(rng.permutation(len(items))):
        item = items[int(at)]
        running.add(item, was[item.id], now[item.id])
        if n + 1 < len(items) and (outcome := running.decided()) is not None:
            return outcome, n + 1
    return fixed(items, was, now, WATCHED).overall, len(items)


def swapped(was: Events, now: Events, rng: np.random.Generator) -> tuple[Events, Events]:
    """Item by item the two versions change places by the toss of a coin."""
    swaps = {id: rng.random() < 0.5 for id in was}
    first = {id: now[id] if swaps[id] else was[id] for id in was}
    return first, {id: was[id] if swaps[id] else now[id] for id in was}


def directions(found: JudgedRows, pooled: bool) -> dict[tuple[str, str], str]:
    """(measure, hazard) -> regressed or improved, of the rows that say so."""
    rows = (row for row in found.hazards if (row.hazard == "all") == pooled)
    return {(row.measure, row.hazard): row.verdict for row in rows if row.verdict in ("regressed", "improved")}


def told(found: JudgedRows) -> str:
    """The verdicts of both measures."""
    verdicts = {row.measure: row.verdict for row in found.hazards if row.hazard == "all"}
    return "/".join(verdicts.get(name, "-") for name in ("harmful_compliance", "over_refusal"))


def share(count: int, n: int) -> str:
    """A rate with its interval."""
    low, high = wilson(count, n)
    return f"{count} of {n} ({100 * low:.1f} to {100 * high:.1f}%)"


def names_the_hazards(update: RecordedUpdate) -> tuple[str, bool]:
    """A line of the first table, and whether every measure moves as the labels say."""
    asked, prompts = suite(update)
    before, after = runs(update)
    ours = fixed(before.suite.items, before.events, after.events)
    labels = [labelled(update.file, version, prompts) for version in (update.old, update.new)]
    theirs = fixed(before.suite.items, *labels)
    same = told(ours) == told(theirs) or directions(ours, True) == directions(theirs, True)
    own, other = directions(ours, False), directions(theirs, False)
    agree = sum(own.get(key) == verdict for key, verdict in other.items())
    opposite = sum(key in own and own[key] != verdict for key, verdict in other.items())
    counts = f"{agree}/{len(other)} hazards, {opposite} opposite, {len(set(own) - set(other))} more"
    return f"{update.name:48}{len(asked.items):5} {told(theirs):24}{told(ours):24}{counts}", same and not opposite


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--swaps", type=int, default=1000)
    parser.add_argument("--orders", type=int, default=200)
    given = parser.parse_args()
    print(f"{'1. update':48}items {'by the labels':24}{'by keelwatch':24}hazards by the labels", flush=True)
    right = []
    for update in UPDATES:
        line, same = names_the_hazards(update)
        right.append(same)
        print(line, flush=True)
    print(f"the measures move as the labels say: {sum(right)} of {len(right)}\n")
    print(f"{'2. null, changed places':48}{'fixed says a change':28}{'watched says a change':28}items, median")
    totals: Counter[str] = Counter()
    for number, update in enumerate(UPDATES[::2]):
        print(null_line(update, given.swaps, np.random.default_rng([SEED, number]), totals), flush=True)
    n = totals["swaps"]
    print(f"{'all':48}{share(totals['fixed'], n):28}{share(totals['watched'], n):28}\n")
    print(f"{'3. saving':48}{'fixed':14}{'watched the same':20}{'items asked, median (90%)':28}of the fixed design")
    shares = []
    for number, update in enumerate(UPDATES):
        line, part = saving_line(update, given.orders, np.random.default_rng([SEED, 100 + number]))
        shares += [] if part is None else [part]
        print(line, flush=True)
    print(f"median over the recorded regressions: {100 * median(shares):.0f}% of the calls of the fixed design\n")


def null_line(update: RecordedUpdate, swaps: int, rng: np.random.Generator, totals: Counter[str]) -> str:
    """A line of the second table."""
    before, after = runs(update)
    items, asked, said = before.suite.items, [], Counter[str]()
    for _ in range(swaps):
        pair = swapped(before.events, after.events, rng)
        said["fixed"] += fixed(items, *pair).overall in ("regressed", "improved")
        outcome, n = watched(items, *pair, rng)
        said["watched"] += outcome in ("regressed", "improved")
        asked.append(n)
    totals.update({**said, "swaps": swaps})
    name = f"{update.name.split(' ')[0]} {update.old.split('|')[1][:9]} / {update.new.split('|')[1][:9]}"
    fixed_share, watched_share = share(said["fixed"], swaps), share(said["watched"], swaps)
    return f"{name:48}{fixed_share:28}{watched_share:28}{median(asked):.0f} of {len(items)}"


def saving_line(update: RecordedUpdate, orders: int, rng: np.random.Generator) -> tuple[str, float | None]:
    """A line of the third table, and the median share where the fixed design says regressed."""
    before, after = runs(update)
    items = before.suite.items
    overall = fixed(items, before.events, after.events).overall
    found = [watched(items, before.events, after.events, rng) for _ in range(orders)]
    asked = sorted(n for _, n in found)
    same, part = sum(outcome == overall for outcome, _ in found), median(asked) / len(items)
    most = asked[int(0.9 * (len(asked) - 1))]
    line = f"{update.name:48}{overall:14}{f'{same} of {orders}':20}{f'{median(asked):.0f} ({most}) of {len(items)}':28}"
    return f"{line}{100 * part:.0f}%", part if overall == "regressed" else None


if __name__ == "__main__":
    main()
