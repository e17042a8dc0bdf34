"""How well a change is dated: `python -m tests.benchmarks.change_points`.

The recorded answers of the old version are the population: a baseline of 1,000 exchanges and 500 clean ones are drawn
from them with replacement, then 1,000 of the new version; the first of these is where the change is. A line an update
and stream: how often it fired after the change, exchanges until it did, how far the estimate lay from the truth (median
over the seeds) at the alarm and at its last refinement, how wide the 90% interval was and how often it held the truth,
and, of rates, how far the change of the rate that is told lay from the recorded one, in percentage points. Last, all
update pairs together, with a 95% interval of the coverage. What fired before the change is counted and left out.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from detectors.model_shift import ModelShift
from detectors.protocol import Baseline, Finding, Int, Rows
from detectors.rate_shift import RateShift
from detectors.stats.intervals import wilson
from tests.benchmarks.recorded_scores import Recorded, recorded

BASELINE, CLEAN, AFTER, BATCH = 1000, 500, 1000, 64
TRUE = BASELINE + CLEAN
FLOOR = 0.02


@dataclass(frozen=True)
class Update:
    """A recorded update: which answers are of the old version, and which of the new one."""

    name: str
    file: str
    model: str
    old: str
    new: str
    labels: tuple[tuple[str, str], ...] = ()

    def pools(self) -> tuple[Recorded, Int, Int]:
        """The set, and the positions of both versions."""
        every, labels = recorded(self.file), dict(self.labels)
        return every, every.where(self.model, self.old, **labels), every.where(self.model, self.new, **labels)


UPDATES = (
    Update("xstest mistral", "xstest", "mistral-7b-instruct-v0.1", "guardrail system prompt", "no system prompt"),
    Update("xstest llama-2", "xstest", "llama-2-70b-chat", "original system prompt", "no system prompt"),
    Update("sensitiveq gpt-4", "llmdrift_sensitiveq", "gpt-4", "0314", "0613"),
    Update("opinionqa gpt-4", "llmdrift_opinionqa", "gpt-4", "0314", "0613"),
    Update("gemma ablation", "refusal_direction", "gemma-2b-it", "baseline", "ablation", (("prompt_harmful", "1"),)),
    Update("alpaca gpt-4", "alpaca_eval_gpt4", "gpt-4", "0314", "0613"),
)
SIGNALS = ("refusal", "over_refusal", "evasion", "harmful_compliance")


@dataclass(frozen=True)
class Dated:
    """One stream's first alarm after the change, and its last word on it.

    Attributes:
        delay: exchanges from the change to the alarm.
        first, last: error of the estimate in exchanges at the alarm, and at the end of the stream.
        held, held_first: whether the interval held the truth, last and first.
        width: exchanges in the last interval.
        effect: told minus recorded change of the rate at the end, in percentage points; NaN of no rate.
    """

    delay: int
    first: int
    last: int
    held: bool
    held_first: bool
    width: int
    effect: float


def stream_of(pools: tuple[Recorded, Int, Int], seed: int, baseline: int = BASELINE) -> tuple[Rows, Rows]:
    """A baseline, and the clean rows and those of the new version that follow it."""
    every, old, new = pools
    chance = np.random.default_rng(seed)
    drawn = chance.choice(old, baseline), chance.choice(old, CLEAN), chance.choice(new, AFTER)
    return every.rows(drawn[0]), every.rows(np.concatenate(drawn[1:]), BASELINE)


def told(detector: Any, baseline: Baseline, stream: Rows) -> list[tuple[int, Finding]]:
    """Event index and finding of all that a detector says, in batches of 64."""
    artefact = detector.fit(baseline)
    state, said = detector.start(artefact), []
    for start in range(0, len(stream), BATCH):
        rows = stream.take(np.arange(start, min(start + BATCH, len(stream))))
        state, found = detector.step(artefact, state, rows)
        said += [(int(rows.index[finding.row]), finding) for finding in found]
    return said


def dated(said: list[tuple[int, Finding]], recorded_change: float) -> Dated | str | None:
    """What a stream's findings say of since when; None where it never fired, "early" where it fired before."""
    alarms = [(at, one) for at, one in said if one.status == "firing"]
    if not alarms:
        return None
    at, first = alarms[0]
    if at < TRUE:
        return "early"
    last = alarms[-1][1]
    assert first.change_point is not None
    assert last.change_point is not None
    assert last.effect is not None
    effect = (last.effect.after or 0.0) - (last.effect.before or 0.0)
    point = last.change_point
    return Dated(
        delay=at - TRUE + 1,
        first=abs(first.change_point.event_index - TRUE),
        last=abs(point.event_index - TRUE),
        held=point.low <= TRUE <= point.high,
        held_first=first.change_point.low <= TRUE <= first.change_point.high,
        width=point.high - point.low + 1,
        effect=effect - recorded_change if last.effect.unit == "pp" else np.nan,
    )


def measured(update: Update, seeds: int, arl: float) -> dict[str, list[Dated | str | None]]:
    """Of each stream of an update that fires, what it says in each seed."""
    pools = update.pools()
    every, old, new = pools
    seen: dict[str, list[Dated | str | None]] = {"model_shift": []}
    for seed in range(seeds):
        baseline, stream = stream_of(pools, seed)
        said = told(ModelShift(), Baseline(baseline, {}, arl), stream)
        seen["model_shift"].append(dated(said, np.nan))
        rates = told(RateShift(), Baseline(baseline, dict.fromkeys(SIGNALS, FLOOR), arl), stream)
        for signal in SIGNALS:
            mine = [(at, one) for at, one in rates if one.stream.signal == signal and one.stream.slice is None]
            change = 100 * (np.nanmean(every.signals[signal][new]) - np.nanmean(every.signals[signal][old]))
            seen.setdefault(signal, []).append(dated(mine, float(change)))
    return seen


def line(name: str, seen: list[Dated | str | None]) -> str:
    """One line of the table."""
    after = [one for one in seen if isinstance(one, Dated)]
    early = sum(isinstance(one, str) for one in seen)
    if not after:
        return f"{name:34} fired {0:3}/{len(seen)} early {early}"
    low, high = wilson(sum(one.held for one in after), len(after))
    off = [abs(one.effect) for one in after if not np.isnan(one.effect)]
    words = [
        f"{name:34} fired {len(after):3}/{len(seen)} early {early}  delay {_middle([one.delay for one in after]):4.0f}",
        f"off at alarm {_middle([one.first for one in after]):4.0f}, last {_middle([one.last for one in after]):4.0f}",
        f"width {_middle([one.width for one in after]):4.0f}",
        f"holds {np.mean([one.held_first for one in after]):4.0%} at alarm,",
        f"{np.mean([one.held for one in after]):4.0%} last ({low:.0%}-{high:.0%})",
    ]
    return "  ".join([*words, *([f"effect off {_middle(off):.1f} pp"] if off else [])])


def _middle(values: list[Any]) -> float:
    return float(np.median(np.asarray(values, dtype=np.float64)))


def table(seeds: int, arl: float, only: str) -> Iterator[str]:
    """The lines of the table."""
    every: dict[str, list[Dated | str | None]] = {"model_shift": [], "rates": []}
    for update in UPDATES:
        if not any(word in update.name for word in only.split(",")):
            continue
        for name, seen in measured(update, seeds, arl).items():
            if sum(isinstance(one, Dated) for one in seen) * 2 < len(seen):
                continue
            every["model_shift" if name == "model_shift" else "rates"] += seen
            yield line(f"{update.name} {name}", seen)
    for name, seen in (*every.items(), ("all", [*every["model_shift"], *every["rates"]])):
        yield line(f"all updates: {name}", seen)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--arl", type=float, default=100_000.0)
    parser.add_argument("--only", default="", help="updates whose names contain one of these words, by commas")
    options = parser.parse_args()
    print(f"{options.seeds} seeds, ARL {options.arl:,.0f}, streams that fire in less than half of the seeds left out")
    for text in table(options.seeds, options.arl, options.only):
        print(text, flush=True)


if __name__ == "__main__":
    main()
