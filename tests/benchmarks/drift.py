"""What the embedding detectors are worth on recorded updates: `python -m tests.benchmarks.drift`.

The recorded answers of the old version are the population: a baseline of `--baseline` rows and the streams are drawn
from them with replacement, then answers of the new version. `--fresh`: baseline and streams share no prompt, and the
streams are drawn without replacement. `clean` and `topics` are false alarms per 10,000 rows, with a 95% interval, each
alarm starting the detector anew; `topics` streams keep 2 of 6 clusters of the prompts, the model stays: for
model_shift a false alarm, for user_shift what it is there to find. `delay` is the median over the seeds, of model_shift
after the update and of user_shift after the narrowing; `missed` never fired. Beside them two dummies that fire always
and never. Embeddings are cached in `--cache`.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from detectors.model_shift import ModelShift
from detectors.protocol import Baseline, Detector, Finding, Rows
from detectors.stats.clusters import distances, kmeans
from detectors.stats.intervals import wilson
from detectors.stats.repeated_prompts import group_rows
from detectors.user_shift import UserShift
from services.score.embed.openvino import OpenVinoEmbedder
from services.score.style import style_features

CLEAN, TOPICS, KEPT, CHUNK = 500, 6, 2, 1000


@dataclass(frozen=True)
class Update:
    """A recorded update of one model, and which of its answers count."""

    name: str
    file: str
    model: str
    old: str
    new: str
    harmful_only: bool = False


UPDATES = (
    Update("OpinionQA GPT-4", "llmdrift_opinionqa", "gpt-4", "0314", "0613"),
    Update("OpinionQA GPT-3.5", "llmdrift_opinionqa", "gpt-3.5-turbo", "0301", "0613"),
    Update("SensitiveQ GPT-4", "llmdrift_sensitiveq", "gpt-4", "0314", "0613"),
    Update("XSTest Mistral", "xstest", "mistral-7b-instruct-v0.1", "guardrail system prompt", "no system prompt"),
    Update("XSTest Llama-2", "xstest", "llama-2-70b-chat", "original system prompt", "no system prompt"),
    Update("gemma ablation", "refusal_direction", "gemma-2b-it", "baseline", "ablation", harmful_only=True),
    Update("AlpacaEval 0314-0613", "alpaca_eval_gpt4", "gpt-4", "0314", "0613"),
    Update("AlpacaEval 0613-1106", "alpaca_eval_gpt4", "gpt-4", "0613", "1106-preview"),
    Update("AlpacaEval 1106-0125", "alpaca_eval_gpt4", "gpt-4", "1106-preview", "0125-preview"),
    Update("AlpacaEval 0125-turbo", "alpaca_eval_gpt4", "gpt-4", "0125-preview", "turbo-2024-04-09"),
)


class Library:
    """Recorded answers as rows; vectors are kept in a file by the text's hash."""

    def __init__(self, folder: Path, cache: Path) -> None:
        self.folder, self.cache = folder, cache
        self.embedder = OpenVinoEmbedder()
        self.path = cache / f"{hashlib.sha256(self.embedder.engine.encode()).hexdigest()[:12]}.npz"
        held = np.load(self.path) if self.path.is_file() else {"keys": np.array([]), "vectors": np.zeros((0, 384))}
        self.known = dict(zip(held["keys"].tolist(), held["vectors"], strict=True))

    def rows(self, update: Update, version: str) -> Rows:
        """All recorded answers of a version."""
        with (self.folder / f"{update.file}.jsonl").open(encoding="utf-8") as lines:
            every = [json.loads(line) for line in lines]
        kept = [
            row
            for row in every
            if (row["model"], row["version"]) == (update.model, version)
            and (not update.harmful_only or row["labels"]["prompt_harmful"] == 1)
        ]
        n, yes = len(kept), np.ones(len(kept), dtype=np.bool_)
        prompt, response = (self._embed([row[side] for row in kept]) for side in ("prompt", "response"))
        style = np.stack([style_features(row["response"]) for row in kept]).astype(np.float16)
        ids = tuple(map(str, range(n)))
        return Rows(np.arange(n), 1.7e9 + 60.0 * np.arange(n), prompt, response, style, yes, yes, {}, {}, ids)

    def _embed(self, texts: list[str]) -> np.ndarray:
        keys = [hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:24] for text in texts]
        missing = {key: text for key, text in zip(keys, texts, strict=True) if key not in self.known}
        if missing:
            self.known.update(zip(missing, self.embedder.embed(list(missing.values())), strict=True))
            self.cache.mkdir(parents=True, exist_ok=True)
            np.savez(self.path, keys=np.array(list(self.known)), vectors=np.stack(list(self.known.values())))
        return np.stack([self.known[key] for key in keys])


def firings(detector: Detector[Any, Any], baseline: Baseline, stream: Rows, first: bool = False) -> list[int]:
    """Rows at which the detector fires; after each it starts anew, unless only the `first` is asked for."""
    artefact = detector.fit(baseline)
    state, at, fired = detector.start(artefact), 0, []
    while at < len(stream):
        state, found = detector.step(artefact, state, stream.take(np.arange(at, min(at + CHUNK, len(stream)))))
        row = next((f.row for f in found if f.transition and f.status == "firing"), None)
        if row is None:
            at += CHUNK
            continue
        fired.append(at + row)
        if first:
            break
        state, at = detector.start(artefact), at + row + 1
    return fired


class Always:
    """A dummy that fires at every row."""

    name = "always"

    def fit(self, baseline: Baseline) -> None:
        """Nothing to learn."""

    def start(self, artefact: None) -> None:
        """Nothing to remember."""

    def step(self, artefact: None, state: None, rows: Rows) -> tuple[None, tuple[Finding, ...]]:
        """Fire at the first row that is seen."""
        return None, (Finding(0, None, "firing", True, 1),) if self.name == "always" else ()  # type: ignore[arg-type]


class Never(Always):
    """A dummy that never fires."""

    name = "never"


@dataclass(frozen=True)
class Draw:
    """The rows of one seed: positions in the old version and in the new one."""

    baseline: np.ndarray
    clean: np.ndarray
    topics: np.ndarray
    after: np.ndarray


def drawn(old: Rows, new: int, seed: int, options: argparse.Namespace) -> Draw:
    """Draw baseline and streams of a seed."""
    chance = np.random.default_rng(seed)
    groups = group_rows(old.prompt)
    vectors = old.prompt.astype(np.float64)
    unique = vectors[np.unique(groups, return_index=True)[1]]
    topic = distances(vectors, kmeans(unique, TOPICS)).argmin(axis=1)
    kept = np.isin(topic, chance.choice(TOPICS, KEPT, replace=False))
    held = chance.permutation(groups.max() + 1)[groups] % 2 == 0 if options.fresh else np.ones(len(groups), np.bool_)
    streamed = np.flatnonzero(~held) if options.fresh else np.arange(len(groups))

    def stream(pool: np.ndarray, n: int) -> np.ndarray:
        return chance.permutation(pool)[:n] if options.fresh else pool[chance.integers(len(pool), size=n)]

    return Draw(
        baseline=chance.choice(np.flatnonzero(held), options.baseline),
        clean=stream(streamed, options.rows),
        topics=stream(streamed[kept[streamed]], options.rows),
        after=stream(streamed[streamed < new], 1000),
    )


def joined(old: Rows, before: np.ndarray, new: Rows, after: np.ndarray) -> Rows:
    """Rows of the old version and then of the new one."""
    a, b = old.take(before), new.take(after)
    columns = {name: np.concatenate([getattr(a, name), getattr(b, name)]) for name in ("prompt", "response", "style")}
    n = len(a) + len(b)
    yes = np.ones(n, dtype=np.bool_)
    return Rows(
        index=np.arange(n), ts=1.7e9 + 60.0 * np.arange(n), **columns, embedded=yes, answered=yes,
        signals={}, slices={}, ids=tuple(map(str, range(n))),
    )  # fmt: skip


def measured(detector: Any, update: Update, library: Library, options: argparse.Namespace) -> str:
    """One line of the table."""
    old, new = library.rows(update, update.old), library.rows(update, update.new)
    clean, topics, rows, delays, early = 0, 0, [0, 0], [], 0
    for seed in range(options.seeds):
        draw = drawn(old, len(new), seed, options)
        baseline = Baseline(old.take(draw.baseline), {}, options.arl)
        clean += len(firings(detector, baseline, old.take(draw.clean)))
        topics += len(firings(detector, baseline, old.take(draw.topics)))
        rows = [rows[0] + len(draw.clean), rows[1] + len(draw.topics)]
        before = draw.clean[:CLEAN]
        if detector.spec.name == "user_shift":
            moved = joined(old, before, old, draw.topics[:1000])
        else:
            moved = joined(old, before, new, draw.after)
        first = firings(detector, baseline, moved, first=True)
        early += bool(first and first[0] < len(before))
        delays.append(first[0] - len(before) + 1 if first else np.inf)
    return f"{per_10k(clean, rows[0])} {per_10k(topics, rows[1])} {delay(delays, early)}"


def per_10k(alarms: int, rows: int) -> str:
    low, high = wilson(min(alarms, rows), rows)
    return f"{1e4 * alarms / rows:7.1f} ({1e4 * low:.1f}-{1e4 * high:.1f})".ljust(24)


def delay(delays: Sequence[float], early: int) -> str:
    after = [value for value in delays if value > 0]
    middle = f"{np.median(after):.0f}" if after and np.isfinite(np.median(after)) else "-"
    missed = sum(np.isinf(value) for value in delays)
    return f"{middle:>6} (early {early}, missed {missed} of {len(delays)})"


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--rows", type=int, default=4000, help="rows of a clean stream, and of one with fewer topics")
    parser.add_argument("--baseline", type=int, default=1000)
    parser.add_argument("--arl", type=float, default=1000.0)
    parser.add_argument("--only", default="", help="updates and detectors whose names contain this")
    parser.add_argument("--fresh", action="store_true")
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("KEELWATCH_DATA") or "../shared/data"))
    parser.add_argument("--cache", type=Path, default=Path(tempfile.gettempdir()) / "keelwatch-bench")
    return parser.parse_args()


def main() -> None:
    """Print a line per update and detector."""
    options = parsed()
    library = Library(options.data, options.cache)
    makers: tuple[Callable[[], Any], ...] = (ModelShift, UserShift, Always, Never)
    kind = "fresh" if options.fresh else "population"
    print(f"{kind}, baseline {options.baseline}, ARL {options.arl:.0f}, nominal {1e4 / options.arl:.2f} per 10,000")
    print(f"{'update':22} {'detector':12} {'clean':>7}{'topics':>25}{'delay':>24}")
    for update in UPDATES:
        for make in makers:
            detector = make()
            name = f"{update.name:22} {detector.spec.name:12}"
            if options.only in name and (make not in (Always, Never) or update is UPDATES[0]):
                print(name, measured(detector, update, library, options), flush=True)


if __name__ == "__main__":
    main()
