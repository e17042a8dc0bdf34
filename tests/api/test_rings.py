"""How fresh the keys are, and what counts while the database is away."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import create_engine

from services.api.app import make
from services.api.auth.authentication import FRESH_SECONDS, STALE_SECONDS, Authenticator, KeyCache
from services.api.auth.authorization import LOOPBACK
from services.api.http.problems import Problem
from services.store import api_keys
from services.store.engine import Database
from tests.support.access import answers, bearer, key
from tests.support.api import BASE, NOW, Wire, api_on
from tests.support.streams import until

AWAY = "postgresql+psycopg://nobody@127.0.0.1:1/none?connect_timeout=2"


def test_without_the_database_nobody_is_let_in() -> None:
    away = Database(create_engine(AWAY))
    app = make(api_on(away, Wire()))
    for path in ("/v1/incidents", "/", "/nothing"):
        for headers in ({}, bearer(f"kw_{'0' * 16}_{'0' * 64}"), {"cookie": "keelwatch_session=x"}):
            [answer] = answers(app, [("GET", path, {"headers": headers})])
            assert (answer.status_code, "retry-after" in answer.headers) == (503, True)


def test_what_was_seen_counts_for_a_second_and_without_the_database_for_some_minutes(database: Database) -> None:
    now, broken = [100.0], [False]

    class Sometimes:
        def read(self):
            return (Database(create_engine(AWAY)) if broken[0] else database).read()

    rings = KeyCache(Sometimes(), lambda: NOW, lambda: now[0])  # type: ignore[arg-type]

    def seen() -> int:
        return len(asyncio.run(rings.get()).keys)

    assert seen() == 0
    key(database, "admin")
    now[0] += FRESH_SECONDS - 0.01
    assert seen() == 0
    now[0] += 0.02
    assert seen() == 1
    assert len(asyncio.run(rings.get(again=True)).keys) == 1
    key(database, "viewer")
    now[0] += 0.001
    assert len(asyncio.run(rings.get(again=True)).keys) == 2
    broken[0] = True
    now[0] += STALE_SECONDS - 1
    assert seen() == 2
    now[0] += 2
    with pytest.raises(Problem, match="nobody can be let in"):
        seen()


def test_a_key_counts_as_soon_as_it_exists_and_not_once_it_is_revoked(database: Database) -> None:
    app = make(api_on(database, Wire()))

    def asked(**headers: str) -> int:
        return answers(app, [("GET", "/v1/incidents", {"headers": headers})])[0].status_code

    assert asked() == 200
    secret = key(database, "viewer")
    until(lambda: asked() == 401, "everybody needs a key", 5)
    assert asked(**bearer(secret)) == 200
    late = key(database, "viewer")
    assert asked(**bearer(late)) == 200  # at once: who is not found is looked for again
    with database.write() as connection:
        api_keys.revoke(connection, late.id, NOW)
    until(lambda: asked(**bearer(late)) == 401, "the revoked key is refused", 5)


def test_beyond_this_machine_nobody_is_let_in_without_a_key(database: Database) -> None:
    far: FastAPI = make(api_on(database, Wire(), door=Authenticator(database, (), lambda: NOW)))
    near = make(api_on(database, Wire(), door=Authenticator(database, LOOPBACK, lambda: NOW)))
    named = {"host": "keelwatch.example"}
    assert [answers(app, [("GET", "/", {"headers": named})])[0].status_code for app in (far, near)] == [401, 421]
    secret = key(database, "viewer")
    until(lambda: answers(near, [("GET", "/v1/incidents", {})])[0].status_code == 401, "keys count", 5)
    for app in (far, near):
        [answer] = answers(app, [("GET", "/v1/incidents", {"headers": named | bearer(secret)})])
        assert answer.status_code == 200


def test_use_is_noted_once_a_minute(database: Database) -> None:
    now = [NOW]
    app = make(api_on(database, Wire(), door=Authenticator(database, clock=lambda: now[0])))
    secret = key(database, "viewer")

    def used():
        with database.read() as connection:
            found = api_keys.get(connection, secret.id)
        assert found is not None
        return found.used

    async def asked(at: datetime) -> None:
        now[0] = at
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=BASE) as client:
            assert (await client.get("/v1/incidents", headers=bearer(secret))).status_code == 200

    async def noted(at: datetime) -> None:
        async with asyncio.timeout(10):
            while used() != at:
                await asyncio.sleep(0.01)

    async def work() -> None:
        assert used() is None
        await asked(NOW)
        await noted(NOW)
        await asked(NOW + timedelta(seconds=59))
        await asked(NOW + timedelta(seconds=60))
        await noted(NOW + timedelta(seconds=60))

    asyncio.run(work())
