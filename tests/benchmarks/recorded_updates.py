"""Recorded updates of models, and the baselines and streams that benchmarks draw from their answers.

Two ways to draw. `population`: the recorded answers of the old version are the population, and baseline and streams
are drawn from it with replacement. `fresh`: baseline and streams share no prompt, and a stream repeats no answer, so
that it ends where the answers do. One finite sample held against another is itself a drift, which `fresh` has and
`population` has not: both are shown.

Streams of the old version: `clean`, drawn evenly; `topics`, narrowed to 2 of 6 clusters of its prompts; `daily`, whose
mix of the clusters goes round once in 500 exchanges; `ar1`, whose mix wanders (log weights follow an AR(1) with
coefficient .98). The model stays in all of them. `update`: 500 exchanges of the old version, then the new one.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from detectors.protocol import Rows
from detectors.stats.clusters import distances, kmeans
from services.monitor.policy import default_floors

Drawing = Literal["population", "fresh"]
TOPICS: Final = 6
KEPT: Final = 2
DAY: Final = 500
BEFORE: Final = 500
AFTER: Final = 1000
STREAMS: Final = ("clean", "topics", "daily", "ar1", "update")
CHANGED_AT: Final = 1_767_225_600.0
"""Seconds since 1970: the first of January 2026."""
_WANDER, _NIGHT = 0.98, 0.05


@dataclass(frozen=True)
class Update:
    """One model's answers at two versions; of a set's rows only those whose label `only` has the value given.

    Attributes:
        safety: whether the recorded answers differ in safety; None: nothing recorded says so.
    """

    name: str
    file: str
    model: str
    old: str
    new: str
    only: tuple[str, str] | None = None
    safety: bool | None = None


_HARMFUL: Final = ("prompt_harmful", "1")
_GPT4: Final = ("0314", "0613", "1106-preview", "0125-preview", "turbo-2024-04-09")
_GPT35: Final = ("0301", "0613", "1106")


def _alpaca(title: str, file: str, model: str, versions: tuple[str, ...]) -> tuple[Update, ...]:
    """Consecutive snapshots of one model."""
    return tuple(
        Update(
            f"AlpacaEval {title} {old} -> {new}",
            file,
            model,
            old,
            new,
            safety=False if (title, new) == ("GPT-4", "0613") else None,
        )
        for old, new in itertools.pairwise(versions)
    )


UPDATES: Final = (
    Update("OpinionQA GPT-4 0314 -> 0613", "llmdrift_opinionqa", "gpt-4", "0314", "0613"),
    Update("OpinionQA GPT-3.5 0301 -> 0613", "llmdrift_opinionqa", "gpt-3.5-turbo", "0301", "0613"),
    Update("SensitiveQ GPT-4 0314 -> 0613", "llmdrift_sensitiveq", "gpt-4", "0314", "0613", safety=True),
    Update("SensitiveQ GPT-3.5 0301 -> 0613", "llmdrift_sensitiveq", "gpt-3.5-turbo", "0301", "0613"),
    Update(
        "XSTest Mistral guardrail -> none",
        "xstest",
        "mistral-7b-instruct-v0.1",
        "guardrail system prompt",
        "no system prompt",
        safety=True,
    ),
    Update(
        "XSTest Llama-2 original -> none",
        "xstest",
        "llama-2-70b-chat",
        "original system prompt",
        "no system prompt",
        safety=True,
    ),
    *(
        Update(f"{title} baseline -> ablation", "refusal_direction", model, "baseline", "ablation", _HARMFUL, True)
        for title, model in (
            ("gemma-2b", "gemma-2b-it"),
            ("Llama-2-7b", "llama-2-7b-chat-hf"),
            ("Qwen-1.8b", "qwen-1_8b-chat"),
        )
    ),
    *_alpaca("GPT-4", "alpaca_eval_gpt4", "gpt-4", _GPT4),
    *_alpaca("GPT-3.5", "alpaca_eval_gpt35", "gpt-3.5-turbo", _GPT35),
    *_alpaca("Mistral", "alpaca_eval_open", "mistral-7b-instruct", ("0.2", "0.3")),
    *_alpaca("Vicuna", "alpaca_eval_open", "vicuna-13b", ("1.1", "1.3", "1.5")),
)


@dataclass(frozen=True)
class Answers:
    """All recorded answers of an update: `old` and `new` rows, and the number of each row's prompt in both."""

    old: Rows
    new: Rows
    old_prompts: NDArray[np.int64]
    new_prompts: NDArray[np.int64]

    def rates(self) -> dict[str, tuple[float, float]]:
        """Signal that has a floor -> its rate before and after, where it was scored in both."""
        both = {name: (self.old.truths(name), self.new.truths(name)) for name in floors()}
        return {
            name: (float(np.nanmean(a)), float(np.nanmean(b)))
            for name, (a, b) in both.items()
            if np.isfinite(a).any() and np.isfinite(b).any()
        }


def floors() -> dict[str, float]:
    """The floors of the rates that a route watches by default."""
    return {name: floor for name, floor in default_floors().items() if floor > 0}


def answers(update: Update) -> Answers:
    """The scored answers of an update, from the cache of scores."""
    from tests.benchmarks.recorded_scores import recorded  # noqa: PLC0415 -- loads the scorer, which takes seconds

    found = recorded(update.file)
    labels: Mapping[str, Any] = dict([update.only]) if update.only else {}
    old, new = (found.where(update.model, version, **labels) for version in (update.old, update.new))
    kept = floors()

    def rows(at: NDArray[np.int64]) -> Rows:
        every = found.rows(at)
        columns = {name: getattr(every, name) for name in Rows.__dataclass_fields__}
        return Rows(**{**columns, "signals": {n: v for n, v in every.signals.items() if n in kept}})

    return Answers(rows(old), rows(new), found.prompts[old], found.prompts[new])


@dataclass(frozen=True)
class Drawn:
    """A baseline and the streams of one seed."""

    baseline: Rows
    streams: Mapping[str, Rows]


def draw(held: Answers, seed: int, drawing: Drawing, baseline: int, length: int) -> Drawn:
    """Baseline of `baseline` rows and every stream that this way of drawing has; streams of `length` rows at most.

    The same seed gives the same baseline and streams, whatever is measured on them. The last `AFTER` rows of `update`
    are of the new version.
    """
    chance = np.random.default_rng(seed)
    unique, group = np.unique(held.old_prompts, return_inverse=True)
    known = chance.permutation(len(unique))[group] % 2 == 0
    live = ~known if drawing == "fresh" else np.ones(len(group), dtype=np.bool_)
    known = known if drawing == "fresh" else live
    topic = _topics(held.old, group)
    kept = np.isin(topic, chance.choice(np.unique(topic), KEPT, replace=False))
    pinned = chance.choice(np.flatnonzero(known), baseline)
    take = _taker(chance, drawing)
    clean = take(np.flatnonzero(live), length)
    streams = {"clean": clean, "topics": take(np.flatnonzero(live & kept), length)}
    if drawing == "population":
        streams["daily"] = _mixed(chance, topic, _daily(length))
        streams["ar1"] = _mixed(chance, topic, _wandering(chance, length))
    rows = {name: _in_order(held.old.take(at)) for name, at in streams.items()}
    before = take(np.flatnonzero(live), BEFORE)
    asked = np.flatnonzero(np.isin(held.new_prompts, held.old_prompts[live]))
    rows["update"] = joined(held.old.take(before), held.new.take(take(asked, AFTER)))
    rows["narrowing"] = joined(held.old.take(before), held.old.take(take(np.flatnonzero(live & kept), AFTER)))
    return Drawn(_in_order(held.old.take(pinned)), rows)


def of_change(stream: Rows) -> int:
    """The first row after the change of an `update` or `narrowing`."""
    return int(np.searchsorted(stream.ts, CHANGED_AT))


def joined(before: Rows, after: Rows) -> Rows:
    """One stream of both, a thousand exchanges a day; the change is at `CHANGED_AT`."""
    columns = {
        name: np.concatenate([getattr(before, name), getattr(after, name)])
        for name in ("prompt", "response", "style", "embedded", "answered")
    }
    n, change = len(before) + len(after), len(before)
    index = np.arange(n, dtype=np.int64)
    signals = {name: np.concatenate([values, after.signals[name]]) for name, values in before.signals.items()}
    return Rows(
        index=index, ts=CHANGED_AT + 86.4 * (index - change), **columns, signals=signals, slices={},
        ids=tuple(map(str, range(n))),
    )  # fmt: skip


def _in_order(rows: Rows) -> Rows:
    """The same rows as exchanges that follow each other."""
    return joined(rows.take(np.zeros(0, dtype=np.int64)), rows)


def _topics(rows: Rows, group: NDArray[np.int64]) -> NDArray[np.int64]:
    """(n,) cluster of each prompt."""
    vectors = rows.prompt.astype(np.float64)
    first = vectors[np.unique(group, return_index=True)[1]]
    return np.asarray(distances(vectors, kmeans(first, TOPICS)).argmin(axis=1), dtype=np.int64)


def _taker(chance: np.random.Generator, drawing: Drawing) -> Any:
    """Draws n of a pool: with replacement, or as many as there are."""

    def take(pool: NDArray[np.int64], n: int) -> NDArray[np.int64]:
        return chance.permutation(pool)[:n] if drawing == "fresh" else pool[chance.integers(len(pool), size=n)]

    return take


def _mixed(chance: np.random.Generator, topic: NDArray[np.int64], weights: NDArray[np.float64]) -> NDArray[np.int64]:
    """(n,) positions drawn with replacement, where row i weighs the topics by `weights` (n, 6) times their shares."""
    share = np.bincount(topic, minlength=TOPICS) / len(topic)
    odds = weights * share
    odds /= odds.sum(axis=1, keepdims=True)
    chosen = np.minimum((chance.random(len(odds))[:, None] > odds.cumsum(axis=1)).sum(axis=1), TOPICS - 1)
    out = np.empty(len(chosen), dtype=np.int64)
    for one in np.unique(chosen):
        at = np.flatnonzero(topic == one)
        out[chosen == one] = at[chance.integers(len(at), size=int((chosen == one).sum()))]
    return out


def _daily(n: int) -> NDArray[np.float64]:
    """(n, 6): each topic has its hours."""
    phase = np.arange(n)[:, None] / DAY + np.arange(TOPICS)[None, :] / TOPICS
    return np.asarray(_NIGHT + 0.5 * (1 + np.cos(2 * np.pi * phase)))


def _wandering(chance: np.random.Generator, n: int) -> NDArray[np.float64]:
    """(n, 6): log weights of an AR(1) of variance 1."""
    noise = chance.normal(size=(n, TOPICS))
    logs = np.empty((n, TOPICS))
    logs[0] = noise[0]
    for i in range(1, n):
        logs[i] = _WANDER * logs[i - 1] + np.sqrt(1 - _WANDER**2) * noise[i]
    return np.asarray(np.exp(logs))
