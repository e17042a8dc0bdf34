"""Suites by the clock: APScheduler says when to look, a table says what was run; a fire time is taken once.

However many processes look, and whatever becomes of them: a fire time is one row, inserted together with the runs
that it asks for.
"""

from __future__ import annotations

import asyncio
import logging
from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from itertools import islice, takewhile
from typing import Any, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.triggers.base import BaseTrigger
from sqlalchemy import Connection

from schemas.base import hash16, iso
from services.errors import fault_trace
from services.evaluate.dependencies import DATABASE_AWAY, EvaluateDependencies
from services.evaluate.triggers import target_name
from services.monitor import RoutePolicy, cron
from services.monitor.cron import CronTimes
from services.store import evaluation_queue, routes, schedules, scores
from services.store.evaluation_queue import DueRun
from services.store.schedules import CatchUp, StoredSchedule
from services.wording import runs as reasons

LOG: Final = logging.getLogger("keelwatch.evaluate")
GRACE: Final = timedelta(minutes=1)
"""A fire time that is noticed within this is run, also when there are several."""
CATCH_UP: Final = timedelta(hours=24)
"""Of older ones the latest is run once, if it is younger than this."""
_MOST: Final = 10_000
_LOOKED_BACK: Final = 20
_MOST_DAYS: Final = 8 * 366 + 2
"""The longest from one 29 February to the next, and a day on each side."""
_HOURS: Final = 24

Trigger = Callable[[str, str], BaseTrigger]
"""(cron, time zone) -> the trigger."""


def trigger_of(expression: str, timezone: str) -> BaseTrigger:
    """The trigger of five cron fields as crontab(5) reads them.

    APScheduler's own counts weekdays from Monday, wants both the day and the weekday to fit where either is enough, and
    leaves out the midnight of a spring day and the one after it.
    """
    every = cron.interval(expression)
    if every is not None:
        midnight = datetime(1970, 1, 1, tzinfo=ZoneInfo(timezone))
        return ElapsedTrigger(midnight.astimezone(UTC), every)
    return CrontabTrigger(cron.times(expression), ZoneInfo(timezone))


class ElapsedTrigger(BaseTrigger):  # type: ignore[misc]
    """A trigger each time so much has elapsed since a moment: a clock that is put forward or back moves nothing."""

    def __init__(self, since: datetime, every: timedelta) -> None:
        """Fire times are `since` and each `every` after it, whoever asks and whenever."""
        self._since, self._every = since, every

    def get_next_fire_time(self, previous: datetime | None, now: datetime) -> datetime | None:
        """The first of them from `now` on."""
        return self._since - (self._since - now) // self._every * self._every


class CrontabTrigger(BaseTrigger):  # type: ignore[misc]
    """A trigger at the times that the clock of a zone shows, as cron(8) has them where the clock is changed.

    A time that comes twice in autumn counts once, in the first of the two hours, unless an hour or minute is starred.
    One that spring leaves out counts at the end of the gap, once; where every hour counts the others stand for it.
    """

    def __init__(self, when: CronTimes, zone: ZoneInfo) -> None:
        """Fires at the times of `when` in `zone`."""
        self._when, self._zone = when, zone

    def get_next_fire_time(self, previous: datetime | None, now: datetime) -> datetime | None:
        """The first time from `now` on, in UTC; None if there is none in eight years."""
        now = now.astimezone(UTC)
        day = now.astimezone(self._zone).date() - timedelta(days=1)  # where a whole day is left out the next one has it
        for _ in range(_MOST_DAYS):
            times = _times_of_day(self._when, self._zone, day)
            if times and times[-1] >= now:
                return times[bisect_left(times, now)]
            day += timedelta(days=1)
        return None


@lru_cache(maxsize=64)
def _times_of_day(when: CronTimes, zone: ZoneInfo, day: date) -> tuple[datetime, ...]:
    """The moments of a day in a zone that count, in UTC and in order."""
    in_days, in_weekdays = day.day in when.days, day.isoweekday() % 7 in when.weekdays
    if day.month not in when.months or not (in_days or in_weekdays if when.either else in_days and in_weekdays):
        return ()
    found = set()
    for hour in when.hours:
        for minute in when.minutes:
            shown = datetime(day.year, day.month, day.day, hour, minute, tzinfo=zone)
            first, second = shown.astimezone(UTC), shown.replace(fold=1).astimezone(UTC)
            if second < first:  # left out: what it would be after the change comes before what it would be before it
                if len(when.hours) < _HOURS:
                    found.add(_end_of_gap(second, first, zone))
            else:
                found |= {first} if when.fixed else {first, second}
    return tuple(sorted(found))


def _end_of_gap(before: datetime, after: datetime, zone: ZoneInfo) -> datetime:
    """When the clock of the zone was put forward between two moments in UTC, to the second."""
    offset = after.astimezone(zone).utcoffset()
    seconds = range(int((after - before).total_seconds()) + 1)
    is_after = bisect_left(
        seconds, True, key=lambda n: (before + timedelta(seconds=n)).astimezone(zone).utcoffset() == offset
    )
    return before + timedelta(seconds=is_after)


def following_fires(trigger: BaseTrigger, after: datetime) -> Iterator[datetime]:
    """The fire times after `after`, in UTC, one after the other."""
    last = after
    while (fire := trigger.get_next_fire_time(None, last + timedelta(microseconds=1))) is not None:
        last = fire.astimezone(UTC)
        yield last


def fire_times(trigger: BaseTrigger, after: datetime, until: datetime) -> list[datetime]:
    """The fire times in (after, until], in UTC; at most the first 10,000."""
    return list(islice(takewhile(lambda fire: fire <= until, following_fires(trigger, after)), _MOST))


@dataclass(slots=True)
class ScheduleLoop:
    """Turns fire times into runs that are due, until it is cancelled.

    Attributes:
        every: seconds between two looks at the schedules themselves.
    """

    tools: EvaluateDependencies
    trigger: Trigger = trigger_of
    every: float = 5.0
    _known: dict[tuple[str, str], StoredSchedule] = field(default_factory=dict)
    _faulty: dict[tuple[str, str], StoredSchedule] = field(default_factory=dict)

    async def run(self) -> None:
        """Keep the clock set to the schedules of the monitor file and of the database."""
        clock = AsyncIOScheduler(
            timezone=UTC, job_defaults={"coalesce": True, "misfire_grace_time": None, "max_instances": 1}
        )
        clock.start()
        try:
            while True:
                try:
                    await self._set(clock)
                except DATABASE_AWAY:
                    LOG.warning("the database does not answer; schedules wait", exc_info=True)
                except Exception as error:  # the steps beside it are not to blame, and go on
                    LOG.error("schedules cannot be looked at, and wait: %s", fault_trace(error))
                await asyncio.sleep(self.every)
        finally:
            clock.shutdown(wait=False)

    async def _set(self, clock: Any) -> None:
        """New schedules begin, and are looked at at once for what was missed; those that are gone end.

        One that cannot begin, for example since its time zone is no more, is told once, and waits.
        """
        planned = await self.tools.transact(self._synced)
        wanted = {(one.route, one.name): one for one in planned if one.enabled}
        for key in self._known.keys() - wanted.keys():
            clock.remove_job(_job(key))
            del self._known[key]
        for key, one in wanted.items():
            if self._known.get(key) != one:
                try:
                    await self._begin(clock, key, one)
                except DATABASE_AWAY:
                    raise
                except Exception as error:
                    if self._faulty.get(key) != one:
                        self._faulty[key] = one
                        LOG.error("schedule %s of %s runs nothing: %s", one.name, one.route, fault_trace(error))
                else:
                    self._faulty.pop(key, None)

    async def _begin(self, clock: Any, key: tuple[str, str], one: StoredSchedule) -> None:
        clock.add_job(self.fire, self.trigger(one.cron, one.timezone), [one], id=_job(key), replace_existing=True)
        self._known[key] = one
        try:
            await self.fire(one)
        except Exception:
            self._known.pop(key, None)  # looked at again as if it were new
            raise

    def _synced(self, connection: Connection) -> Sequence[StoredSchedule]:
        now, policy = self.tools.clock(), self.tools.monitor.policy
        schedules.sync(
            connection,
            [
                StoredSchedule(
                    route,
                    one.name,
                    None,
                    one.cron,
                    one.timezone,
                    True,
                    schedules.FILE,
                    now,
                    one.overlap,
                    one.catch_up,
                )
                for route in routes.names(connection)
                for one in policy(route).schedules
            ],
        )
        return schedules.find(connection)

    async def fire(self, planned: StoredSchedule) -> None:
        """Take the fire times that have come since the last one that anybody took."""
        now, trigger = self.tools.clock(), self.trigger(planned.cron, planned.timezone)
        policy = self.tools.monitor.policy(planned.route)
        try:
            await self.tools.transact(lambda connection: take_fire_times(connection, planned, trigger, now, policy))
        except DATABASE_AWAY:
            LOG.warning("the database does not answer; fire times are taken later", exc_info=True)
            self._known.pop((planned.route, planned.name), None)  # looked at again as if it were new


def take_fire_times(
    connection: Connection, planned: StoredSchedule, trigger: BaseTrigger, now: datetime, policy: RoutePolicy
) -> int:
    """Take the fire times up to now that nobody has, and ask for their runs; how many of them are run."""
    times = fire_times(trigger, schedules.last_fire(connection, planned), now)
    run = 0
    for time in times:
        missed = _missed(time, times[-1], now, policy, planned.catch_up) or _overlapping(connection, planned)
        if schedules.take_fire_time(connection, planned, time, missed) and missed is None:
            evaluation_queue.enqueue(connection, scheduled_runs(connection, planned, time, policy), now)
            run += 1
    return run


def scheduled_runs(
    connection: Connection, planned: StoredSchedule, time: datetime, policy: RoutePolicy
) -> list[DueRun]:
    """The runs of one fire time: each suite, against whoever answers the route's traffic."""
    assert policy.target is not None
    cause = cause_of(planned, time)
    identity, target = scores.latest_identity(connection, planned.route), target_name(policy.target)
    suites = dict.fromkeys(policy.suites if planned.suites is None else planned.suites)
    return [DueRun(planned.route, cause, "scheduled", identity, suite, target, 0, time) for suite in suites]


def cause_of(planned: StoredSchedule, time: datetime) -> str:
    """The id under which a fire time asks for runs."""
    return hash16(["schedule", planned.route, planned.name, iso(time)])


def next_fire(planned: StoredSchedule, now: datetime) -> datetime | None:
    """The fire time that follows, in UTC; None when it is switched off or never comes, as in a zone that is no more."""
    if not planned.enabled:
        return None
    try:
        trigger = trigger_of(planned.cron, planned.timezone)
    except (ZoneInfoNotFoundError, ValueError):
        return None
    fire: datetime | None = trigger.get_next_fire_time(None, now)
    return None if fire is None else fire.astimezone(UTC)


def _missed(time: datetime, latest: datetime, now: datetime, policy: RoutePolicy, catch_up: CatchUp) -> str | None:
    if policy.target is None:
        return reasons.NO_TARGET
    if now - time <= GRACE:
        return None
    caught_up = catch_up == "all" or (catch_up == "last" and time == latest)
    if caught_up and now - time <= CATCH_UP:
        return None
    return reasons.NOT_CAUGHT_UP if catch_up == "none" else reasons.NOBODY_RAN


def _overlapping(connection: Connection, planned: StoredSchedule) -> str | None:
    """That runs of earlier fire times are not done, where the schedule skips one then."""
    if planned.overlap == "queue":
        return None
    causes = [cause_of(planned, time) for time in schedules.newest_taken(connection, planned, _LOOKED_BACK)]
    return reasons.STILL_RUNNING if evaluation_queue.any_open(connection, causes) else None


def _job(key: tuple[str, str]) -> str:
    return "|".join(key)
