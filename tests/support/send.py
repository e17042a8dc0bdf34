"""A sender that is a process of its own: `python -m tests.support.send DATABASE SLACK_PORT NAME` until it is killed."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from services.notify.sender import SenderIntervals
from services.store.engine import open_database
from tests.support.notify import bot, sender
from tests.support.slack import FakeSlack


def main(url: str, port: str, name: str) -> None:
    """Send by the real clock."""
    database = open_database(url)
    one = sender(database, None, bot(FakeSlack(int(port), Path())), name=name, times=SenderIntervals(poll=0.05))
    print("ready", flush=True)
    asyncio.run(one.run())


if __name__ == "__main__":
    main(*sys.argv[1:])
