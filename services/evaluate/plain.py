"""Text as it is compared: letters and digits alone, whatever case, width, spacing and punctuation they came in."""

from __future__ import annotations

import unicodedata


def plain(text: str) -> str:
    r"""Letters and digits of `text` in NFKC, case folded; everything between them is left out.

    >>> plain("H-e-l-l-o, W O R L D\u200b!")
    'helloworld'
    """
    return "".join(filter(str.isalnum, unicodedata.normalize("NFKC", text).casefold()))
