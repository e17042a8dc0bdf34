"""The database of a process: claimed, waited for, and given its first API key."""

from __future__ import annotations

import stat
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from sqlalchemy import Connection

from services.api.auth.api_key import ALL_ROUTES, FORM, Secret, parse_key
from services.errors import InputError
from services.observability.log import open_log
from services.settings import Settings
from services.store import api_keys
from services.store.api_keys import ApiKey
from services.store.engine import (
    Database,
    UnopenedError,
    claim_database,
    open_database,
    parse_url,
    without_password,
)

_DATABASE_SECONDS: Final = 120.0
_TELL_SECONDS: Final = 3.0


def claim_for_worker(stack: ExitStack, settings: Settings) -> Database:
    """The database for this process, which works on it alone where it has one writer."""
    stack.enter_context(claim_database(settings.database))
    return open_available_database(stack, settings)


def open_available_database(stack: ExitStack, settings: Settings) -> Database:
    """The database; one that is away is waited for, as it would be later.

    Raises:
        StoreError: at once for what waiting does not mend, such as a wrong password; else when the wait is over.
    """
    url, until = settings.database, time.monotonic() + _DATABASE_SECONDS
    with _logging_the_wait(without_password(parse_url(url))) as wait:
        while True:
            try:
                database = open_database(url, heads=settings.data_dir)
            except UnopenedError as error:
                if not error.heals or time.monotonic() > until:
                    raise
                wait.reason = error.reason
                time.sleep(1.0)
            else:
                stack.callback(database.close)
                return database


@dataclass(slots=True)
class _Wait:
    """What is waited for, as far as it is known."""

    reason: str = "no answer yet"


@contextmanager
def _logging_the_wait(database: str) -> Iterator[_Wait]:
    """Say every few seconds that the database is waited for; from a thread, since an attempt may itself hang."""
    done, begin, wait = threading.Event(), time.monotonic(), _Wait()

    def tell() -> None:
        while not done.wait(_TELL_SECONDS):
            told = {"seconds": round(time.monotonic() - begin), "most": _DATABASE_SECONDS, "reason": wait.reason}
            open_log().warning("waits for the database", database=database, **told)

    teller = threading.Thread(target=tell, name="teller", daemon=True)
    teller.start()
    try:
        yield wait
    finally:
        done.set()
        teller.join()


FIRST_KEY: Final = "first"
"""Name of the key that a file seeds."""
_HOW: Final = "keelwatch key create"


def has_keys(settings: Settings) -> bool:
    """Whether the API of a process that is about to start will know people apart.

    Raises:
        StoreError: if the database cannot be used.
        InputError: if the file that holds the first key cannot.
    """
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        return seed_first_key(settings, open_available_database(stack, settings))


def seed_first_key(settings: Settings, database: Database) -> bool:
    """Write the key of KEELWATCH_API_KEY_FILE, as admin of all routes, if there is none yet; whether there is one.

    However many replicas start with the file, at once or again, there is one. A key that was revoked stays revoked.

    Raises:
        InputError: if the file cannot be read, or holds no key.
    """
    given = None if settings.api_key_file is None else read_key(settings.api_key_file)
    return database.transact(lambda connection: _seed_first_key(connection, given))


def _seed_first_key(connection: Connection, given: Secret | None) -> bool:
    if given is not None and not api_keys.any_exists(connection):
        now = datetime.now(UTC)
        api_keys.add(connection, ApiKey(given.id, FIRST_KEY, "admin", ALL_ROUTES, given.digest, now))
    if given is not None:
        known = api_keys.get(connection, given.id)
        if known is None or known.secret_sha256 != given.digest:
            open_log().warning(f"KEELWATCH_API_KEY_FILE seeds only the first key, and there are others: `{_HOW}`")
    return api_keys.any_exists(connection)


def read_key(path: Path) -> Secret:
    """The key that a file holds. Secrets of containers are readable for all in there, which is no fault of theirs.

    Raises:
        InputError: if it cannot be read, holds something else, or anybody may write another key into it.
    """
    named = f"KEELWATCH_API_KEY_FILE: {path}"
    try:
        if path.stat().st_mode & stat.S_IWOTH:
            raise InputError(f"{named} may be written by everybody; chmod 600 it")
        with path.open("rb") as file:
            text = file.read(1024)
    except OSError as error:
        raise InputError(f"{named} cannot be read ({error.strerror}); let this user read it, or unset it") from None
    key = parse_key(text.decode("utf-8", "replace").strip())
    if key is None:
        raise InputError(f"{named} holds no key; write {FORM} into it: docs/api.md says how")
    return key
