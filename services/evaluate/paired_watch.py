"""A run that is held against an earlier one while it goes on, and stops once what it will say is decided. Pure.

Items come in a random order (made of the run's id, so that whoever takes the run over has the same one), canaries
first: they are always asked. Pairs count in the order of the questions, never of the answers: a refusal is quicker
than a compliance, and evidence that took what came first would see more refusals than there are. What is decided is
what `comparison.judge` says by evidence that holds whenever one looks. See infra/decisions/0016.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

from schemas.evaluation import EarlyStop, Outcome
from services.evaluate.anytime_evidence import evidence
from services.evaluate.comparison import FLOOR, JudgedRows, PairedRow, judge, paired_row
from services.evaluate.paired_statistics import STOPPED, Design
from services.evaluate.result import AskedItem, AskedSuite, RunResult, SuiteAnswer, answered
from services.evaluate.suite import MEASURES, POOLED, Measure

Pair = tuple[str, bool | None, bool | None]


@dataclass(slots=True)
class PairTally:
    """Pairs of one measure of one hazard, as far as they were counted."""

    hazard: str
    measure: Measure
    pairs: list[Pair] = field(default_factory=list)
    n: int = 0
    worse: int = 0
    better: int = 0
    feared: int = 0

    def add(self, pair: Pair) -> None:
        """Count one more (item, whether it was an event, whether it is one now)."""
        _, old, new = pair
        self.pairs.append(pair)
        if old is None or new is None:
            self.feared += not old and new is not False
            return
        self.n += 1
        self.worse += new and not old
        self.better += old and not new

    @property
    def row(self) -> PairedRow:
        """As a comparison has it."""
        return paired_row(self.hazard, self.measure, self.pairs)


@dataclass(slots=True)
class RunningComparison:
    """What pairs say, one after the other. `margin` in pp, `canaries` that were not asked yet."""

    margin: float
    canaries: int
    pooled: Mapping[Measure, PairTally]
    single: Mapping[tuple[Measure, str], PairTally]

    @classmethod
    def of(cls, items: Iterable[AskedItem], margin: float) -> RunningComparison:
        """Of these items before any was asked: a family has all its tests from the first one on."""
        listed = sorted(items, key=lambda item: (MEASURES.index(item.measure), item.hazard))
        pooled = {item.measure: PairTally(POOLED, item.measure) for item in listed}
        single = {(item.measure, item.hazard): PairTally(item.hazard, item.measure) for item in listed}
        return cls(margin, sum(item.measure == "canary" for item in listed), pooled, single)

    def add(self, item: AskedItem, old: bool | None, new: bool | None) -> None:
        """Count one more item."""
        for tally in (self.pooled[item.measure], self.single[item.measure, item.hazard]):
            tally.add((item.id, old, new))
        self.canaries -= item.measure == "canary"

    def judged(self, design: Design) -> JudgedRows:
        """What the pairs say so far, by these statistics."""
        pooled, single = ([one.row for one in family.values()] for family in (self.pooled, self.single))
        return judge(pooled, single, self.margin, design)

    def decided(self) -> Outcome | None:
        """What is decided by now; None while nothing is, and before every canary was asked."""
        if self.canaries > 0 or not (self._may_be_worse() or self._may_be_good()):
            return None
        overall = self.judged(STOPPED).overall
        return None if overall == "inconclusive" else overall

    def _may_be_worse(self) -> bool:
        """Whether one row could be called so: the evidence of none is more than its own before it is adjusted."""
        for tally in (*self.pooled.values(), *self.single.values()):
            if tally.measure == "canary":
                if tally.worse:
                    return True
                continue
            flips = tally.worse + tally.better
            enough = evidence(tally.worse, tally.better, flips, 0.0) >= -math.log(STOPPED.tail)
            if enough and tally.worse - tally.better >= FLOOR / 100 * tally.n:
                return True
        return False

    def _may_be_good(self) -> bool:
        """Whether each measure is shown not to have got worse by the margin, which all good news needs."""
        pooled = [one for one in self.pooled.values() if one.measure != "canary"]
        wanted, least = -math.log(STOPPED.tail), -self.margin / 100
        return bool(pooled) and all(evidence(one.better, one.worse, one.n, least) >= wanted for one in pooled)


@dataclass(slots=True)
class PairedWatch:
    """The order of a run's items, and what they say when they are held against an earlier run's."""

    before: RunResult
    units: tuple[tuple[AskedItem, ...], ...]
    comparison: RunningComparison
    done: int = 0
    outcome: Outcome | None = None
    _was: Mapping[str, bool | None] = field(default_factory=dict)
    _sound: bool = True

    @classmethod
    def of(cls, before: RunResult, suite: AskedSuite, run: str) -> PairedWatch:
        """The watch over the run of this id, which asks the same suite as `before`."""
        chance = Random(run)  # noqa: S311 -- an order that anybody can make again from the id
        units = list(_units(suite.items))
        chance.shuffle(units)
        units.sort(key=lambda unit: all(item.measure != "canary" for item in unit))
        return cls(before, tuple(units), RunningComparison.of(suite.items, suite.margin), _was=before.events)

    @property
    def order(self) -> tuple[str, ...]:
        """The ids of the items, in the order in which they are asked."""
        return tuple(item.id for unit in self.units for item in unit)

    @property
    def counted(self) -> frozenset[str]:
        """The items on which it stands so far."""
        return frozenset(item.id for unit in self.units[: self.done] for item in unit)

    @property
    def stop(self) -> EarlyStop | None:
        """That the run is decided; None when it goes on, or came to its end."""
        if self.outcome is None or self.done == len(self.units):
            return None
        return EarlyStop(rule=self.outcome, asked=len(self.counted), of=len(self.order))

    def look(self, answers: Mapping[tuple[str, int], SuiteAnswer]) -> None:
        """Count what came, in the order of the questions. Nothing is decided early where an answer is missing."""
        while self.outcome is None and self._sound and self.done < len(self.units):
            unit = self.units[self.done]
            keys = [(item.id, repeat) for item in unit for repeat in range(item.repeats)]
            if any(key not in answers for key in keys):
                return
            given = [answers[key] for key in keys]
            self._sound = all(answered(one) for one in given)
            now = _events(unit, given)
            for item in unit:
                self.comparison.add(item, self._was.get(item.id), now[item.id])
            self.done += 1
            self.outcome = self.comparison.decided() if self._sound else None


def _units(items: Iterable[AskedItem]) -> Iterable[tuple[AskedItem, ...]]:
    """Items that are scored together: one that is compared with another comes with it."""
    found: dict[str, list[AskedItem]] = {}
    for item in items:
        found.setdefault(getattr(item, "pair", None) or item.id, []).append(item)
    return (tuple(unit) for unit in found.values())


def _events(items: Sequence[AskedItem], answers: Sequence[SuiteAnswer]) -> Mapping[str, bool | None]:
    """As a whole run of these items would say."""
    suite: dict[str, Any] = {"items": tuple(items)}
    run: dict[str, Any] = {"suite": AskedSuite.model_construct(**suite), "answers": tuple(answers)}
    return RunResult.model_construct(**run).events
