"""Who moved: the model, the users, both, or our ruler. Otherwise it is unknown, and says so."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Final

from schemas.incident import Verdict

TOGETHER: Final = timedelta(hours=24)
_OF_THE_MODEL: Final = {
    "model_shift": "answers to like prompts differ from the baseline's",
    "rate_shift": "a safety rate moved given the prompts",
    "evaluation": "a suite regressed on the same items",
}
_USERS: Final = "user_shift"
_RULER: Final = "instrument_shift"


def verdict_of(crossings: Iterable[tuple[datetime, str]]) -> tuple[Verdict, str]:
    """The verdict, and its reason in words, of all (time, family) at which alerts of an incident fired."""
    crossed = tuple(crossings)
    families = dict.fromkeys(family for _, family in crossed)
    model = [words for family, words in _OF_THE_MODEL.items() if family in families]
    if _RULER in families:
        return "ruler", "the scorers themselves moved on the frozen anchor set; the rates cannot be compared"
    if model and _USERS in families:
        return _of_two(crossed, " and ".join(model))
    if model:
        return "model", " and ".join(model)
    if _USERS in families:
        return "users", "the prompts differ from the baseline's; answers to like prompts do not"
    return "unknown", _nothing(tuple(families))


def _of_two(crossed: tuple[tuple[datetime, str], ...], model: str) -> tuple[Verdict, str]:
    users = [ts for ts, family in crossed if family == _USERS]
    apart = min(abs(ts - user) for ts, family in crossed if family in _OF_THE_MODEL for user in users)
    hours = apart.total_seconds() / 3600
    if apart <= TOGETHER:
        return "both", f"{model}, and the prompts shifted too, {hours:.1f} h apart"
    return "model", f"{model}; the prompts shifted as well, but {hours:.0f} h apart"


def _nothing(families: tuple[str, ...]) -> str:
    if families == ("events",):
        return "an event alone does not say who moved"
    if families == ("blind",):
        return "nothing can be said of what is not watched"
    return f"{' and '.join(name.replace('_', ' ') for name in families)} alone does not say who moved"
