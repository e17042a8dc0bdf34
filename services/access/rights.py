"""Roles, the routes that a key sees, and what may be written for them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import timedelta
from fnmatch import fnmatchcase
from typing import Final, Literal

from services.errors import InputError

Role = Literal["ingest", "viewer", "operator", "admin"]

GRANTS: Final[Mapping[Role, frozenset[Role]]] = {
    "ingest": frozenset({"ingest"}),
    "viewer": frozenset({"viewer"}),
    "operator": frozenset({"viewer", "operator"}),
    "admin": frozenset({"ingest", "viewer", "operator", "admin"}),
}
"""Role -> what it may: ingest posts exchanges and reads nothing, who decides also sees, admin may everything."""
ALL: Final = ("*",)
MOST_NAME: Final = 64
_GLOB: Final = re.compile(r"[a-z0-9._/*-]{1,200}")
_TIME: Final = re.compile(r"([1-9][0-9]{0,4})([hdw])")
_UNITS: Final = {"h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1)}
_LONGEST: Final = timedelta(days=3650)


def may(role: Role, needed: Role) -> bool:
    """Whether somebody of this role may do what another one is needed for."""
    return needed in GRANTS[role]


def sees(globs: Iterable[str], route: str) -> bool:
    """Whether one of the globs fits; `*` stands for any characters, also `/`.

    >>> sees(["support-bot/*"], "support-bot/prod/eu"), sees(["support-bot/*"], "sales")
    (True, False)
    """
    return any(fnmatchcase(route, glob) for glob in globs)


def role_of(text: str) -> Role:
    """The role of that name.

    Raises:
        InputError: if there is none.
    """
    for role in GRANTS:
        if role == text:
            return role
    raise InputError(f"--role {text}: must be one of {', '.join(GRANTS)}")


def name_of(text: str) -> str:
    """A key's name, which decisions show.

    Raises:
        InputError: if it cannot be shown in one line.
    """
    name = text.strip()
    if not name or len(name) > MOST_NAME or not name.isprintable():
        raise InputError(f"--name: must be 1 to {MOST_NAME} visible characters, such as mara or support-bot gateway")
    return name


def globs_of(texts: Iterable[str]) -> tuple[str, ...]:
    """The globs of a key, sorted; without any it sees every route.

    Raises:
        InputError: if one fits no route.
    """
    found = sorted(set(texts))
    for glob in found:
        if not _GLOB.fullmatch(glob):
            raise InputError(f"--routes {glob}: must be of a-z 0-9 . _ / - and *, such as 'support-bot/*'")
    return tuple(found) or ALL


def lifetime_of(text: str) -> timedelta:
    """How long a key lives, for example `90d`.

    Raises:
        InputError: if it is no time, or over ten years.
    """
    found = _TIME.fullmatch(text)
    if found is None or (whole := int(found[1]) * _UNITS[found[2]]) > _LONGEST:
        raise InputError(f"--expires {text}: must be a number with h, d or w, up to 3650d, such as 90d")
    return whole
