"""One replica as a process: `python -m tests.evaluate.replica DATABASE ENDPOINT NAME END LEDGER`, until it is killed.

It runs what schedules ask for each second until END (seconds since 1970), and writes what it publishes to LEDGER.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from apscheduler.triggers.base import BaseTrigger
from apscheduler.triggers.cron import CronTrigger

from schemas.base import Record
from services.evaluate.executor import Executor
from services.evaluate.schedule import ScheduleLoop
from services.offload import Offload
from services.store.engine import open_database
from tests.support.asking import suite
from tests.support.executing import Caught, means, watched


async def main(database: str, url: str, name: str, end: str, ledger: str) -> None:
    """Run until killed."""
    written = os.open(ledger, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    last = datetime.fromtimestamp(float(end), UTC)

    async def publish(records: Sequence[Record]) -> None:
        for record in records:
            os.write(written, record.encode() + b"\n")

    def trigger(cron: str, timezone: str) -> BaseTrigger:
        return CronTrigger(second="*", timezone=UTC, end_date=last)

    with_one = suite("core", benign=1, forbidden=0, canaries=0, repeats=1)
    given = means(open_database(database), watched(url), Caught(), Offload("database"), lambda _: with_one)
    given = replace(given, publish=publish, instance=name, lease=timedelta(seconds=3), parallel=4)
    await asyncio.gather(Executor(given).run(), ScheduleLoop(given, trigger, every=1.0).run())


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
