"""What a run of a suite costs, and that it may cost no more. Pure."""

from __future__ import annotations

from typing import Final

PLAN_COLUMNS: Final = ("suite", "items", "questions", "tokens sent", "tokens answered", "cost")
PLAN_NOT_KNOWN: Final = "not known"
NOTHING_KNOWN: Final = (
    "How long answers are is not known: name an earlier run with --against or --database, or set `max_tokens`."
)
AT_MOST: Final = "No earlier run: answers are counted with `max_tokens`, which is the most they can be."
NO_PRICES: Final = "Money is not known: set `prices` of the route's target (per million tokens)."
ENDS_EARLIER: Final = "A run after a change may take less: it stops once its result is decided."


def tokens_spent(most: int) -> str:
    """Why a run was stopped."""
    return f"the budget of {most:,} tokens is spent"


def cost_spent(most: float) -> str:
    """Why a run was stopped."""
    return f"the budget of {most:g} (money) is spent"


def ends_at(suite: str, affordable: int, questions: int) -> str:
    """That a budget does not reach to the end."""
    return f"The budget ends {suite} after about {affordable:,} of {questions:,} questions: it would be incomplete."


def ends_at_latest(suite: str, requests: int, tokens_: int, seconds: float) -> str:
    """Where a run ends, complete or not."""
    return (
        f"A run of {suite} ends at the latest after {requests:,} requests, {tokens_:,} tokens or "
        f"{seconds / 60:,.0f} minutes; `budget` of the route's target sets the first two."
    )


def money(cost: float | None) -> str:
    """A sum, in the currency of the prices."""
    if cost is None:
        return PLAN_NOT_KNOWN
    return f"{cost:,.2f}" if cost >= 1 else f"{cost:.4f}"


def tokens(n: float | None) -> str:
    """A number of tokens."""
    return PLAN_NOT_KNOWN if n is None else f"{n:,.0f}"


def spent(sent: float, came: float, cost: float | None) -> str:
    """What a run has taken."""
    told = f"{sent:,.0f} tokens sent, {came:,.0f} answered"
    return told if cost is None else f"{told}, {money(cost)} in money"
