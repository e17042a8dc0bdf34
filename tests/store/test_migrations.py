"""The migrations and the tables say the same, and opening twice or from an old state works."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Table, inspect, select, text

from services.monitor import RoutePolicy
from services.record.recorder import Recorder
from services.store.engine import Database, StoreError, alembic_config, newest_revision, open_database
from services.store.tables import all_metadata
from tests.record.stories import ROUTES, story
from tests.support.databases import dump, opened

ARRIVED = {"routes": {"arrived"}}
"""That is when the newer version was installed."""


def test_the_migrations_make_the_tables_that_the_models_describe(database: Database) -> None:
    with database.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
        assert compare_metadata(context, all_metadata()) == []


def test_the_database_enforces_what_the_models_describe(database: Database) -> None:
    """What alembic does not compare: primary keys and partial indexes, by name."""
    found = inspect(database.engine)
    for table in all_metadata().sorted_tables:
        key = found.get_pk_constraint(table.name)
        assert key["constrained_columns"] == [column.name for column in table.primary_key], table.name
        assert key["name"] == table.primary_key.name
        assert {index["name"] for index in found.get_indexes(table.name)} >= {index.name for index in table.indexes}


def test_every_constraint_has_a_name() -> None:
    for table in all_metadata().sorted_tables:
        assert all(constraint.name for constraint in table.constraints), table.name


def test_opening_again_keeps_what_is_there(new_url: Callable[[], str]) -> None:
    url = new_url()
    first = open_database(url)
    with first.write() as connection:
        connection.execute(_routes().insert(), {"route": "a", "journal_seq": 0, "journal_hash": ""})
    first.close()
    again = open_database(url, create=False)
    with again.read() as connection:
        assert connection.execute(_routes().select()).one().route == "a"
    again.close()


def test_every_step_can_be_taken_back_and_again(database: Database) -> None:
    with database.engine.begin() as connection:
        command.downgrade(alembic_config(connection), "base")
        assert set(inspect(connection).get_table_names()) == {"alembic_version"}
        command.upgrade(alembic_config(connection), "head")
        assert "journal" in inspect(connection).get_table_names()


def test_an_older_database_is_brought_up_to_date_with_all_that_it_holds(new_url: Callable[[], str]) -> None:
    url = new_url()
    with opened(url) as (database,):
        Recorder(database, lambda route: RoutePolicy()).apply(story(ROUTES[0]))
        before = dump(database, ARRIVED)
        with database.engine.begin() as connection:
            command.downgrade(alembic_config(connection), "0001")
            assert "evaluations" not in inspect(connection).get_table_names()
        open_database(url).close()
        after = dump(database, ARRIVED)
        for name in ("arrivals", "ingest_counts"):
            assert before.pop(name)
            assert after.pop(name) == []  # by our own clock: nothing else says when that was
        assert after == before
        assert len(before["journal"]) > 5
        with database.read() as connection:
            assert None not in connection.execute(select(_routes().c.arrived)).scalars().all()


def test_two_processes_may_open_a_new_database_at_once(new_url: Callable[[], str]) -> None:
    url, failures = new_url(), []

    def work() -> None:
        try:
            open_database(url).close()
        except StoreError as error:
            failures.append(error)

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


def test_a_database_of_a_newer_version_is_refused(new_url: Callable[[], str]) -> None:
    url = new_url()
    opened = open_database(url)
    with opened.write() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    opened.close()
    with pytest.raises(StoreError, match="upgrade Keelwatch"):
        open_database(url)


@pytest.mark.parametrize(
    ("url", "remedy"),
    [
        ("keelwatch.db", "write sqlite:///path"),
        ("", "write sqlite:///path"),
        ("mysql://localhost/x", "write sqlite:///path"),
        ("sqlite://", "write sqlite:///path"),
        ("sqlite:///:memory:", "write sqlite:///path"),
        ("sqlite:///{folder}", "name a file in it"),
        ("sqlite:///{folder}/none/kw.db", "create it"),
        ("sqlite:///{folder}/text.db", "name another path"),
        ("postgresql://nobody:secret@127.0.0.1:1/kw", "start the server"),
    ],
)
def test_a_wrong_url_is_one_line_that_names_the_remedy(url: str, remedy: str, tmp_path: Path) -> None:
    (tmp_path / "text.db").write_text("this is a text file, long enough to be no empty database " * 20)
    with pytest.raises(StoreError) as caught:
        open_database(url.format(folder=tmp_path))
    message = str(caught.value)
    assert remedy in message
    assert "\n" not in message
    assert "secret" not in message


def test_a_listing_makes_no_database(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="there is no database"):
        open_database(f"sqlite:///{tmp_path}/absent.db", create=False)
    assert list(tmp_path.iterdir()) == []


def test_an_sqlite_file_is_set_up_for_one_writer_and_many_readers(tmp_path: Path) -> None:
    opened = open_database(f"sqlite:///{tmp_path}/kw.db")
    with opened.read() as connection:
        found = {name: connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in WANTED}
    assert found == WANTED
    with opened.write(), opened.read() as reader:
        assert reader.execute(_routes().select()).all() == []
    with opened.write():
        other = sqlite3.connect(tmp_path / "kw.db", timeout=0.01)
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            other.execute("INSERT INTO routes (route, journal_seq, journal_hash) VALUES ('a', 0, '')")
        other.close()
    opened.close()


WANTED = {"journal_mode": "wal", "synchronous": 1, "foreign_keys": 1, "busy_timeout": 10_000, "secure_delete": 1}


def _routes() -> Table:
    return all_metadata().tables["routes"]


def test_the_newest_file_by_its_name_is_the_head_of_all(database: Database) -> None:
    """A database at it is opened without Alembic."""
    with database.write() as connection:
        assert newest_revision() == ScriptDirectory.from_config(alembic_config(connection)).get_current_head()
