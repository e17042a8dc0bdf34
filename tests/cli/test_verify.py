"""`keelwatch verify audit` says what is not as it was written, and exits with 1."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from sqlalchemy import text
from typer.testing import CliRunner

from services.cli.app import app
from services.errors import InputError
from services.store.engine import open_database
from tests.record.stories import ROUTES, story
from tests.support.api import recorded

RUN = CliRunner()


@pytest.fixture
def url(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("KEELWATCH_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("KEELWATCH_DATABASE_URL", "")
    url = f"sqlite:///{tmp_path / 'keelwatch.db'}"
    database = open_database(url, heads=tmp_path)
    recorded(database, *story(ROUTES[0]))
    database.close()
    return url


def change(url: str, statement: str) -> None:
    database = open_database(url)
    with database.write() as connection:
        connection.execute(text(statement))
    database.close()


def test_a_database_as_it_was_written_is_whole(url: str) -> None:
    done = RUN.invoke(app, ["verify", "audit", "--json", "-"])
    told = json.loads(done.stdout)
    assert (done.exit_code, told["whole"], told["problems"]) == (0, True, [])
    assert told["records"] > 0
    assert told["head"]["entry"] == told["entries"]
    said = RUN.invoke(app, ["verify", "audit"])
    assert said.exit_code == 0
    assert "are as they were written" in said.stdout


def test_an_edit_and_a_cut_are_named_with_exit_code_1(url: str, tmp_path: Path) -> None:
    change(url, "UPDATE incidents SET state = 'resolved', severity = 'info'")
    done = RUN.invoke(app, ["verify", "audit"])
    assert done.exit_code == 1
    assert "was changed after it was written" in done.stdout
    change(url, "DELETE FROM audit_log WHERE seq > 1")
    cut = RUN.invoke(app, ["verify", "audit", "--json", str(tmp_path / "out.json")])
    assert cut.exit_code == 1
    assert "the audit log is cut off" in cut.stdout
    faults = {one["fault"] for one in json.loads((tmp_path / "out.json").read_text())["problems"]}
    assert {"cut", "added"} <= faults


def test_without_a_head_it_says_what_would_not_show(url: str, tmp_path: Path) -> None:
    for file in tmp_path.glob("audit-head-*.json"):
        file.unlink()
    done = RUN.invoke(app, ["verify", "audit"])
    assert done.exit_code == 0
    assert "no head is kept in" in done.output
    assert not list(tmp_path.glob("audit-head-*.json")), "who checks makes no head: it would be that of a forger"


def test_an_erasure_says_what_it_did_and_leaves_the_log_whole(url: str) -> None:
    [one] = database_samples(url)
    dry = RUN.invoke(app, ["erase", "--id", one, "--dry-run", "--json", "-"])
    assert (dry.exit_code, json.loads(dry.stdout)["exchanges"]) == (0, 1)
    assert database_samples(url) == [one]
    done = RUN.invoke(app, ["erase", "--id", one])
    assert done.exit_code == 0
    assert "1 exchange was erased" in done.stdout
    assert "texts of exchanges" in done.stdout
    assert one not in database_samples(url)
    assert RUN.invoke(app, ["verify", "audit"]).exit_code == 0
    for wrong in ([], ["--user", "a", "--id", "b"]):
        refused = RUN.invoke(app, ["erase", *wrong])
        assert isinstance(refused.exception, InputError)


def database_samples(url: str) -> list[str]:
    database = open_database(url)
    with database.read() as connection:
        found = list(connection.execute(text("SELECT id FROM samples ORDER BY id LIMIT 1")).scalars())
    database.close()
    return found
