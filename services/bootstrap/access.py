"""API keys at the start of a process: the first one from its file, and whether there is any."""

from __future__ import annotations

import stat
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from sqlalchemy import Connection

from services.access.key import FORM, Secret, parsed
from services.access.rights import ALL
from services.bootstrap.database import opened
from services.errors import InputError
from services.settings import Settings
from services.store import api_keys
from services.store.api_keys import ApiKey
from services.store.engine import Database
from services.stream.log import open_log

FIRST: Final = "first"
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
        return seeded(settings, opened(stack, settings.database))


def seeded(settings: Settings, database: Database) -> bool:
    """Write the key of KEELWATCH_API_KEY_FILE, as admin of all routes, if there is none yet; whether there is one.

    However many replicas start with the file, at once or again, there is one. A key that was revoked stays revoked.

    Raises:
        InputError: if the file cannot be read, or holds no key.
    """
    given = None if settings.api_key_file is None else read_key(settings.api_key_file)
    return database.transact(lambda connection: _seeded(connection, given))


def _seeded(connection: Connection, given: Secret | None) -> bool:
    if given is not None and not api_keys.any_exists(connection):
        now = datetime.now(UTC)
        api_keys.add(connection, ApiKey(given.id, FIRST, "admin", ALL, given.digest, now))
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
    key = parsed(text.decode("utf-8", "replace").strip())
    if key is None:
        raise InputError(f"{named} holds no key; write {FORM} into it: README says how")
    return key
