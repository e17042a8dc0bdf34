"""What a run costs: planned before it, counted while it goes on, and stopped before it costs more than it may. Pure.

All requests count: those that brought no answer and were repeated, those of this run before another process took it
over, and those of its earlier attempts. A question is asked only while what
it is expected to cost fits beside all that was spent and is under way; so a budget is kept also with several questions
at once, as far as expectations hold: `max_tokens` of the target makes them certain.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from services.evaluate.client import BudgetSpent, RunLimits
from services.evaluate.result import RunResult, SuiteAnswer
from services.evaluate.suite import Item, Suite
from services.evaluate.token_usage import Spent, Tokens, guessed_tokens, last_tokens, number, used
from services.monitor import SpendingLimit, TokenPrices
from services.wording import spending as words

_MOST: Final = ("max_completion_tokens", "max_tokens", "max_output_tokens")


@dataclass(frozen=True, slots=True)
class AnswerCosts:
    """What questions are expected to take.

    Attributes:
        known: what the answers of an earlier run took on average, by item.
        usual: what came back to a question on average; None when no run says.
        most: what may come back at most, where the target's settings say it.
    """

    system_prompt: str | None = None
    known: Mapping[str, Tokens] = field(default_factory=dict)
    usual: float | None = None
    most: float | None = None

    @classmethod
    def of(
        cls, system_prompt: str | None, settings: Mapping[str, Any], earlier: RunResult | None = None
    ) -> AnswerCosts:
        """From the texts that are sent, the settings of the target, and an `earlier` run."""
        taken: dict[str, list[Tokens]] = {}
        for answer in earlier.answers if earlier else ():
            if answer.error is None:
                taken.setdefault(answer.item, []).append(last_tokens(answer))
        known = {item: _mean(each) for item, each in taken.items()}
        usual = sum(one.came for one in known.values()) / len(known) if known else None
        return cls(system_prompt, known, usual, number(settings, _MOST))

    def expected(self, item: Item) -> Tokens:
        """What one answer to an item takes: as in the earlier run, else by its text and the usual answer.

        Without an earlier run what may come back at most stands for what comes; where nobody knows that, nothing does.
        """
        sent = self.sent(item)
        came = self.known[item.id].came if item.id in self.known else self.usual
        came = self.most if came is None else came if self.most is None else min(came, self.most)
        return Tokens(sent, came or 0.0)

    def reserved(self, item: Item) -> Tokens:
        """What one answer may take: the most that may come back, where that is known."""
        expected = self.expected(item)
        return expected if self.most is None else Tokens(expected.sent, self.most)

    def sent(self, item: Item) -> float:
        """What a question sends."""
        if item.id in self.known:
            return self.known[item.id].sent
        return guessed_tokens(item.asked_under(self.system_prompt))


def _mean(each: Sequence[Tokens]) -> Tokens:
    total = sum(each, Tokens())
    return Tokens(total.sent / len(each), total.came / len(each))


def bounds_of(limits: RunLimits, budget: SpendingLimit, answers: int, answer_seconds: float | None = None) -> RunLimits:
    """Where a run of so many answers ends: by the budget, where it says so, else by its size."""
    own = replace(limits, requests=budget.requests or limits.requests, tokens=budget.tokens or limits.tokens)
    return own.of(answers) if answer_seconds is None else own.of(answers, answer_seconds)


@dataclass(frozen=True, slots=True)
class RunPlan:
    """What a whole run of a suite is expected to take.

    Attributes:
        tokens: `came` is None when neither an earlier run nor the settings say how long answers are.
        cost: in the currency of the prices; None when they or the answers are not known.
        basis: what the length of answers is taken from: `earlier run`, `max_tokens` (the most) or None.
        affordable: questions after which the budget ends the run, None when it is enough or nobody can say.
        most_requests, most_tokens, most_seconds: where the run ends at the latest.
    """

    suite: str
    version: str
    items: int
    questions: int
    sent: float
    came: float | None
    cost: float | None
    basis: str | None
    affordable: int | None
    most_requests: int | None
    most_tokens: int | None
    most_seconds: float | None


def plan_of(
    suite: Suite,
    expected: AnswerCosts,
    limit: SpendingLimit,
    prices: TokenPrices | None,
    answer_seconds: float | None = None,
) -> RunPlan:
    """What a run of `suite` takes, before it."""
    each = [expected.expected(item) for item in suite.items for _ in range(item.repeats)]
    total = sum(each, Tokens())
    bounds = bounds_of(RunLimits(), limit, suite.answers, answer_seconds)
    within = replace(limit, requests=bounds.requests, tokens=bounds.tokens)
    basis = "earlier run" if expected.usual is not None else "max_tokens" if expected.most is not None else None
    return RunPlan(
        suite=suite.name,
        version=suite.version,
        items=len(suite.items),
        questions=len(each),
        sent=total.sent,
        came=None if basis is None else total.came,
        cost=None if basis is None or prices is None else total.cost(prices),
        basis=basis,
        affordable=_affordable(each, within, prices),
        most_requests=bounds.requests,
        most_tokens=bounds.tokens,
        most_seconds=bounds.seconds,
    )


def _affordable(each: Sequence[Tokens], limit: SpendingLimit, prices: TokenPrices | None) -> int | None:
    spent = Tokens()
    for n, one in enumerate(each):
        spent += one
        if n >= (limit.requests or len(each)) or _over(spent, limit, prices) is not None:
            return n
    return None


def _over(spent: Tokens, limit: SpendingLimit, prices: TokenPrices | None) -> str | None:
    """Which budget so much does not fit into, in words."""
    if limit.tokens is not None and spent.total > limit.tokens:
        return words.tokens_spent(limit.tokens)
    if limit.cost is not None and prices is not None and spent.cost(prices) > limit.cost:
        return words.cost_spent(limit.cost)
    return None


@dataclass(slots=True)
class SpendingMeter:
    """What a run has spent and has under way, of what it may."""

    limit: SpendingLimit
    prices: TokenPrices | None
    expected: AnswerCosts
    spent: Tokens = field(default_factory=Tokens)
    under_way: list[Tokens] = field(default_factory=list)

    def take(self, item: Item) -> Tokens | None:
        """Take what a question may cost, to be given to `settle`; None while it fits only if others cost less.

        Raises:
            BudgetSpent: if that does not fit any more, whatever those under way come to.
        """
        wanted = self.expected.reserved(item)
        why = _over(self.spent + wanted, self.limit, self.prices)
        if why is not None:
            raise BudgetSpent(why)
        if self.under_way and _over(sum(self.under_way, self.spent + wanted), self.limit, self.prices) is not None:
            return None
        self.under_way.append(wanted)
        return wanted

    def settle(self, taken: Tokens, answer: SuiteAnswer | None) -> None:
        """What came of it, in place of what was expected."""
        self.under_way.remove(taken)
        if answer is not None:
            self.spent += used(answer)

    def taken_over(self, spent: Spent) -> None:
        """What the same run had spent before."""
        self.spent += spent.tokens
