"""`python -m tests.benchmarks.anomalies`: false alarms, delays and recall of the detectors of single exchanges.

Populations are the recorded answers (STATISTICS: baseline and stream drawn with replacement from one version). Attack
waves are prompts of jbb_artifacts from as many users, mixed into a route's ordinary ones; a topic that shifts is the
stream narrowed to two of six clusters of prompts; a new topic is prompts of another set, harmless ones.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from detectors.attack_cluster import AttackCluster
from detectors.escalating_conversation import EscalatingConversation
from detectors.novelty import Novelty
from detectors.protocol import Baseline, Int, Rows, probability_column
from detectors.score_shift import ScoreShift
from detectors.stats.clusters import distances, kmeans
from detectors.stats.intervals import wilson
from services.specs import roles
from tests.benchmarks.recorded_scores import Recorded, recorded
from tests.benchmarks.scored_turns import Turns, turns

SIZE, CLEAN, AFTER = 1000, 2000, 1000
STEP = 86.4
CALM = 0.1
ROUTES = (
    ("llmdrift_opinionqa", "gpt-4", "0314", "0613"),
    ("xstest", "mistral-7b-instruct-v0.1", "guardrail system prompt", "no system prompt"),
    ("xstest", "llama-2-70b-chat", "original system prompt", "no system prompt"),
)


@dataclass(frozen=True)
class Tally:
    """Alarms of streams: rows seen before the first alarm or the end, alarms, and delays of those that were due."""

    rows: int = 0
    alarms: int = 0
    streams: int = 0
    delays: tuple[int, ...] = ()

    def with_stream(self, rows: int, at: int | None) -> Tally:
        """And of one stream more."""
        delays = self.delays if at is None else (*self.delays, at + 1)
        return Tally(self.rows + rows, self.alarms + (at is not None), self.streams + 1, delays)

    def false_alarms(self) -> str:
        """False alarms in 10,000 rows, with the streams that had one."""
        return f"{1e4 * self.alarms / max(self.rows, 1):6.1f} in 10,000 ({self.alarms} of {self.streams} streams)"

    def found(self) -> str:
        """Recall with its 95% interval, and the median delay."""
        low, high = wilson(self.alarms, self.streams)
        middle = f"after {np.median(self.delays):.0f}" if self.delays else "never"
        return f"{self.alarms} of {self.streams} ({100 * low:.0f} to {100 * high:.0f}%), {middle}"


def first_alarm(detector: Any, artefact: Any, rows: Rows, signal: str | None = None) -> int | None:
    """The row of the first alarm, of one signal where one is named."""
    state = detector.start(artefact)
    for start in range(0, len(rows), 64):
        part = rows.take(np.arange(start, min(start + 64, len(rows))))
        state, findings = detector.step(artefact, state, part)
        for one in findings:
            if one.status == "firing" and one.transition and signal in (None, one.stream.signal):
                return start + one.row
    return None


def drawn(chance: np.random.Generator, held: Recorded, pool: Int, n: int, first: int = 0) -> Rows:
    """`n` rows with replacement, of users and conversations of their own."""
    rows = held.rows(chance.choice(pool, size=n), first, STEP)
    return replace(rows, user=chance.integers(1, 400, size=n), conversation=chance.integers(1, 10**9, size=n))


def mixed(chance: np.random.Generator, usual: Rows, other: Rows, share: float) -> Rows:
    """The usual rows, `share` of them replaced by the other's prompts and what signals say of them."""
    where = np.flatnonzero(chance.random(len(usual)) < share)
    pick = chance.integers(len(other), size=len(where))
    prompt, user = usual.prompt.copy(), usual.users().copy()
    prompt[where], user[where] = other.prompt[pick], other.users()[pick]
    signals = {name: values.copy() for name, values in usual.signals.items()}
    for name in signals.keys() & other.signals.keys():
        signals[name][where] = other.signals[name][pick]
    return replace(usual, prompt=prompt, user=user, signals=signals)


def narrowed(chance: np.random.Generator, held: Recorded, pool: Int) -> Int:
    """The pool without all but two of its six clusters of prompts."""
    prompts = held.prompt[pool].astype(np.float64)
    topic = distances(prompts, kmeans(prompts, 6)).argmin(axis=1)
    return pool[np.isin(topic, chance.permutation(np.unique(topic))[:2])]


def attacks() -> Iterator[tuple[str, Recorded, Int]]:
    """Each kind of attack of jbb_artifacts."""
    held = recorded("jbb_artifacts")
    kinds = np.array([str(label.get("attack")) for label in held.labels])
    for kind in sorted(set(kinds.tolist())):
        yield kind, held, np.flatnonzero(kinds == kind)


def baseline_of(rows: Rows, arl: float) -> Baseline:
    """A baseline of these rows, with the roles of the registry."""
    return Baseline(rows, {}, arl, roles())


def of_prompts(detector: Any, arl: float, seeds: Iterable[int]) -> Iterator[tuple[str, str]]:
    """What `novelty` and `attack_cluster` do on streams of prompts."""
    tallies: dict[str, Tally] = {}

    def count(name: str, artefact: Any, rows: Rows) -> None:
        at = first_alarm(detector, artefact, rows)
        tallies[name] = tallies.get(name, Tally()).with_stream(len(rows) if at is None else at + 1, at)

    for seed in seeds:
        for place, (name, model, version, _) in enumerate(ROUTES[:2]):
            chance = np.random.default_rng(100 * seed + place)
            held = recorded(name)
            pool = held.where(model, version)
            artefact = detector.fit(baseline_of(drawn(chance, held, pool, SIZE), arl))
            count(f"clean {name}", artefact, drawn(chance, held, pool, CLEAN, SIZE))
            count(
                f"narrowed to 2 of 6 topics {name}", artefact, drawn(chance, held, narrowed(chance, held, pool), CLEAN)
            )
            usual = drawn(chance, held, pool, AFTER, SIZE)
            other = recorded(ROUTES[1 - place][0])
            safe = np.flatnonzero([label.get("prompt_safe", 1) == 1 for label in other.labels])
            count(
                f"new harmless topic, 20% {name}", artefact, mixed(chance, usual, drawn(chance, other, safe, 200), 0.2)
            )
            for kind, told, where in attacks():
                wave = drawn(chance, told, where, 200)
                for share in (0.05, 0.2):
                    count(f"wave {kind}, {share:.0%} {name}", artefact, mixed(chance, usual, wave, share))
                one = replace(wave, user=np.full(len(wave), 7, dtype=np.int64))
                if kind == "JailbreakChat":
                    count(f"one client's flood, 20% {name}", artefact, mixed(chance, usual, one, 0.2))
    for name in sorted(tallies):
        wanted = name.startswith("wave") or (detector.spec.name == "novelty" and name.startswith("new"))
        yield name, tallies[name].found() if wanted else tallies[name].false_alarms()


def of_levels(arl: float, seeds: Iterable[int]) -> Iterator[tuple[str, str]]:
    """What `score_shift` does: lengths of recorded answers, and latency with a daily cycle."""
    detector, tallies = ScoreShift(), dict[str, Tally]()

    def count(name: str, artefact: Any, rows: Rows, signal: str) -> None:
        at = first_alarm(detector, artefact, rows, signal)
        tallies[name] = tallies.get(name, Tally()).with_stream(len(rows) if at is None else at + 1, at)

    for seed in seeds:
        for place, (name, model, before, after) in enumerate(ROUTES):
            chance = np.random.default_rng(100 * seed + place)
            held = recorded(name)
            old, new = held.where(model, before), held.where(model, after)
            artefact = detector.fit(baseline_of(slow(chance, drawn(chance, held, old, SIZE)), arl))
            clean = slow(chance, drawn(chance, held, old, CLEAN, SIZE))
            topic = slow(chance, drawn(chance, held, narrowed(chance, held, old), CLEAN, SIZE))
            for signal in ("answer_length", "latency_ms"):
                count(f"clean {signal}", artefact, clean, signal)
                count(f"narrowed to 2 of 6 topics {signal}", artefact, topic, signal)
            moved = drawn(chance, held, new, AFTER, SIZE)
            ratio = np.exp(np.log1p(held.length[new]).mean() - np.log1p(held.length[old]).mean())
            count(f"update {name} {model} (lengths x {ratio:.2f})", artefact, moved, "answer_length")
            for factor in (0.7, 0.5, 1.5):
                count(
                    f"answers x {factor}",
                    artefact,
                    longer(drawn(chance, held, old, AFTER, SIZE), factor),
                    "answer_length",
                )
            for factor in (1.5, 2.0, 3.0):
                slower = slow(chance, drawn(chance, held, old, AFTER, SIZE), factor)
                count(f"latency x {factor}", artefact, slower, "latency_ms")
    for name in sorted(tallies):
        clean_one = name.startswith(("clean", "narrowed"))
        yield name, tallies[name].false_alarms() if clean_one else tallies[name].found()


def slow(chance: np.random.Generator, rows: Rows, factor: float = 1.0) -> Rows:
    """With a latency that is 1.5 times as long by day as by night, AR(1) noise, and `factor` times as long."""
    noise = np.zeros(len(rows))
    for i in range(1, len(rows)):
        noise[i] = 0.5 * noise[i - 1] + chance.normal() * 0.4
    cycle = 0.2 * np.sin(2 * np.pi * rows.ts / 86_400)
    return replace(rows, measures={"latency_ms": 800.0 * factor * np.exp(cycle + noise)})


def longer(rows: Rows, factor: float) -> Rows:
    """With answers of another length."""
    style = rows.style.copy()
    style[:, 0] = np.log1p(np.expm1(style[:, 0].astype(np.float64)) * factor)
    return replace(rows, style=style)


def talk(chance: np.random.Generator, told: Turns, n: int) -> Rows:
    """`n` turns of conversations of 2 to 8 turns, each drawn from what was recorded, all at the same time."""
    live = [(key, int(chance.integers(2, 9))) for key in range(1, 13)]
    keys = np.zeros(n, dtype=np.int64)
    for i in range(n):
        place = int(chance.integers(len(live)))
        key, left = live[place]
        keys[i] = key
        live[place] = (key, left - 1) if left > 1 else (key + 12, int(chance.integers(2, 9)))
    return spoken(told, chance.integers(len(told.conversation), size=n), keys)


def spoken(told: Turns, at: Int, keys: Int) -> Rows:
    """These turns as rows of these conversations."""
    n, zero = len(at), np.zeros(len(at), dtype=np.bool_)
    columns = {probability_column(name): told.probability[at, i] for i, name in enumerate(roles()["risk"])}
    vectors = told.prompt[at]
    style = np.zeros((n, 30), dtype=np.float16)
    ids = tuple(map(str, range(n)))
    index = np.arange(n, dtype=np.int64)
    return Rows(index, 1.7e9 + 60.0 * index, vectors, vectors, style, ~zero, ~zero, columns, {}, ids, conversation=keys)


def of_conversations(arl: float, seeds: Iterable[int]) -> Iterator[tuple[str, str]]:
    """What `escalating_conversation` does with harmless turns, and with people who lead a model on.

    Two routes: one that is asked anything (AlpacaEval), and a calm one, of those of its turns whose greatest
    probability of a risk is below a tenth. The long conversations are made of recorded turns that no signal is true of.
    """
    asked, harm = turns("alpaca_eval_gpt35"), turns("hh_harmless_test")
    few = np.flatnonzero(np.nanmax(asked.probability, axis=1) < CALM)
    mild = np.flatnonzero(~harm.flagged)
    for route, plain in (("any question", asked), ("calm route", taken(asked, few))):
        tallies: dict[str, Tally] = {}
        for seed in seeds:
            for name, found, n in conversations(np.random.default_rng(seed), plain, harm, mild, arl):
                tallies[name] = tallies.get(name, Tally()).with_stream(n if found is None else found + 1, found)
        for name, tally in tallies.items():
            yield f"{route}: {name}", tally.false_alarms() if name == "clean" else tally.found()


def conversations(
    chance: np.random.Generator, plain: Turns, harm: Turns, mild: Int, arl: float
) -> Iterator[tuple[str, int | None, int]]:
    """Kind, first alarm and turns: of ordinary traffic, and of conversations of one baseline each."""
    detector = EscalatingConversation()
    artefact = detector.fit(baseline_of(talk(chance, plain, SIZE), arl))
    rows = talk(chance, plain, 5 * CLEAN)
    yield "clean", first_alarm(detector, artefact, rows), len(rows)

    def heard(where: Int) -> tuple[int | None, int]:
        keys = np.full(len(where), 5, dtype=np.int64)
        return first_alarm(detector, artefact, spoken(harm, where, keys)), len(where)

    for key in np.unique(harm.conversation).tolist():
        where = np.flatnonzero(harm.conversation == key)
        if len(where) >= detector.least_turns:
            yield "people who lead a model on, as recorded (3 to 9 turns)", *heard(where)
    for length in (6, 12, 24):
        for _ in range(20):
            yield f"{length} of their turns, none of which is flagged", *heard(chance.choice(mild, size=length))
            every = chance.integers(len(harm.conversation), size=length)
            yield f"{length} of their turns", *heard(every)
            yield f"{length} ordinary turns", *heard_of(detector, artefact, plain, chance, length)


def heard_of(
    detector: EscalatingConversation, artefact: Any, plain: Turns, chance: np.random.Generator, length: int
) -> tuple[int | None, int]:
    """The first alarm on one conversation of ordinary turns, and its turns."""
    where = chance.integers(len(plain.conversation), size=length)
    return first_alarm(detector, artefact, spoken(plain, where, np.full(length, 5, dtype=np.int64))), length


def taken(told: Turns, where: Int) -> Turns:
    """Some of the turns."""
    return Turns(told.prompt[where], told.conversation[where], told.probability[where], told.flagged[where])


PARTS: dict[str, Callable[[float, Iterable[int]], Iterator[tuple[str, str]]]] = {
    "score_shift": of_levels,
    "novelty": lambda arl, seeds: of_prompts(Novelty(), arl, seeds),
    "attack_cluster": lambda arl, seeds: of_prompts(AttackCluster(), arl, seeds),
    "escalating_conversation": of_conversations,
}


def main(arguments: list[str]) -> None:
    """Print a table a detector."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.anomalies", description=__doc__)
    parser.add_argument("--only", choices=PARTS, nargs="*", default=list(PARTS))
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--arl", type=float, default=1000.0)
    options = parser.parse_args(arguments)
    for name in options.only:
        print(f"\n{name}, ARL {options.arl:,.0f} (nominal {1e4 / options.arl:g} false alarms in 10,000 rows)")
        for case, told in PARTS[name](options.arl, range(options.seeds)):
            print(f"  {case:64s} {told}", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
