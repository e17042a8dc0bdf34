"""For a key that sees some routes, all others do not exist: no name, no object, no trace, wherever it asks."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from itertools import islice, product
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from services.store.engine import Database, open_database
from tests.support.api import asked
from tests.support.browser import serving
from tests.support.crawl import HTML, crawl, paths_of
from tests.support.databases import dump
from tests.support.fuzz import FOREIGN, MARK, OWN, PRINCIPALS, app_for, fill
from tests.support.known import PARAMETER, texts

NOTHING = "0" * 16
NO_ROUTE = "nothing/there"
MOST = 40


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    """An own route and a foreign one."""
    with closing(open_database(f"sqlite:///{tmp_path_factory.mktemp('foreign')}/kw.db")) as made:
        fill(made)
        yield made


@pytest.fixture(scope="module")
def scoped(database: Database) -> FastAPI:
    """The application for a key of the own routes."""
    return app_for(database, PRINCIPALS["own routes"])


@pytest.fixture(scope="module")
def secrets(database: Database, scoped: FastAPI) -> list[str]:
    """Ids and names of foreign things, as one who sees all of them reads them."""
    everything, own = (texts(app, [OWN, FOREIGN]) for app in (app_for(database, PRINCIPALS["admin"]), scoped))
    found = sorted(everything - own)
    assert any(MARK in one for one in found)
    return [one for one in found if re.fullmatch(r"[0-9a-f]{16}", one)][:MOST]


def _filled(path: str, ids: Sequence[str]) -> Iterator[tuple[str, str]]:
    """A path with foreign values for its parameters, and the same one with values that nothing has."""
    names = PARAMETER.findall(path)
    for values in islice(product(*([FOREIGN] if name == "route" else ids for name in names)), MOST):
        foreign, nothing = iter(values), iter(NO_ROUTE if name == "route" else NOTHING for name in names)
        yield PARAMETER.sub(lambda _, f=foreign: next(f), path), PARAMETER.sub(lambda _, n=nothing: next(n), path)


def _alike(one: httpx.Response, other: httpx.Response) -> bool:
    """Whether two answers differ in nothing but the values that were asked for."""
    values = r"[0-9a-f]{16}|" + f"{FOREIGN}|{NO_ROUTE}"
    return one.status_code == other.status_code and re.sub(values, "", one.text) == re.sub(values, "", other.text)


def test_what_is_of_another_route_is_answered_like_what_does_not_exist(scoped: FastAPI, secrets: list[str]) -> None:
    paths = [path for path, operations in scoped.openapi()["paths"].items() if "get" in operations]
    paths += paths_of(scoped)
    for path in (path for path in paths if PARAMETER.search(path)):
        for foreign, nothing in _filled(path, secrets):
            answer, wanted = (asked(scoped, "GET", one, headers=HTML) for one in (foreign, nothing))
            assert answer.status_code >= 400, foreign
            assert _alike(answer, wanted), foreign


def test_to_ask_only_for_a_foreign_route_is_to_ask_for_none(scoped: FastAPI) -> None:
    for path, operations in scoped.openapi()["paths"].items():
        names = {one["name"] for one in operations.get("get", {}).get("parameters", ()) if one["in"] == "query"}
        if "route" in names and "{" not in path:
            answer, wanted = (asked(scoped, "GET", path, params={"route": one}) for one in (FOREIGN, NO_ROUTE))
            assert _alike(answer, wanted), path


def test_nothing_can_be_decided_or_sent_there(database: Database, secrets: list[str]) -> None:
    scoped = app_for(database, PRINCIPALS["own routes"])
    before = dump(database)
    for path, operations in scoped.openapi()["paths"].items():
        for method in operations.keys() - {"get", "parameters"}:
            for foreign, _ in _filled(path, secrets[:10]) if PARAMETER.search(path) else [(path, path)]:
                for body in _bodies(operations[method], secrets[:10]):
                    answer = asked(scoped, method.upper(), foreign, json=body)
                    assert answer.status_code == 207 or answer.status_code >= 400, (method, foreign, body, answer.text)
                    assert MARK not in answer.text.replace(FOREIGN, ""), (method, foreign, answer.text)
    assert dump(database) == before


def _bodies(operation: Mapping[str, Any], ids: Sequence[str]) -> Iterator[Any]:
    """The example of an operation's body, of a foreign route, and with foreign incidents of the own route."""
    content = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
    example = content.get("example") or next(iter(content.get("examples", {}).values()), {}).get("value")
    if not isinstance(example, dict):
        yield {}
        return
    if "route" in example:
        yield {**example, "route": FOREIGN}
    for id in ids if "incident" in example else ():
        yield {**example, "route": OWN, "incident": id}
        yield {**example, "route": FOREIGN, "incident": id}


def test_no_page_and_nothing_that_a_page_loads_tells_of_it(scoped: FastAPI) -> None:
    async def shown() -> dict[str, str]:
        async with serving(scoped) as at:
            site = await crawl(scoped, at)
            async with httpx.AsyncClient(base_url=at, trust_env=False) as client:
                return {page: (await client.get(page, headers=HTML)).text for page in site.addresses}

    found = asyncio.run(shown())
    assert any(OWN in text for text in found.values())
    assert [page for page, text in found.items() if MARK in text] == []
