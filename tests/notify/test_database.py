"""A database that goes away while notifications wait."""

from __future__ import annotations

import asyncio
import signal
from contextlib import suppress

import pytest
from sqlalchemy.exc import DBAPIError

from services.notify.sender import SenderIntervals
from services.store.engine import open_database
from tests.support.notify import bot, opening, outbox, record, rest, sender
from tests.support.postgres import ABSENT, own_cluster
from tests.support.records import ROUTE


async def _until(true, what: str) -> None:
    async with asyncio.timeout(30):
        while not await asyncio.to_thread(true):
            await asyncio.sleep(0.05)
    assert true(), what


@pytest.mark.postgres
def test_a_database_that_crashes_and_comes_back_is_waited_for(slack, caplog) -> None:
    with own_cluster() as cluster:
        if cluster is None:
            pytest.skip(ABSENT)
        database = open_database(cluster.url)

        def all_sent() -> bool:
            with suppress(DBAPIError):
                return {row.state for row in outbox(database)} == {"sent"}
            return False

        async def work() -> None:
            sending = asyncio.create_task(sender(database, None, bot(slack), times=SenderIntervals(poll=0.05)).run())
            await asyncio.to_thread(record, database, *opening(ROUTE))
            await _until(all_sent, "the first is sent")
            _flush(database)
            cluster.stop(signal.SIGQUIT)
            await _until(lambda: "the database is away" in caplog.text, "it is noticed")
            cluster.start()
            await asyncio.to_thread(_patiently, database)
            await _until(all_sent, "the rest is sent")
            assert not sending.done()
            sending.cancel()

        asyncio.run(work())
        database.close()
    assert [call["method"] for call in slack.calls()].count("chat.postMessage") == 3


def _flush(database) -> None:
    """Test servers commit without waiting for the disk: a crash would take the last commits with it."""
    with database.write() as connection:
        connection.exec_driver_sql("CHECKPOINT")


def _patiently(database) -> None:
    """The pool may notice only now that its connections are dead; recorded twice is recorded once."""
    with suppress(DBAPIError):
        record(database, *rest(ROUTE))
    record(database, *rest(ROUTE))
