"""What delivery asks of a receiver's channel, how it declines, and which receivers a route has."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Final, Literal, Protocol

from schemas.alert import Severity
from services.monitor import RoutePolicy
from services.notify.incident_event import IncidentEvent
from services.notify.message import RenderedMessage

Reach = Literal["receiver", "closed", "message", "form", "mention", "thread", "gone"]
"""Whom it concerns that something was not accepted, and with that what is done.

All that goes to the receiver: it is tried again soon (`receiver`), or takes nothing until a person mends something
(`closed`), and the next one is told. This message alone (`message`), or only as it looks (`form`), as it calls people
(`mention`), or where it was to stand: a thread that takes nothing (`thread`), a message that is there no more (`gone`).
"""
OF_RECEIVER: Final = frozenset({"receiver", "closed"})


@dataclass(frozen=True, slots=True)
class MessageRef:
    """Where a message stands, and what the other side answered. A webhook does not tell where: both are empty."""

    channel: str = ""
    ts: str = ""
    answer: str = ""


class NotAccepted(Exception):  # noqa: N818 -- an answer, not a malfunction
    """A vendor did not accept a message, or did not say whether it did.

    Attributes:
        reach: whom it concerns.
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
    def events(self) -> bool:
        """Whether a program is told: `post` alone is called, for every notification, and the message has its event."""

    @property
    def pictures(self) -> bool:
        """Whether messages can show pictures; if not, `upload` is never called."""

    async def post(self, message: RenderedMessage) -> MessageRef:
        """Send a new message, and say where it stands."""

    async def update(self, place: MessageRef, message: RenderedMessage) -> None:
        """Put another message in the place of one."""

    async def reply(self, place: MessageRef, message: RenderedMessage, *, broadcast: bool) -> None:
        """Answer in the thread of a message; with `broadcast` the whole channel sees it."""

    async def upload(self, picture: bytes, words: str) -> str:
        """Send a PNG that messages may show, and what it says in words; the vendor's name for it."""


class PostOnlyChannel:
    """What channels have in common that only take new messages."""

    in_place = False
    pictures = False
    events = False

    async def update(self, place: MessageRef, message: RenderedMessage) -> None:
        """Cannot be done."""
        raise NotImplementedError("what was posted is not changed")

    async def reply(self, place: MessageRef, message: RenderedMessage, *, broadcast: bool) -> None:
        """Cannot be done."""
        raise NotImplementedError("there are no threads")

    async def upload(self, picture: bytes, words: str) -> str:
        """Cannot be done."""
        raise NotImplementedError("no pictures are taken")


class EventChannel(PostOnlyChannel):
    """What channels to programs have in common: each notification is posted, and nothing is changed afterwards."""

    events = True

    @staticmethod
    def event_of(message: RenderedMessage) -> IncidentEvent:
        """What the program is told.

        Raises:
            ValueError: if the message tells people alone.
        """
        if message.event is None:
            raise ValueError("a message without an event")
        return message.event


DEFAULT = "default"
"""The receiver of routes whose policy names none."""


@dataclass(frozen=True, slots=True)
class Receiver:
    """One channel, whom to mention in it, and the severity from which on it is told of an incident."""

    channel: Channel
    mention: str | None = None
    severity: Severity = "info"


@dataclass(frozen=True, slots=True)
class Receivers:
    """All receivers by name, `default` among them; `policy` is the monitor's."""

    by_name: Mapping[str, Receiver]
    policy: Callable[[str], RoutePolicy]

    def of(self, route: str) -> tuple[str, ...]:
        """Names of those who are told of the route."""
        return tuple(dict.fromkeys(self.policy(route).notify)) or (DEFAULT,)

    def instead_of(self, name: str, route: str, closed: Collection[str]) -> str | None:
        """Who is told of the route in the place of one that cannot be: the next of its own, else the default one.

        One that is told of every severity comes before one that is not. Whoever is not told of the route is not told
        instead either: it may be no business of theirs.
        """
        own = self.of(route)
        at = own.index(name) + 1 if name in own else 0
        others = [one for one in (*own[at:], *own[:at], DEFAULT) if one != name and one not in closed]
        there = [one for one in others if one in self.by_name]
        return min(there, key=lambda one: self.by_name[one].severity != "info", default=None)
