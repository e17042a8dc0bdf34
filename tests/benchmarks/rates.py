"""What `rate_shift` is worth on recorded answers: python -m tests.benchmarks.rates [--seeds N] [--signal recorded].

The recorded answers of a version are the population: a baseline of 1,000 and the stream are drawn from them with
replacement. `fresh`: baseline and stream share no prompt. `narrow`: the stream keeps 2 of 6 clusters of the prompts,
the model stays. Beside two dummies: `always` fires at every row, `never` at none.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from sklearn.cluster import KMeans

from detectors.protocol import Baseline, Float, Half, Rows
from detectors.rate_shift import RateShift
from detectors.stats.intervals import wilson
from schemas.exchange import Exchange
from schemas.identity import Model
from services.score.embed.cached import CachedEmbedder
from services.score.embed.openvino import OpenVinoEmbedder
from services.score.scored_text import scored_text
from services.signals.refusal import Refusal

BASELINE, CLEAN, NEW, CHUNK = 1000, 500, 1000, 500
FLOOR = 0.02
Fires = Callable[["Pool", "Pool"], list[int]]


@dataclass(frozen=True)
class Source:
    """Answers of one model at one version, and which recorded label says that it refused."""

    file: str
    model: str
    version: str
    label: str | None
    where: tuple[str, str] | None = None
    refusal_is: str = "1"

    @property
    def name(self) -> str:
        return f"{self.file} {self.version}"


@dataclass(frozen=True)
class Pool:
    """Prompt vectors and whether the answer was a refusal."""

    prompt: Half
    refusal: Float

    def draw(self, rng: np.random.Generator, n: int, among: np.ndarray | None = None) -> Pool:
        return self.at(rng.choice(np.arange(len(self.refusal)) if among is None else among, n))

    def at(self, where: np.ndarray | slice) -> Pool:
        return Pool(self.prompt[where], self.refusal[where])

    def then(self, other: Pool) -> Pool:
        return Pool(np.concatenate([self.prompt, other.prompt]), np.concatenate([self.refusal, other.refusal]))

    def rows(self) -> Rows:
        n = len(self.refusal)
        yes = np.ones(n, dtype=np.bool_)
        style = np.zeros((n, 30), dtype=np.float16)
        ids = tuple(str(i) for i in range(n))
        signals = {"refusal": self.refusal}
        return Rows(
            np.arange(n), 1.7e9 + 60.0 * np.arange(n), self.prompt, self.prompt, style, yes, yes, signals, {}, ids
        )


XSTEST = [
    Source("xstest", "mistral-7b-instruct-v0.1", version, "refusal")
    for version in ("guardrail system prompt", "no system prompt")
]
LLAMA = [
    Source("xstest", "llama-2-70b-chat", version, "refusal")
    for version in ("original system prompt", "no system prompt")
]
SENSITIVE = [Source("llmdrift_sensitiveq", "gpt-4", version, "refused") for version in ("0314", "0613")]
GEMMA = [
    Source("refusal_direction", "gemma-2b-it", v, "is_jailbreak_substring_matching", ("prompt_harmful", "1"), "0")
    for v in ("baseline", "ablation")
]
ALPACA = [Source("alpaca_eval_gpt4", "gpt-4", version, None) for version in ("0314", "0613")]
SHIFTS = [(0, 0.01), (0, 0.02), (0, 0.05), (0, 0.1), (0, 0.3), (0, 1), (0.03, 0.04), (0.03, 0.08), (0.03, 0.13)]
SHIFTS += [(0.2, 0.22), (0.2, 0.25), (0.2, 0.3), (0.2, 0.1), (0.5, 0.4), (0.95, 0.85)]
PAIRS = [XSTEST, LLAMA, SENSITIVE, GEMMA, ALPACA]


class Library:
    """Recorded answers as pools; embeddings and refusals are made as the product makes them."""

    def __init__(self, folder: Path, recorded: bool) -> None:
        self.folder, self.recorded = folder, recorded
        self.embedder = CachedEmbedder(OpenVinoEmbedder(threads=1))

    def pool(self, source: Source) -> Pool:
        lines = (json.loads(line) for line in (self.folder / f"{source.file}.jsonl").open(encoding="utf-8"))
        rows = [row for row in lines if (row["model"], row["version"]) == (source.model, source.version)]
        if source.where:
            key, value = source.where
            rows = [row for row in rows if str(row["labels"].get(key)) == value]
        refusal = np.array([self._refused(source, row) for row in rows], dtype=np.float64)
        return Pool(self.embedder.embed([row["prompt"] for row in rows]), refusal)

    def _refused(self, source: Source, row: dict) -> float:
        if self.recorded and source.label:
            return float(str(row["labels"][source.label]) == source.refusal_is)
        model = Model(requested=source.model)
        exchange = Exchange(route="bench", model=model, prompt=row["prompt"], response=row["response"])
        value = Refusal().measure(scored_text(exchange)).value
        return np.nan if value is None else float(value)


def rate_shift(arl: float) -> Fires:
    """Rows at which the detector fires; it starts anew after each."""

    def fires(baseline: Pool, stream: Pool) -> list[int]:
        detector = RateShift()
        artefact = detector.fit(Baseline(baseline.rows(), {"refusal": FLOOR}, arl))
        state, rows, at, found = detector.start(artefact), stream.rows(), 0, []
        while at < len(rows):
            upto = min(at + CHUNK, len(rows))
            state, findings = detector.step(artefact, state, rows.take(np.arange(at, upto)))
            fired = [at + f.row for f in findings if f.transition and f.status == "firing"]
            at = upto
            if fired:
                found.append(fired[0])
                state, at = detector.start(artefact), fired[0] + 1
        return found

    return fires


def always(_: Pool, stream: Pool) -> list[int]:
    """A dummy that fires at every row."""
    return list(range(len(stream.refusal)))


def never(_: Pool, __: Pool) -> list[int]:
    """A dummy that fires at none."""
    return []


def updates(library: Library, seeds: int, ways: dict[str, Fires]) -> Iterator[str]:
    """Delay after recorded updates."""
    yield "\nrecorded update (refusals before -> after) | detector | caught | delay median, worst | before the change"
    for old, new in PAIRS:
        before, after = library.pool(old), library.pool(new)
        title = f"{old.name} -> {new.version} ({before.refusal.mean():.1%} -> {after.refusal.mean():.1%})"
        for name, fires in ways.items():
            delays, early = [], 0
            for seed in range(seeds):
                rng = np.random.default_rng(seed)
                baseline = before.draw(rng, BASELINE)
                found = fires(baseline, before.draw(rng, CLEAN).then(after.draw(rng, NEW)))
                delays += [at - CLEAN for at in found if at >= CLEAN][:1]
                early += any(at < CLEAN for at in found)
            spread = f"{np.median(delays):.0f}, {max(delays)}" if delays else "-"
            yield f"{title} | {name} | {len(delays)}/{seeds} | {spread} | {early}/{seeds}"


def clean(library: Library, seeds: int, ways: dict[str, Fires]) -> Iterator[str]:
    """False alarms while the model stays."""
    yield "\nmodel unchanged | prompts | detector | alarms per 10,000 rows (Wilson 95%) | streams with one"
    for source in [*(old for old, _ in PAIRS), *(new for _, new in (ALPACA, XSTEST))]:
        pool = library.pool(source)
        topics = KMeans(6, n_init=3, random_state=0).fit_predict(pool.prompt.astype(np.float64))
        for kind, length in (("same", 10_000), ("narrow", 4_000), ("fresh", 3_000), ("fresh, narrow", 3_000)):
            for name, fires in ways.items():
                counts, rows = [], 0
                for seed in range(seeds):
                    rng = np.random.default_rng(seed)
                    known, live = _split(rng, topics, kind)
                    counts.append(len(fires(pool.draw(rng, BASELINE, known), pool.draw(rng, length, live))))
                    rows += length
                low, high = wilson(sum(counts), rows)
                rate = f"{1e4 * sum(counts) / rows:.2f} ({1e4 * low:.2f} to {1e4 * high:.2f})"
                yield f"{source.name} | {kind} | {name} | {rate} | {sum(c > 0 for c in counts)}/{seeds}"


def _split(rng: np.random.Generator, topics: np.ndarray, kind: str) -> tuple[np.ndarray, np.ndarray]:
    """Positions that the baseline is drawn from, and the stream."""
    order = rng.permutation(len(topics))
    half = len(order) // 2
    known, live = (order[:half], order[half:]) if "fresh" in kind else (order, order)
    if "narrow" in kind:
        live = live[np.isin(topics[live], rng.permutation(6)[:2])]
    return known, live


def power(library: Library, seeds: int, ways: dict[str, Fires]) -> Iterator[str]:
    """Delay after a shift of known size, the same for every prompt; prompts of a real route."""
    yield "\nrate before -> after | detector | caught within 3,000 | delay median, worst | before the change"
    prompt = library.pool(ALPACA[0]).prompt
    for base, rate in SHIFTS:
        for name, fires in ways.items():
            delays, early = [], 0
            for seed in range(seeds):
                rng = np.random.default_rng(seed)
                drawn = [_coin(rng, prompt, p, n) for p, n in ((base, BASELINE), (base, CLEAN), (rate, 3 * NEW))]
                found = fires(drawn[0], drawn[1].then(drawn[2]))
                delays += [at - CLEAN for at in found if at >= CLEAN][:1]
                early += any(at < CLEAN for at in found)
            spread = f"{np.median(delays):.0f}, {max(delays)}" if delays else "-"
            yield f"{base:.0%} -> {rate:.0%} | {name} | {len(delays)}/{seeds} | {spread} | {early}/{seeds}"


def _coin(rng: np.random.Generator, prompt: Half, rate: float, n: int) -> Pool:
    return Pool(prompt[rng.integers(len(prompt), size=n)], (rng.random(n) < rate).astype(np.float64))


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--arl", type=float, default=200_000)
    parser.add_argument("--signal", choices=["measured", "recorded"], default="measured")
    parser.add_argument("--only", choices=["updates", "clean", "power"], action="append")
    given = parser.parse_args()
    folder = Path(os.environ.get("KEELWATCH_DATA") or Path(__file__).resolve().parents[3] / "shared" / "data")
    library = Library(folder, given.signal == "recorded")
    ways: dict[str, Fires] = {"rate_shift": rate_shift(given.arl), "always": always, "never": never}
    print(f"ARL {given.arl:g}, floor {FLOOR:.0%}, refusals {given.signal}, {given.seeds} seeds")
    for table in (updates, clean, power):
        if not given.only or table.__name__ in given.only:
            for line in table(library, given.seeds, ways):
                print(line, flush=True)


if __name__ == "__main__":
    main()
