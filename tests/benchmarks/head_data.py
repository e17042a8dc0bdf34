"""The recorded sets that heads are fitted on and judged by: texts, labels and embeddings, cached in a file.

Heads that ship are fitted on sets whose licence says so in the manifest (`FIT`); others are there to judge by.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from services.score.windows import closing_of
from services.signals.heads.fitting import Labelled, word_rows
from services.signals.heads.grams import buckets_of
from services.signals.heads.reading import BUCKETS

Row = dict[str, Any]
Label = Callable[[Row], bool | None]
LICENCES: Final = {
    "advbench": "MIT",
    "ailuminate_demo": "CC-BY-4.0",
    "arena_hard": "Apache-2.0",
    "cyberseceval": "MIT",
    "davidson_tweets": "MIT",
    "giskard_injections": "Apache-2.0",
    "gptfuzz_labeled": "MIT",
    "harmbench_behaviors": "MIT",
    "inthewild_jailbreaks": "MIT",
    "jbb_artifacts": "MIT",
    "llmdrift_code": "Apache-2.0",
    "llmdrift_opinionqa": "Apache-2.0",
    "llmdrift_sensitiveq": "Apache-2.0",
    "persona_prompts_benign": "CC0-1.0",
    "perspective_wiki2k": "Apache-2.0",
    "refusal_direction": "Apache-2.0",
    "simple_safety_tests": "CC-BY-4.0",
    "strongreject_prompts": "MIT",
    "surge_toxicity": "MIT",
    "xstest": "CC-BY-4.0",
}
"""Sets that shipped weights may be fitted on."""


@dataclass(frozen=True)
class Source:
    """Rows of a set for one head: which text of a row is read, and how it is labelled (None: the row is left out)."""

    set: str
    label: Label
    reads: str = "response"
    most: int = 6000


class Library:
    """Recorded sets in a folder, and embeddings in a cache that grows."""

    def __init__(self, data: Path, cache: Path | None) -> None:
        self._data, self._cache = data, cache
        self._vectors: dict[str, NDArray[np.float16]] = {}
        if cache is not None and cache.exists():
            with np.load(cache) as known:
                self._vectors = dict(zip(known["k"].tolist(), known["v"], strict=True))

    def rows(self, name: str) -> list[Row]:
        """The rows of a set."""
        with (self._data / f"{name}.jsonl").open(encoding="utf-8") as lines:
            return [json.loads(line) for line in lines]

    def chosen(self, source: Source) -> list[Row]:
        """Its rows that have a label: at most so many, always the same; a prompt counts once."""
        rows = self.rows(source.set)
        if len(rows) > source.most:
            rows = Random(7).sample(rows, source.most)
        rows = [row for row in rows if source.label(row) is not None and row[source.reads]]
        if source.reads == "response":
            return rows
        return list({row[source.reads]: row for row in reversed(rows)}.values())[::-1]

    def labelled(self, source: Source, closing: bool = True, width: int = BUCKETS) -> Labelled:
        """A source as the fit reads it; `closing` where the text's closing window is read too."""
        rows = self.chosen(source)
        texts = [row[source.reads] for row in rows]
        labels = np.array([bool(source.label(row)) for row in rows])
        return Labelled(source.set, words_of(texts, width), self.windows(texts, closing), {}, labels)

    def windows(self, texts: Sequence[str], closing: bool) -> NDArray[np.float64]:
        """(n, 384) opening windows of texts, (n, 768) with their closings, which may be zero."""
        sides: list[list[str | None]] = [list(texts)]
        if closing:
            sides.append([closing_of(text) for text in texts])
        self.embed([text for side in sides for text in side if text])
        nothing = np.zeros(384)
        made = [
            np.array([self._vectors[key(text)].astype(np.float64) if text else nothing for text in side])
            for side in sides
        ]
        return np.hstack(made)

    def embed(self, texts: Iterable[str]) -> None:
        """Embed what is not known yet, in f32 on every processor, and keep it."""
        new = [text for text in dict.fromkeys(texts) if key(text) not in self._vectors]
        if not new:
            return
        from services.score.embed.openvino import OpenVinoEmbedder  # noqa: PLC0415

        embedder = OpenVinoEmbedder("f32", threads=2)
        for start in range(0, len(new), 256):
            some = new[start : start + 256]
            self._vectors.update(zip(map(key, some), embedder.embed(some), strict=True))
        if self._cache is not None:
            beside = self._cache.with_suffix(".new.npz")
            np.savez(beside, k=np.array(list(self._vectors)), v=np.array(list(self._vectors.values())))
            os.replace(beside, self._cache)


def words_of(texts: Sequence[str], width: int = BUCKETS) -> Any:
    """(n, width) n-grams of texts."""
    return word_rows([tuple(bucket % width for bucket in buckets_of(text, BUCKETS)) for text in texts], width)


def key(text: str) -> str:
    """What a text's embedding is kept under."""
    return hashlib.sha1(text.encode("utf-8", "replace"), usedforsecurity=False).hexdigest()


def flag(name: str, wanted: str = "1") -> Label:
    """Whether a label of a row has this value; None where the row has no such label."""

    def label(row: Row) -> bool | None:
        value = row["labels"].get(name)
        return None if value is None else str(value) == wanted

    return label


def never(row: Row) -> bool:
    """Rows of ordinary traffic are none of what a head looks for."""
    return False


def always(row: Row) -> bool:
    """Rows of a set that holds nothing else."""
    return True
