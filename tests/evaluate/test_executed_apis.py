"""Runs of the evaluate step in each API: stored and read back, with no key in the database, and misbehaviour told."""

from __future__ import annotations

import asyncio
from contextlib import closing
from dataclasses import replace
from typing import Any

import pytest

from schemas.identity import identity_of
from services.evaluate.executor import Executor
from services.evaluate.persistence import stored_run
from services.monitor import Monitor, Target
from services.monitor.sent_values import FromEnvironment
from services.monitor.target_api import TARGET_APIS, ApiName
from services.offload import Offload
from services.store.engine import Database
from tests.support.endpoint import KEY, Endpoint
from tests.support.executing import OLD, Caught, asks, done, means, traffic, watched


def asking(url: str, **target: Any) -> Monitor:
    monitor = watched(url)
    return replace(monitor, defaults=replace(monitor.defaults, target=Target(url, "fake-1", **target)))


def ran(database: Database, monitor: Monitor, caught: Caught) -> int:
    """Do all that is due, with a key in the environment."""
    with closing(Offload("database")) as thread:
        given = replace(means(database, monitor, caught, thread), secret={"THE_KEY": KEY}.get)
        return asyncio.run(Executor(given).once())


@pytest.mark.parametrize("api", TARGET_APIS)
def test_a_run_in_each_api_is_stored_and_read_back_without_its_key(
    database: Database, endpoint: Endpoint, api: ApiName
) -> None:
    caught = Caught()
    monitor = asking(
        endpoint.url("echoes"), api=api, headers={"X-Gate": FromEnvironment("THE_KEY"), "X-Team": "safety"}
    )
    traffic(database)
    assert ran(database, monitor, caught) == 1
    assert [(run.status, run.reason) for run in caught.runs] == [("complete", None)]
    with database.read() as connection:
        found = stored_run(connection, caught.runs[0].id)
    assert found is not None
    assert found.target.api == api
    assert all("x-team" in (answer.text or "").lower() for answer in found.answers), "the endpoint repeats its headers"
    stored = found.encode().decode()
    assert KEY not in stored
    assert "<api key>" in stored


@pytest.mark.parametrize(
    ("mode", "words"),
    [
        ("html-502", "the endpoint answers 502 with text/html"),
        ("stream-cut", "a stream that ended before the answer was whole"),
        ("account-closed", "answers 403 with application/json (account_deactivated)"),
        ("redirect-307", "a redirect, which is not followed"),
    ],
)
def test_an_endpoint_that_misbehaves_after_a_change_leaves_it_inconclusive_and_says_why(
    database: Database, endpoint: Endpoint, mode: str, words: str
) -> None:
    caught = Caught()
    traffic(database)
    assert done(database, asking(endpoint.url("normal")), caught) == 1
    asks(database, "change", "c" * 16, identity_of(OLD))
    assert done(database, asking(endpoint.url(mode)), caught) == 1
    assert [run.status for run in caught.runs] == ["complete", "failed"]
    assert words in (caught.runs[1].reason or "")
    assert caught.runs[1].measures == ()
    (comparison,) = caught.comparisons
    assert comparison.overall == "inconclusive"
    assert words in comparison.reason
    assert comparison.hazards == ()
