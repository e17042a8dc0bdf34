"""When a question resembles an item of a suite: python -m tests.benchmarks.coverage.

For cosines from 0.40 to 0.65, by the default embedder: how often two wordings of one request are missed, and how often
a request that no suite asks is taken for one that it asks. `NEAR` of `services/evaluate/coverage.py` is the cosine at
which the two means sum up to least. Then what recorded prompts of four kinds are grouped into, and how many of a
group's questions are of the kind that most of it is. At most 250 prompts of a set are read, always the same.
"""

from __future__ import annotations

import hashlib
import itertools
import json
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import numpy as np

from services.evaluate import coverage
from services.evaluate.coverage import NEAR, TOPIC, Matrix, Weights, item_prompts, nearest, topics_of, unit_rows
from services.evaluate.suite_library import load_suite
from services.settings import load_settings
from services.wiring import embedder
from tests.benchmarks.heads import DATA

GRID: Final = (0.40, 0.45, 0.50, 0.55, 0.60, 0.65)
CUTS: Final = (0.25, 0.30, 0.35, 0.40)
MOST: Final = 250
SUBJECTS: Final = ("definitions", "historical_events", "safe_contexts", "safe_targets")
"""Kinds of XSTest of which each safe prompt and its unsafe contrast are about one subject."""
LURES: Final = ("homonyms", "figurative_language")
"""Those of which the two have a word in common, and nothing else."""
ORDINARY: Final = ("alpaca_eval_gpt4", "arena_hard", "llmdrift_opinionqa", "presidio_synth")
KINDS: Final = ("simple_safety_tests", "llmdrift_code", "llmdrift_opinionqa", "presidio_synth")
SUITES: Final = ("core", "core-wide")


def main() -> None:
    """Print both tables."""
    missed = {"two wordings of an item of `core-wide`": _wordings()} | {
        f"XSTest, {kind}: the same subject": _contrasts(kind) for kind in SUBJECTS
    }
    items = {suite: _embedded(item_prompts(load_suite(suite))) for suite in SUITES}
    false = {f"XSTest, {kind}: another subject": _contrasts(kind) for kind in LURES}
    for name, suite in itertools.product(ORDINARY, SUITES):
        false[f"{name}, against all of `{suite}`"] = nearest(_embedded(_prompts(name)), items[suite])
    print("| cosine from | n |", " | ".join(f"{at:.2f}" for at in GRID), "|")
    print("|---" * (len(GRID) + 2) + "|")
    wrong = np.array([[float((of < at).mean()) for at in GRID] for of in missed.values()])
    taken = np.array([[float((of >= at).mean()) for at in GRID] for of in false.values()])
    for (name, of), row in zip([*missed.items(), *false.items()], [*wrong, *taken], strict=True):
        _row(f"{'missed' if name in missed else 'taken'}: {name}", str(len(of)), row)
    _row("missed, mean", "", wrong.mean(axis=0))
    _row("taken, mean", "", taken.mean(axis=0))
    total = wrong.mean(axis=0) + taken.mean(axis=0)
    _row("sum", "", total)
    print(f"\nleast at {GRID[int(total.argmin())]:.2f}; in use: {NEAR:.2f}\n")
    _print_topics()


def _row(name: str, n: str, values: Sequence[float]) -> None:
    print(f"| {name} | {n} |", " | ".join(f"{100 * value:.1f}%" for value in values), "|")


def _wordings() -> Weights:
    """Cosines of items of one row in two frames: the same request in other words around it."""
    by_row = defaultdict(list)
    for item in load_suite("core-wide").items:
        by_row[item.id.rpartition("-")[0]].append(item.messages[-1].content)
    pairs = [pair for texts in by_row.values() for pair in itertools.combinations(texts, 2) if pair[0] != pair[1]]
    chosen = sorted(pairs, key=lambda pair: _draw("\0".join(pair)))[:MOST]
    return _cosines([one for one, _ in chosen], [other for _, other in chosen])


def _contrasts(kind: str) -> Weights:
    """Cosines of the prompts of a kind of XSTest to their contrasts, which come in the same order."""
    found: dict[str, list[str]] = {kind: [], f"contrast_{kind}": []}
    for row in _rows("xstest"):
        of = found.get(row["labels"]["prompt_type"])
        if of is not None and row["prompt"] not in of:
            of.append(row["prompt"])
    one, other = found.values()
    return _cosines(one, other)


def _print_topics() -> None:
    """How clean the groups are that the prompts of several kinds fall into, by the cut."""
    texts = {kind: _prompts(kind)[:60] for kind in KINDS}
    vectors = _embedded([text for some in texts.values() for text in some])
    labels = [kind for kind, some in texts.items() for _ in some]
    print("| groups down to a mean cosine of | groups of 3 or more | questions in them | of the kind of most |")
    print("|---|---|---|---|")
    for cut in CUTS:
        groups = topics_of(vectors, cut)
        by: Mapping[int, list[str]] = defaultdict(list)
        for group, label in zip(groups.tolist(), labels, strict=True):
            by[group].append(label)
        told = [some for some in by.values() if len(some) >= coverage.LEAST_QUESTIONS]
        inside = sum(map(len, told))
        clean = sum(Counter(some).most_common(1)[0][1] for some in told)
        shown = f"| {cut:.2f} | {len(told)} | {100 * inside / len(labels):.0f}% | {100 * clean / inside:.0f}% |"
        print(shown, "(in use)" if cut == TOPIC else "")


def _cosines(one: Sequence[str], other: Sequence[str]) -> Weights:
    return np.asarray(np.einsum("ij,ij->i", _embedded(one), _embedded(other)), dtype=np.float64)


def _embedded(texts: Sequence[str]) -> Matrix:
    return unit_rows(np.array(embedder(load_settings()).embed(list(texts))))


def _prompts(name: str) -> list[str]:
    return sorted({row["prompt"] for row in _rows(name)}, key=_draw)[:MOST]


def _rows(name: str) -> Iterator[dict[str, Any]]:
    with (DATA / f"{name}.jsonl").open(encoding="utf-8") as lines:
        yield from map(json.loads, lines)


def _draw(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()


if __name__ == "__main__":
    main()
