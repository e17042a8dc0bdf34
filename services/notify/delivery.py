"""One receiver's turn: what waits for it, in order, under a lease that nobody else holds."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final, Protocol, TypeVar, cast

from sqlalchemy import Connection

from schemas.alert import Severity, rank
from schemas.decision import Silence
from schemas.incident import Incident, covering
from services.errors import fault_trace
from services.incident.state import NotificationKind
from services.notify import delivery_rules
from services.notify import message as says
from services.notify.channel import OF_RECEIVER, MessageRef, NotAccepted, Receiver, Receivers
from services.notify.incident_event import EventOccasion
from services.notify.message import MessageOptions, RenderedMessage
from services.notify.pictures import PictureJob, PictureState, PictureTarget, attach_picture, wanted
from services.observability.metrics import NotificationMeters
from services.store import deliveries, incidents, receiver_leases, silences
from services.store.deliveries import Delivery, MessagePlace, UntoldDelivery
from services.store.engine import is_unavailable
from services.store.pictures import MessagePicture, keep_picture, picture_of
from services.store.receiver_leases import ReceiverLease
from services.wording.incidents import one_line

LOG: Final = logging.getLogger("keelwatch.notify")
LEASE: Final = timedelta(seconds=60)

T = TypeVar("T")


class LeaseLost(Exception):  # noqa: N818 -- a state of the world
    """Another process sends to this receiver now."""


class Transact(Protocol):
    """Runs a transaction off the event loop, again when another one stood in its way."""

    async def __call__(self, work: Callable[[Connection], T]) -> T:
        """What `work` returns."""


@dataclass(frozen=True, slots=True)
class DeliveryContext:
    """What a turn needs of the world: a clock, transactions that read and that write, where it counts, who is told."""

    now: Callable[[], datetime]
    read: Transact
    write: Transact
    look: MessageOptions
    meters: NotificationMeters
    receivers: Receivers
    gallery: PictureState = field(default_factory=PictureState)


@dataclass(frozen=True, slots=True)
class _NextSend:
    """What is next: one delivery to send, several that a storm's message lists, or some to hold back `until` then.

    `fault` is why the one cannot be prepared; `beneath`: it is not told, since the receiver hears of worse alone.
    """

    deliveries: tuple[Delivery, ...]
    incidents: tuple[Incident, ...]
    told: MessagePlace | None = None
    until: datetime | None = None
    storm: bool = False
    picture: MessagePicture | None = None
    worst: Severity | None = None
    silences: tuple[Silence, ...] = ()
    fault: str | None = None
    beneath: bool = False


@dataclass(slots=True)
class DeliveryRound:
    """Sends until nothing waits, or the receiver is in trouble."""

    world: DeliveryContext
    receiver: Receiver
    lease: ReceiverLease
    until: datetime
    attempts: int = field(init=False)
    unpictured: dict[str, str | None] = field(init=False, default_factory=dict)
    calls_nobody: bool = field(init=False, default=False)

    def __post_init__(self) -> None:
        """What failed before counts on."""
        self.attempts = self.lease.attempts

    async def run(self) -> None:
        """Send what waits, in order.

        Raises:
            NotAccepted: if the receiver is to be left alone for a while.
            LeaseLost: if another process took over.
        """
        while (job := await self.world.read(self._next)) is not None or self.unpictured:
            if job is None:
                await self._illustrate(*self.unpictured.popitem())
                continue
            try:
                await self._do(job)
            except NotAccepted as trouble:
                await self._note(job, trouble)
            except Exception as error:
                if isinstance(error, LeaseLost) or is_unavailable(error):
                    raise
                # One message that we fail on must not stop the others, nor the process that records.
                LOG.exception("a fault of ours in a message to receiver %s", self.lease.receiver)
                await self._note(job, NotAccepted(f"a fault of ours: {type(error).__name__}", "message", slow=True))
            else:
                self.attempts = 0

    def _next(self, connection: Connection) -> _NextSend | None:
        now, name = self.world.now(), self.lease.receiver
        due = [
            one for one in deliveries.first_pending(connection, name) if not one.next_attempt or one.next_attempt <= now
        ]
        if not due:
            return None
        try:
            return self._prepared(connection, due, now)
        except Exception as error:
            if is_unavailable(error):
                raise
            LOG.error("a notification to receiver %s cannot be prepared: %s", name, fault_trace(error))
            return _NextSend((due[0],), (), fault=f"a fault of ours: {type(error).__name__}")

    def _prepared(self, connection: Connection, due: Sequence[Delivery], now: datetime) -> _NextSend:
        name = self.lease.receiver
        known = deliveries.with_message(connection, name, [one.incident for one in due])
        first = due[0]
        if first.incident in known:
            told = deliveries.message_of(connection, name, first.incident)
            picture = picture_of(connection, name, first.incident) if told and not told.storm else None
            shown = self._shown(connection, first, told)
            worst = deliveries.worst_told(connection, name, first.incident)
            hushed = _silences_of(connection, shown, now)
            return _NextSend((first,), shown, told, picture=picture, worst=worst, silences=hushed)
        if self._beneath(first):
            return _NextSend((first,), (), beneath=True)
        new = tuple(one for one in due if one.incident not in known and not self._beneath(one))
        recent = deliveries.opened_since(connection, name, now - delivery_rules.MINUTE)
        how = delivery_rules.opening([delivery_rules.Opening(at, storm) for at, storm in recent], len(new), now)
        how = "each" if self.receiver.channel.events else how  # a program groups as it likes
        if isinstance(how, datetime):
            return _NextSend(new, (), until=how)
        chosen = (first,) if how == "each" else new[: says.LISTED]
        shown = _incidents_of(connection, [one.incident for one in chosen])
        return _NextSend(chosen, shown, storm=how == "list", silences=_silences_of(connection, shown, now))

    def _beneath(self, delivery: Delivery) -> bool:
        return rank(delivery.severity) < rank(self.receiver.severity)

    def _shown(self, connection: Connection, delivery: Delivery, told: MessagePlace | None) -> tuple[Incident, ...]:
        """The incident; with a storm's message all that it lists, the one that is told of first."""
        others: Sequence[str] = ()
        if told is not None and told.storm and self.receiver.channel.in_place:
            others = deliveries.sharing_message(connection, self.lease.receiver, told)
        return _incidents_of(connection, dict.fromkeys([delivery.incident, *others]))

    async def _do(self, job: _NextSend) -> None:
        if job.fault is not None:
            raise NotAccepted(job.fault, "message", slow=True)
        if job.beneath:
            await self.world.write(lambda connection: self._accept(connection, job, None, None))
            return
        until = job.until
        if until is not None:
            await self.world.write(lambda connection: deliveries.hold_back(connection, job.deliveries, until))
            return
        placed, shown = job.told, None
        if job.storm:
            placed = await self._storm(job)
        else:
            placed, shown = await self._tell(job)
        await self.world.write(lambda connection: self._accept(connection, job, placed, shown))
        for delivery in job.deliveries:
            self.world.meters.sent(self.lease.receiver, (self.world.now() - delivery.created).total_seconds())

    def _accept(self, connection: Connection, job: _NextSend, placed: MessagePlace | None, shown: str | None) -> None:
        deliveries.accept(connection, job.deliveries, self.world.now(), None if job.told else placed)
        if job.told is not None and shown is not None:
            deliveries.note_shown(connection, self.lease.receiver, job.told, shown)

    async def _storm(self, job: _NextSend) -> MessagePlace:
        loud = any(delivery.mention or delivery_rules.is_loud(delivery.fired) for delivery in job.deliveries)
        return await self._post(says.of_storm(job.incidents, self.world.look, self._mention(loud)), storm=True)

    async def _tell(self, job: _NextSend) -> tuple[MessagePlace | None, str | None]:
        """Where the message stands, and the digest of what it shows now if that is something else."""
        (delivery,), told = job.deliveries, job.told
        incident = next((one for one in job.incidents if one.id == delivery.incident), None)
        if incident is None:
            raise NotAccepted("its incident is not in the database, or cannot be read", "message", slow=True)
        given = cast(NotificationKind, delivery.kind)
        kind, loud = delivery_rules.as_heard(given, delivery.mention, delivery.fired, job.worst)
        shown = None
        channel, quiet, new = self.receiver.channel, delivery.quiet, told is None
        steps = delivery_rules.steps(
            kind, loud, told=told is not None, in_place=channel.in_place, quiet=quiet, events=channel.events
        )
        for step in steps:
            if isinstance(step, delivery_rules.Post):
                told = await self._post(self._new_message(job, incident, step.mention))
            elif told is not None and isinstance(step, delivery_rules.Update):
                shown = await self._update(job, incident, told)
            elif told is not None and isinstance(step, delivery_rules.ThreadReply):
                await self._reply(replace(delivery, mention=loud), incident, told, step.broadcast)
        self.unpictured[incident.id] = self._mention(loud) if new else None
        return told, shown

    def _new_message(self, job: _NextSend, incident: Incident, loud: bool) -> RenderedMessage:
        (delivery,), look, other = job.deliveries, self.world.look, job.deliveries[0].instead_of
        whom = self._mention(loud)
        message = says.of_incident(incident, look, whom, silences=job.silences, instead_of=other)
        if not self.receiver.channel.events:
            return message
        about = delivery.notification, delivery.event_time, delivery.text
        occasion = EventOccasion(*about, job.told is not None, loud, delivery.quiet or bool(job.silences), other)
        return says.with_event(message, incident, look, occasion, job.silences)

    async def _post(self, message: RenderedMessage, storm: bool = False) -> MessagePlace:
        place = await self._send(message, self.receiver.channel.post)
        return MessagePlace(place.channel, place.ts, message.digest, storm)

    async def _update(self, job: _NextSend, incident: Incident, told: MessagePlace) -> str | None:
        look = self.world.look
        in_order = sorted(job.incidents, key=lambda one: (one.opened_at, one.id))
        alone = says.of_incident(incident, look, picture=job.picture, silences=job.silences)
        message = says.of_storm(in_order, look) if told.storm else alone
        if message.digest == told.shown:
            return None
        place = MessageRef(told.channel, told.message)
        try:
            await self._send(message, lambda what: self.receiver.channel.update(place, what))
        except NotAccepted as trouble:
            raise _moved_away(trouble) from trouble
        return message.digest

    async def _reply(self, delivery: Delivery, incident: Incident, told: MessagePlace, broadcast: bool) -> None:
        if broadcast:
            text = delivery.text if delivery.kind != "update" else one_line(incident)
            message = says.of_rise(incident, text, self.world.look, self._mention(delivery.mention))
        else:
            text = f"{incident.route}: {delivery.text}" if told.storm else delivery.text
            message = says.of_entry(text, delivery.event_time)
        place = MessageRef(told.channel, told.message)
        try:
            await self._send(message, lambda what: self.receiver.channel.reply(place, what, broadcast=broadcast))
        except NotAccepted as trouble:
            if broadcast or trouble.reach not in _OF_MESSAGE:
                raise _moved_away(trouble) from trouble
            # The message itself was brought up to date before, and shows it.
            LOG.warning("%s takes no answer in a thread: %s", self.lease.receiver, trouble)

    async def _send(self, message: RenderedMessage, send: Callable[[RenderedMessage], Awaitable[T]]) -> T:
        """Send it; what a vendor does not take is sent without picture, without mention, and at last as plain text."""
        form = message
        while True:
            await self._hold()
            try:
                return await send(form)
            except NotAccepted as trouble:
                plainer = None if form.event else delivery_rules.plainer(form, trouble.reach)
                if plainer is None and trouble.reach == "mention":
                    raise NotAccepted(str(trouble), "closed", slow=True) from trouble
                if plainer is None:
                    raise
                self.calls_nobody = self.calls_nobody or trouble.reach == "mention"
                LOG.error("%s refused a message (%s): %s", self.lease.receiver, trouble, _told_how(trouble))
                form = plainer

    async def _illustrate(self, id: str, mention: str | None) -> None:
        """Put the picture into a message that was accepted; a failure is noted, and stops nothing."""
        name, gallery, channel = self.lease.receiver, self.world.gallery, self.receiver.channel
        if not channel.pictures or not gallery.takes(name, self.world.now()):
            return
        wall = PictureTarget(name, channel, self.world.look, self._hold)
        try:
            job = await self.world.read(lambda connection: wanted(connection, name, id, self.world.now()))
            if job is None:
                return
            picture, digest = await attach_picture(wall, job, gallery, mention)
        except Exception as error:
            if isinstance(error, LeaseLost) or is_unavailable(error):
                raise
            told = isinstance(error, NotAccepted | TimeoutError)
            gallery.failed(
                name,
                str(error) or "it took too long" if told else f"a fault of ours: {type(error).__name__}",
                self.world.now(),
            )
            return
        await self.world.write(lambda connection: self._pictured(connection, job, picture, digest))

    def _pictured(self, connection: Connection, job: PictureJob, picture: MessagePicture, digest: str | None) -> None:
        keep_picture(connection, self.lease.receiver, job.incident.id, picture)
        if digest is not None:
            deliveries.note_shown(connection, self.lease.receiver, job.told, digest)

    async def _hold(self) -> None:
        """See that the lease outlives a call."""
        now = self.world.now()
        if self.until - now > LEASE / 2:
            return
        self.until = now + LEASE
        if not await self.world.write(lambda connection: receiver_leases.renew(connection, self.lease, self.until)):
            raise LeaseLost(self.lease.receiver)

    def _mention(self, wanted: bool) -> str | None:
        return self.receiver.mention if wanted and not self.calls_nobody else None

    async def _note(self, job: _NextSend, trouble: NotAccepted) -> None:
        """Write down what stands in the way; what concerns the receiver as a whole ends its turn."""
        told, name = job.told, self.lease.receiver
        if trouble.reach == "gone" and told is not None:
            incident = job.deliveries[0].incident
            LOG.warning("%s: the message of incident %s takes nothing (%s): a new one is sent", name, incident, trouble)
            await self.world.write(lambda connection: deliveries.forget_message(connection, name, told))
            return
        self.world.meters.not_sent(name, "refused", len(job.deliveries))
        lost = await self.world.write(lambda connection: self._postpone(connection, job, trouble))
        if lost:
            self.world.meters.not_sent(name, "failed", lost)
            LOG.error("receiver %s: %d notifications given up after a day: %s", name, lost, trouble)
        if trouble.reach in OF_RECEIVER:
            raise trouble

    def _postpone(self, connection: Connection, job: _NextSend, trouble: NotAccepted) -> int:
        """Try again later, or not after a day; how many are not tried again."""
        now, lost = self.world.now(), 0
        alone = trouble.reach not in OF_RECEIVER
        if alone and trouble.slow:
            self._tell_others(connection, job.deliveries)
        for delivery in job.deliveries:
            if alone and delivery_rules.is_given_up(delivery.created, now):
                deliveries.fail(connection, delivery, str(trouble), now)
                lost += 1
                continue
            pause = delivery_rules.pause(delivery.attempts + 1, after=trouble.after, slow=trouble.slow)
            until = now + pause if alone else None
            deliveries.postpone(connection, delivery, until, str(trouble))
        return lost

    def _tell_others(self, connection: Connection, some: Sequence[Delivery]) -> None:
        """What this receiver does not take is told to the next one of its route."""
        ids = {delivery.notification for delivery in some}
        mine = [one for one in deliveries.untold(connection, [self.lease.receiver]) if one.notification in ids]
        others = others_for(mine, self.world.receivers, receiver_leases.closed(connection))
        deliveries.tell_instead(connection, others, self.world.now())


def others_for(
    some: Sequence[UntoldDelivery], receivers: Receivers, closed: Collection[str]
) -> Mapping[UntoldDelivery, str]:
    """Who is told instead, where there is somebody."""
    found = {one: receivers.instead_of(one.receiver, one.route, closed) for one in some}
    return {one: name for one, name in found.items() if name is not None}


_OF_MESSAGE: Final = frozenset({"message", "form", "thread"})


def _moved_away(trouble: NotAccepted) -> NotAccepted:
    """What a message that is there does not take is told by a new one."""
    return NotAccepted(str(trouble), "gone") if trouble.reach in _OF_MESSAGE else trouble


def _told_how(trouble: NotAccepted) -> str:
    return "sent again without the mention" if trouble.reach == "mention" else "sent again in a plainer form"


def _incidents_of(connection: Connection, ids: Sequence[str] | dict[str, None]) -> tuple[Incident, ...]:
    """The incidents that are still there, and can be read."""
    found = (_incident(connection, id) for id in ids)
    return tuple(incident for incident in found if incident is not None)


def _incident(connection: Connection, id: str) -> Incident | None:
    try:
        return incidents.get(connection, id)
    except ValueError as error:  # of pydantic and msgspec both
        LOG.error("incident %s cannot be read: %s", id, fault_trace(error))
        return None


def _silences_of(connection: Connection, shown: Sequence[Incident], now: datetime) -> tuple[Silence, ...]:
    """The silences that hold on any of their alerts."""
    found = silences.holding(connection, {one.route for one in shown}, now)
    return tuple(dict.fromkeys(silence for one in shown for silence in covering(found.get(one.route, ()), one)))
