"""SQLite has one worker process; another one is refused with a sentence that says what to do."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from services.store.engine import StoreError, claim_database, open_database
from tests.support.source import ROOT

OTHER = """
import sys
from services.store.engine import StoreError, claim_database
try:
    held = claim_database(sys.argv[1])
except StoreError as error:
    sys.exit(str(error))
print("held", flush=True)
sys.stdin.read()
"""


def other_process(url: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", OTHER, url]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen(command, cwd=ROOT, text=True, **pipes)


def test_a_second_process_is_refused_and_says_what_to_do(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/kw.db"
    with claim_database(url):
        open_database(url).close()
        out, said = other_process(url).communicate(timeout=60)
    assert out == ""
    assert f"another worker process works on {tmp_path}/kw.db" in said
    assert "KEELWATCH_DATABASE_URL=postgresql://" in said
    assert said.count("\n") == 1


def test_the_claim_ends_with_the_process_even_when_it_is_killed(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/kw.db"
    with other_process(url) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        with pytest.raises(StoreError, match="SQLite has one writer"):
            claim_database(url)
        other.kill()
        other.wait()
        claim_database(url).release()


def test_the_claim_is_of_the_file_under_whatever_name(tmp_path: Path) -> None:
    (tmp_path / "kw.db").touch()
    (tmp_path / "link.db").symlink_to(tmp_path / "kw.db")
    with claim_database(f"sqlite:///{tmp_path}/kw.db"):
        with pytest.raises(StoreError, match="another worker"):
            claim_database(f"sqlite:///{tmp_path}/link.db")
        claim_database(f"sqlite:///{tmp_path}/other.db").release()
    claim_database(f"sqlite:///{tmp_path}/link.db").release()


def test_reading_and_writing_need_no_claim(new_url: Callable[[], str]) -> None:
    """A listing, or a replay into the same database, works beside the worker: SQLite lets them take turns."""
    url = new_url()
    with claim_database(url):
        database = open_database(url, create=False)
        with database.write() as connection:
            assert connection.exec_driver_sql("DELETE FROM routes").rowcount == 0
        database.close()


def test_any_number_of_processes_may_work_on_a_server() -> None:
    url = "postgresql://keelwatch@/kw?host=/nowhere"
    with claim_database(url), claim_database(url):
        assert other_process(url).communicate("", timeout=60)[0] == "held\n"


def test_a_folder_that_does_not_exist_is_named(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="create it"):
        claim_database(f"sqlite:///{tmp_path}/none/kw.db")
