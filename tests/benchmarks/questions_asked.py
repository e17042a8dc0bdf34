"""Are questions that never return in the same words told from look-alikes? XSTest's prompts, each worded anew.

`python -m tests.benchmarks.questions_asked` draws baselines of 1,000 questions of the safe prompts (and of the unsafe
ones), then so many questions since a change of which a share is of the other kind, and prints what they are said to be:
`same`, `few` (too few to tell) or `other`. What moved is taken for half of the share of others (a fifth where there is
none). Nobody answers here: how verdicts come out is `tests.benchmarks.attribution`. Words are changed by noise of the
prompt's vector, so that it is .96 (or .93) like the one that it was.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from typing import Any

import numpy as np

from detectors.stats.near_repeats import Sketches, sketches_of
from detectors.stats.question_likeness import UsualQuestions
from services import wiring
from services.settings import load_settings
from tests.benchmarks.updates import recorded

BASELINE, POOL = 1000, 2500
SINCE = (8, 16, 32, 64, 128)
SHARES = (0.0, 0.2, 0.5, 1.0)
NOISE = {0.96: 0.29, 0.93: 0.4}


def prompts() -> dict[str, Any]:
    """Vectors of the distinct prompts of each kind."""
    kinds = {row.prompt: str((row.labels or {}).get("prompt_safe")) for row in recorded("xstest")}
    vectors = wiring.embedder(load_settings()).embed(list(kinds)).astype(float)
    told = np.array(list(kinds.values()))
    return {"safe": vectors[told == "1"], "unsafe": vectors[told == "0"]}


def anew(vectors: Any, count: int, noise: float, chance: np.random.Generator) -> Sketches:
    """Sketches of so many questions, each in words of its own."""
    picked = vectors[chance.integers(len(vectors), size=count)]
    other = chance.normal(size=picked.shape)
    worded = picked + noise * other / np.linalg.norm(other, axis=1, keepdims=True)
    return sketches_of((worded / np.linalg.norm(worded, axis=1, keepdims=True)).astype(np.float16))


def judged(before: Any, others: Any, noise: float, repeats: int) -> dict[tuple[float, int], Counter[str]]:
    """What was said, by the share of others and the questions since."""
    chance = np.random.default_rng(1)
    pools = [anew(vectors, POOL, noise, chance) for vectors in (before, others)]
    said: dict[tuple[float, int], Counter[str]] = {(share, n): Counter() for share in SHARES for n in SINCE}
    for _ in range(3):
        usual = UsualQuestions.of(anew(before, BASELINE, noise, chance))
        for (share, n), told in said.items():
            for _ in range(repeats):
                of_others = chance.random(n) < share
                known, strange = (pool[chance.integers(POOL, size=n)] for pool in pools)
                recent = np.where(of_others, strange, known)
                told[usual.judge(recent, max(0.1, share / 2) if share else 0.2)] += 1
    return said


def main() -> int:
    """Print a line for each baseline, likeness of the words and share of others."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=10, help="of each case, for each of three baselines")
    options = parser.parse_args()
    pools = prompts()
    wrong, others = 0, 0
    for kind, other in (("safe", "unsafe"), ("unsafe", "safe")):
        for like, noise in NOISE.items():
            said = judged(pools[kind], pools[other], noise, options.repeats)
            for share in SHARES:
                told = [dict(said[share, n]) for n in SINCE]
                print(f"{kind}, words {like} alike, {share:.0%} {other}:", *zip(SINCE, told, strict=True), flush=True)
                wrong += sum(one.get("same", 0) for one in told if share)
                others += sum(one.get("other", 0) for one in told if not share)
    total = 3 * options.repeats * len(SINCE) * 2 * len(NOISE)
    print(
        f"others taken for the same: {wrong} of {total * (len(SHARES) - 1)}; the same for others: {others} of {total}"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
