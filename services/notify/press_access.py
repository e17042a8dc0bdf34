"""Who may press which button: what the monitor file allows to whom, and what those are told who may not. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from typing import Final

from services.monitor import SlackAccess, SlackGrant
from services.monitor.policy import PersonRole
from services.notify.buttons import Press
from services.wording import notifications as words

NEEDED: Final[PersonRole] = "operator"
"""The role that every button needs, as `POST /v1/decisions` does."""
_ID: Final = re.compile(r"[A-Z][A-Z0-9]{1,30}", re.ASCII)


@dataclass(frozen=True, slots=True)
class SlackPerson:
    """Who somebody is, as the workspace says it. `full`: neither guest nor bot nor gone."""

    team: str
    full: bool


@dataclass(frozen=True, slots=True)
class RoleRules:
    """What roles and globs are worth, as for the API's keys: `may(role, needed)`, `sees(globs, route)`."""

    may: Callable[[PersonRole, PersonRole], bool]
    sees: Callable[[Iterable[str], str], bool]


def refusal_of_place(press: Press, access: SlackAccess | None, route: str) -> str | None:
    """Why nothing that comes from there counts, in words for the person; None if it may."""
    if not all(_ID.fullmatch(id) for id in (press.user, press.home, press.team, press.app)):
        return words.NOT_FROM_HERE
    if access is None:
        return words.nobody_allowed(press.user, route, press.team, press.app)
    if (press.team, press.app) != (access.team, access.app):
        return words.NOT_FROM_HERE
    return words.GUEST if press.home != access.team else None


def refusal_of_person(person: SlackPerson, access: SlackAccess) -> str | None:
    """Why nobody like that may decide, whatever the monitor file says; None if they may."""
    return None if person.full and person.team == access.team else words.GUEST


def grants_on(access: SlackAccess, route: str, rules: RoleRules) -> tuple[SlackGrant, ...]:
    """What the monitor file allows on the route, whoever that is."""
    return tuple(one for one in access.grants if rules.sees(one.routes, route))


def refusal_of_role(user: str, held: Collection[SlackGrant], route: str, rules: RoleRules) -> str | None:
    """Why what somebody has on the route is not enough for a button; None if it is."""
    if any(rules.may(one.role, NEEDED) for one in held):
        return None
    return words.only_looks(route, next(iter(held)).role) if held else words.not_allowed(user, route)
