"""What the closing window of long answers costs: python -m tests.benchmarks.closing_window.

Prompt and answer are embedded in any case; heads also read the last 480 characters of an answer that is longer than
the first window. Prints, a set at a time, how many answers have such a window, and the milliseconds an exchange without
it and with it, on one thread: the least of several rounds.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Final

from services.score.embed.openvino import OpenVinoEmbedder
from services.score.windows import closing_of

DATA: Final = Path(os.environ.get("KEELWATCH_DATA") or Path(__file__).resolve().parents[3] / "shared" / "data")
SETS: Final = ("llmdrift_opinionqa", "xstest", "refusal_direction", "alpaca_eval_gpt4", "arena_hard")


def exchanges(name: str, count: int) -> list[tuple[str, str]]:
    """Prompts and answers of a set, drawn always alike."""
    with (DATA / f"{name}.jsonl").open(encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines]
    rows = [row for row in rows if row["prompt"] and row["response"]]
    return [(row["prompt"], row["response"]) for row in Random(5).sample(rows, min(count, len(rows)))]


def seconds(embedder: OpenVinoEmbedder, texts: Sequence[str], rounds: int) -> float:
    """The least time that embedding all of them takes."""
    if not texts:
        return 0.0
    taken = []
    for _ in range(rounds):
        start = time.perf_counter()
        embedder.embed(texts)
        taken.append(time.perf_counter() - start)
    return min(taken)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=96, help="exchanges of each set")
    parser.add_argument("--rounds", type=int, default=3)
    told = parser.parse_args()
    embedder = OpenVinoEmbedder(threads=1)
    print(f"{embedder.precision}, one thread\n\n| set | answers with a closing window | ms without | ms with | more |")
    print("|---|---|---|---|---|")
    for name in SETS:
        found = exchanges(name, told.count)
        usual = [text for pair in found for text in pair]
        closings = [closing for _, response in found if (closing := closing_of(response)) is not None]
        before = seconds(embedder, usual, told.rounds) / len(found) * 1000
        more = seconds(embedder, closings, told.rounds) / len(found) * 1000
        share = len(closings) / len(found)
        print(f"| {name} | {share:.0%} | {before:.1f} | {before + more:.1f} | {more / before:.0%} |", flush=True)


if __name__ == "__main__":
    main()
