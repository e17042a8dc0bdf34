"""How fast and how exact the default embedder is, on real texts: python -m tests.benchmarks.embedding.

Prints texts per second of every engine on the same prompts and responses (no cache; engines take turns, the best of
two rounds counts), the smallest cosine to float32, and how many rows change in batches cut and ordered anew.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from itertools import islice
from pathlib import Path

import numpy as np

from services.ports import Embedder
from services.score.embed.openvino import OpenVinoEmbedder
from services.score.embed.sentence_transformer import SentenceTransformerEmbedder

DATA = Path(os.environ.get("KEELWATCH_DATA") or Path(__file__).resolve().parents[3] / "shared" / "data")
SETS = ("xstest", "alpaca_eval_gpt4", "llmdrift_sensitiveq")
START = "from services.score.embed.openvino import OpenVinoEmbedder as E; E(threads={threads}).embed(['hello'])"


def texts(n: int, key: str) -> list[str]:
    found: dict[str, None] = {}
    for name in SETS:
        with (DATA / f"{name}.jsonl").open(encoding="utf-8") as lines:
            found.update(dict.fromkeys(json.loads(line)[key] for line in islice(lines, n)))
    shuffled = np.random.default_rng(0).permutation(list(found))
    return [str(text) for text in shuffled[:n]]


def rate(embed: Callable[[Sequence[str]], object], some: Sequence[str]) -> float:
    """Texts per second of one pass."""
    start = time.perf_counter()
    embed(some)
    return len(some) / (time.perf_counter() - start)


def defaults(reference: SentenceTransformerEmbedder) -> Callable[[Sequence[str]], object]:
    """sentence-transformers as people call it: its own batches, padded to the longest text of each."""
    model = reference._model
    model.max_seq_length = 128
    return lambda some: model.encode(list(some), batch_size=32, show_progress_bar=False)


def cosine(one: np.ndarray, other: np.ndarray) -> float:
    a, b = one.astype(np.float64), other.astype(np.float64)
    return float(((a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)).min())


def differing(embedder: Embedder, some: Sequence[str], rounds: int) -> int:
    """Rows whose bits changed in `rounds` random orders and cuts."""
    whole = embedder.embed(some).view(np.uint16)
    rng = np.random.default_rng(1)
    changed = 0
    for _ in range(rounds):
        order = rng.permutation(len(some))
        for part in np.split(order, np.sort(rng.integers(0, len(some), 20))):
            again = embedder.embed([some[i] for i in part]).view(np.uint16)
            changed += int((again != whole[part]).any(axis=1).sum())
    return changed


def start_up(threads: int) -> float:
    """Seconds from a new process to its first vector."""
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", START.format(threads=threads)], check=True)
    return time.perf_counter() - start


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--n", type=int, default=96, help="prompts, and as many responses")
    options.add_argument("--threads", type=int, default=2)
    chosen = options.parse_args()
    if not DATA.is_dir():
        sys.exit("needs recorded data: set KEELWATCH_DATA")
    import torch  # noqa: PLC0415

    torch.set_num_threads(chosen.threads)
    short, long = texts(chosen.n, "prompt"), texts(chosen.n, "response")
    reference = SentenceTransformerEmbedder(device="cpu")
    expected = reference.embed(short + long)
    engines: dict[str, Callable[[Sequence[str]], object]] = {
        "sentence-transformers, free shapes": defaults(reference),
        "sentence-transformers, fixed shapes": reference.embed,
    }
    for precision in ("auto", "f32"):
        fast = OpenVinoEmbedder(precision=precision, threads=chosen.threads)
        engines[f"openvino {fast.precision}, fixed shapes"] = fast.embed
        closest, changed = cosine(fast.embed(short + long), expected), differing(fast, short + long, 2)
        print(f"openvino {fast.precision}: cosine min {closest:.6f}, rows that changed with batch or order {changed}")
    print(f"start to first vector: {start_up(chosen.threads):.2f} s")
    print(f"{'engine':40} {'prompts/s':>10} {'ratio':>6} {'responses/s':>12} {'ratio':>6}")
    rounds = [{name: (rate(embed, short), rate(embed, long)) for name, embed in engines.items()} for _ in range(2)]
    best = {name: np.max([one[name] for one in rounds], axis=0) for name in engines}
    base = next(iter(best.values()))
    for name, (prompts, responses) in best.items():
        ratios = best[name] / base
        print(f"{name:40} {prompts:10.0f} {ratios[0]:6.1f} {responses:12.0f} {ratios[1]:6.1f}")


if __name__ == "__main__":
    main()
