"""What a judge prefers of two answers to one question, pair by pair, as a run keeps it and a comparison tells it. Pure.

Each pair is shown in both orders. Only what is said in both counts for an answer: two orders that contradict each other
tell of the judge, and silence is no verdict.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from schemas.base import Hash16, NonNegative, Part

PairVerdict = Literal["worse", "better", "tie", "by_order", "inconclusive"]


class JudgedPair(Part):
    """The answers to one item: whether the later one is `worse` or `better` than the earlier one."""

    item: str
    verdict: PairVerdict


class JudgedPairs(Part):
    """The pairs of a run and the one `before` it.

    Attributes:
        judge: the signal whose model was asked. version: prompt, model and a hash of what it was asked.
        left: pairs that were not asked for want of calls. reason: why none was asked, in words.
    """

    before: Hash16
    judge: str
    version: str
    pairs: tuple[JudgedPair, ...] = ()
    left: NonNegative = 0
    reason: Annotated[str | None, Field(description="Null where it was asked.")] = None
