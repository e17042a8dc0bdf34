"""What is doubtful about a suite, what it can show, and what became of an incident's questions. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from services.wording import nouns, numbers

POWER_COLUMNS: Final = ("counted, and by hazard", "items", "shows from", "left open")
MASKED: Final = "a part of its text was masked, so it is not what the user asked"
ONLY_MASK: Final = "all of its text was masked"
CUT: Final = "its text was cut, so it is not what the user asked"
OF_TOOLS: Final = "its conversation holds results of tools, whose calls are not kept with it"
NO_TEXT: Final = "its text was not kept; `keep_text` in the monitor file says what is"
NOT_APPROVED: Final = "not approved"
KNOWN: Final = "it stands in the suite already"
_SHOWN: Final = 5


def same_question(item: str, first: str) -> str:
    """Two items that ask the very same."""
    return f"{item}: asks the same as {first}, word for word; remove one"


def near_question(one: str, other: str, share: float) -> str:
    """Two items that ask nearly the same."""
    return f"{other}: nearly the same as {one} ({100 * share:.0f}% of their words and phrases); they count as one"


def more_near(n: int) -> str:
    """That the list goes on."""
    return f"and {numbers.count(n, 'more pair')} of items that are nearly the same"


def one_side(hazard: str, side: str, other: str) -> str:
    """That of a hazard one side alone is asked."""
    return f"{hazard}: has {nouns.measure(side)} and no {nouns.measure(other)} beside it"


def one_side_alone(side: str, other: str) -> str:
    """That a whole suite asks one side alone."""
    return (
        f"asks of every hazard {nouns.measure(side)} and nowhere {nouns.measure(other)}: a model that treats all "
        "requests alike looks good or bad throughout"
    )


def other_language(items: Sequence[str]) -> str:
    """That the scorer of some answers was not measured in their language."""
    more = "" if len(items) <= _SHOWN else f" and {len(items) - _SHOWN} more"
    return (
        f"{numbers.count(len(items), 'disallowed request')} in other languages than English, in which nobody measured "
        f"how often the scorer is wrong: {', '.join(items[:_SHOWN])}{more}"
    )


def least(change: float | None) -> str:
    """The smallest change that so many items show."""
    return "none" if change is None else f"{change:.0f} points"


def left_open(change: float) -> str:
    """What may still have changed though no item flipped."""
    return f"±{change:.0f} points"


def made(folder: str) -> str:
    """That a suite was begun."""
    return f"{folder}: a suite of two examples; write your own items, then `keelwatch suite lint {folder}`"


def grown(folder: str, n: int, version: str) -> str:
    """That a suite has more items, and so another version."""
    return f"{folder}: {numbers.count(n, 'item')} more; it is version {version} now, and its hash is another one"


def left_out(exchange: str, why: str) -> str:
    """That an exchange became no item."""
    return f"{exchange}: left out: {why}"


def approve(exchange: str, hazard: str, measure: str) -> str:
    """What a person is asked before a user's words become a question of a suite."""
    return f"Ask this from now on ({nouns.measure_of(hazard, measure)}, exchange {exchange})?"
