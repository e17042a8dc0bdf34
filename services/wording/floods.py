"""That one user, or one question, is much of what a route is asked, in words. Pure."""

from __future__ import annotations

from typing import Final

from services.wording import numbers

OVER: Final = "what is asked is as mixed as usual again"


def one_user(share: float, of: int) -> str:
    """How much of what was asked last came from one user.

    >>> one_user(0.62, 200)
    'one user sent 62.0% of the last 200 exchanges'
    """
    return f"one user sent {numbers.percent(share)} of the last {numbers.count(of, 'exchange')}"


def one_prompt(share: float, of: int) -> str:
    """How much of what was asked last is one question, or nearly.

    >>> one_prompt(0.62, 200)
    'one question, word for word or nearly, is 62.0% of the last 200 exchanges'
    """
    what = "one question, word for word or nearly,"
    return f"{what} is {numbers.percent(share)} of the last {numbers.count(of, 'exchange')}"


def few_prompts(of: int) -> str:
    """That no single question is most of it.

    >>> few_prompts(200)
    'a few questions, word for word or nearly, are many of the last 200 exchanges'
    """
    return f"a few questions, word for word or nearly, are many of the last {numbers.count(of, 'exchange')}"


def not_judged(told: str, share: float) -> str:
    """That most of what is asked says nothing about the model, and why.

    >>> not_judged("one user sent 62.0% of the last 200 exchanges", 0.6)
    'one user sent 62.0% of the last 200 exchanges; 60.0% of them repeat too much to say anything about the model'
    """
    return f"{told}; {numbers.percent(share)} of them repeat too much to say anything about the model"
