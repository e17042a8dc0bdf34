"""Block Kit out of text that nobody vouches for: literals alone, cleaned and cut to Slack's limits. Pure."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from typing import Any, Final

from services.monitor.fields import is_mention
from services.wording.notifications import CANCEL

HEADER: Final = 150
TEXT: Final = 3000
LABEL: Final = 75
VALUE: Final = 2000
FALLBACK: Final = 1000
ALT: Final = 1000

BAD: Final = "\N{REPLACEMENT CHARACTER}"
NOTHING: Final = "\N{EN DASH}"
_JOINERS: Final = "\u200c\u200d"  # scripts and emoji need them, and they hide nothing
_APART: Final = ":\u200b//"

Block = dict[str, Any]


def cleaned(text: str, limit: int) -> str:
    r"""One line of `text` without what hides or turns text around, at most `limit` UTF-16 units, never empty.

    Controls, overrides of the direction, invisible characters and lone surrogates become U+FFFD.

    >>> cleaned("a\x00b\n  c", 100), cleaned("abcdef", 4), cleaned(" ", 9)
    ('a�b c', 'abc…', '–')
    """
    line = " ".join(text[: 4 * limit].split())
    seen = "".join(BAD if _hides(character) else character for character in line)
    return cut(seen, limit) or NOTHING


def _hides(character: str) -> bool:
    return unicodedata.category(character)[0] == "C" and character not in _JOINERS


def cut(text: str, limit: int) -> str:
    """At most `limit` units. Slack counts as JavaScript does: a character outside the basic plane is two."""
    if _units(text) <= limit:
        return text
    kept, room = 0, limit - 1
    while room >= (width := _units(text[kept])):
        kept, room = kept + 1, room - width
    return text[:kept].rstrip() + "…"


def _units(text: str) -> int:
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def fallback(text: str) -> str:
    """The plain text of a notification: escaped, and no address that a client would make a link of."""
    line = cleaned(text, FALLBACK).replace("://", _APART)
    return line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def plain(text: str, limit: int = TEXT) -> Block:
    """A text object in which nothing is markup, not even `:emoji:`."""
    return {"type": "plain_text", "text": cleaned(text, limit), "emoji": False}


def header(text: str) -> Block:
    """The bold first line."""
    return {"type": "header", "text": plain(text, HEADER)}


def section(text: str, limit: int = TEXT) -> Block:
    """A paragraph."""
    return {"type": "section", "text": plain(text, limit)}


def context(text: str) -> Block:
    """Small grey text."""
    return {"type": "context", "elements": [plain(text)]}


def divider() -> Block:
    """A line across."""
    return {"type": "divider"}


def mention(whom: str) -> Block:
    """The receiver's own mention: the one place where markup is used, and nothing else stands there.

    Raises:
        ValueError: if `whom` is anything but mentions.
    """
    if not is_mention(whom):
        raise ValueError("not a mention")
    return {"type": "section", "text": {"type": "mrkdwn", "text": whom, "verbatim": True}}


def is_calling(block: Block) -> bool:
    """Whether a block is a mention: the only section with markup."""
    return bool(block["type"] == "section" and block["text"]["type"] == "mrkdwn")


def literal(text: str, limit: int = TEXT, **style: bool) -> Block:
    """A piece of rich text that is shown as it is; `style` is bold, italic or code."""
    made: Block = {"type": "text", "text": cleaned(text, limit)}
    return {**made, "style": style} if style else made


def spaced(text: str) -> Block:
    """Our own words between literals, with their spaces and line ends."""
    return {"type": "text", "text": text}


def link(url: str, text: str) -> Block:
    """A link to a page of ours."""
    return {"type": "link", "url": url, "text": text}


def line(elements: Iterable[Block]) -> Block:
    """A paragraph of rich text."""
    return {"type": "rich_text_section", "elements": list(elements)}


def bullets(lines: Iterable[Block]) -> Block:
    """A list of rich text."""
    return {"type": "rich_text_list", "style": "bullet", "elements": list(lines)}


def rich(parts: Iterable[Block]) -> Block:
    """A block of rich text: paragraphs and lists."""
    return {"type": "rich_text", "elements": list(parts)}


def image(file: str, words: str) -> Block:
    """A picture that Slack has; `words` are for those who do not see it."""
    return {"type": "image", "slack_file": {"id": file}, "alt_text": cleaned(words, ALT)}


def button(action: str, label: str, value: str, confirm: str | None = None, style: str | None = None) -> Block:
    """A button; with `confirm`, a sentence that it is asked with."""
    made: Block = {"type": "button", "action_id": action, "text": plain(label, LABEL), "value": value[:VALUE]}
    if style is not None:
        made["style"] = style
    if confirm is not None:
        made["confirm"] = {
            "title": plain(f"{label}?", 100),
            "text": plain(confirm, 300),
            "confirm": plain(label, 30),
            "deny": plain(CANCEL, 30),
        }
    return made


def actions(buttons: Iterable[Block]) -> Block:
    """A row of buttons."""
    return {"type": "actions", "elements": list(buttons)}
