"""What the sender asks of a vendor, and how a vendor says no."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

from services.notify.message import Message

Reach = Literal["receiver", "message", "gone"]


@dataclass(frozen=True, slots=True)
class Place:
    """Where a message stands. A webhook does not tell, so that both are empty."""

    channel: str = ""
    ts: str = ""


class Trouble(Exception):  # noqa: N818 -- an answer, not a malfunction
    """A vendor did not accept a message, or did not say whether it did.

    Attributes:
        reach: whom it concerns: all that goes to the receiver, this message alone, or a message that is there no more.
        after: seconds that the vendor asks to wait. slow: nothing changes until a person mends something.
    """

    def __init__(self, words: str, reach: Reach = "receiver", after: float | None = None, slow: bool = False) -> None:
        super().__init__(words)
        self.reach = reach
        self.after = after
        self.slow = slow


class Channel(Protocol):
    """Brings messages to people. Every call raises Trouble unless the vendor accepted the message."""

    @property
    def in_place(self) -> bool:
        """Whether a message can be updated and answered in a thread; if not, only `post` is called."""

    @property
    def pictures(self) -> bool:
        """Whether messages can show pictures; if not, `upload` is never called."""

    async def post(self, message: Message) -> Place:
        """Send a new message, and say where it stands."""

    async def update(self, place: Place, message: Message) -> None:
        """Put another message in the place of one."""

    async def reply(self, place: Place, message: Message, *, broadcast: bool) -> None:
        """Answer in the thread of a message; with `broadcast` the whole channel sees it."""

    async def upload(self, picture: bytes, words: str) -> str:
        """Send a PNG that messages may show, and what it says in words; the vendor's name for it."""
