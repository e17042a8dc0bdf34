"""A fake Slack, the other fake programs and a real database per test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.databases import database, new_url
from tests.support.programs import FakePrograms, fake_programs
from tests.support.slack import FakeSlack, fake_slack

__all__ = ["database", "new_url"]


@pytest.fixture
def slack(tmp_path: Path) -> Iterator[FakeSlack]:
    with fake_slack(tmp_path) as fake:
        yield fake


@pytest.fixture
def programs(tmp_path: Path) -> Iterator[FakePrograms]:
    with fake_programs(tmp_path) as fake:
        yield fake
