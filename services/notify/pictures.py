"""The chart in a message that was accepted already: what goes wrong here delays and loses nothing.

A message goes out without its picture. When nothing else waits for the receiver, the picture is drawn, sent, and put
into the message in its place. Where that fails the message stays as it is; its picture is tried again when
something changes. A vendor has each picture once: another one is sent when a person would see another one.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Connection

from schemas.decision import Silence
from schemas.incident import Incident, covering
from services.charts import Rates, incident_chart, rates_picture
from services.charts.incident_chart import IncidentChart
from services.charts.png import png
from services.notify import message as says
from services.notify.channel import Channel, MessageRef, NotAccepted
from services.notify.message import MessageOptions, RenderedMessage
from services.store import deliveries, incidents, silences
from services.store.deliveries import MessagePicture, MessagePlace

LOG: Final = logging.getLogger("keelwatch.notify")
SECONDS: Final = 10.0
"""How long one picture may take, from drawing to shown."""
QUIET: Final = timedelta(minutes=10)
"""How long a receiver that failed has no pictures: it may be slow, and messages shall not wait for it again."""


@dataclass(slots=True)
class PictureState:
    """Which receivers have no pictures for now, and what was said of that.

    Attributes:
        pauses: seconds to wait before a vendor is asked again to show what it was just sent: it looks through it first.
    """

    pauses: tuple[float, ...] = (1.0, 2.0)
    seconds: float = SECONDS
    quiet: dict[str, datetime] = field(default_factory=dict)
    said: set[tuple[str, str]] = field(default_factory=set)

    def takes(self, receiver: str, now: datetime) -> bool:
        """Whether the receiver is sent pictures."""
        return now >= self.quiet.get(receiver, now)

    def failed(self, receiver: str, why: str, now: datetime) -> None:
        """No pictures for a while; the reason is logged once."""
        self.quiet[receiver] = now + QUIET
        if (receiver, why) not in self.said:
            self.said.add((receiver, why))
            LOG.warning("receiver %s has its messages without pictures: %s", receiver, why)


@dataclass(frozen=True, slots=True)
class PictureTarget:
    """Where pictures are hung: one receiver's channel, and `hold`, which is awaited before each call."""

    receiver: str
    channel: Channel
    look: MessageOptions
    hold: Callable[[], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class PictureJob:
    """A picture that is to be sent."""

    incident: Incident
    told: MessagePlace
    moved: IncidentChart
    silences: tuple[Silence, ...] = ()


def wanted(connection: Connection, receiver: str, id: str, now: datetime) -> PictureJob | None:
    """The picture that the incident's message should show and does not, with the silences that it shows `now`."""
    told, incident = deliveries.message_of(connection, receiver, id), incidents.get(connection, id)
    if told is None or told.storm or incident is None:
        return None
    found = incident_chart.read(connection, incident)
    if found is None:
        return None
    known = deliveries.picture_of(connection, receiver, id)
    if known is not None and known.key == found.key:
        return None
    held = covering(silences.of_route(connection, incident.route, now), incident)
    return PictureJob(incident, told, found, held)


async def attach_picture(
    wall: PictureTarget, job: PictureJob, gallery: PictureState, mention: str | None
) -> tuple[MessagePicture, str | None]:
    """Draw it, send it, and put it into its message: the picture, and the digest of the message that shows it.

    Raises:
        NotAccepted: if the vendor did not take it. TimeoutError: if it took too long.
    """
    async with asyncio.timeout(gallery.seconds):
        drawn = await asyncio.to_thread(_drawn, job.moved.rates)
        await wall.hold()
        file = await wall.channel.upload(drawn, job.moved.words)
        made = MessagePicture(file, job.moved.key, job.moved.words)
        message = says.of_incident(job.incident, wall.look, mention, made, job.silences)
        if await _shown(wall, job.told, message, gallery.pauses):
            return made, message.digest
    LOG.warning("%s does not show the picture of incident %s: left out", wall.receiver, job.incident.id)
    return MessagePicture(None, job.moved.key, job.moved.words), None


async def _shown(wall: PictureTarget, told: MessagePlace, message: RenderedMessage, pauses: tuple[float, ...]) -> bool:
    """Whether the vendor shows it, after a while."""
    for pause in (*pauses, None):
        await wall.hold()
        try:
            await wall.channel.update(MessageRef(told.channel, told.message), message)
        except NotAccepted as trouble:
            if trouble.reach != "message":
                raise
            if pause is not None:
                await asyncio.sleep(pause)
        else:
            return True
    return False


def _drawn(rates: Rates) -> bytes:
    return png(rates_picture(rates).svg)
