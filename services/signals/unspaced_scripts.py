"""Letters of scripts that part no words, taken from beside the values that stand right next to them."""

from __future__ import annotations

import re
from typing import Final

PHONE_WORDS: Final = (
    "\u7535\u8bdd\u53f7\u7801|\u7535\u8bdd|\u624b\u673a\u53f7\u7801|\u624b\u673a\u53f7|\u624b\u673a"
    "|\u96fb\u8a71\u865f\u78bc|\u96fb\u8a71\u756a\u53f7|\u96fb\u8a71|\u624b\u6a5f|\u643a\u5e2f\u756a\u53f7"
    "|\u643a\u5e2f"
    "|\uc804\ud654\ubc88\ud638|\uc804\ud654|\ud734\ub300\ud3f0"
)
"""What leads to a telephone number in Chinese, Japanese and Korean, the longer words first."""
_THINGS: Final = (
    "\u8ba2\u5355\u7f16\u53f7|\u8ba2\u5355\u53f7|\u8a02\u55ae\u7de8\u865f|\u8fd0\u5355\u53f7"
    "|\u5feb\u9012\u5355\u53f7|\u6d41\u6c34\u53f7"
    "|\u53d1\u7968\u53f7|\u5e8f\u5217\u53f7|\u6ce8\u6587\u756a\u53f7|\u53d7\u6ce8\u756a\u53f7"
    "|\u4f1d\u7968\u756a\u53f7|\u8ffd\u8de1\u756a\u53f7"
    "|\u7ba1\u7406\u756a\u53f7|\uc8fc\ubb38\ubc88\ud638|\uc1a1\uc7a5\ubc88\ud638"
)
"""Numbers of orders, parcels, invoices, parts."""
_LETTER: Final = r"\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af"
_UNSPACED: Final = re.compile(rf"[{_LETTER}]")
_WORDS: Final = re.compile(f"{PHONE_WORDS}|{_THINGS}")
_BESIDE_AT: Final = re.compile(rf"@[{_LETTER}]|[{_LETTER}]@")
_LETTERS: Final = re.compile(rf"({PHONE_WORDS})|({_THINGS})|(?:(?!{PHONE_WORDS}|{_THINGS})[{_LETTER}])+")


def is_unspaced(letter: str) -> bool:
    """Whether a letter is of such a script."""
    return _UNSPACED.match(letter) is not None


def set_apart(text: str) -> str:
    """The text with a bar for each letter of Han, kana, Hangul, Thai and the like, so that values end where they do.

    Words that lead to a telephone number stay; those that name the number of an order become a word that does so
    in English. The length stays.

    >>> set_apart("\u5361\u53f74539"), set_apart("\u8ba2\u5355\u53f7415"), set_apart("call 415")
    ('||4539', 'job415', 'call 415')
    """
    if text.isascii() or _UNSPACED.search(text) is None:
        return text
    if _WORDS.search(text) is None and ("@" not in text or _BESIDE_AT.search(text) is None):
        return _UNSPACED.sub("|", text)  # without these a letter becomes a bar whatever stands beside it
    return _LETTERS.sub(_apart, text)


def _apart(match: re.Match[str]) -> str:
    text, (start, end) = match.string, match.span()
    if match[1] or text[start - 1 : start] == "@" or text[end : end + 1] == "@":
        return match[0]  # before or after an at sign they are an address's
    return ("job" if match[2] else "").ljust(end - start, "|")
