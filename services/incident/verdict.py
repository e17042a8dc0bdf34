"""Who moved: the model, the users, both, or our ruler. Otherwise it is unknown, and says so."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Final

from schemas.alert import Alert
from services import specs
from services.wording.incidents import Signs

TOGETHER: Final = timedelta(hours=24)


def verdict_of(alerts: Iterable[Alert], crossings: Iterable[tuple[datetime, str]]) -> Signs:
    """The verdict, with what it rests on: the alerts of an incident, and all (time, family) at which they fired."""
    found, crossed = tuple(alerts), tuple(crossings)
    blamed = {specs.family_of(family).blames for _, family in crossed}
    if "ruler" in blamed:
        return Signs("ruler", found)
    if {"model", "users"} <= blamed:
        apart = _apart(crossed)
        return Signs("both" if apart <= TOGETHER else "model", found, apart / timedelta(hours=1))
    if "model" in blamed:
        return Signs("model", found)
    return Signs("users" if "users" in blamed else "unknown", found)


def _apart(crossed: tuple[tuple[datetime, str], ...]) -> timedelta:
    """How far the nearest signs of the model and of the users lie apart."""
    users = [ts for ts, family in crossed if specs.family_of(family).blames == "users"]
    return min(abs(ts - user) for ts, family in crossed if specs.family_of(family).blames == "model" for user in users)
