"""Whether what is counted of an exchange moved: length of the answer, latency, tokens, how toxic an answer seems."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import log, sqrt
from typing import ClassVar, Final, Literal

import numpy as np

from detectors.protocol import PART, Baseline, Finding, Float, Int, Rows, Scope, Stream
from detectors.stats.clusters import kmeans
from detectors.stats.intervals import NORMAL95
from detectors.stats.level_walk import LevelWalk, Mark, WalkState, walk_all
from detectors.stats.linear_algebra import row_products
from detectors.stats.novelty import Single
from detectors.stats.repeated_prompts import group_rows
from schemas.reading import Direction, Effect, Movement
from schemas.spec import Spec

PERIOD: Final = 50
UNSCORED: Final = 200
LENGTH: Final = "answer_length"
LATENCY: Final = "latency_ms"
OF_USERS: Final = ("input_tokens",)
MEASURES: Final = (LATENCY, "input_tokens", "output_tokens")
HOURS: Final = 20  # hours of the day that a baseline must have seen to know a daily cycle
LEAST_OF_HOUR: Final = 10
OWN_ROWS: Final = 20.0  # pseudo-rows by which a topic's mean leans to that of all
UNIFORM_SD: Final = 0.2887
FEW_REASON: Final = "too few values in the baseline"
CONSTANT: Final = "its values never varied in the baseline"
UNSCORED_REASON: Final = "not told"

Form = Literal["ratio", "pp"]
"""How its effect is told: as a ratio of amounts, or as points of a mean probability."""


@dataclass(frozen=True, slots=True)
class LevelWatch:
    """One stream of the baseline.

    Attributes:
        form: how its effect is told. reason: why it is blind for good, or None.
        means: (c,) usual level in each topic, on the scale of `_levels`; by_topic: whether topics count.
        ranks: (m,) sorted baseline levels over their topic's mean. mean: of the levels, error: its standard error.
        up, down: (c,) what a row's rank may exceed 1/2 by, or fall short of it, with no change.
        floor: of the effect, as a ratio less 1 or a share. typical: mean value in the baseline, in its own unit.
    """

    signal: str
    form: Form
    reason: str | None
    means: Float
    by_topic: bool
    ranks: Float
    mean: float
    error: float
    up: Float
    down: Float
    floor: float
    typical: float


@dataclass(frozen=True, slots=True)
class ScoreArtefact:
    """Topics of the baseline's prompts: (d, c) centres and (c,) half their squared lengths; and a watch a stream."""

    centres: Single
    half: Single
    watches: tuple[LevelWatch, ...]
    arl: float


@dataclass(frozen=True, slots=True)
class ScoreState:
    """One walk a stream, in the order of the watches."""

    streams: tuple[WalkState, ...]


@dataclass(frozen=True, slots=True)
class ScoreShift:
    """Two-sided sequential test of every number of an exchange against its rank among the baseline's.

    Watched are the length of the answer (characters), latency, tokens of the question and of the answer, every signal
    that is a number, and the probability of those whose role is `level`. A value becomes its mid-rank, in [0, 1], among
    the baseline's values over the usual level of its topic (what users ask decides the length of answers; tokens of the
    question are the users' own, and have no topic). The null: the mean rank is off 1/2 by at most what a change by the
    floor would do, and `slack` standard errors of the topic's level, and the sway between hours of the day that the
    baseline shows. Bets on the rank are those of Waudby-Smith and Ramdas, "Estimating means of bounded random variables
    by betting" (2023), in Shiryaev-Roberts form (`detectors.stats.level_walk`). That it keeps to the ARL is measured
    (`python -m tests.benchmarks.anomalies`), not proven.

    The effect is since the change seems to have begun: a ratio of typical amounts, or points of a mean probability. It
    never pages: that answers are shorter or slower says nothing of safety.

    Limits: latency follows the hour. What the baseline's own hours show is allowed for, a slower change than that is
    not seen; a baseline that knows fewer than 20 hours of the day gets twice the floor. Cost is not in an exchange:
    tokens stand for it.

    Attributes:
        topics: clusters of prompts. floor, latency_floor: smallest ratio less 1 that counts; odds_floor: in sd of the
            log-odds of a probability. slack: standard errors. least_rows: values without which a stream is blind.
    """

    spec: ClassVar[Spec] = Spec(
        name="score_shift",
        kind="level",
        title="Lengths, latency and scores",
        noun="lengths and latency",
        says="length of answers, latency, tokens, toxicity scores and signals that are numbers, up and down",
        sign="answers are of another length or speed",
        unit="ratio",
        severity="info",
    )
    scope: ClassVar[Scope] = "identity"
    learns: ClassVar[bool] = True
    artefact_type: ClassVar[type[ScoreArtefact]] = ScoreArtefact
    state_type: ClassVar[type[ScoreState]] = ScoreState

    topics: int = 8
    floor: float = 0.2
    latency_floor: float = 0.5
    odds_floor: float = 0.3
    slack: float = 1.5
    least_rows: int = 100

    def streams(self, baseline: Baseline) -> tuple[Stream, ...]:
        """The length of answers, and every other number that enough of the baseline's exchanges have."""
        return tuple(Stream(name) for name, _ in self._names(baseline))

    def fit(self, baseline: Baseline) -> ScoreArtefact:
        """Topics, and of each stream its usual levels and ranks."""
        rows = baseline.rows
        prompts = rows.prompt[rows.embedded].astype(np.float64)
        centres = (
            kmeans(prompts, self.topics) if len(prompts) >= self.least_rows else np.zeros((1, rows.prompt.shape[1]))
        )
        held = np.ascontiguousarray(centres.T.astype(np.float32))
        half = (np.einsum("dc,dc->c", held, held) / 2).astype(np.float32)
        topic, group = _topics(held, half, rows), group_rows(rows.prompt)
        watches = tuple(self._watch(*one, rows, topic, group, held.shape[1]) for one in self._names(baseline))
        return ScoreArtefact(held, half, watches, baseline.arl)

    def start(self, artefact: ScoreArtefact) -> ScoreState:
        """Zero evidence everywhere."""
        return ScoreState(tuple(WalkState() for _ in artefact.watches))

    def step(self, artefact: ScoreArtefact, state: ScoreState, rows: Rows) -> tuple[ScoreState, tuple[Finding, ...]]:
        """Take every stream through the rows."""
        if not len(rows):
            return state, ()
        topic = _topics(artefact.centres, artefact.half, rows)
        states, findings, live = list(state.streams), list[Finding](), list[int]()
        for s, watch in enumerate(artefact.watches):
            if watch.reason is None:
                live.append(s)
            elif not states[s].blind:
                findings.append(_blind(watch))
                states[s] = replace(states[s], blind=True)
        lines = [_lines(artefact.watches[s], rows, topic, artefact.arl) for s in live]
        for s, (after, marks) in zip(live, walk_all([states[s] for s in live], lines), strict=True):
            states[s] = after
            findings += [_finding(artefact.watches[s], mark, artefact.arl) for mark in marks]
        return ScoreState(tuple(states)), tuple(sorted(findings, key=lambda finding: finding.row))

    def _names(self, baseline: Baseline) -> list[tuple[str, Form]]:
        """The streams, in a fixed order: own measures, signals that are numbers, probabilities."""
        rows = baseline.rows
        numbers = sorted(name for name, values in rows.signals.items() if PART not in name and _is_number(values))
        named: list[tuple[str, Form]] = [(name, "ratio") for name in (LENGTH, *MEASURES, *numbers)]
        named += [(name, "pp") for name in baseline.roles.get("level", ())]
        told = [one for one in named[1:] if (~np.isnan(_levels(*one, rows))).sum() >= self.least_rows]
        return [named[0], *told]  # every exchange has an answer: where too few had, that is said

    def _watch(self, name: str, form: Form, rows: Rows, topic: Int, group: Int, of_topics: int) -> LevelWatch:
        """What the baseline says of one stream."""
        level = _levels(name, form, rows)
        usable = ~np.isnan(level)
        if usable.sum() < self.least_rows:
            none = np.zeros(of_topics)
            return LevelWatch(name, form, FEW_REASON, none, False, np.zeros(0), 0.0, 1.0, none, none, self.floor, 0.0)
        level, hours = level[usable], rows.ts[usable] // 3600
        by_topic = name not in OF_USERS
        topic = topic[usable] if by_topic else np.zeros(int(usable.sum()), dtype=np.int64)
        means, rest, size = _over_topics(level, topic, group[usable], of_topics)
        spread = float(rest.std())
        ranks = np.sort(rest)
        floor = self._floor(name, form, hours)
        shift = floor * spread if form == "pp" else log(1 + floor)
        sway = _sway(_rank(ranks, rest), hours)
        error = self.slack * UNIFORM_SD / np.sqrt(np.maximum(size, 2.0)) + sway
        return LevelWatch(
            signal=name,
            form=form,
            reason=CONSTANT if spread < 1e-6 else None,
            means=means,
            by_topic=by_topic,
            ranks=ranks,
            mean=float(level.mean()),
            error=spread / sqrt(len(np.unique(group[usable]))),
            up=float(_rank(ranks, ranks + shift).mean()) - 0.5 + error,
            down=0.5 - float(_rank(ranks, ranks - shift).mean()) + error,
            floor=float((_values(form, level + shift) - _values(form, level)).mean()) if form == "pp" else floor,
            typical=float(_values(form, level).mean()),
        )

    def _floor(self, name: str, form: Form, hours: Float) -> float:
        """The smallest effect that counts; a baseline of a few hours does not know what latency is at others."""
        if form == "pp":
            return self.odds_floor
        if name != LATENCY:
            return self.floor
        return self.latency_floor * (1 if len(np.unique(hours % 24)) >= HOURS else 2)


def _is_number(values: Float) -> bool:
    """Whether a signal counts, rather than being true or false."""
    told = values[~np.isnan(values)]
    return bool(len(told)) and not bool(np.isin(told, (0.0, 1.0)).all())


def _levels(name: str, form: Form, rows: Rows) -> Float:
    """(n,) a stream's values on the scale where a change adds: logarithms, or log-odds; NaN where there is none."""
    if form == "pp":
        told = np.clip(rows.probabilities(name), 1e-5, 1 - 1e-5)
        odds: Float = np.log(told / (1 - told))
        return np.where(rows.answered, odds, np.nan)
    if name == LENGTH:
        length = rows.style[:, 0].astype(np.float64)  # style's first feature is log(1 + characters)
        return np.where(rows.embedded & rows.answered, length, np.nan)
    values = rows.measures.get(name) if name in MEASURES else rows.signals.get(name)
    if values is None:
        return np.full(len(rows), np.nan)
    return np.where(rows.answered, np.log1p(np.maximum(values, 0.0)), np.nan)


def _values(form: Form, level: Float) -> Float:
    """The values behind levels, in their own unit."""
    made: Float = 1 / (1 + np.exp(-level)) if form == "pp" else np.expm1(level)
    return made


def _topics(centres: Single, half: Single, rows: Rows) -> Int:
    """(n,) the nearest topic of each prompt; 0 without vectors."""
    near = row_products(rows.wide_prompts(), centres) - half
    return np.where(rows.embedded, near.argmax(axis=1), 0)


def _over_topics(level: Float, topic: Int, group: Int, of_topics: int) -> tuple[Float, Float, Float]:
    """(c,) usual level of each topic, (n,) levels over that of the others of their topic, (c,) different prompts."""
    count, total = np.bincount(topic, minlength=of_topics), np.bincount(topic, level, minlength=of_topics)
    overall = float(level.mean())
    means = (total + OWN_ROWS * overall) / (count + OWN_ROWS)
    others = (total[topic] - level + OWN_ROWS * overall) / (count[topic] - 1 + OWN_ROWS)
    distinct = np.unique(np.stack([topic, group]), axis=1)[0]
    return means, level - others, np.bincount(distinct, minlength=of_topics).astype(np.float64)


def _rank(ranks: Float, rest: Float) -> Float:
    """(n,) mid-ranks in [0, 1] among sorted levels."""
    made: Float = (ranks.searchsorted(rest) + ranks.searchsorted(rest, "right")) / (2.0 * max(len(ranks), 1))
    return made


def _sway(ranks: Float, hours: Float) -> float:
    """How far the mean rank of an hour lies from 1/2 beyond what its few rows explain: 1.5 sd between hours."""
    _, place, size = np.unique(hours, return_inverse=True, return_counts=True)
    ample = size >= LEAST_OF_HOUR
    if ample.sum() < 3:
        return 0.0
    means = np.bincount(place, ranks)[ample] / size[ample]
    chance = float((UNIFORM_SD**2 / size[ample]).mean())
    return 1.5 * sqrt(max(float(((means - 0.5) ** 2).mean()) - chance, 0.0))


def _blind(watch: LevelWatch) -> Finding:
    """What is said of a stream that sees nothing for good."""
    return Finding(0, Stream(watch.signal), "blind", True, 0, floor=watch.floor, reason=watch.reason)


def _lines(watch: LevelWatch, rows: Rows, topic: Int, arl: float) -> LevelWalk:
    """The rows as a stream that sees takes them."""
    level = _levels(watch.signal, watch.form, rows)
    where = (~np.isnan(level)).nonzero()[0]
    place = topic[where] if watch.by_topic else np.zeros(len(where), dtype=np.int64)
    level = level[where]
    rest = level - watch.means[place]
    return LevelWalk(
        rank=_rank(watch.ranks, rest),
        rest=rest,
        value=_values(watch.form, level),
        up=watch.up[place],
        down=watch.down[place],
        row=where,
        ids=rows.ids,
        rows=len(rows),
        unscored=UNSCORED,
        period=PERIOD,
        log_arl=log(arl),
    )


def _finding(watch: LevelWatch, mark: Mark, arl: float) -> Finding:
    """A mark of a stream in words."""
    return Finding(
        row=mark.row,
        stream=Stream(watch.signal),
        status=mark.status,
        transition=mark.transition,
        n=mark.n,
        direction=mark.direction,
        effect=_effect(watch, mark.n_since, mark.rest, mark.square, mark.value),
        floor=watch.floor,
        log_e=mark.log_e,
        threshold=log(arl),
        exemplars=mark.extreme,
        movements=_movements(watch, mark.n_since, mark.value, mark.direction),
        reason=UNSCORED_REASON if mark.status == "blind" else None,
    )


def _effect(watch: LevelWatch, n: int, rest: float, square: float, value: float) -> Effect | None:
    """How far the level moved over `n` rows whose levels sum to `rest` and their squares to `square`."""
    if not n:
        return None
    mean = rest / n
    own = max(square / n - mean * mean, 1e-12) / n
    half = NORMAL95 * sqrt(own + watch.error**2)
    if watch.form == "pp":
        before, after = 100 * watch.typical, 100 * value / n
        part = (after - before) / mean if abs(mean) > 1e-9 else 0.0  # points a unit of log-odds, as they were seen
        wide = abs(part) * half
        return Effect(
            name=watch.signal,
            before=before,
            after=after,
            low=after - before - wide,
            high=after - before + wide,
            unit="pp",
        )
    low, middle, high = (float(np.exp(one)) for one in (mean - half, mean, mean + half))
    return Effect(name=watch.signal, before=1.0, after=middle, low=low - 1, high=high - 1, unit="ratio")


def _movements(watch: LevelWatch, n: int, value: float, direction: Direction | None) -> tuple[Movement, ...]:
    """The amounts themselves, where it fires."""
    if not n or direction is None:
        return ()
    unit: Literal["share", "per answer"] = "share" if watch.form == "pp" else "per answer"
    return (Movement(kind="signal", name=watch.signal, before=watch.typical, after=value / n, unit=unit),)
