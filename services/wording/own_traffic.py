"""A route's own questions that are asked again, in words. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from services.wording.numbers import count

WITH_TOOLS: Final = "tools were called in it"
MASKED: Final = "something in it is masked"
CUT: Final = "it was too long to be kept whole"
NO_QUESTION: Final = "it does not end with a question"
OFF: Final = "the route does not ask its own questions again; set `reask` in the monitor file"
NO_BASELINE: Final = "the route has no baseline, of whose exchanges its own questions are taken"
NOT_OF_BASELINE: Final = (
    "the route's own questions were not asked when its baseline was pinned: there is nothing to hold the answers "
    "against; they are asked from the next baseline on"
)
DURING_INCIDENT: Final = (
    "the route has an open incident: the model that answers now may not be the one of the baseline; its own questions "
    "are asked once the incident is resolved"
)
ANOTHER_BASELINE: Final = "another baseline was pinned since; its questions are asked in a run of their own"


def title(route: str, n: int) -> str:
    """Of the suite."""
    return f"{count(n, 'question')} that users of {route} asked"


def topic(words: Sequence[str]) -> str:
    """Of what a part of the questions is, by the words that set it apart."""
    return f"Questions about {', '.join(words)}" if words else "Other questions"


def unnamed_topic(place: int) -> str:
    """Of a part of the questions whose words are not told."""
    return f"Topic {place} of the questions"


def under_way(n: int, wanted: int) -> str:
    """Why they are asked a little later."""
    return f"{n} of {count(wanted, 'text')} of the baseline are stored yet"


def too_few(n: int, fewest: int) -> str:
    """Why they are not asked."""
    found = count(n, "exchange") if n else "no exchange"
    return (
        f"only {found} of the baseline can be asked again as it was (at least {fewest} are needed); those that are "
        "masked in part, cut, or use tools cannot. keep_text: all keeps more"
    )


def tomorrow(budget: int) -> str:
    """Why they are asked later."""
    return f"the day's budget of {count(budget, 'question')} is used up; they are asked tomorrow"


def over_budget(n: int, budget: int) -> str:
    """Why they are never asked."""
    return (
        f"the {count(n, 'question')} of the baseline are more than the day's budget of {budget:,}; raise "
        f"`daily_budget` under `reask` to {n:,} at least"
    )
