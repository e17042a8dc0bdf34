"""What all tables share: base class, UTC times, keys made of outside text, filters by route globs.

A table is a SQLModel class in the file of its aggregate, beside its queries. Times are UTC; JSON is text, so that both
databases keep it byte for byte.
"""

from __future__ import annotations

import hashlib
import pkgutil
import time
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import import_module
from typing import Any, Final, cast

from sqlalchemy import (
    ColumnElement,
    DateTime,
    Dialect,
    MetaData,
    Table,
    TypeDecorator,
    and_,
    or_,
    text,
    true,
)
from sqlalchemy.orm import registry
from sqlmodel import SQLModel

CONSTRAINT_NAMES: Final = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}


class UtcDateTime(TypeDecorator[datetime]):
    """An aware time, stored and read in UTC; SQLite, which knows no zones, keeps the UTC wall time."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """To UTC; a time without a zone is a fault of ours."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a time without a zone cannot be stored")
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Aware, in UTC, whatever the database's session zone is."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class Base(SQLModel, registry=registry(metadata=MetaData(naming_convention=CONSTRAINT_NAMES))):
    """Parent of all tables; its metadata is what the migrations must agree with."""


DAY_SECONDS: Final = 86_400


def today() -> int:
    """The day by our own clock, since 1970: retention asks when a row was written, never what its time is."""
    return int(time.time() // DAY_SECONDS)


WRITTEN: Final = {"default": today, "server_default": text("0")}
"""Of a column that holds the day on which its row was written."""


def all_metadata() -> MetaData:
    """Every table: a class is known once its module was imported, so all modules of the store are."""
    package = import_module(__package__)
    for module in pkgutil.iter_modules(package.__path__):
        if not module.ispkg:
            import_module(f"{__package__}.{module.name}")
    return Base.metadata


def table(model: type[Base]) -> Table:
    """The SQLAlchemy table of a model, for bulk work in SQLAlchemy core."""
    return cast(Table, cast(Any, model).__table__)


TimeCursor = tuple[datetime, str]
"""Where a list that is newest first goes on: time and id of the last one that was shown."""


def older_than(after: TimeCursor | None, ts: ColumnElement[datetime], id: ColumnElement[str]) -> ColumnElement[bool]:
    """That a row follows the one at `after`, newest first; without one every row does."""
    return true() if after is None else or_(ts < after[0], and_(ts == after[0], id < after[1]))


@dataclass(frozen=True, slots=True)
class TimeSpan:
    """The times in [since, until); None is no bound."""

    since: datetime | None = None
    until: datetime | None = None

    def holds(self, ts: ColumnElement[datetime]) -> ColumnElement[bool]:
        """That a row's time lies in it."""
        begun = [] if self.since is None else [ts >= self.since]
        ended = [] if self.until is None else [ts < self.until]
        return and_(true(), *begun, *ended)


ANY_TIME: Final = TimeSpan()


EVERYTHING = ("*",)


def visible(route: ColumnElement[str], globs: Iterable[str]) -> ColumnElement[bool]:
    """That the column's route fits one of the globs, where `*` stands for any characters; routes have no capitals."""
    wanted = tuple(globs)
    if "*" in wanted:
        return true()
    return or_(*(_fits_glob(route, glob) for glob in wanted)) if wanted else ~true()


def _fits_glob(route: ColumnElement[str], glob: str) -> ColumnElement[bool]:
    if "*" not in glob:
        return route == glob
    escaped = glob.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return route.like(escaped.replace("*", "%"), escape="\\")


LONGEST_KEY: Final = 500
_KEPT_OF_KEY: Final = 400


def key_of(text: str) -> str:
    """The text itself, or of more than 500 characters the first 400 and a hash of all; NUL becomes U+FFFD.

    PostgreSQL refuses index entries over 2,700 bytes and text with NUL: one long value must not stop a batch.
    """
    clean = text.replace("\0", "\N{REPLACEMENT CHARACTER}")
    if len(clean) <= LONGEST_KEY:
        return clean
    return f"{clean[:_KEPT_OF_KEY]}#{hashlib.sha256(clean.encode()).hexdigest()[:16]}"


def only_where(condition: str) -> dict[str, Any]:
    """Options of an index that holds only the rows of which the condition is true."""
    return {"sqlite_where": text(condition), "postgresql_where": text(condition)}


def key_if_any(text: str | None) -> str | None:
    """`key_of` for what may be missing."""
    return None if text is None else key_of(text)
