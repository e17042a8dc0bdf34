"""When schedules fire, and what becomes of fire times that nobody noticed."""

from __future__ import annotations

import asyncio
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from apscheduler.triggers.base import BaseTrigger
from apscheduler.triggers.cron import CronTrigger

from schemas.identity import identity_of
from services.evaluate.executor import Executor
from services.evaluate.schedule import ScheduleLoop, fire_times, next_fire, scheduled_runs, take_fire_times, trigger_of
from services.monitor import Monitor, SchedulePolicy
from services.offload import Offload
from services.store import evaluation_queue, schedules
from services.store.engine import Database
from services.store.schedules import CatchUp, FireTimeRow, StoredSchedule
from services.store.tables import table
from services.wording.runs import NOBODY_RAN, NOT_CAUGHT_UP, STILL_RUNNING
from tests.support.asking import ROUTE, now
from tests.support.endpoint import Endpoint
from tests.support.executing import OLD, Caught, means, states, traffic, watched
from tests.support.streams import until

MONDAY = datetime(2026, 11, 23, tzinfo=UTC)
HOURLY = StoredSchedule(ROUTE, "hourly", None, "0 * * * *", "UTC", True, "command", MONDAY)
POLICY = watched("http://127.0.0.1:1/v1").defaults


def fires(cron: str, timezone: str = "UTC", days: float = 7, after: datetime = MONDAY) -> list[str]:
    found = fire_times(trigger_of(cron, timezone), after, after + timedelta(days=days))
    return [f"{time:%a %d %H:%M}" for time in found]


@pytest.mark.parametrize(
    ("cron", "expected"),
    [
        ("0 6 * * 1", ["Mon 23 06:00"]),
        ("0 6 * * 0", ["Sun 29 06:00"]),
        ("0 6 * * 7", ["Sun 29 06:00"]),
        ("0 6 * * sun,wed", ["Wed 25 06:00", "Sun 29 06:00"]),
        ("0 6 * * 5-7", ["Fri 27 06:00", "Sat 28 06:00", "Sun 29 06:00"]),
        ("0 6 25 * 1", ["Mon 23 06:00", "Wed 25 06:00"]),
        ("30 22/1 24 * *", ["Tue 24 22:30", "Tue 24 23:30"]),
        ("0 0 * * */3", ["Wed 25 00:00", "Sat 28 00:00", "Sun 29 00:00"]),
    ],
)
def test_fire_times_are_those_of_crontab(cron: str, expected: list[str]) -> None:
    assert fires(cron) == expected


def test_a_time_zone_moves_the_clock_and_its_changes_are_followed() -> None:
    winter = datetime(2026, 3, 28, tzinfo=UTC)
    assert fires("0 6 * * *", "Europe/Berlin", 2, winter) == ["Sat 28 05:00", "Sun 29 04:00"]
    assert len(fires("30 2 * * *", "Europe/Berlin", 2, winter)) == 2, "an hour that is left out leaves no run out"


@pytest.mark.parametrize(
    ("cron", "timezone", "after", "expected"),
    [
        ("30 2 * * *", "Europe/Berlin", "2027-10-29", "Fri 29 00:30, Sat 30 00:30, Sun 31 00:30, Mon 01 01:30"),
        ("30 1 * * *", "America/New_York", "2027-11-06", "Sat 06 05:30, Sun 07 05:30, Mon 08 06:30, Tue 09 06:30"),
        ("0,45 1-2 * * 0", "America/New_York", "2027-11-06", "Sun 07 05:00, Sun 07 05:45, Sun 07 07:00, Sun 07 07:45"),
        ("30 2 31 * 5", "Europe/Berlin", "2027-10-29", "Fri 29 00:30, Sun 31 00:30"),
        ("45 1 * * *", "Australia/Lord_Howe", "2027-04-03", "Sat 03 14:45, Sun 04 15:15, Mon 05 15:15, Tue 06 15:15"),
    ],
)
def test_an_hour_that_comes_twice_is_run_once_as_cron_has_it(
    cron: str, timezone: str, after: str, expected: str
) -> None:
    assert ", ".join(fires(cron, timezone, 4, datetime.fromisoformat(f"{after}T00:00:00Z"))) == expected


@pytest.mark.parametrize(
    ("zone", "day", "end"),
    [
        ("Africa/Cairo", "2026-04-24", "2026-04-23T22:00"),
        ("America/Santiago", "2026-09-06", "2026-09-06T04:00"),
        ("America/Havana", "2026-03-08", "2026-03-08T05:00"),
        ("Asia/Beirut", "2026-03-29", "2026-03-28T22:00"),
    ],
)
@pytest.mark.parametrize(
    "cron", ["0 0 * * *", "30 0 * * *", "0,30 0 * * *", "*/20 0 * * *", "0 0,1 {day} * *", "0 0 * * {weekday}"]
)
def test_a_time_that_a_clock_leaves_out_at_midnight_runs_once_at_the_end_of_the_gap(
    zone: str, day: str, end: str, cron: str
) -> None:
    local = datetime.fromisoformat(f"{day}T00:00+00:00")
    trigger = trigger_of(cron.format(day=local.day, weekday=local.isoweekday() % 7), zone)
    found = fire_times(trigger, local - timedelta(hours=18), local + timedelta(hours=18))
    that_day = [one for one in found if one.astimezone(ZoneInfo(zone)).date() == local.date()]
    assert that_day == [datetime.fromisoformat(f"{end}+00:00")]


@pytest.mark.parametrize(
    ("cron", "zone", "after", "expected"),
    [
        ("0 6 * * *", "Africa/Cairo", "2026-04-23", ["Thu 23 04:00", "Fri 24 03:00"]),
        ("30 * * * *", "Africa/Cairo", "2026-04-23", None),
        ("0 0 * * *", "Europe/Berlin", "2027-03-27", ["Sat 27 23:00", "Sun 28 22:00"]),
        ("30 2 * * *", "Europe/Berlin", "2027-03-27", ["Sat 27 01:30", "Sun 28 01:00"]),
        ("0 0 * * *", "America/Havana", "2026-10-31", ["Sat 31 04:00", "Sun 01 04:00"]),
        ("0 0 25 12 *", "Africa/Cairo", "2026-04-23", []),
    ],
)
def test_a_gap_moves_no_other_time_and_autumn_runs_once(
    cron: str, zone: str, after: str, expected: list[str] | None
) -> None:
    found = fires(cron, zone, 2, datetime.fromisoformat(f"{after}T00:00+00:00"))
    assert (found == expected) if expected is not None else (len(found) == 48)


def test_what_runs_in_every_hour_runs_in_the_hour_that_comes_twice_too() -> None:
    autumn = datetime(2027, 10, 30, 23, 30, tzinfo=UTC)
    assert fires("0 * * * *", "Europe/Berlin", 0.125, autumn) == ["Sun 31 00:00", "Sun 31 01:00", "Sun 31 02:00"]
    assert len(fires("*/20 2 * * *", "Europe/Berlin", 0.125, autumn)) == 6


def fired(database: Database, at: datetime, planned: StoredSchedule = HOURLY, **policy: object) -> int:
    trigger = trigger_of(planned.cron, planned.timezone)
    given = replace(POLICY, **policy)
    return database.transact(lambda connection: take_fire_times(connection, planned, trigger, at, given))


def rows(database: Database) -> list[tuple[str, str | None]]:
    fire = table(FireTimeRow)
    with database.read() as connection:
        found = connection.execute(fire.select().order_by(fire.c.fire_time))
        return [(f"{row.fire_time:%H:%M}", row.missed) for row in found]


def test_a_fire_time_is_run_once_however_often_it_is_noticed(database: Database) -> None:
    assert fired(database, MONDAY + timedelta(minutes=59)) == 0
    assert [fired(database, MONDAY + timedelta(minutes=60, seconds=n)) for n in (1, 1, 2)] == [1, 0, 0]
    assert rows(database) == [("01:00", None)]
    assert states(database) == [("scheduled", "pending", None)]


def test_of_missed_fire_times_the_latest_is_run_and_the_others_are_marked(database: Database) -> None:
    assert fired(database, MONDAY + timedelta(hours=3, minutes=30)) == 1
    late = "no process ran at that time"
    assert rows(database) == [("01:00", late), ("02:00", late), ("03:00", None)]


def test_what_was_missed_by_more_than_a_day_is_not_caught_up(database: Database) -> None:
    weekly = replace(HOURLY, cron="0 6 * * 1")
    assert fired(database, MONDAY + timedelta(hours=30, minutes=1), weekly) == 0
    assert rows(database) == [("06:00", "no process ran at that time")]
    assert fired(database, MONDAY + timedelta(days=7, hours=29), weekly) == 1


def test_a_fire_time_of_a_route_without_a_target_is_marked(database: Database) -> None:
    assert fired(database, MONDAY + timedelta(minutes=60), target=None) == 0
    assert rows(database) == [("01:00", "the route has no target")]


def test_each_suite_is_run_against_whoever_answers_the_traffic(database: Database) -> None:
    traffic(database)
    several = replace(HOURLY, suites=("core", "own", "core"))
    with database.read() as connection:
        found = scheduled_runs(connection, several, MONDAY, POLICY)
        again = scheduled_runs(connection, several, MONDAY + timedelta(hours=1), POLICY)
    assert [(one.suite, one.identity, one.moment) for one in found] == [
        ("core", identity_of(OLD), "scheduled"),
        ("own", identity_of(OLD), "scheduled"),
    ]
    assert len({one.id for one in (*found, *again)}) == 4


def test_schedules_of_the_file_and_of_commands_run_until_they_are_gone(database: Database, endpoint: Endpoint) -> None:
    """The real clock, with a cron that has seconds."""
    caught, monitor = Caught(), watched(endpoint.url("normal"), schedules=(SchedulePolicy("file", "0 6 * * 1"),))
    traffic(database)
    with database.write() as connection:
        schedules.add(connection, replace(HOURLY, name="mine", since=now()))

    async def ran() -> None:
        with closing(Offload("database")) as thread:
            given = means(database, monitor, caught, thread)
            planned = ScheduleLoop(given, lambda cron, timezone: CronTrigger(second="*", timezone=UTC), every=0.2)
            tasks = [asyncio.create_task(one) for one in (planned.run(), Executor(given).run())]
            await asyncio.to_thread(until, lambda: _count(database, "mine") >= 2 <= _count(database, "file"), "fires")
            await asyncio.to_thread(until, lambda: bool(caught.runs), "what was due has run")
            with database.write() as connection:
                assert schedules.remove(connection, ROUTE, "mine")
            await asyncio.to_thread(until, lambda: _gone(database, planned), "the schedule is gone")
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    asyncio.run(ran())
    assert {run.status for run in caught.runs} == {"complete"}
    assert {comparison.overall for comparison in caught.comparisons} <= {"inconclusive", "unchanged"}


def test_a_schedule_whose_zone_is_no_more_keeps_no_other_from_running(
    database: Database, endpoint: Endpoint, caplog: pytest.LogCaptureFixture
) -> None:
    traffic(database)
    gone = replace(HOURLY, name="a", timezone="Mars/Olympus_Mons", since=now())
    with database.write() as connection:
        schedules.add(connection, gone)
        schedules.add(connection, replace(HOURLY, name="b", since=now()))

    def trigger(cron: str, timezone: str) -> BaseTrigger:
        return CronTrigger(second="*", timezone=ZoneInfo(timezone))

    async def ran() -> None:
        with closing(Offload("database")) as thread:
            given = means(database, watched(endpoint.url("normal")), Caught(), thread)
            task = asyncio.create_task(ScheduleLoop(given, trigger, every=0.1).run())
            await asyncio.to_thread(until, lambda: _count(database, "b") >= 2, "the other one fires")
            assert not task.done()
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    asyncio.run(ran())
    assert caplog.text.count("schedule a of") == 1
    assert _count(database, "a") == 0
    assert next_fire(gone, now()) is None


def _count(database: Database, name: str) -> int:
    fire = table(FireTimeRow)
    with database.read() as connection:
        return len(connection.execute(fire.select().where(fire.c.schedule == name)).all())


def _gone(database: Database, planned: ScheduleLoop) -> bool:
    with database.read() as connection:
        names = {one.name for one in schedules.find(connection)}
    return names == {"file"} == {name for _, name in planned._known}


def test_a_schedule_that_the_file_drops_ends(database: Database) -> None:
    with database.write() as connection:
        schedules.sync(connection, [replace(HOURLY, origin="file")])
    with closing(Offload("database")) as thread:
        given = means(database, Monitor(), Caught(), thread)
        asyncio.run(given.transact(ScheduleLoop(given)._synced))
    with database.read() as connection:
        assert schedules.find(connection) == ()


def test_an_interval_is_elapsed_time_from_midnight_of_its_zone_and_no_clock_change_repeats_or_drops_one() -> None:
    trigger = trigger_of("@every 6h", "Europe/Berlin")
    around = datetime(2026, 10, 24, 22, tzinfo=UTC)  # the clock is put back at 01:00 UTC of the 25th
    found = fire_times(trigger, around, around + timedelta(hours=24))
    assert [f"{one:%d %H:%M}" for one in found] == ["24 23:00", "25 05:00", "25 11:00", "25 17:00"]
    assert fire_times(trigger, found[0], found[1]) == [found[1]], "a fire time is after the one before"


@pytest.mark.parametrize(
    ("catch_up", "expected"),
    [
        ("none", [NOT_CAUGHT_UP, NOT_CAUGHT_UP, NOT_CAUGHT_UP]),
        ("last", [NOBODY_RAN, NOBODY_RAN, None]),
        ("all", [None, None, None]),
    ],
)
def test_which_missed_times_are_caught_up_is_said(
    database: Database, catch_up: CatchUp, expected: list[str | None]
) -> None:
    planned = replace(HOURLY, catch_up=catch_up)
    assert fired(database, MONDAY + timedelta(hours=3, minutes=30), planned) == expected.count(None)
    assert [missed for _, missed in rows(database)] == expected


def test_all_is_all_of_the_last_day(database: Database) -> None:
    planned = replace(HOURLY, catch_up="all")
    assert fired(database, MONDAY + timedelta(hours=30, minutes=30), planned) == 24
    assert [missed for _, missed in rows(database)][:6] == [NOBODY_RAN] * 6


def test_a_time_at_which_the_run_before_is_not_done_is_skipped_where_the_schedule_says_so(database: Database) -> None:
    planned = replace(HOURLY, overlap="skip")
    assert fired(database, MONDAY + timedelta(hours=1), planned) == 1
    assert fired(database, MONDAY + timedelta(hours=2), planned) == 0
    with database.write() as connection:
        [claimed] = evaluation_queue.claim(connection, "me", now(), now() + timedelta(minutes=5), 5)
    assert fired(database, MONDAY + timedelta(hours=3), planned) == 0, "it is under way"
    with database.write() as connection:
        evaluation_queue.finish(connection, claimed, evaluation_queue.DONE)
    assert fired(database, MONDAY + timedelta(hours=4), planned) == 1
    assert [missed for _, missed in rows(database)] == [None, STILL_RUNNING, STILL_RUNNING, None]


def test_queued_times_are_all_run(database: Database) -> None:
    assert [fired(database, MONDAY + timedelta(hours=n)) for n in (1, 2, 3)] == [1, 1, 1]


def test_rules_of_a_schedule_are_stored_and_changed_by_the_file(database: Database) -> None:
    ours = replace(HOURLY, origin="file")
    for planned in (ours, replace(ours, overlap="skip"), replace(ours, catch_up="all")):
        with database.write() as connection:
            schedules.sync(connection, [planned])
            assert schedules.find(connection) == (planned,)
