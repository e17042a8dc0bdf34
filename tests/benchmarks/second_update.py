"""Whether the second of two updates is seen while the alarm of the first stands.

`python -m tests.benchmarks.second_update [--seeds N] [--only TEXT]` prints the table of docs/detectors.md.

A route learns 1,000 exchanges of version A; after 200 more of it, B answers 900, and then C. Answers are drawn with
replacement from what was recorded, all detectors run with the default budget, and nobody decides anything. Told are, in
exchanges after the second update: the first new alarm against the baseline, which is all that there was before the
second look, and the first word that behaviour changed again. `stays` is the same without C: how often the second look
spoke although nothing changed.
"""

from __future__ import annotations

import argparse
import base64
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from statistics import median
from typing import Final

import numpy as np
from numpy.typing import NDArray

from detectors import DETECTORS
from detectors.protocol import Rows
from schemas.identity import Model, identity_of
from schemas.reading import Reading
from schemas.score import ScoreBlock, Scorer, SignalColumn, Status
from services.detect.core import step
from services.detect.state import DetectionPlan, DetectState
from services.monitor import RoutePolicy
from services.monitor.policy import default_floors
from tests.benchmarks.recorded_scores import recorded

LEARNED, FIRST, STAYS, LAST = 1000, 200, 900, 500
SECOND: Final = LEARNED + FIRST + STAYS
_START = datetime(2026, 1, 1, tzinfo=UTC)
_MODEL = Model(requested="recorded")
BLOCK = 64


@dataclass(frozen=True)
class TwoUpdates:
    """Three recorded versions of one set, (model, version) each."""

    name: str
    file: str
    versions: tuple[tuple[str, str], tuple[str, str], tuple[str, str]]


_GPT4, _GPT35 = ("gpt-4", "0613"), ("gpt-3.5-turbo", "0613")
_LLAMA, _MISTRAL = "llama-2-70b-chat", "mistral-7b-instruct-v0.1"
_GUARDED = (_MISTRAL, "guardrail system prompt")
_ALPACA = tuple(("gpt-4", version) for version in ("0314", "0613", "1106-preview", "0125-preview", "turbo-2024-04-09"))
PAIRS: Final = (
    TwoUpdates(
        "OpinionQA GPT-4 0314 -> 0613 -> GPT-3.5 0613", "llmdrift_opinionqa", (("gpt-4", "0314"), _GPT4, _GPT35)
    ),
    TwoUpdates(
        "OpinionQA GPT-3.5 0301 -> 0613 -> GPT-4 0613",
        "llmdrift_opinionqa",
        (("gpt-3.5-turbo", "0301"), _GPT35, _GPT4),
    ),
    TwoUpdates(
        "XSTest Llama-2 original -> none -> Mistral guardrail",
        "xstest",
        ((_LLAMA, "original system prompt"), (_LLAMA, "no system prompt"), _GUARDED),
    ),
    TwoUpdates(
        "XSTest Mistral guardrail -> none -> Llama-2 none",
        "xstest",
        (_GUARDED, (_MISTRAL, "no system prompt"), (_LLAMA, "no system prompt")),
    ),
    *(
        TwoUpdates(f"AlpacaEval GPT-4 {a[1]} -> {b[1]} -> {c[1]}", "alpaca_eval_gpt4", (a, b, c))
        for a, b, c in zip(_ALPACA, _ALPACA[1:], _ALPACA[2:], strict=False)
    ),
)


@dataclass(frozen=True)
class TwoUpdatesOutcome:
    """What one stream told, in exchanges after the second update, and how often it was wrong before that.

    Attributes:
        first: after the first update, against the baseline. old: the next new alarm against the baseline after the
            second. again: the word that behaviour changed again. None where there was none.
        false: words that behaviour changed again while it had not; watched: exchanges that the second look had then.
    """

    first: int | None
    old: int | None
    again: int | None
    false: int
    watched: int


def outcome(update: TwoUpdates, seed: int, *, stays: bool = False) -> TwoUpdatesOutcome:
    """The outcome of one stream; with `stays` version B answers to the end."""
    plan = DetectionPlan(DETECTORS, RoutePolicy(floors=default_floors()))
    state, fired, again, watched = DetectState.start("recorded"), list[Reading](), list[Reading](), 0
    for block in _blocks(update, seed, stays):
        state, said = step(plan, state, [block])
        fired += [one for one in said.readings if one.status == "firing" and one.again is None and _judges(one)]
        again += [one for one in said.readings if one.again is not None]
        counts = stays or state.intake.count <= SECOND
        watched += len(block.id) if counts and any(one.id for one in state.second.values()) else 0
    crossed = _crossings(fired)
    end = SECOND + LAST if stays else SECOND
    late = [one.event_index - SECOND for one in again if one.event_index >= SECOND and not stays]
    return TwoUpdatesOutcome(
        first=min((i - LEARNED - FIRST for i in crossed if LEARNED + FIRST <= i < SECOND), default=None),
        old=min((i - SECOND for i in crossed if i >= SECOND), default=None),
        again=min(late, default=None),
        false=sum(one.event_index < end for one in again),
        watched=watched,
    )


def _judges(reading: Reading) -> bool:
    return reading.detector in ("model_shift", "rate_shift")


def _crossings(fired: Sequence[Reading]) -> list[int]:
    """Where a stream began to fire."""
    seen: dict[tuple[str | None, ...], int] = {}
    for one in fired:
        seen.setdefault((one.detector, one.signal, one.slice, one.direction), one.event_index)
    return sorted(seen.values())


def _blocks(update: TwoUpdates, seed: int, stays: bool) -> Iterator[ScoreBlock]:
    """The exchanges of one stream as blocks of scores."""
    held, chance = recorded(update.file), np.random.default_rng([11, seed])
    a, b, c = (held.where(model, version) for model, version in update.versions)
    parts = [(a, LEARNED + FIRST), (b, STAYS), (b if stays else c, LAST)]
    rows = held.rows(np.concatenate([pool[chance.integers(len(pool), size=n)] for pool, n in parts]))
    for start in range(0, len(rows), BLOCK):
        yield block_of(rows, start, min(start + BLOCK, len(rows)))


def block_of(rows: Rows, start: int, stop: int, users: Sequence[str] | None = None) -> ScoreBlock:
    """Rows `start` to `stop` as a block of scores, 1,000 exchanges a day."""
    n, who = stop - start, identity_of(_MODEL)
    kept = [name for name in rows.signals if name in default_floors()]
    return ScoreBlock(
        route="recorded",
        scorer=Scorer(engine="recorded", precision="f32", signals=dict.fromkeys(kept, "1")),
        cluster="c",
        topic="t",
        identities={who: _MODEL},
        id=rows.ids[start:stop],
        ts=tuple(_START + timedelta(seconds=86.4 * i) for i in range(start, stop)),
        partition=(0,) * n,
        offset=tuple(range(start, stop)),
        identity=(who,) * n,
        fingerprint=(None,) * n,
        conversation=(None,) * n,
        user=(None,) * n if users is None else tuple(users),
        tags=({},) * n,
        kept=(False,) * n,
        flags=((),) * n,
        embedded=(True,) * n,
        prompt_vec=_encoded(rows.prompt[start:stop]),
        response_vec=_encoded(rows.response[start:stop]),
        style=_encoded(rows.style[start:stop]),
        signals={name: _column(rows.signals[name][start:stop]) for name in kept},
    )


def _encoded(vectors: NDArray[np.float16]) -> str:
    return base64.b64encode(vectors.astype("<f2").tobytes()).decode()


def _column(values: NDArray[np.float64]) -> SignalColumn:
    told = tuple(None if np.isnan(one) else bool(one) for one in values)
    status: list[Status] = ["unscored" if one is None else "scored" for one in told]
    return SignalColumn(value=told, probability=(None,) * len(told), status=tuple(status))


def main() -> None:
    """Print the table, or with --json every outcome."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--only", default="", help="updates whose name holds this text")
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    print(
        "| two updates | first seen | second, before | second, now | false, in exchanges watched |\n"
        "|---|---|---|---|---|"
    )
    every: list[dict[str, object]] = []
    for update in PAIRS:
        if asked.only not in update.name:
            continue
        found = [outcome(update, seed) for seed in range(asked.seeds)]
        calm = [outcome(update, seed, stays=True) for seed in range(asked.seeds)]
        every += [{"update": update.name, **asdict(one)} for one in (*found, *calm)]
        false = sum(one.false for one in (*found, *calm))
        watched = sum(one.watched for one in (*found, *calm))
        told = [_told([getattr(one, name) for one in found]) for name in ("first", "old", "again")]
        print(f"| {update.name} | {' | '.join(told)} | {false} in {watched:,} |", flush=True)
    if asked.json:
        print(json.dumps(every))


def _told(delays: Sequence[int | None]) -> str:
    """Median delay of those that were seen, and of how many."""
    seen = [one for one in delays if one is not None]
    return f"{median(seen):g} ({len(seen)} of {len(delays)})" if seen else f"missed (0 of {len(delays)})"


if __name__ == "__main__":
    main()
