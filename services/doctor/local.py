"""What is looked at on this machine: the data folder, the database, the embedder, the monitor file."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from datetime import datetime
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from time import time

from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, create_engine, text
from sqlalchemy.engine import URL
from sqlalchemy.exc import DBAPIError

from services import monitor
from services.doctor import core
from services.doctor.core import DoctorFinding
from services.errors import InputError
from services.store import dialect
from services.store.engine import StoreError, alembic_config, fault_words, parse_url, without_password
from services.store.faults import fault_of

_CONNECT_SECONDS = 5


def disk(folder: Path) -> DoctorFinding:
    """The folder of data, or the nearest one above it that exists: it is made at the first start."""
    there = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    writable = there.is_dir() and os.access(there, os.W_OK | os.X_OK)
    try:
        free = shutil.disk_usage(there).free
    except OSError:
        free = None
    return core.disk(str(folder), free, writable)


def database(url: str) -> list[DoctorFinding]:
    """Whether the database answers and its tables are up to date; it is not changed. With PostgreSQL also its clock."""
    try:
        parsed = parse_url(url)
    except StoreError as error:
        return [DoctorFinding("database", "wrong", "url", str(error), "correct KEELWATCH_DATABASE_URL")]
    return _sqlite(parsed) if parsed.drivername == "sqlite" else _server(parsed)


def embedder(start: Callable[[], object]) -> DoctorFinding:
    """Whether the model's files are there and the embedder embeds; `start` does it."""
    try:
        start()
    except InputError as error:
        return DoctorFinding("embedder", "wrong", "setting", str(error), "correct KEELWATCH_EMBEDDER")
    except (FileNotFoundError, ImportError, PackageNotFoundError) as error:
        missing = error.filename if isinstance(error, FileNotFoundError) else error.name
        message = f"files of the model are missing: {missing or error}"
        return DoctorFinding("embedder", "wrong", "model_missing", message, "install Keelwatch's dependencies again")
    except Exception as error:
        message = f"does not start: {type(error).__name__}: {error}"
        remedy = "try KEELWATCH_EMBEDDER=openvino-f32; look at free memory and at the processor's instruction set"
        return DoctorFinding("embedder", "wrong", "start", message, remedy)
    return DoctorFinding("embedder", "ok", "ok", "the model's files are there, and it embeds")


def monitor_file(path: Path | None) -> DoctorFinding:
    """Whether the monitor file can be used."""
    if path is None:
        return DoctorFinding("monitor", "ok", "ok", "no monitor file: every route is watched with the defaults")
    problems = monitor.check(path)
    first = next((one for one in problems if one.severity == "error"), None)
    if first is not None:
        return DoctorFinding("monitor", "wrong", "file", str(first), f"`keelwatch check-config {path}` shows all of it")
    if problems:
        remedy = f"`keelwatch check-config {path}` shows all of it"
        return DoctorFinding("monitor", "warning", "file", f"{path}: {len(problems)} warnings", remedy)
    return DoctorFinding("monitor", "ok", "ok", f"{path} can be used")


def _sqlite(url: URL) -> list[DoctorFinding]:
    path = Path(url.database or "")
    if not path.exists():
        there = next(one for one in path.absolute().parents if one.exists())
        if os.access(there, os.W_OK | os.X_OK):
            return [DoctorFinding("database", "ok", "ok", f"{path} is made at the first start")]
        return [_wrong(url, "not_writable", f"{there} cannot be written", "give this user the right to write it")]
    if not os.access(path, os.R_OK | os.W_OK):
        return [_wrong(url, "not_writable", "this user may not read and write it", "give this user the right to")]
    engine = create_engine(f"sqlite:///file:{path.absolute()}?mode=ro&uri=true")
    try:
        with engine.connect() as connection:
            return [_revision(connection, url)]
    except DBAPIError as error:
        return [
            _wrong(url, "unusable", fault_words(error), "name another path after sqlite:/// in KEELWATCH_DATABASE_URL")
        ]
    finally:
        engine.dispose()


def _server(url: URL) -> list[DoctorFinding]:
    engine = create_engine(url, connect_args=dialect.server_options(url, _CONNECT_SECONDS))
    try:
        with engine.connect() as connection:
            begin = time()
            there: datetime = connection.execute(text("select clock_timestamp()")).scalar_one()
            took = time() - begin
            ahead = begin + took / 2 - there.timestamp()
            return [_revision(connection, url), core.clock("the database's", ahead, took / 2)]
    except DBAPIError as error:
        words = fault_words(error)
        found = fault_of(words)
        return [_wrong(url, found.cause, words, found.remedy)]
    finally:
        engine.dispose()


def _revision(connection: Connection, url: URL) -> DoctorFinding:
    scripts = ScriptDirectory.from_config(alembic_config(connection))
    current = MigrationContext.configure(connection).get_current_revision()
    known = [script.revision for script in scripts.walk_revisions()]
    return core.revision(without_password(url), current, str(scripts.get_current_head()), known)


def _wrong(url: URL, cause: str, what: str, remedy: str) -> DoctorFinding:
    return DoctorFinding("database", "wrong", cause, f"{without_password(url)}: {what}", remedy)
