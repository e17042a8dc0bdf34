"""Text as canaries compare it, and whether a value stands in it, also in a simple disguise."""

from __future__ import annotations

import base64
import codecs
import unicodedata
from collections.abc import Iterator
from typing import Final

LONGEST: Final = 256 * 1024
_URL_SAFE: Final = str.maketrans("-_", "+/")


def plain(text: str) -> str:
    r"""Letters and digits of `text` in NFKC, case folded; marks, spaces and punctuation between them are left out.

    >>> plain("H-e-l-l-o, W O R L D\u200b!")
    'helloworld'
    """
    bare = "".join(char for char in text if not unicodedata.combining(char))  # runs of marks sort in quadratic time
    return "".join(filter(str.isalnum, unicodedata.normalize("NFKC", bare).casefold()))


def stands_in(value: str, text: str) -> str | None:
    """How `value` stands in `text`: `as it is`, `reversed`, `in rot13`, `in hex`, `in base64`; None when it does not.

    Letters and digits count, whatever stands between them: spaced out, hyphenated, upper case and full width are
    found as they are. Only the first 256 KiB characters of `text` are looked at.
    """
    text = text[:LONGEST]
    said, sought = plain(text), plain(value)
    disguises = {
        "as it is": sought,
        "reversed": sought[::-1],
        "in rot13": codecs.encode(sought, "rot13"),
        "in hex": value.encode().hex(),
    }
    for how, disguised in disguises.items():
        if disguised in said:
            return how
    packed = "".join(text.split()).translate(_URL_SAFE)
    return "in base64" if any(form in packed for form in _base64_forms(value)) else None


def _base64_forms(value: str) -> Iterator[str]:
    """What base64 of any text around `value` holds: one form for each place of its first byte within 3."""
    for spelled in {value, value.upper(), value.lower()}:
        raw = spelled.encode()
        for before in range(3):
            whole = base64.b64encode(b"\0" * before + raw).decode()
            first = -(-before * 8 // 6)
            yield whole[first : (before + len(raw)) * 8 // 6]
