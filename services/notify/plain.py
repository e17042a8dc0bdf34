"""A message as lines of text, for terminals. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from services.notify.blocks import Block
from services.notify.message import Message


def lines(message: Message) -> tuple[str, ...]:
    """What a message shows, as lines."""
    shown = [line for block in message.blocks for line in _shown(block)]
    return tuple(shown) or (message.text,)


def _shown(block: Block) -> Iterator[str]:
    kind = block["type"]
    if kind == "divider":
        yield ""
    elif kind == "rich_text":
        for part in block["elements"]:
            yield from _paragraph(part)
    elif kind == "actions":
        yield " ".join(f"[ {button['text']['text']} ]" for button in block["elements"])
    elif kind == "image":
        yield f"[ picture: {block['alt_text']} ]"
    elif kind == "context":
        yield " ".join(element["text"] for element in block["elements"])
    else:
        yield block["text"]["text"]


def _paragraph(part: Block) -> Iterator[str]:
    if part["type"] == "rich_text_list":
        for item in part["elements"]:
            yield f"  • {_inline(item)}"
    else:
        yield from _inline(part).split("\n")


def _inline(part: Block) -> str:
    return "".join(
        f"{element['text']}: {element['url']}" if element["type"] == "link" else element["text"]
        for element in part["elements"]
    )
