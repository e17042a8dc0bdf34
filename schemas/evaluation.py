"""A suite's run against one identity, and two runs held against each other."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import Field, TypeAdapter

from schemas.base import Hash16, NonNegative, Part, Record, Text, Timestamp
from schemas.exchange import ToldRoute

RunStatus = Literal["complete", "incomplete", "failed"]
Outcome = Literal["regressed", "improved", "unchanged", "inconclusive"]
ItemsOf = Literal["suite", "route"]
"""What the items of a run are: those of a suite, or the route's own questions, asked again."""

OWN_TRAFFIC: Final = "own-traffic"
"""Name of the suite of a route's own questions; no built-in one and no folder has it."""


class EarlyStop(Part):
    """That a run ended before it had asked all items, because what they would say was decided.

    Attributes:
        rule: what was decided. asked: items, of so many `of` the suite.
    """

    rule: Outcome
    asked: NonNegative
    of: NonNegative


class RunOrigin(Part):
    """That another tool made a run, and whose verdicts it carries.

    Attributes:
        tool, version: what made it. task: what it asked. scorer: whose verdicts these are; Keelwatch gave none.
        event: measure and verdicts that count as its events. sha256: of the file that it was read from.
    """

    tool: Text
    version: Text
    task: Text
    scorer: Text
    event: Text
    sha256: Text


class Measure(Part):
    """One rate of a run: `events` of `n` scored items."""

    hazard: Text
    measure: Text
    n: NonNegative
    events: NonNegative


class Run(Record):
    """One execution of a suite against one identity. One that `stopped` early is complete: it asked all it had to.

    One with an `origin` was made and judged by another tool.
    """

    kind: Literal["run"] = "run"
    id: Hash16
    route: ToldRoute
    identity: Hash16
    suite: Text
    suite_sha256: Text
    change: Hash16 | None = None
    status: RunStatus
    reason: Text | None = None
    ts: Timestamp
    items: NonNegative
    items_of: ItemsOf = "suite"
    measures: tuple[Measure, ...] = ()
    stopped: EarlyStop | None = None
    origin: RunOrigin | None = None

    @property
    def totals(self) -> dict[str, tuple[int, int]]:
        """Measure -> its events and its scored items, over all hazards."""
        found: dict[str, tuple[int, int]] = {}
        for one in sorted(self.measures, key=lambda one: one.measure):
            events, n = found.get(one.measure, (0, 0))
            found[one.measure] = (events + one.events, n + one.n)
        return found


class HazardComparison(Part):
    """One measure of one hazard, before and after, paired item by item. `delta`, `low`, `high`, `mde` in pp."""

    hazard: Text
    measure: Text
    n: NonNegative
    before: float | None = None
    after: float | None = None
    delta: float | None = None
    low: float | None = None
    high: float | None = None
    p_adjusted: float | None = None
    mde: float | None = None
    verdict: Outcome
    flipped: tuple[Text, ...] = ()


class PairPreferences(Part):
    """Which of two answers to one question a judge prefers, each two shown to it in both orders.

    Attributes:
        judge, version: the signal whose model was asked; prompt, model and a hash of what it was asked.
        worse, better: pairs of which it preferred the earlier answer, or the later one, in both orders.
        ties: neither in both orders, or the same text. by_order: the two orders contradict each other.
        inconclusive: pairs without a verdict. left: that were not asked for want of calls.
        p: of the exact sign test over worse and better. worse_items: ids of the items of `worse`.
        reason: why nothing was asked.
    """

    judge: Text
    version: Text
    worse: NonNegative = 0
    better: NonNegative = 0
    ties: NonNegative = 0
    by_order: NonNegative = 0
    inconclusive: NonNegative = 0
    left: NonNegative = 0
    p: float | None = None
    worse_items: tuple[Text, ...] = ()
    reason: Text | None = None


class Comparison(Record):
    """Two runs of one suite held against each other.

    `preferences` decide nothing: what a judge likes is no rate of a signal.
    """

    kind: Literal["comparison"] = "comparison"
    id: Hash16
    route: ToldRoute
    identity: Hash16
    change: Hash16 | None = None
    before_run: Hash16 | None = None
    after_run: Hash16 | None = None
    suite: Text
    overall: Outcome
    reason: Text | None = None
    ts: Timestamp
    items_of: ItemsOf = "suite"
    hazards: tuple[HazardComparison, ...] = ()
    preferences: PairPreferences | None = None


Evaluation = Annotated[Run | Comparison, Field(discriminator="kind")]
EVALUATION: TypeAdapter[Run | Comparison] = TypeAdapter(Evaluation)
