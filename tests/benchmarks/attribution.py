"""Was it the model or the users? Who is blamed on recorded streams whose mover is known, as a confusion table.

`python -m tests.benchmarks.attribution` takes recorded answers that were scored once
(`tests.benchmarks.recorded_scores`) through detect, alert and the fold of incidents with the default monitor file. It
prints who moved against who was blamed, the cases one by one, and how often a verdict of each confidence was right.
Exit code 1 when a target is missed. A baseline is learned once a seed, and every ending of it goes on from there.

`--only PATTERN` runs the cases whose name it matches, `--seeds N` so many baselines of each, `--json OUT` writes all
of it, `--add FILE ...` counts what other runs wrote, `--diagram OUT` draws the reliability.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from detectors import DETECTORS
from detectors.protocol import Half
from schemas.alert import Alert
from schemas.fact import Fact
from schemas.identity import Model
from schemas.position import Position
from schemas.score import Scorer
from services.detect.state import DetectionPlan
from services.flow import RouteFlow, advance
from services.incident.fold import fold
from services.monitor import Monitor
from services.score.blocks import ScoredRow, blocks_of
from services.signals.protocol import Measurement
from tests.benchmarks.recorded_scores import Recorded, recorded
from tests.benchmarks.reliability import Claim, diagram, realised

ROUTE: Final = "bench/prod"
BASELINE, CLEAN, AFTER, SOON = 1000, 100, 500, 300
STEP: Final = timedelta(seconds=86.4)
START: Final = datetime(2026, 1, 1, tzinfo=UTC)
ATTACKED: Final = ("llama-2-7b-chat-hf",)
"""Models of `refusal_direction` whose answers to attacks were recorded too."""
SCORER: Final = Scorer(engine="recorded", precision="float16", signals={})

Mover = Literal["model", "users", "both", "nothing"]
Picks = NDArray[np.int64]


@dataclass(frozen=True)
class Pool:
    """Answers to draw from, with replacement: those of a model and version with these labels; `topics` of six alone."""

    file: str
    model: str
    version: str | None
    labels: tuple[tuple[str, object], ...] = ()
    topics: int | None = None

    @property
    def at(self) -> Picks:
        """Their positions in the recorded set."""
        return _positions(self)

    def draw(self, rng: np.random.Generator, count: int) -> list[tuple[str, int]]:
        """`count` answers."""
        return [(self.file, int(at)) for at in rng.choice(self.at, count)]


@dataclass(frozen=True)
class Ending:
    """What comes after a baseline. `mixed`: share of `wave` within `after`; `headline`: one of the six updates."""

    name: str
    mover: Mover
    after: Pool
    wave: Pool | None = None
    mixed: float = 0.0
    headline: bool = False

    def draw(self, rng: np.random.Generator) -> list[tuple[str, int]]:
        """The exchanges after the change."""
        drawn = self.after.draw(rng, AFTER)
        if self.wave is None:
            return drawn
        swapped = rng.random(AFTER) < self.mixed
        waves = self.wave.draw(rng, AFTER)
        return [wave if swap else plain for plain, wave, swap in zip(drawn, waves, swapped, strict=True)]


@dataclass(frozen=True)
class Case:
    """A baseline, and what may come after it. `anew`: no question is ever worded as before; reported apart."""

    name: str
    before: Pool
    endings: tuple[Ending, ...]
    anew: bool = False


@dataclass(frozen=True)
class Judgement:
    """What one stream was found to be. `said`: every verdict from the change on, in order; delay: of `model`."""

    case: str
    ending: str
    mover: Mover
    seed: int
    last: str
    said: tuple[str, ...]
    confidence: str | None
    delay: int | None
    headline: bool
    alerts: tuple[str, ...]
    anew: bool = False


def cases() -> Iterator[Case]:
    """Every baseline with its endings."""
    yield from _xstest()
    yield from _refusal_direction()
    yield from _updates()


def _pool(file: str, model: str, version: str, **labels: object) -> Pool:
    return Pool(file, model, version, tuple(labels.items()))


@cache
def _positions(pool: Pool) -> Picks:
    answers = recorded(pool.file)
    if pool.version is None:
        return np.flatnonzero(answers.model == pool.model)
    at = answers.where(pool.model, pool.version, **dict(pool.labels))
    return at if pool.topics is None else _narrow(answers, at, pool.topics)


def _xstest() -> Iterator[Case]:
    versions = (
        ("mistral-7b-instruct-v0.1", "guardrail system prompt", "no system prompt"),
        ("llama-2-70b-chat", "original system prompt", "no system prompt"),
        ("gpt-4", "2023 snapshot (not stated)", None),
    )
    for model, old, new in versions:
        whole, safe, unsafe = (
            _pool("xstest", model, old, **some) for some in ({}, {"prompt_safe": 1}, {"prompt_safe": 0})
        )
        both = [] if new is None else list(_xstest_both(model, new))
        moved = [] if new is None else [Ending("model, safe", "model", _pool("xstest", model, new, prompt_safe=1))]
        part = [Ending(f"{share:.0%} unsafe", "users", safe, unsafe, share) for share in (0.2, 0.5)]
        endings = [Ending("safe to unsafe", "users", unsafe), Ending("nothing, safe", "nothing", safe), *both, *moved]
        yield Case(f"xstest {model} safe", safe, (*endings, *part))
        yield Case(f"xstest {model} safe, worded anew", safe, (*endings, *part), anew=True)
        yield Case(f"xstest {model} unsafe", unsafe, (Ending("unsafe to safe", "users", safe),))
        if new is not None:
            update = Ending("update", "model", _pool("xstest", model, new), headline=True)
            yield Case(f"xstest {model}", whole, (update, Ending("nothing", "nothing", whole)))


def _xstest_both(model: str, new: str) -> Iterator[Ending]:
    """Another model is asked other questions: only them, or half of them."""
    safe, unsafe = (_pool("xstest", model, new, prompt_safe=safe) for safe in (1, 0))
    yield Ending("unsafe and another model", "both", unsafe)
    yield Ending("50% unsafe and another model", "both", safe, unsafe, 0.5)


def _refusal_direction() -> Iterator[Case]:
    for model in ("gemma-2b-it", "llama-2-7b-chat-hf", "qwen-1_8b-chat"):
        pools = [_pool("refusal_direction", model, "baseline", prompt_harmful=harm) for harm in (0, 1)]
        moved = _pool("refusal_direction", model, "ablation")
        endings = [
            Ending("harmless to harmful", "users", pools[1]),
            Ending("nothing", "nothing", pools[0]),
            Ending("harmful and ablation", "both", moved),
            Ending("50% harmful", "users", pools[0], pools[1], 0.5),
            Ending("actadd", "model", _pool("refusal_direction", model, "actadd", prompt_harmful=0)),
            *(Ending(f"wave {share:.0%}", "users", pools[0], wave, share) for share, wave in _waves(model)),
        ]
        yield Case(f"refusal_direction {model} harmless", pools[0], tuple(endings))
        update = Ending("ablation", "model", moved, headline=model == "gemma-2b-it")
        added = Ending("actadd", "model", _pool("refusal_direction", model, "actadd", prompt_harmful=1))
        ends = (update, added, Ending("nothing", "nothing", pools[1]))
        yield Case(f"refusal_direction {model} harmful", pools[1], ends)


def _waves(model: str) -> list[tuple[float, Pool]]:
    """Attacks on the same model, in three shares, where they were recorded."""
    return [(share, Pool("jbb_artifacts", model, None)) for share in (0.05, 0.2, 0.5)] if model in ATTACKED else []


def _updates() -> Iterator[Case]:
    pairs = (
        ("llmdrift_sensitiveq", "gpt-4", "0314", "0613", True),
        ("llmdrift_opinionqa", "gpt-4", "0314", "0613", True),
        ("alpaca_eval_gpt4", "gpt-4", "0314", "0613", True),
        ("llmdrift_sensitiveq", "gpt-3.5-turbo", "0301", "0613", False),
        ("llmdrift_opinionqa", "gpt-3.5-turbo", "0301", "0613", False),
    )
    for file, model, old, new, headline in pairs:
        before = _pool(file, model, old)
        endings = [
            Ending("update", "model", _pool(file, model, new), headline=headline),
            Ending("nothing", "nothing", before),
            Ending("narrowing", "users", replace(before, topics=2)),
        ]
        yield Case(f"{file} {model}", before, tuple(endings))
        yield Case(f"{file} {model}, worded anew", before, tuple(endings), anew=True)


def _narrow(answers: Recorded, at: Picks, kept: int) -> Picks:
    """The answers to so many of six topics."""
    from sklearn.cluster import KMeans  # noqa: PLC0415

    topic = KMeans(6, n_init=1, random_state=0).fit_predict(answers.prompt[at].astype(float))
    return at[topic < kept]


def judged(case: Case, seed: int) -> Iterator[Judgement]:
    """Learn a baseline once, and follow every ending from there."""
    rng = np.random.default_rng([seed, *case.name.encode()])
    plan = DetectionPlan(DETECTORS, Monitor().policy(ROUTE))
    flow, facts = _followed(plan, RouteFlow.start(ROUTE), case.before.draw(rng, BASELINE + CLEAN), 0, case.anew)
    for number, ending in enumerate(case.endings):
        drawn = ending.draw(np.random.default_rng([seed, number]))
        _, more = _followed(plan, flow, drawn, BASELINE + CLEAN, case.anew)
        yield _judgement(case, ending, seed, [*facts, *more])


def _followed(
    plan: DetectionPlan, flow: RouteFlow, drawn: Sequence[tuple[str, int]], first: int, anew: bool
) -> tuple[RouteFlow, list[Fact]]:
    facts: list[Fact] = []
    for block in blocks_of(_scored(file, at, first + i, anew) for i, (file, at) in enumerate(drawn)):
        flow, output = advance(plan, flow, block)
        facts += [*output.changes, *output.alerts]
    return flow, facts


def _scored(file: str, at: int, index: int, anew: bool) -> ScoredRow:
    answers = recorded(file)
    prompt = _reworded(answers.prompt[at], index) if anew else answers.prompt[at]
    said = {name: Measurement(_value(values[at]), None) for name, values in answers.signals.items()}
    return ScoredRow(
        route=ROUTE,
        id=str(index),
        ts=START + index * STEP,
        position=Position(cluster="bench", topic="bench", partition=0, offset=index),
        model=Model(requested="recorded"),
        conversation=None,
        user=None,
        tags={},
        kept=False,
        flags=(),
        embedded=True,
        prompt=prompt,
        response=answers.response[at],
        style=answers.style[at],
        signals={name: said.get(name, Measurement(None, None)) for name in _names()},
        scorer=SCORER,
    )


def _reworded(prompt: Half, index: int) -> Half:
    """The same question in other words: 0.96 alike, as paraphrases are."""
    noise = np.random.default_rng([index, 5]).normal(size=len(prompt))
    other = prompt.astype(float) + 0.29 * noise / np.linalg.norm(noise)
    return np.asarray(other / np.linalg.norm(other), dtype=np.float16)


def _names() -> tuple[str, ...]:
    return tuple(sorted(recorded("llmdrift_sensitiveq").signals))


def _value(number: float) -> bool | None:
    return None if np.isnan(number) else bool(number)


def _judgement(case: Case, ending: Ending, seed: int, facts: list[Fact]) -> Judgement:
    """What the incidents say as each fact comes in, from the change on."""
    change = START + (BASELINE + CLEAN) * STEP
    said: list[str] = []
    alerts: list[str] = []
    delay, last, confidence = None, "none", None
    for count, fact in enumerate(facts, 1):
        if fact.ts < change or not isinstance(fact, Alert):
            continue
        alerts.append(f"{fact.family}/{fact.signal or '-'}:{fact.status}@{fact.event_index - BASELINE - CLEAN}")
        incidents = fold(ROUTE, facts[:count]).incidents
        if not incidents:
            continue
        incident = incidents[-1]
        last, confidence = incident.verdict, incident.verdict_confidence
        if not said or said[-1] != last:
            said.append(last)
        if last in ("model", "both") and delay is None:
            delay = fact.event_index - BASELINE - CLEAN
    return Judgement(
        case=case.name,
        ending=ending.name,
        mover=ending.mover,
        seed=seed,
        last=last,
        said=tuple(said),
        confidence=confidence,
        delay=delay,
        headline=ending.headline,
        alerts=tuple(alerts),
        anew=case.anew,
    )


def table(found: Sequence[Judgement]) -> str:
    """Who moved, against who was blamed last, and how many streams ever blamed the model."""
    heads = ("model", "users", "both", "unknown", "none")
    lines = [f"{'moved':>9} " + "".join(f"{head:>9}" for head in heads) + f"{'n':>7}{'ever model or both':>20}"]
    for mover in ("model", "users", "both", "nothing"):
        some = [one for one in found if one.mover == mover]
        if some:
            last = Counter(one.last for one in some)
            ever = sum(one.delay is not None for one in some)
            lines.append(f"{mover:>9} " + "".join(f"{last[head]:>9}" for head in heads) + f"{len(some):>7}{ever:>20}")
    return "\n".join(lines)


def by_case(found: Sequence[Judgement]) -> Iterator[str]:
    """A line of each case and ending."""
    groups: dict[tuple[str, str, str], list[Judgement]] = {}
    for one in found:
        groups.setdefault((one.mover, one.case, one.ending), []).append(one)
    for (mover, case, ending), some in sorted(groups.items()):
        delays = [one.delay for one in some if one.delay is not None]
        median = f"median delay {np.median(delays):.0f}" if delays else ""
        yield f"  {mover:>8}  {case}: {ending}: {dict(Counter(one.last for one in some))} {median}"


def targets(found: Sequence[Judgement]) -> Iterator[tuple[bool, str]]:
    """Each target with whether it is held."""
    users = [one for one in found if one.mover == "users"]
    blamed = sum(one.delay is not None for one in users)
    yield (
        blamed <= 0.05 * len(users),
        f"users alone moved, and the model was ever blamed: {blamed} of {len(users)} (at most 5%)",
    )
    updates = [one for one in found if one.headline]
    soon = sum(one.delay is not None and one.delay < SOON for one in updates)
    yield soon >= 0.9 * len(updates), f"updates, `model` within {SOON}: {soon} of {len(updates)} (at least 90%)"
    moved = [one for one in found if one.mover != "nothing"]
    unknown = sum(one.last == "unknown" for one in moved)
    yield unknown <= 0.2 * len(moved), f"unknown: {unknown} of {len(moved)} that moved (at most a fifth)"


def claims(found: Sequence[Judgement]) -> list[Claim]:
    """Each verdict that names somebody, with its confidence and whether it was right."""
    return [
        Claim(one.confidence, one.last == one.mover)
        for one in found
        if one.confidence is not None and one.last in ("model", "users", "both")
    ]


def main() -> int:
    """Run the cases and print them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="")
    parser.add_argument("--seeds", type=int, default=7)
    parser.add_argument("--first", type=int, default=0, metavar="SEED")
    parser.add_argument("--add", type=Path, nargs="*", default=(), help="what other runs wrote by --json")
    parser.add_argument("--verbose", action="store_true", help="print the alerts of every stream")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--diagram", type=Path)
    options = parser.parse_args()
    found = [Judgement(**one) for file in options.add for one in json.loads(file.read_text())]
    for case in cases():
        for seed in range(options.seeds if re.search(options.only, case.name) else 0):
            for one in judged(case, options.first + seed):
                found.append(one)
                if options.verbose:
                    print(f"{one.case}: {one.ending} {seed}: {one.said} {' '.join(one.alerts[:12])}", flush=True)
    anew, plain = ([one for one in found if one.anew is which] for which in (True, False))
    print(f"{len(plain)} streams", table(plain), *by_case(plain), sep="\n")
    if anew:
        print(
            f"{len(anew)} streams in which no question is ever worded as before", table(anew), *by_case(anew), sep="\n"
        )
    held = list(targets(plain))
    print(*(f"{'ok    ' if fits else 'MISSED'} {words}" for fits, words in held), sep="\n")
    told = realised(claims(plain))
    print(*(f"{one.confidence:>10}: right in {one.right} of {one.n}" for one in told), sep="\n")
    if options.json:
        options.json.write_text(json.dumps([asdict(one) for one in found], indent=1) + "\n")
    if options.diagram:
        options.diagram.write_text(diagram(told))
    return 0 if all(fits for fits, _ in held) else 1


if __name__ == "__main__":
    sys.exit(main())
