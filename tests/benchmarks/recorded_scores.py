"""Recorded answers as scored rows, scored once and kept: what benchmarks of detectors draw their streams from.

`python -m tests.benchmarks.recorded_scores` scores the sets of `SETS` into `KEELWATCH_SCORE_CACHE` (default: a folder
of the system's temporary one); a changed scorer scores anew.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detectors.protocol import Bool, Half, Rows
from schemas.exchange import Exchange, Model
from schemas.position import Position
from schemas.score import WITHOUT_ANSWER
from services import wiring
from services.ingest.recorded_answers import read_recorded
from services.monitor import Monitor
from services.ports import Received
from services.score.blocks import rows_of
from services.settings import load_settings

SETS = (
    "llmdrift_opinionqa",
    "llmdrift_sensitiveq",
    "xstest",
    "refusal_direction",
    "jbb_artifacts",
    "alpaca_eval_gpt4",
    "alpaca_eval_gpt35",
    "alpaca_eval_open",
)
_BATCH = 512
_TS = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Recorded:
    """All answers of one set: n rows. `signals` holds NaN where one was unscored; `prompts` numbers equal prompts."""

    prompt: Half
    response: Half
    style: Half
    answered: Bool
    signals: dict[str, NDArray[np.float64]]
    model: NDArray[np.str_]
    version: NDArray[np.str_]
    labels: tuple[dict[str, Any], ...]
    prompts: NDArray[np.int64]
    length: NDArray[np.int64]

    def where(self, model: str, version: str, **labels: Any) -> NDArray[np.int64]:
        """Positions of the answers of a version, and with these labels (compared as text)."""
        fits = np.array([all(str(row.get(k)) == str(v) for k, v in labels.items()) for row in self.labels])
        return np.flatnonzero((self.model == model) & (self.version == version) & fits)

    def rows(self, at: NDArray[np.int64], first: int = 0, step: float = 86.4) -> Rows:
        """The rows at these positions, in order, as exchanges that follow each other from event index `first` on."""
        index = np.arange(first, first + len(at), dtype=np.int64)
        return Rows(
            index=index,
            ts=np.asarray(_TS.timestamp() + step * index, dtype=np.float64),
            prompt=self.prompt[at],
            response=self.response[at],
            style=self.style[at],
            embedded=np.ones(len(at), dtype=np.bool_),
            answered=self.answered[at],
            signals={name: values[at] for name, values in self.signals.items()},
            slices={},
            ids=tuple(f"{first + i}" for i in range(len(at))),
        )


@cache
def recorded(name: str) -> Recorded:
    """The scored answers of a set, from the cache or made now."""
    source = (_data() / f"{name}.jsonl").read_bytes()
    answers = read_recorded(source.splitlines())
    scorer = _scorer()
    mark = hashlib.sha256(source + scorer.version.model_dump_json().encode()).hexdigest()[:16]
    path = _cache() / f"{name}-{mark}.npz"
    if not path.is_file():
        columns: dict[str, Any] = _scored(scorer, answers)
        np.savez(path, **columns)
    with np.load(path) as held:
        kept = {key: held[key] for key in held.files}
    numbers: dict[str, int] = {}
    return Recorded(
        prompt=kept["prompt"],
        response=kept["response"],
        style=kept["style"],
        answered=kept["answered"],
        signals={key.removeprefix("signal "): kept[key] for key in kept if key.startswith("signal ")},
        model=np.array([answer.model for answer in answers]),
        version=np.array([answer.version for answer in answers]),
        labels=tuple(dict(answer.labels or {}) for answer in answers),
        prompts=np.array([numbers.setdefault(answer.prompt, len(numbers)) for answer in answers]),
        length=np.array([len(answer.response) for answer in answers]),
    )


@cache
def _scorer() -> Any:
    return wiring.scorer(load_settings(), Monitor())


def _scored(scorer: Any, answers: Sequence[Any]) -> dict[str, NDArray[Any]]:
    told = [
        Received(
            Exchange(
                id=str(number),
                ts=_TS,
                route="bench/prod",
                model=Model(requested="recorded"),
                prompt=answer.prompt,
                response=answer.response,
            ),
            Position(cluster="bench", topic="bench", partition=0, offset=number),
        )
        for number, answer in enumerate(answers)
    ]
    rows = []
    for start in range(0, len(told), _BATCH):
        rows += [row for block in scorer.score(told[start : start + _BATCH]).blocks for row in rows_of(block)]
    rows.sort(key=lambda row: row.position.offset)
    assert [row.position.offset for row in rows] == list(range(len(answers))), "an answer was not scored"
    names = sorted({name for row in rows for name, said in row.signals.items() if not isinstance(said.value, str)})
    signals = {f"signal {name}": np.array([_number(row.signals.get(name)) for row in rows]) for name in names}
    return {
        "prompt": np.array([row.prompt for row in rows], dtype=np.float16),
        "response": np.array([row.response for row in rows], dtype=np.float16),
        "style": np.array([row.style for row in rows], dtype=np.float16),
        "answered": np.array([WITHOUT_ANSWER.isdisjoint(row.flags) for row in rows], dtype=np.bool_),
        **signals,
    }


def _number(said: Any) -> float:
    value = None if said is None else said.value
    return float(value) if isinstance(value, bool | int | float) else np.nan


def _data() -> Path:
    return Path(os.environ.get("KEELWATCH_DATA") or Path(__file__).resolve().parents[3] / "shared" / "data")


def _cache() -> Path:
    folder = Path(os.environ.get("KEELWATCH_SCORE_CACHE") or Path(tempfile.gettempdir()) / "keelwatch-scores")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


if __name__ == "__main__":
    for name in sys.argv[1:] or SETS:
        found = recorded(name)
        print(json.dumps({"set": name, "rows": len(found.answered), "signals": sorted(found.signals)}), flush=True)
