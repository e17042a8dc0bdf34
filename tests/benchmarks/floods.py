"""What one client's flood does to a route: `python -m tests.benchmarks.floods [--seeds N]` prints the docs' table.

A route learns 1,000 recorded answers of one model and sees 300 more, of 40 users. Then for 800 exchanges a share of
them is a flood of one user: ordinary prompts, one prompt that the baseline knows, one that it does not, or either in
ever new words (a cosine of about .95 to each other). The model answers as ever. `before` is without leaving out what
repeats.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from detectors import DETECTORS
from detectors.protocol import Rows
from detectors.stats.clusters import distances, kmeans
from detectors.stats.near_repeats import UsualPrompts, sketches_of
from schemas.reading import Reading
from services.detect.core import step
from services.detect.floods import FLOOD, USUAL_PROMPTS
from services.detect.state import DetectionPlan, DetectState
from services.monitor import RoutePolicy
from services.monitor.policy import default_floors
from tests.benchmarks.recorded_scores import Recorded, recorded
from tests.benchmarks.recorded_updates import TOPICS
from tests.benchmarks.second_update import BLOCK, block_of

LEARNED, CALM, FLOODED = 1000, 300, 800
BEGINS: Final = LEARNED + CALM
USERS: Final = 40
NEAR: Final = 0.22
KINDS: Final = ("ordinary prompts", "one known prompt", "one new prompt", "like a known prompt", "like a new prompt")
SETS: Final = {"OpinionQA GPT-4 0314": ("llmdrift_opinionqa", "gpt-4", "0314")}


@dataclass(frozen=True)
class FloodOutcome:
    """What was said while the flood lasted.

    Attributes:
        model: streams of model_shift and rate_shift that began to fire; other: of other detectors, user_shift aside.
        blind: whether model_shift or rate_shift was blind at the end. told: exchanges until the flood was told of.
    """

    model: int
    other: int
    blind: bool
    told: int | None


def outcome(held: Recorded, at: NDArray[np.int64], kind: str, share: float, seed: int, *, before: bool) -> FloodOutcome:
    """The outcome of one stream of the answers at these positions."""
    rows, users = _stream(held, at, kind, share, np.random.default_rng([17, seed]))
    plan = DetectionPlan(DETECTORS, RoutePolicy(floors=default_floors()))
    state, said = DetectState.start("recorded"), list[Reading]()
    for start in range(0, len(rows), BLOCK):
        stop = min(start + BLOCK, len(rows))
        state, out = step(plan, state, [block_of(rows, start, stop, users[start:stop])])
        said += out.readings
        if before and state.pinned is not None:
            kept = {name: one for name, one in state.pinned.artefacts.items() if name != USUAL_PROMPTS}
            state = replace(state, pinned=replace(state.pinned, artefacts=kept))
    late = [one for one in said if one.event_index >= BEGINS]
    fired = {(one.detector, one.signal, one.direction) for one in late if one.status == "firing" and one.again is None}
    told = [one.event_index - BEGINS for one in late if one.detector == FLOOD]
    of_model = [one for one in fired if one[0] in ("model_shift", "rate_shift")]
    return FloodOutcome(
        model=len(of_model),
        other=len(fired) - len(of_model) - sum(one[0] == "user_shift" for one in fired),
        blind=any(key.partition("|")[0] in ("model_shift", "rate_shift") for key in state.watch.blind),
        told=min(told, default=None),
    )


def _stream(
    held: Recorded, at: NDArray[np.int64], kind: str, share: float, chance: np.random.Generator
) -> tuple[Rows, Sequence[str]]:
    """The rows of one stream, and whose they are."""
    order = chance.permutation(at)
    known, new = order[: len(order) * 3 // 4], order[len(order) * 3 // 4 :]
    picked = known[chance.integers(len(known), size=BEGINS + FLOODED)]
    flood = (np.arange(len(picked)) >= BEGINS) & (chance.random(len(picked)) < share)
    if "known" in kind:
        picked[flood] = picked[0]
    elif "new" in kind:
        picked[flood] = new[0]
    rows = held.rows(picked)
    if kind.startswith("like"):
        noise = chance.normal(size=(int(flood.sum()), rows.prompt.shape[1]))
        near = rows.prompt[flood] + NEAR * noise / np.linalg.norm(noise, axis=1, keepdims=True)
        prompt = rows.prompt.copy()
        prompt[flood] = (near / np.linalg.norm(near, axis=1, keepdims=True)).astype(np.float16)
        rows = replace(rows, prompt=prompt)
    users = [f"u{i}" for i in chance.integers(USERS, size=len(picked)).tolist()]
    return rows, ["flooder" if of_flood else user for of_flood, user in zip(flood.tolist(), users, strict=True)]


def left_out(held: Recorded, at: NDArray[np.int64], seed: int, topics: int | None) -> float:
    """The share of 1,500 exchanges without a flood that is left out; of these topics alone, of six, if so many."""
    chance = np.random.default_rng([19, seed])
    usual = UsualPrompts.of(held.prompt[at[chance.integers(len(at), size=LEARNED)]], np.zeros(LEARNED, dtype=np.int64))
    vectors = held.prompt[at].astype(np.float64)
    topic = distances(vectors, kmeans(vectors, TOPICS)).argmin(axis=1)
    pool = at if topics is None else at[np.isin(topic, chance.choice(TOPICS, topics, replace=False))]
    asked = sketches_of(held.prompt[pool[chance.integers(len(pool), size=1500)]])
    return float(usual.repeats(asked[:0], asked).mean())


def main() -> None:
    """Print the table, or with --calm what is left out where there is no flood."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--share", type=float, default=0.6)
    parser.add_argument("--calm", action="store_true")
    asked = parser.parse_args()
    if asked.calm:
        for name, (file, model, version) in SETS.items():
            held = recorded(file)
            at = held.where(model, version)
            for topics in (None, 2):
                found = [left_out(held, at, seed, topics) for seed in range(asked.seeds)]
                what = "all topics" if topics is None else f"{topics} of {TOPICS} topics"
                print(f"{name}, {what}: at most {max(found):.2%} left out, {asked.seeds} streams")
        return
    print(
        "| flood | alarms of the model: before, now | others: before, now | not judged at the end: before, now "
        "| told after |\n|---|---|---|---|---|"
    )
    for name, (file, model, version) in SETS.items():
        held = recorded(file)
        at = held.where(model, version)
        for kind in KINDS:
            both = [
                [outcome(held, at, kind, asked.share, seed, before=before) for seed in range(asked.seeds)]
                for before in (True, False)
            ]
            cells = [
                ", ".join(str(sum(getattr(one, what) for one in some)) for some in both)
                for what in ("model", "other", "blind")
            ]
            told = [str(one.told) if one.told is not None else "never" for one in both[1]]
            print(f"| {name}, {kind} | {' | '.join(cells)} | {', '.join(told)} |", flush=True)


if __name__ == "__main__":
    main()
