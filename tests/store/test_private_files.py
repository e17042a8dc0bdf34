"""What Keelwatch keeps on disk is its user's alone: new files, those of before, and what SQLite keeps beside them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from services.settings import private_folder
from services.store.engine import claim_database, open_database
from services.wiring.instance import claim_instance
from tests.store.test_migrations import _routes


@pytest.fixture(autouse=True)
def everybody_may() -> Iterator[None]:
    """As the most generous of umasks has it."""
    before = os.umask(0)
    yield
    os.umask(before)


def rights(folder: Path) -> dict[str, int]:
    return {path.name: path.stat().st_mode & 0o777 for path in folder.iterdir()}


@pytest.mark.parametrize("before", [None, 0o644, 0o666])
def test_a_database_is_its_owners_alone_with_all_that_lies_beside_it(tmp_path: Path, before: int | None) -> None:
    url = f"sqlite:///{tmp_path}/k.db"
    if before is not None:
        with closing(open_database(url)) as one, one.read():
            for path in tmp_path.iterdir():
                path.chmod(before)
            _written(url)
    with claim_database(url), closing(open_database(url)) as made:
        with made.write() as connection:
            connection.execute(_routes().insert(), {"route": "b", "journal_seq": 0, "journal_hash": ""})
        assert rights(tmp_path) == dict.fromkeys(("k.db", "k.db-wal", "k.db-shm", "k.db.lock"), 0o600)


def _written(url: str) -> None:
    with closing(open_database(url)) as one, one.write() as connection:
        connection.execute(_routes().insert(), {"route": "a", "journal_seq": 0, "journal_hash": ""})


def test_a_listing_makes_no_database(tmp_path: Path) -> None:
    with pytest.raises(Exception, match="there is no database"):
        open_database(f"sqlite:///{tmp_path}/k.db", create=False)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("before", [None, 0o755, 0o777])
def test_a_data_directory_is_closed_to_others(tmp_path: Path, before: int | None) -> None:
    folder = tmp_path / "data"
    if before is not None:
        folder.mkdir(before)
    with claim_instance(folder, None, "up"):
        assert folder.stat().st_mode & 0o777 == 0o700
        assert tmp_path.stat().st_mode & 0o777 == 0o700, "of pytest's own making"


def test_a_folder_for_everybody_stays_open(tmp_path: Path) -> None:
    (tmp_path / "tmp").mkdir()
    (tmp_path / "tmp").chmod(0o1777)
    private_folder(tmp_path / "tmp")
    assert (tmp_path / "tmp").stat().st_mode & 0o7777 == 0o1777
