"""A terminal: what the Slack message would say."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count

from services.notify.channel import MessageRef
from services.notify.message import RenderedMessage, plain_lines

_WIDTH = 100


class Console:
    """Prints messages line by line; it never refuses one."""

    in_place = True
    events = False
    pictures = False

    def __init__(self, say: Callable[[str], None]) -> None:
        """`say` prints one line."""
        self._say = say
        self._numbers = count(1)

    async def post(self, message: RenderedMessage) -> MessageRef:
        """Print a new message."""
        place = MessageRef("console", str(next(self._numbers)))
        self._print(f"message {place.ts}", message)
        return place

    async def update(self, place: MessageRef, message: RenderedMessage) -> None:
        """Nothing: the thread says what happened, and a terminal does not forget."""

    async def reply(self, place: MessageRef, message: RenderedMessage, *, broadcast: bool) -> None:
        """Print what happened."""
        self._print(f"message {place.ts}, {'to the whole channel' if broadcast else 'in its thread'}", message)

    async def upload(self, picture: bytes, words: str) -> str:
        """Cannot be done."""
        raise NotImplementedError("a terminal shows no pictures")

    def _print(self, title: str, message: RenderedMessage) -> None:
        self._say(f"── {title} ".ljust(_WIDTH, "─"))
        for line in plain_lines(message):
            self._say(line)
