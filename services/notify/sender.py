"""The delivery loop: from the outbox to the receivers, safe with several processes on one database."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, TypeVar

from prometheus_client import CollectorRegistry
from sqlalchemy import Connection

from services.errors import fault_trace
from services.notify import delivery_rules
from services.notify.channel import NotAccepted, Receivers
from services.notify.delivery import LEASE, DeliveryContext, DeliveryRound, LeaseLost, others_for
from services.notify.message import MessageOptions
from services.notify.pictures import PictureState
from services.notify.silencing import SilencePlan, plan
from services.observability.metrics import NotificationMeters
from services.store import deliveries, receiver_leases, routes, silences
from services.store.deliveries import UnconfirmedDelivery, UntoldDelivery
from services.store.engine import Database, is_unavailable
from services.store.receiver_leases import ReceiverLease

LOG: Final = logging.getLogger("keelwatch.notify")
_AUDITED: Final = timedelta(days=7)

T = TypeVar("T")


def wall_clock() -> datetime:
    """The time of this machine."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class SenderIntervals:
    """How often is looked: for work every `poll` seconds, for what is overdue since `overdue` every `audit`."""

    poll: float = 1.0
    audit: timedelta = timedelta(minutes=1)
    overdue: timedelta = timedelta(minutes=5)


class Sender:
    """Sends what stands in the outbox. `sent` is written after the vendor accepted, never before."""

    def __init__(
        self,
        database: Database,
        receivers: Receivers,
        name: str,
        *,
        look: MessageOptions | None = None,
        clock: Callable[[], datetime] = wall_clock,
        meters: NotificationMeters | None = None,
        times: SenderIntervals | None = None,
        gallery: PictureState | None = None,
    ) -> None:
        """`name` is this process's among those that send; no two go by one name."""
        self._database = database
        self._receivers = receivers
        self._name = name
        self._clock = clock
        self._meters = meters or NotificationMeters(CollectorRegistry())
        self._times = times or SenderIntervals()
        self._world = DeliveryContext(
            clock,
            self._read,
            self._transact,
            look or MessageOptions(),
            self._meters,
            receivers,
            gallery or PictureState(),
        )
        self._audited: datetime | None = None
        self._reported: frozenset[tuple[str, str]] = frozenset()

    async def run(self) -> None:
        """Send until cancelled; a database that is away is waited for."""
        while True:
            try:
                await self.once()
            except Exception as error:
                if not is_unavailable(error):
                    raise
                LOG.warning("the database is away: notifications wait (%s)", type(error).__name__)
            await asyncio.sleep(self._times.poll)

    async def once(self) -> None:
        """Send all that is due now, and once a minute look for what is overdue."""
        names = await asyncio.to_thread(self._with_work)
        serving = [self._serve(name) for name in names if name in self._receivers.by_name]
        # All have ended before the first fault is raised: nobody works on under a lease that the next turn renews.
        faults = [fault for fault in await asyncio.gather(*serving, return_exceptions=True) if fault is not None]
        for fault in faults:
            if not isinstance(fault, Exception) or is_unavailable(fault):
                raise fault
            # The lease keeps it alone for a while; the other receivers, and the steps beside, go on.
            LOG.error("a fault of ours stops what one receiver is sent: %s", fault_trace(fault))
        now = self._clock()
        if self._audited is None or now - self._audited >= self._times.audit:
            self._audited = now
            await self.audit()

    async def audit(self) -> tuple[UnconfirmedDelivery, ...]:
        """What receivers should have heard by now and have not: counted, and logged when it is new."""
        now = self._clock()

        def look(connection: Connection) -> tuple[UnconfirmedDelivery, ...]:
            deliveries.forget_withdrawn(connection)
            for incident in deliveries.fail_unreadable(connection, now):
                LOG.error("incident %s: a notification is sent to nobody: %s", incident, deliveries.UNREADABLE)
            return deliveries.unconfirmed(connection, now - _AUDITED, now - self._times.overdue)

        found = await self._transact(look)
        self._meters.unconfirmed(len({one.incident for one in found}))
        for one in found:
            if (one.incident, one.receiver) not in self._reported:
                LOG.error(
                    "incident %s is not confirmed by receiver %s since %s: %s",
                    *(one.incident, one.receiver, f"{one.since:%Y-%m-%d %H:%M} UTC", self._why(one)),
                )
        self._reported = frozenset((one.incident, one.receiver) for one in found)
        return found

    def _why(self, one: UnconfirmedDelivery) -> str:
        if one.receiver not in self._receivers.by_name:
            return "there is no receiver of this name any more; name it again in the monitor file"
        return one.error or "other messages to it are in trouble"

    def _with_work(self) -> tuple[str, ...]:
        with self._database.read() as connection:
            silenced = bool(self._silence_plan(connection))
        if silenced:
            self._database.transact(self._silence)
        with self._database.read() as connection:
            if not deliveries.has_new(connection) and not self._untold(connection):
                return deliveries.receivers_with_work(connection, self._clock())
        self._database.transact(self._spread)
        with self._database.read() as connection:
            return deliveries.receivers_with_work(connection, self._clock())

    def _silence_plan(self, connection: Connection) -> SilencePlan:
        """What the silences that hold now ask for; nothing at nearly every look."""
        if not silences.any_unsettled(connection):
            return SilencePlan()
        entries = silences.unsettled(connection)
        return plan(entries, silences.holding(connection, {one.route for one in entries}, self._clock()))

    def _silence(self, connection: Connection) -> None:
        """Do it, while nobody records these routes or tells of them."""
        routes.lock(connection, {one.route for one in silences.unsettled(connection)})
        found = self._silence_plan(connection)
        silences.settle(connection, found.states, found.silences)

    def _spread(self, connection: Connection) -> None:
        deliveries.fan_out(connection, self._receivers.of, self._clock())
        deliveries.tell_instead(connection, self._untold(connection), self._clock())

    def _untold(self, connection: Connection) -> Mapping[UntoldDelivery, str]:
        """What waits for receivers that take nothing, and who is to be told instead and does not know of it yet."""
        closed = receiver_leases.closed(connection)
        if not closed:
            return {}
        others = others_for(deliveries.untold(connection, closed), self._receivers, closed)
        known = deliveries.known_to(connection, others)
        return {one: name for one, name in others.items() if one not in known}

    async def _serve(self, name: str) -> None:
        lease, until = await self._claim(name)
        if lease is None:
            return
        turn = DeliveryRound(self._world, self._receivers.by_name[name], lease, until)
        try:
            await turn.run()
        except NotAccepted as trouble:
            await self._leave_alone(turn, trouble)
        except LeaseLost:
            LOG.warning("another process sends to receiver %s now", name)
        else:
            await self._transact(lambda connection: receiver_leases.release(connection, lease))

    async def _claim(self, name: str) -> tuple[ReceiverLease | None, datetime]:
        now = self._clock()
        until = now + LEASE

        def work(connection: Connection) -> ReceiverLease | None:
            receiver_leases.ensure(connection, [name])
            return receiver_leases.claim(connection, name, self._name, now, until)

        return await self._transact(work), until

    async def _leave_alone(self, turn: DeliveryRound, trouble: NotAccepted) -> None:
        """Let the receiver rest, and give up what was tried for a day."""
        now, lease = self._clock(), turn.lease
        pause = delivery_rules.pause(turn.attempts + 1, after=trouble.after, slow=trouble.slow)
        level = logging.ERROR if trouble.slow else logging.WARNING
        LOG.log(level, "receiver %s: %s; tried again in %g s", lease.receiver, trouble, pause.total_seconds())

        def work(connection: Connection) -> int:
            closed = trouble.reach == "closed"
            receiver_leases.back_off(connection, lease, now + pause, str(trouble), turn.attempts + 1, closed=closed)
            return deliveries.give_up(connection, lease.receiver, now - delivery_rules.GIVE_UP_AFTER, str(trouble), now)

        lost = await self._transact(work)
        if lost:
            self._meters.not_sent(lease.receiver, "failed", lost)
            LOG.error("receiver %s: %d notifications given up after a day: %s", lease.receiver, lost, trouble)

    async def _read(self, work: Callable[[Connection], T]) -> T:
        def reading() -> T:
            with self._database.read() as connection:
                return work(connection)

        return await asyncio.to_thread(reading)

    async def _transact(self, work: Callable[[Connection], T]) -> T:
        return await asyncio.to_thread(self._database.transact, work)
