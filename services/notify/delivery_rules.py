"""What is sent, when, and what is given up: the rules, without a clock or a vendor. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal

from schemas.alert import Severity, rank
from services.incident.state import NotificationKind
from services.notify.channel import Reach
from services.notify.message import RenderedMessage

NEW_A_MINUTE: Final = 10
MINUTE: Final = timedelta(minutes=1)
GIVE_UP_AFTER: Final = timedelta(hours=24)
FIRST_PAUSE: Final = timedelta(seconds=1)
LONGEST_PAUSE: Final = timedelta(seconds=30)
"""Slack has the news within a minute of its recovery."""
SLOW_PAUSE: Final = timedelta(minutes=15)


@dataclass(frozen=True, slots=True)
class Post:
    """The incident as a new message."""

    mention: bool


@dataclass(frozen=True, slots=True)
class Update:
    """The incident as it stands, in the place of its message."""


@dataclass(frozen=True, slots=True)
class ThreadReply:
    """What happened, in the thread; with `broadcast`, for the whole channel and with the mention."""

    broadcast: bool


DeliveryStep = Post | Update | ThreadReply


def is_loud(severity: Severity | None) -> bool:
    """Whether people are called for an alert of this severity."""
    return severity is not None and rank(severity) >= rank("warning")


def as_heard(
    kind: NotificationKind, mention: bool, fired: Severity | None, worst: Severity | None
) -> tuple[NotificationKind, bool]:
    """Kind and mention for a receiver that has heard of nothing worse than `worst` of the incident.

    What was derived for people who were told everything is too quiet for who was not: silences keep things back.
    """
    if is_loud(fired) and (worst is None or rank(fired or "info") > rank(worst)):
        return ("post" if kind == "post" else "broadcast"), True
    return kind, mention


def steps(
    kind: NotificationKind, mention: bool, *, told: bool, in_place: bool, quiet: bool = False, events: bool = False
) -> tuple[DeliveryStep, ...]:
    """What a notification asks for in a channel that was `told` of its incident before, or not.

    The update comes first: it can be repeated without anybody noticing, an answer in the thread cannot. A `quiet` one
    is nothing else. In a channel of `events` each is a message of its own.
    """
    loud = kind == "broadcast" or (kind == "post" and mention)
    if events and told:
        return (Post(loud and not quiet),)
    if quiet:
        return (Update(),) if told and in_place else ()
    if not told:
        return (Post(mention),)
    if not in_place:
        return (Post(mention),) if loud else ()
    return (Update(), ThreadReply(loud))


def plainer(message: RenderedMessage, reach: Reach) -> RenderedMessage | None:
    """The message as it is sent again after it was refused; None if there is nothing left to leave out.

    A picture is left out before the mention, and both before all that is not text.
    """
    if reach == "mention":
        forms: tuple[RenderedMessage, ...] = (message.unmentioned(),)
    elif reach == "form":
        forms = (message.bare(), message.plain())
    elif reach == "message":
        forms = (message.bare(), message.unmentioned(), message.plain())
    else:
        forms = ()
    return next((form for form in forms if form != message), None)


@dataclass(frozen=True, slots=True)
class Opening:
    """A new incident that a channel was told of, and whether a storm message did."""

    at: datetime
    storm: bool


def opening(recent: Sequence[Opening], waiting: int, now: datetime) -> Literal["each"] | Literal["list"] | datetime:
    """How `waiting` new incidents are told: `each` by a message, as one `list`, or not before that time.

    More than 10 within a minute are a storm, which has one message a minute.
    """
    since = [one for one in recent if now - one.at < MINUTE]
    storms = [one.at for one in since if one.storm]
    if storms:
        return max(storms) + MINUTE
    return "list" if len(since) + waiting > NEW_A_MINUTE else "each"


def pause(attempts: int, *, after: float | None = None, slow: bool = False) -> timedelta:
    """How long to wait after so many attempts in a row: twice as long each time, and what the vendor asks at least."""
    ours = SLOW_PAUSE if slow else min(LONGEST_PAUSE, FIRST_PAUSE * float(2 ** min(attempts - 1, 10)))
    return max(ours, timedelta(seconds=after or 0.0))


def is_given_up(created: datetime, now: datetime) -> bool:
    """Whether it was tried for long enough."""
    return now - created >= GIVE_UP_AFTER
