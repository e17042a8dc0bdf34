"""Opening the database: its URL, its transactions, its migrations."""

from __future__ import annotations

import contextlib
import fcntl
import os
import random
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import TYPE_CHECKING, Concatenate, Final, ParamSpec, Self, TypeVar

from sqlalchemy import Connection, Engine, create_engine, inspect, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from services.errors import InputError
from services.store import audit_log, dialect
from services.store.audit_head import AuditHead
from services.store.faults import fault_of

if TYPE_CHECKING:
    from alembic.config import Config

P = ParamSpec("P")
T = TypeVar("T")

ATTEMPTS: Final = 5
FIRST_PAUSE: Final = 0.02
_MIGRATION: Final = re.compile(r"v(\d{4})_.*\.py")
_BESIDE: Final = ("-wal", "-shm", "-journal", ".lock")
FORMS: Final = "sqlite:///path/to/keelwatch.db or postgresql://user:password@host/name"


class StoreError(InputError):
    """The database cannot be used as asked; the message is one line with the remedy."""


class UnopenedError(StoreError):
    """The database cannot be opened now: why in the driver's words, and whether that may heal by waiting."""

    def __init__(self, message: str, *, reason: str, heals: bool) -> None:
        super().__init__(message)
        self.reason, self.heals = reason, heals


class _NewerTables(Exception):  # noqa: N818
    """A migration was applied that this version does not know."""


class Conflict(Exception):  # noqa: N818
    """Somebody else wrote what this transaction was about to write: load again and repeat."""


@dataclass(frozen=True, slots=True)
class Database:
    """An open database. `write` and `read` are transactions: all of the block is done, or nothing of it.

    `audit` is where the head of its audit log is kept outside of it, after each transaction that added to the log.
    """

    engine: Engine
    audit: AuditHead | None = None

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """A transaction that may write; an exception inside leaves nothing behind."""
        with self.engine.begin() as connection:
            audit_log.take_new_head(connection)  # of a transaction that was given up on the same connection
            yield connection
            head = self._followed_head(connection)
        if head is not None and self.audit is not None:
            self.audit.keep(*head)

    def _followed_head(self, connection: Connection) -> tuple[int, str] | None:
        """The new head of the audit log; None when the one outside, which it would replace, is none of its entries."""
        head = audit_log.take_new_head(connection)
        if head is None or self.audit is None:
            return None
        kept = self.audit.read()
        return head if kept is None or audit_log.hash_at(connection, kept[0]) == kept[1] else None

    def transact(self, work: Callable[[Connection], T]) -> T:
        """What `work` returns, in a transaction that is done again when another one stood in its way.

        PostgreSQL breaks one of two transactions off that wait for each other; `work` then starts from nothing.
        """
        for attempt in range(ATTEMPTS - 1):
            try:
                with self.write() as connection:
                    return work(connection)
            except DBAPIError as error:
                if not dialect.is_contention(error):
                    raise
            # Without a pause of its own length the loser meets the winner again.
            time.sleep(random.uniform(0.5, 1.0) * FIRST_PAUSE * 2**attempt)  # noqa: S311
        with self.write() as connection:
            return work(connection)

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A transaction that only reads, and sees one state of the database throughout."""
        with self.engine.connect().execution_options(**dialect.read_only_options(self.engine)) as connection:
            yield connection

    def query(self, work: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """What `work` finds in one state of the database."""
        with self.read() as connection:
            return work(connection, *args, **kwargs)

    def scrub(self) -> None:
        """After an erasure was committed: leave no copy of what was erased in the database's files.

        On PostgreSQL this is the work of its own vacuum and log retention.

        Raises:
            StoreError: if a reader kept it from that.
        """
        dialect.compact(self.engine)
        if not dialect.empty_log(self.engine):
            raise StoreError("a long read of the database stood in the way of the erasure; end it and erase again")

    def close(self) -> None:
        """Close all connections."""
        self.engine.dispose()


def open_database(url: str, *, create: bool = True, heads: Path | None = None) -> Database:
    """Open the database at `url` and bring its tables up to date; a listing passes `create=False`.

    `heads` is the folder in which the head of its audit log is kept.

    Raises:
        UnopenedError: if the database cannot be reached or read.
        StoreError: if the URL is none, or the tables cannot be brought up to date.
    """
    parsed = parse_url(url)
    _check_file(parsed, create)
    # What is written is text of people; it must not stand in messages of errors, which are logged.
    engine = create_engine(parsed, hide_parameters=True, **dialect.engine_arguments(parsed))
    dialect.prepare(engine)
    try:
        with engine.begin() as connection:
            dialect.lock(connection, "schema")
            upgrade(connection)
            audit_log.begin(connection)
            head = audit_log.head(connection)
    except DBAPIError as error:
        engine.dispose()
        words = fault_words(error)
        found = fault_of(words, file=parsed.drivername == "sqlite")
        raise UnopenedError(
            f"cannot open the database {without_password(parsed)}: {words}; {found.remedy}",
            reason=words,
            heals=found.heals and is_unavailable(error),
        ) from error
    except _NewerTables as error:
        engine.dispose()
        raise StoreError(
            f"the database {without_password(parsed)} was written by a newer version of Keelwatch ({error}); "
            "upgrade Keelwatch"
        ) from error
    outside = None if heads is None else audit_head(heads, url)
    if outside is not None and outside.read() is None:
        outside.keep(*head)
    return Database(engine, outside)


@dataclass(slots=True)
class DatabaseClaim:
    """That no other process works on a database; it ends with `release`, the block, or the process."""

    descriptor: int | None

    def release(self) -> None:
        """Let another process work on it."""
        if self.descriptor is not None:
            os.close(self.descriptor)
            self.descriptor = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()


def claim_database(url: str) -> DatabaseClaim:
    """Claim an SQLite database for this process, which has one writer; on PostgreSQL any number may work.

    The claim is a lock on a file beside the database (`NAME.lock`), which the system takes away with the process.

    Raises:
        StoreError: if another process works on it.
    """
    parsed = parse_url(url)
    if parsed.drivername != "sqlite":
        return DatabaseClaim(None)
    _check_file(parsed, create=True)
    path = Path(parsed.database or "").resolve()
    descriptor = os.open(path.with_name(f"{path.name}.lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise StoreError(
            f"another worker process works on {path}: SQLite has one writer; stop that process, or set "
            "KEELWATCH_DATABASE_URL=postgresql://USER:PASSWORD@HOST/NAME to run several"
        ) from None
    return DatabaseClaim(descriptor)


def is_unavailable(error: BaseException) -> bool:
    """Whether the database is at fault (gone, locked, full): what was being written is good and can wait."""
    return isinstance(error, PoolTimeout) or (isinstance(error, DBAPIError) and dialect.is_unavailable(error))


def is_locked(error: BaseException) -> bool:
    """Whether another transaction stood in the way: the database is busy, and can be written."""
    return isinstance(error, DBAPIError) and dialect.is_locked(error)


def upgrade(connection: Connection) -> None:
    """Apply the missing migrations within the connection's transaction."""
    if _revision(connection) == newest_revision():
        return
    from alembic import command  # noqa: PLC0415 -- takes as long as reading all tables, and mostly nothing is missing
    from alembic.util import CommandError  # noqa: PLC0415

    try:
        command.upgrade(alembic_config(connection), "head")
    except CommandError as error:
        raise _NewerTables(str(error)) from error


def newest_revision() -> str:
    """The last of the migrations that ship inside this package, as their files' names say it."""
    found = (_MIGRATION.match(one.name) for one in (_migrations() / "versions").iterdir())
    return max(one[1] for one in found if one)


def _revision(connection: Connection) -> str | None:
    """What Alembic noted last; None in a new database."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    found: str | None = connection.execute(text("select version_num from alembic_version")).scalar()
    return found


def _migrations() -> Traversable:
    return resources.files("services.store") / "migrations"


def alembic_config(connection: Connection) -> Config:
    """Alembic's configuration for the migrations that ship inside this package."""
    from alembic.config import Config  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", str(_migrations()))
    config.attributes["connection"] = connection
    return config


def parse_url(url: str) -> URL:
    """The URL with its driver named.

    Raises:
        StoreError: if it is none of the two forms.
    """
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise StoreError(f"{url!r} is no database URL; write {FORMS}") from None
    if parsed.drivername in ("postgresql", "postgres"):
        return parsed.set(drivername="postgresql+psycopg")
    if parsed.drivername not in ("sqlite", "postgresql+psycopg"):
        raise StoreError(f"{parsed.drivername!r} is no database that Keelwatch knows; write {FORMS}")
    if parsed.drivername == "sqlite" and (parsed.database or ":memory:") == ":memory:":
        raise StoreError(f"a database in memory is lost with the process; write {FORMS}")
    return parsed


def without_password(url: URL) -> str:
    """The URL for people, without its password."""
    return url.render_as_string(hide_password=True)


def audit_head(folder: Path, url: str) -> AuditHead:
    """Where the head of the audit log of the database at `url` is kept; it is called the same from wherever it is."""
    parsed = parse_url(url)
    sqlite = parsed.drivername == "sqlite"
    return AuditHead.of(folder, str(Path(parsed.database or "").resolve()) if sqlite else without_password(parsed))


def _check_file(url: URL, create: bool) -> None:
    if url.drivername != "sqlite":
        return
    path = Path(url.database or "")
    if path.is_dir():
        raise StoreError(f"{path} is a folder; name a file in it, such as sqlite:///{path / 'keelwatch.db'}")
    if not path.parent.is_dir():
        raise StoreError(f"the folder {path.parent} does not exist; create it, or name another path after sqlite:///")
    if not create and not path.is_file():
        raise StoreError(f"there is no database {path}; name the one that replay or up wrote, as sqlite:///PATH")
    _close_to_others(path)


def _close_to_others(path: Path) -> None:
    """Let nobody but its owner read or write the file, nor what SQLite keeps beside it: new ones and those of before.

    SQLite gives its own files the rights of the database's.
    """
    with contextlib.suppress(OSError):  # what cannot be opened is said when it is
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    for one in (path, *(path.with_name(f"{path.name}{end}") for end in _BESIDE)):
        with contextlib.suppress(OSError):
            found = one.stat()
            if found.st_uid == os.geteuid() and found.st_mode & 0o077:
                one.chmod(0o600)


def fault_words(error: DBAPIError) -> str:
    """What the driver said, on one line. Of a database that cannot be reached, and not of what was written to it."""
    return " ".join(str(error.orig).split())
