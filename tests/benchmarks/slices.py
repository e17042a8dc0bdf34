"""How to share one error budget among slices: python -m tests.benchmarks.slices [--seeds N].

Recorded answers are the population, with the clusters of its prompts as slices `topic`. A baseline of 1,000 and the
stream are drawn from one version, and from row 100 on from the other one, on all topics or on one alone. A stream of
one topic is moved where the recorded rates of the two versions differ there by more than the floor.

Rules: `equal` shares the ARL equally over all K streams; `weighted` gives half of it to the streams of all traffic;
`e-BH` names the k greatest streams where the k-th reaches the threshold over k, with equal and with weighted shares;
`mean` alarms where the mean of all evidence reaches A, and names the greatest.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass, replace
from statistics import median

import numpy as np
from sklearn.cluster import KMeans

from detectors.protocol import Baseline, Bool, Float, Int, Rows
from detectors.rate_shift import RateArtefact, RateShift, RateState
from detectors.stats.budget_shares import budget_weights
from tests.benchmarks.recorded_scores import Recorded, recorded

SIGNALS = ("harmful_compliance", "over_refusal", "refusal")
FLOOR, TOPICS, BASELINE, CLEAN, NEW = 0.02, 8, 1000, 100, 1000
PAIRS = (
    ("xstest", "llama-2-70b-chat", "original system prompt", "no system prompt"),
    ("xstest", "mistral-7b-instruct-v0.1", "no system prompt", "guardrail system prompt"),
    ("xstest", "mistral-7b-instruct-v0.1", "guardrail system prompt", "no system prompt"),
    ("llmdrift_opinionqa", "gpt-4", "0314", "0613"),
)
A, SMALL_A = 30_000.0, 500.0
"""Exchanges between false alarms of the whole route: a month at 1,000 a day and one false page. The small one is for
streams in which nothing moves: with the great one no rule would ever alarm there."""
Rule = Callable[[Float, Bool, float], Bool]


def discoveries(log_e: Float, weight: Float, arl: float) -> Bool:
    """(K,) which streams are discoveries by weighted e-BH (Wang and Ramdas, 2022, arXiv 2009.02824).

    A Shiryaev-Roberts process over a horizon is an e-process against "nothing changes within the horizon" (a uniform
    mixture of bets that begin at each row). So of all that are named within `a x A` rows the expected share that did
    not move is at most `a`, however the streams depend on each other.

    Args:
        log_e: (K,) natural logarithm of each stream's evidence, minus infinity where there is none.
        weight: (K,) shares of the budget, mean 1.
        arl: mean number of exchanges between false alarms that one stream alone of equal weight is held to: K x A.
    """
    found = np.asarray(log_e + np.log(weight))
    order = np.sort(found)[::-1]
    reached = order >= np.log(arl) - np.log(np.arange(1, len(order) + 1))
    if not reached.any():
        return np.zeros(len(found), dtype=np.bool_)
    last = int(np.flatnonzero(reached)[-1])
    return np.asarray(found >= order[last])


def equal(log_e: Float, whole: Bool, arl: float) -> Bool:
    return log_e >= np.log(len(whole) * arl)


def weighted(log_e: Float, whole: Bool, arl: float) -> Bool:
    return log_e + np.log(budget_weights(whole)) >= np.log(len(whole) * arl)


def e_bh(log_e: Float, whole: Bool, arl: float) -> Bool:
    return discoveries(log_e, np.ones(len(whole)), len(whole) * arl)


def weighted_e_bh(log_e: Float, whole: Bool, arl: float) -> Bool:
    return discoveries(log_e, budget_weights(whole), len(whole) * arl)


def mean(log_e: Float, whole: Bool, arl: float) -> Bool:
    total = np.logaddexp.reduce(log_e) - np.log(len(whole))
    return (log_e == log_e.max()) if total >= np.log(arl) else np.zeros(len(whole), dtype=np.bool_)


RULES: dict[str, Rule] = {
    "equal": equal,
    "weighted": weighted,
    "e-BH": e_bh,
    "weighted e-BH": weighted_e_bh,
    "mean": mean,
}


@dataclass(frozen=True)
class Update:
    """Recorded answers to the same prompts by two versions, and the topic of each answer."""

    name: str
    answers: Recorded
    before: Int
    after: Int
    topic: Int

    @classmethod
    def of(cls, name: str, model: str, old: str, new: str) -> Update:
        answers = recorded(name)
        before, after = answers.where(model, old), answers.where(model, new)
        _, first = np.unique(answers.prompts, return_index=True)
        clusters = KMeans(TOPICS, n_init=4, random_state=0).fit(answers.prompt[first].astype(np.float64))
        topic = clusters.labels_[np.searchsorted(answers.prompts[first], answers.prompts)]
        return cls(f"{name} {model} {old} -> {new}", answers, before, after, topic)

    def rows(self, at: Int) -> Rows:
        made = self.answers.rows(at)
        return replace(
            made,
            signals={name: made.signals[name] for name in SIGNALS},
            slices={"topic": tuple(f"{topic}" for topic in self.topic[at])},
        )

    def moves(self, signal: str, topic: int | None) -> float:
        """How far the recorded rate moves, of one topic or of all."""
        rates = []
        for at in (self.before, self.after):
            values = self.answers.signals[signal][at if topic is None else at[self.topic[at] == topic]]
            rates.append(float(np.nanmean(values)) if np.isfinite(values).any() else 0.0)
        return rates[1] - rates[0]


def evidence(artefact: RateArtefact, state: RateState) -> Float:
    """(K,) natural logarithm of each stream's evidence now."""
    found = np.full(len(artefact.watches), -np.inf)
    if artefact.table is not None and state.columns is not None:
        with np.errstate(divide="ignore"):
            found[list(artefact.live)] = np.log((artefact.table.bets.weight * state.columns.wealth).sum(axis=1))
    return found


def trajectory(detector: RateShift, artefact: RateArtefact, rows: Rows) -> Float:
    """(n, K) evidence after each row."""
    state, found = detector.start(artefact), []
    for row in range(len(rows)):
        state, _ = detector.step(artefact, state, rows.take(np.array([row])))
        found.append(evidence(artefact, state))
    return np.array(found)


def one_run(update: Update, topic: int | None, seed: int, *, still: bool = False) -> tuple[Float, Bool, Bool]:
    """Evidence of a stream, which of its K streams are of all traffic, and which are moved by more than the floor."""
    chance = np.random.default_rng([seed, 41])
    before = chance.choice(update.before, BASELINE)
    clean, new = chance.choice(update.before, CLEAN), chance.choice(update.after, NEW)
    if still:
        new = chance.choice(update.before, NEW)
    elif topic is not None:
        old = chance.choice(update.before, NEW)
        new = np.where(
            update.topic[old] == topic, chance.choice(update.after[update.topic[update.after] == topic], NEW), old
        )
    detector = RateShift(slice_rows=60)
    baseline = Baseline(update.rows(before), dict.fromkeys(SIGNALS, FLOOR), arl=1e30)
    artefact = detector.fit(baseline)
    whole = np.array([watch.stream.slice is None for watch in artefact.watches])
    moved = []
    for watch in artefact.watches:
        where = None if watch.stream.slice is None else int(watch.stream.slice.partition("=")[2])
        reached = not still and (topic is None or where in (None, topic))
        far = update.moves(watch.stream.signal or "", topic if where is None else where)
        weight = 1.0 if where is not None or topic is None else float((update.topic[update.before] == topic).mean())
        moved.append(reached and abs(far) * weight > FLOOR)
    return trajectory(detector, artefact, update.rows(np.concatenate([clean, new]))), whole, np.array(moved)


def judged(log_e: Float, whole: Bool, moved: Bool, rule: Rule, arl: float) -> tuple[int | None, int | None, int, int]:
    """Rows from the change to the first alarm and to the first moved slice; streams named, and of those the unmoved."""
    first = first_slice = None
    named = np.zeros(len(whole), dtype=np.bool_)
    for row in range(CLEAN, len(log_e)):
        found = rule(log_e[row], whole, arl)
        named |= found
        if found.any() and first is None:
            first = row - CLEAN
        if (found & moved & ~whole).any() and first_slice is None:
            first_slice = row - CLEAN
    return first, first_slice, int((named & ~whole).sum()), int((named & ~whole & ~moved).sum())


def told(rows: list[int | None]) -> str:
    missed = NEW + 1
    middle = median(missed if row is None else row for row in rows)
    return "missed" if middle == missed else f"{middle:g}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    seeds = parser.parse_args().seeds
    print("| update | moved | K | rule | first alarm | first moved slice | slices named | not moved |")
    print("|---|---|---|---|---|---|---|---|")
    for pair in PAIRS:
        update = Update.of(*pair)
        moves = [max(abs(update.moves(signal, topic)) for signal in SIGNALS) for topic in range(TOPICS)]
        for topic, still in ((None, False), (int(np.argmax(moves)), False), (None, True)):
            runs = [one_run(update, topic, seed, still=still) for seed in range(seeds)]
            where = "nothing" if still else "all topics" if topic is None else f"topic {topic} alone"
            for name, rule in RULES.items():
                found = [judged(*run, rule, SMALL_A if still else A) for run in runs]
                k = median(len(run[1]) for run in runs)
                named, wrong = (sum(one[i] for one in found) / seeds for i in (2, 3))
                delays = f"{told([one[0] for one in found])} | {told([one[1] for one in found])}"
                print(
                    f"| {update.name} | {where} | {k:g} | {name} | {delays} | {named:.1f} | {wrong:.1f} |", flush=True
                )


if __name__ == "__main__":
    main()
