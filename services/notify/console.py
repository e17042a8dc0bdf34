"""A terminal: what the Slack message would say."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import count

from services.notify.blocks import Block
from services.notify.message import Message
from services.notify.port import Place

_WIDTH = 100


class Console:
    """Prints messages line by line; it never refuses one."""

    in_place = True

    def __init__(self, say: Callable[[str], None]) -> None:
        """`say` prints one line."""
        self._say = say
        self._numbers = count(1)

    async def post(self, message: Message) -> Place:
        """Print a new message."""
        place = Place("console", str(next(self._numbers)))
        self._print(f"message {place.ts}", message)
        return place

    async def update(self, place: Place, message: Message) -> None:
        """Nothing: the thread says what happened, and a terminal does not forget."""

    async def reply(self, place: Place, message: Message, *, broadcast: bool) -> None:
        """Print what happened."""
        self._print(f"message {place.ts}, {'to the whole channel' if broadcast else 'in its thread'}", message)

    def _print(self, title: str, message: Message) -> None:
        self._say(f"── {title} ".ljust(_WIDTH, "─"))
        for line in lines(message):
            self._say(line)


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
