"""What an API key looks like, and whether what was sent is one: `kw_<id>_<secret>`, both in hexadecimal digits."""

from __future__ import annotations

import hashlib
import hmac
import re
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Literal

ID_BYTES: Final = 8
SECRET_BYTES: Final = 32
FORM: Final = "kw_<16 digits>_<64 digits>, the digits hexadecimal"
NOBODYS: Final = "0" * 64
"""What an unknown id is compared with: no text is known that has this SHA-256."""
_FORM: Final = re.compile(rf"kw_([0-9a-f]{{{2 * ID_BYTES}}})_([0-9a-f]{{{2 * SECRET_BYTES}}})")

State = Literal["active", "expired", "revoked"]


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


def made(chance: bytes) -> Secret:
    """A new key of 40 random bytes.

    >>> made(bytes(40)).id
    '0000000000000000'
    """
    return Secret(chance[:ID_BYTES].hex(), chance[ID_BYTES : ID_BYTES + SECRET_BYTES].hex())


def parsed(text: str) -> Secret | None:
    """The key that the text is, None if it is none."""
    found = _FORM.fullmatch(text)
    return None if found is None else Secret(*found.groups())


def digest(secret: str) -> str:
    """The SHA-256 of a secret, in hexadecimal digits."""
    return hashlib.sha256(secret.encode()).hexdigest()


def proves(secret: str, stored: str | None) -> bool:
    """Whether the secret is the one whose digest is stored; None, for an id that nobody has, takes the same work."""
    same = hmac.compare_digest(digest(secret), NOBODYS if stored is None else stored)
    return same and stored is not None


def state(expires: datetime | None, revoked: datetime | None, now: datetime) -> State:
    """What a key is worth now. It ends at the moment at which it expires."""
    if revoked is not None:
        return "revoked"
    return "expired" if expires is not None and expires <= now else "active"
