"""One fake endpoint, a process of its own, for all tests of a module."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.databases import database, new_url
from tests.support.endpoint import Endpoint, running

__all__ = ["database", "new_url"]


@pytest.fixture(scope="module")
def endpoint() -> Iterator[Endpoint]:
    with running() as started:
        yield started
