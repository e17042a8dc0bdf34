"""A real PostgreSQL for tests: Debian's binaries, in a folder of its own, on a Unix socket, gone at the end.

`KEELWATCH_TEST_POSTGRES` names a running server instead; its user must be allowed to make databases.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import uuid4

import psycopg
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy.engine import make_url

from services.store import migrations
from services.store.engine import open_database
from services.store.tables import all_metadata

ABSENT = "needs PostgreSQL 15 or newer: install Debian's package postgresql, or set KEELWATCH_TEST_POSTGRES"
READY_SECONDS = 60.0
USER = "keelwatch"
# What survives a crash is not tested here, and waiting for the disk takes most of the time.
MIGRATIONS = Path(migrations.__file__).parent
FAST = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "deadlock_timeout": "50ms",
    # One that looks at a table while a test fills it takes it for empty afterwards, and plans for that.
    "autovacuum": "off",
}


def binaries() -> Path | None:
    """The folder of PostgreSQL's programs: the newest that Debian installed, else that of the path."""
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    found = str(debian[-1]) if debian else shutil.which("initdb")
    return Path(found).resolve().parent if found else None


@dataclass
class Cluster:
    """A server of its own. PostgreSQL refuses root, so that root runs it as the user that Debian made for it."""

    folder: Path
    programs: Path
    settings: Mapping[str, str]
    process: subprocess.Popen[bytes] | None = None

    def create(self) -> None:
        """Make the cluster; sorting by ICU's rules, as servers in production do, unlike SQLite."""
        if os.geteuid() == 0:
            shutil.chown(self.folder, "postgres", "postgres")
        options = ["-U", USER, "-A", "trust", "-N", "-E", "UTF8", "--locale=C", "--locale-provider=icu"]
        command = [
            *_unprivileged(),
            str(self.programs / "initdb"),
            "-D",
            str(self.data),
            *options,
            "--icu-locale=en-US",
        ]
        done = subprocess.run(command, cwd=self.folder, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr

    @property
    def data(self) -> Path:
        """The folder of its data."""
        return self.folder / "data"

    @property
    def url(self) -> str:
        """The URL of the database in which others are made."""
        return f"postgresql://{USER}@/postgres?host={self.folder}"

    def start(self) -> None:
        """Start the server and wait until it answers."""
        settings = [word for name, value in self.settings.items() for word in ("-c", f"{name}={value}")]
        command = [str(self.programs / "postgres"), "-D", str(self.data), "-k", str(self.folder), *settings]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen([*_unprivileged(), *command], cwd=self.folder, stdout=log, stderr=log)
        end = time.monotonic() + READY_SECONDS
        while not _answers(self.url):
            alive = self.process.poll() is None and time.monotonic() < end
            assert alive, (self.folder / "log").read_text(errors="replace")
            time.sleep(0.02)

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """End it: SIGINT breaks connections off, SIGQUIT is a crash."""
        if self.process is not None:
            self.process.send_signal(how)
            self.process.wait()
            self.process = None


def _unprivileged() -> list[str]:
    return ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"] if os.geteuid() == 0 else []


def _answers(url: str) -> bool:
    try:
        psycopg.connect(url).close()
    except psycopg.OperationalError:
        return False
    return True


@dataclass
class Server:
    """A server on which each test has databases of its own: new ones take long, so that they are emptied and reused."""

    url: str
    template: str | None = None
    free: list[str] = field(default_factory=list)

    def fresh(self) -> str:
        """The URL of a database with all tables, empty."""
        while self.free:
            url = self.free.pop()
            if _emptied(url):
                return url
            self.drop(url)
        if self.template is None:
            self.template = self._create("")
            open_database(self._url(self.template)).close()
        return self._url(self._create(f"TEMPLATE {self.template}"))

    def take_back(self, url: str) -> None:
        """Nobody uses this database any more."""
        self.free.append(url)

    def drop(self, url: str) -> None:
        """Drop a database, whoever is connected to it."""
        self._execute(f"DROP DATABASE {make_url(url).database} WITH (FORCE)")

    def close(self) -> None:
        """Drop all databases that were made and came back."""
        for url in [*self.free, *([self._url(self.template)] if self.template else [])]:
            self.drop(url)

    def _create(self, template: str) -> str:
        name = f"kw_{uuid4().hex}"
        self._execute(f"CREATE DATABASE {name} {template}")
        return name

    def _url(self, name: str) -> str:
        return make_url(self.url).set(database=name).render_as_string(hide_password=False)

    def _execute(self, statement: str) -> None:
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(statement.encode())


def _emptied(url: str) -> bool:
    """Empty its tables; False when a test left the schema changed."""
    tables = [table.name for table in reversed(all_metadata().sorted_tables)]
    with psycopg.connect(url) as connection:
        found = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall()
        triggers = connection.execute("SELECT tgname FROM pg_trigger WHERE NOT tgisinternal").fetchall()
        if triggers or {name for (name,) in found} != {*tables, "alembic_version"}:
            return False
        for name in tables:
            connection.execute(f"DELETE FROM {name}".encode())
        return connection.execute("SELECT version_num FROM alembic_version").fetchall() == [(_head(),)]


@cache
def _head() -> str | None:
    scripts = Config()
    scripts.set_main_option("script_location", str(MIGRATIONS))
    return ScriptDirectory.from_config(scripts).get_current_head()


@contextmanager
def own_cluster(settings: Mapping[str, str] = FAST) -> Iterator[Cluster | None]:
    """A new cluster that runs; None where PostgreSQL is not installed."""
    programs = binaries()
    if programs is None:
        yield None
        return
    with TemporaryDirectory(prefix="kwpg", dir="/tmp") as folder:  # the path of a Unix socket must be short
        cluster = Cluster(Path(folder), programs, {"listen_addresses": "", **settings})
        try:
            cluster.create()
            cluster.start()
            yield cluster
        finally:
            cluster.stop()


@contextmanager
def running() -> Iterator[Server | None]:
    """The server of KEELWATCH_TEST_POSTGRES, else one of our own; None where there is neither."""
    given = os.environ.get("KEELWATCH_TEST_POSTGRES")
    with own_cluster() if not given else _nothing() as cluster:
        url = given or (cluster.url if cluster else None)
        if url is None:
            yield None
            return
        server = Server(url)
        try:
            yield server
        finally:
            server.close()


@contextmanager
def _nothing() -> Iterator[None]:
    yield None
