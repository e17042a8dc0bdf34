"""What an API key looks like, whether a text is one, and what its role and globs allow. Pure.

A key is `kw_<id>_<secret>`, both in hexadecimal digits.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from fnmatch import fnmatchcase
from typing import Final, Literal

from services.errors import InputError

ID_BYTES: Final = 8
SECRET_BYTES: Final = 32
FORM: Final = "kw_<16 digits>_<64 digits>, the digits hexadecimal"
NO_DIGEST: Final = "0" * 64
"""What an unknown id is compared with: no text is known that has this SHA-256."""
_KEY_PATTERN: Final = re.compile(rf"kw_([0-9a-f]{{{2 * ID_BYTES}}})_([0-9a-f]{{{2 * SECRET_BYTES}}})")

KeyState = Literal["active", "expired", "revoked"]


@dataclass(frozen=True, slots=True)
class Secret:
    """A key as its holder has it. The secret is not shown when it is printed, and stored by nobody."""

    id: str
    secret: str = field(repr=False)

    @property
    def text(self) -> str:
        """The key as it is sent."""
        return f"kw_{self.id}_{self.secret}"

    @property
    def digest(self) -> str:
        """What is stored of the secret: its SHA-256. 256 random bits need no salt and no slow hash."""
        return digest(self.secret)


def new_key(chance: bytes) -> Secret:
    """A new key of 40 random bytes.

    >>> new_key(bytes(40)).id
    '0000000000000000'
    """
    return Secret(chance[:ID_BYTES].hex(), chance[ID_BYTES : ID_BYTES + SECRET_BYTES].hex())


def parse_key(text: str) -> Secret | None:
    """The key that the text is, None if it is none."""
    found = _KEY_PATTERN.fullmatch(text)
    return None if found is None else Secret(*found.groups())


def digest(secret: str) -> str:
    """The SHA-256 of a secret, in hexadecimal digits."""
    return hashlib.sha256(secret.encode()).hexdigest()


def proves(secret: str, stored: str | None) -> bool:
    """Whether the secret is the one whose digest is stored; None, for an id that nobody has, takes the same work."""
    same = hmac.compare_digest(digest(secret), NO_DIGEST if stored is None else stored)
    return same and stored is not None


def key_state(expires: datetime | None, revoked: datetime | None, now: datetime) -> KeyState:
    """What a key is worth now. It ends at the moment at which it expires."""
    if revoked is not None:
        return "revoked"
    return "expired" if expires is not None and expires <= now else "active"


Role = Literal["ingest", "viewer", "operator", "admin"]

GRANTS: Final[Mapping[Role, frozenset[Role]]] = {
    "ingest": frozenset({"ingest"}),
    "viewer": frozenset({"viewer"}),
    "operator": frozenset({"viewer", "operator"}),
    "admin": frozenset({"ingest", "viewer", "operator", "admin"}),
}
"""Role -> what it may: ingest posts exchanges and reads nothing, who decides also sees, admin may everything."""
ALL_ROUTES: Final = ("*",)
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
    raise InputError(f"--role {text!r}: must be one of {', '.join(GRANTS)}")


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
            raise InputError(f"--routes {glob!r}: must be of a-z 0-9 . _ / - and *, such as 'support-bot/*'")
    return tuple(found) or ALL_ROUTES


def lifetime_of(text: str) -> timedelta:
    """How long a key lives, for example `90d`.

    Raises:
        InputError: if it is no time, or over ten years.
    """
    found = _TIME.fullmatch(text)
    if found is None or (whole := int(found[1]) * _UNITS[found[2]]) > _LONGEST:
        raise InputError(f"--expires {text!r}: must be a number with h, d or w, up to 3650d, such as 90d")
    return whole
