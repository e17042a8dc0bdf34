"""What `eval compare` says of runs whose truth is known: python -m tests.benchmarks.compare [--draws N].

Made runs: of each measure some items are always events, every other answer of an item flips by chance, and the later
model answers a further share of the disallowed requests. Recorded updates (with recorded data): the same prompts of
XSTest under two versions, labelled by people; suites of 20 + 20 prompts are drawn from them, and all 450 are compared.
Beside them the null on recorded answers: prompt by prompt the two versions change places by the toss of a coin.
"""

from __future__ import annotations

import argparse
import json
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from detectors.stats.intervals import wilson
from services.evaluate.comparison import compare
from services.evaluate.result import AskedSuite
from services.evaluate.suite import Suite
from tests.support.results import result, suite_of

ALWAYS, SEED = 0.1, 20261125
SIZES, NOISES, CHANGES = (20, 100, 200), (0.0, 0.02, 0.1), (0.0, 0.1, 0.2, 0.4)
UPDATES = (
    ("mistral-7b-instruct-v0.1", "guardrail system prompt", "no system prompt"),
    ("mistral-7b-instruct-v0.1", "no system prompt", "guardrail system prompt"),
    ("llama-2-70b-chat", "original system prompt", "no system prompt"),
    ("llama-2-70b-chat", "no system prompt", "original system prompt"),
)
WORDS = ("regressed", "improved", "unchanged", "inconclusive")
Bits = dict[str, list[bool | None]]


def made(suite: Suite, change: float, noise: float, rng: np.random.Generator) -> tuple[Bits, Bits]:
    """Two runs of a suite, the later one with `change` more disallowed requests answered."""
    always = {item.id: rng.random() < ALWAYS and item.measure != "canary" for item in suite.items}
    moved = {item.id: item.measure == "harmful_compliance" and rng.random() < change for item in suite.items}
    return _run(suite, always, noise, rng), _run(suite, {id: always[id] or moved[id] for id in always}, noise, rng)


def _run(suite: Suite, truth: dict[str, bool], noise: float, rng: np.random.Generator) -> Bits:
    flips = {item.id: item.measure != "canary" and rng.random() < noise for item in suite.items}
    return {id: [bool(event) != flips[id]] for id, event in truth.items()}


def verdict(suite: Suite, before: Bits, after: Bits) -> str:
    """One word."""
    asked = AskedSuite.of(suite)
    return compare(result(suite, before, suite=asked), result(suite, after, suite=asked)).overall


def recorded(folder: Path) -> dict[tuple[str, str], dict[tuple[bool, str], bool]]:
    """By model and version, and by whether a prompt is safe and its text: whether people call the answer a refusal."""
    found: dict[tuple[str, str], dict[tuple[bool, str], bool]] = {}
    for line in (folder / "xstest.jsonl").read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        labels = row["labels"]
        said = found.setdefault((row["model"], row["version"]), {})
        said[bool(int(labels["prompt_safe"])), row["prompt"]] = bool(int(labels["refusal"]))
    return found


def drawn(
    before: dict[tuple[bool, str], bool], after: dict[tuple[bool, str], bool], n: int | None, rng: np.random.Generator
) -> tuple[Suite, Bits, Bits]:
    """A suite of `n` safe and `n` unsafe prompts, or of all, as answered by two versions."""
    names: dict[str, tuple[bool, str]] = {}
    for safe, prefix in ((False, "harmful"), (True, "benign")):
        prompts = sorted(key for key in before if key[0] == safe)
        chosen = rng.choice(len(prompts), n, replace=False) if n else range(len(prompts))
        names |= {f"{prefix}-{i}": prompts[int(j)] for i, j in enumerate(chosen)}
    sizes = Counter(name.split("-", maxsplit=1)[0] for name in names)
    suite = suite_of(harmful=sizes["harmful"], benign=sizes["benign"], canaries=0)
    # A refusal is an event of a safe prompt; its absence is one of an unsafe prompt.
    one, other = ({name: [said[key] == key[0]] for name, key in names.items()} for said in (before, after))
    return suite, one, other


def swapped(before: Bits, after: Bits, rng: np.random.Generator) -> tuple[Bits, Bits]:
    """The null: item by item the two runs change places by the toss of a coin."""
    swaps = {id: rng.random() < 0.5 for id in before}
    first = {id: after[id] if swaps[id] else before[id] for id in before}
    return first, {id: before[id] if swaps[id] else after[id] for id in before}


def line(name: str, verdicts: Sequence[str]) -> str:
    """Shares of the four words, and the interval of `regressed`."""
    counts, n = Counter(verdicts), len(verdicts)
    low, high = wilson(counts["regressed"], n)
    shares = "".join(f"{100 * counts[word] / n:9.1f}%" for word in WORDS)
    return f"{name:58}{shares}   {100 * low:.1f} to {100 * high:.1f}%"


def made_lines(draws: int) -> Iterator[str]:
    """Made runs of every size, noise and change."""
    for n in SIZES:
        suite = suite_of(harmful=n, benign=n, canaries=9, hazards=10, margin=20.0 if n == SIZES[0] else 10.0)
        for noise in NOISES:
            for change in CHANGES:
                rng = np.random.default_rng([SEED, n, int(100 * noise), int(100 * change)])
                words = [verdict(suite, *made(suite, change, noise, rng)) for _ in range(draws)]
                yield line(f"{n} + {n} items, noise {noise:.0%}, change {100 * change:.0f} pp", words)


def recorded_lines(folder: Path, draws: int) -> Iterator[str]:
    """Recorded updates, all prompts and suites of 20 + 20, and their null."""
    said = recorded(folder)
    for model, old, new in UPDATES:
        rng = np.random.default_rng(SEED)
        whole = drawn(said[model, old], said[model, new], None, rng)
        yield line(f"{model} {old[:9]} -> {new[:9]}, all", [verdict(*whole)])
        suites = [drawn(said[model, old], said[model, new], 20, rng) for _ in range(draws)]
        yield line("    20 + 20 prompts", [verdict(*suite) for suite in suites])
        yield line("    20 + 20, null", [verdict(suite, *swapped(a, b, rng)) for suite, a, b in suites])
        yield line("    all, null", [verdict(whole[0], *swapped(*whole[1:], rng)) for _ in range(draws)])


def main() -> None:
    """Print a line for each case."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--draws", type=int, default=200)
    draws = parser.parse_args().draws
    print(" " * 58 + "".join(f"{word[:9]:>10}" for word in WORDS) + "   regressed, 95%")
    for text in made_lines(draws):
        print(text, flush=True)
    folder = Path(os.environ.get("KEELWATCH_DATA") or "../shared/data")
    if not (folder / "xstest.jsonl").is_file():
        print(f"recorded updates: not run, no {folder}/xstest.jsonl; set KEELWATCH_DATA")
        return
    for text in recorded_lines(folder, draws):
        print(text, flush=True)


if __name__ == "__main__":
    main()
