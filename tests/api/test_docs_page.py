"""`/docs` shows every operation and record of the description, and loads nothing from elsewhere."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from services.store.engine import Database, open_database
from tests.support.api import all_asked
from tests.support.crawl import HTML
from tests.support.fuzz import PRINCIPALS, app_for


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with closing(open_database(f"sqlite:///{tmp_path}/kw.db")) as made:
        yield made


def test_every_operation_and_record_is_there_and_every_link_leads_somewhere(database: Database) -> None:
    app = app_for(database, PRINCIPALS["viewer"])
    [answer] = all_asked(app, [("GET", "/docs", {"headers": HTML})])
    assert answer.status_code == 200
    ids = re.findall(r'id="([^"]+)"', answer.text)
    assert len(ids) == len(set(ids))
    described = app.openapi()
    operations = {one["operationId"] for methods in described["paths"].values() for one in methods.values()}
    records = {name for name, one in described["components"]["schemas"].items() if "properties" in one}
    assert operations | records <= set(ids)
    assert set(re.findall(r'href="#([^"]+)"', answer.text)) - set(ids) == set()
    assert re.findall(r'(?:src|href)="(?!/|#)', answer.text) == []
    assert "default-src 'none'" in answer.headers["content-security-policy"]


def test_it_needs_a_key_that_may_view(database: Database) -> None:
    [answer] = all_asked(app_for(database, PRINCIPALS["ingest"]), [("GET", "/docs", {"headers": HTML})])
    assert answer.status_code == 403
