"""The content of dead letters sealed with a key pair of the day: without the private half nobody reads it. Pure.

HPKE in its base mode (RFC 9180: X25519, HKDF-SHA256, AES-256-GCM). Whoever seals needs the public half alone. The
private half stands in the database, until the day is forgotten there: then the topic may keep the box for as long as
it likes.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite

from schemas.base import canonical
from schemas.dead_letter import DeadLetter, SealedContent

PUBLIC_BYTES: Final = 32
_SUITE: Final = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)
_MARK: Final = 8


@dataclass(frozen=True, slots=True)
class LetterKey:
    """The public half of a day's key pair, 32 bytes. A day whose key was forgotten may get another one."""

    day: date
    public: bytes

    @property
    def name(self) -> str:
        """The day, and the beginning of the key: what the letter names."""
        return f"{self.day.isoformat()}.{self.public.hex()[:_MARK]}"


def new_private() -> bytes:
    """The private half of a new key pair, 32 bytes."""
    return X25519PrivateKey.generate().private_bytes_raw()


def key_of(day: date, private: bytes) -> LetterKey:
    """The public half that belongs to a private one."""
    return LetterKey(day, X25519PrivateKey.from_private_bytes(private).public_key().public_bytes_raw())


def sealed(letter: DeadLetter, key: LetterKey | None) -> DeadLetter:
    """The letter as it may lie on a topic; without a key nothing is left of its content but length and sha256."""
    if not letter.raw or letter.sealed is not None:
        return letter
    if key is None:
        return _with(letter, raw="", withheld="no_key")
    public = X25519PublicKey.from_public_bytes(key.public)
    box = _SUITE.encrypt(base64.b64decode(letter.raw), public, _bound(letter, key.name))
    kept = SealedContent(key=key.name, box=base64.b64encode(box).decode())
    return _with(letter, raw="", sealed=kept)


def opened(letter: DeadLetter, private: Mapping[str, bytes]) -> DeadLetter:
    """The letter with its content, where one of the keys opens it; else as it is. `private`: day -> private half.

    What was written before letters were sealed is readable as it is.
    """
    box = letter.sealed
    key = None if box is None else private.get(box.key.partition(".")[0])
    if box is None or key is None:
        return letter
    try:
        raw = _SUITE.decrypt(
            base64.b64decode(box.box, validate=True), X25519PrivateKey.from_private_bytes(key), _bound(letter, box.key)
        )
    except (InvalidTag, ValueError):  # of another key of that day, or no box at all
        return letter
    if len(raw) == letter.length and hashlib.sha256(raw).hexdigest() != letter.sha256:
        return letter
    return _with(letter, raw=base64.b64encode(raw).decode(), sealed=None)


def _bound(letter: DeadLetter, key: str) -> bytes:
    """What the box belongs to: moved into another letter it does not open."""
    return canonical(["keelwatch dead letter", key, letter.sha256, letter.length, letter.source.model_dump()])


def _with(letter: DeadLetter, **changed: Any) -> DeadLetter:
    """Made anew, and so checked: what is no letter could not be read by its own reader."""
    return DeadLetter(**{name: getattr(letter, name) for name in DeadLetter.model_fields} | changed)
