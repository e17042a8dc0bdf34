"""The database of a process that runs: claimed, and waited for."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Final

from services.store.engine import Database, StoreError, hold, is_unavailable, open_database, parse_url, shown
from services.stream.log import open_log

_DATABASE_SECONDS: Final = 120.0
_TELL_SECONDS: Final = 3.0


def claimed(stack: ExitStack, url: str) -> Database:
    """The database for this process, which works on it alone where it has one writer."""
    stack.enter_context(hold(url))
    return opened(stack, url)


def opened(stack: ExitStack, url: str) -> Database:
    """The database; one that is away is waited for, as it would be later."""
    until = time.monotonic() + _DATABASE_SECONDS
    with _told(shown(parse_url(url))):
        while True:
            try:
                database = open_database(url)
            except StoreError as error:
                if error.__cause__ is None or not is_unavailable(error.__cause__) or time.monotonic() > until:
                    raise
                time.sleep(1.0)
            else:
                stack.callback(database.close)
                return database


@contextmanager
def _told(database: str) -> Iterator[None]:
    """Say every few seconds that the database is waited for; from a thread, since an attempt may itself hang."""
    done, begin = threading.Event(), time.monotonic()

    def tell() -> None:
        while not done.wait(_TELL_SECONDS):
            waited = round(time.monotonic() - begin)
            open_log().warning("waits for the database", database=database, seconds=waited, most=_DATABASE_SECONDS)

    teller = threading.Thread(target=tell, name="teller", daemon=True)
    teller.start()
    try:
        yield
    finally:
        done.set()
        teller.join()
