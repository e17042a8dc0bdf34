"""Who moved: the model, the users, both, or our ruler. Otherwise it is unknown, and says so."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from schemas.incident import Verdict
from services.specs import families, family_of

TOGETHER: Final = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class Judgement:
    """The verdict on an incident, and what it rests on.

    Attributes:
        signs: families of alerts that blame whom the verdict names, in the order of the registry; where the model and
            the users moved, those that blame the model; of `unknown`, every family that fired.
        apart: the least time between an alert that blames the model and one that blames the users, where both fired.
    """

    verdict: Verdict
    signs: tuple[str, ...]
    apart: timedelta | None = None


def judge(crossings: Iterable[tuple[datetime, str]]) -> Judgement:
    """The verdict of all (time, family) at which alerts of an incident fired."""
    crossed = tuple(crossings)
    fired = dict.fromkeys(family for _, family in crossed)
    blamed = {mover: _who_blame(mover, fired) for mover in ("ruler", "model", "users")}
    if blamed["ruler"]:
        return Judgement("ruler", blamed["ruler"])
    if blamed["model"] and blamed["users"]:
        model, users = ([ts for ts, family in crossed if family in blamed[mover]] for mover in ("model", "users"))
        apart = min(abs(one - other) for one in model for other in users)
        return Judgement("both" if apart <= TOGETHER else "model", blamed["model"], apart)
    if blamed["model"]:
        return Judgement("model", blamed["model"])
    return Judgement("users", blamed["users"]) if blamed["users"] else Judgement("unknown", tuple(fired))


def reason_of(judged: Judgement) -> str:
    """What the verdict rests on, in words."""
    specs = [family_of(name) for name in judged.signs]
    signs = " and ".join(spec.sign for spec in specs)
    if judged.verdict == "ruler":
        return "the scorers themselves moved on the frozen anchor set; the rates cannot be compared"
    if judged.verdict == "users":
        return "the prompts differ from the baseline's; answers to like prompts do not"
    if judged.verdict == "unknown":
        return _nothing(judged.signs)
    if judged.apart is None:
        return signs
    hours = judged.apart.total_seconds() / 3600
    if judged.verdict == "both":
        return f"{signs}, and the prompts shifted too, {hours:.1f} h apart"
    return f"{signs}; the prompts shifted as well, but {hours:.0f} h apart"


def _who_blame(mover: str, fired: Iterable[str]) -> tuple[str, ...]:
    return tuple(name for name, spec in families().items() if spec.blames == mover and name in fired)


def _nothing(names: tuple[str, ...]) -> str:
    kinds = {family_of(name).kind for name in names}
    if kinds == {"event"}:
        return "an event alone does not say who moved"
    if kinds == {"blind"}:
        return "nothing can be said of what is not watched"
    return f"{' and '.join(family_of(name).noun for name in names)} alone does not say who moved"
