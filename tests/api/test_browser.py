"""Nothing that a model or a person wrote runs, loads or frames anything in a real browser, on any page."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import closing
from urllib.parse import urlsplit

import pytest
from fastapi import FastAPI
from fastapi.responses import HTMLResponse

from services.api.app import make
from services.api.auth.middleware import SecurityMiddleware
from services.store.engine import Database, open_database
from tests.api.pages import around, told
from tests.support.api import Wire, api_on
from tests.support.browser import ABSENT, browsing, chromium, serving, visiting
from tests.support.crawl import crawl
from tests.support.hostile_pages import PAYLOADS

pytestmark = [pytest.mark.browser, pytest.mark.skipif(chromium() is None, reason=ABSENT)]
CLEAN = [text.replace("\0", "\N{REPLACEMENT CHARACTER}") for text in PAYLOADS]
TOGETHER = 10
"""So many texts stand in one: every kind of page shows all of them, and the first that runs is noticed."""
TEXTS = [" ".join(CLEAN[i : i + TOGETHER]) for i in range(0, len(CLEAN), TOGETHER)]
AT_ONCE = 2


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    """A database in which every text of a route is hostile, each route's another.

    One kind of database is enough: what a browser does with a page does not depend on where its text was kept.
    """
    with closing(open_database(f"sqlite:///{tmp_path_factory.mktemp('hostile')}/kw.db")) as made:
        for i, text in enumerate(TEXTS):
            told(made, text, f"bot{i}/p")
            around(made, text, f"bot{i}/p")
        yield made


async def loaded(app: FastAPI, pages: list[str], a_visit: int = 1000) -> tuple[list[str], set[str], list[str]]:
    """Open pages: frames in which a text has run, requests beyond the pages and what is served beside them, console.

    So many pages are `a_visit`: a text that runs may send its page elsewhere late, while the next is being opened.
    """
    ran, asked, said = list[str](), set[str](), list[str]()

    async def open_all(some: list[str]) -> None:
        for i in range(0, len(some), a_visit):
            async with visiting(browser) as visit:
                for page in some[i : i + a_visit]:
                    await visit.open(at + page)
                    ran.extend(await visit.ran())
            asked.update(visit.asked)
            said.extend(visit.said)

    async with serving(app) as at, browsing() as browser:
        await asyncio.gather(*(open_all(pages[i::AT_ONCE]) for i in range(AT_ONCE)))
        own = urlsplit(at).netloc
    foreign = {url for url in asked if urlsplit(url).netloc != own or urlsplit(url).path == "/ran"}
    return ran, foreign, said


async def found(app: FastAPI) -> list[str]:
    """Every page of the application."""
    async with serving(app) as at:
        return (await crawl(app, at, most=len(TEXTS))).addresses


def test_a_page_that_does_not_escape_is_noticed() -> None:
    """The tests below can fail: of the same texts, unescaped and without the policy, most run."""
    app = FastAPI()

    @app.get("/page/{i}")
    async def bare(i: int) -> HTMLResponse:
        return HTMLResponse(f"<!doctype html><body><p>{PAYLOADS[i]}</p>")

    pages = [f"/page/{i}" for i in range(len(PAYLOADS))]
    ran, foreign, _ = asyncio.run(loaded(app, pages, a_visit=1))
    assert len({urlsplit(url).path for url in ran}) >= 40
    assert {urlsplit(url).port for url in foreign} >= {1}


@pytest.mark.parametrize("policy", [True, False], ids=["as it is served", "without its policy"])
def test_eighty_hostile_texts_run_on_no_page(hostile: Database, policy: bool) -> None:
    """Escaping alone must hold; with the policy, also the console is silent: it had nothing to hold back."""
    app = make(api_on(hostile, Wire(), live=None))
    if not policy:
        app.user_middleware = [one for one in app.user_middleware if one.cls is not SecurityMiddleware]
    pages = asyncio.run(found(app))
    assert len([page for page in pages if page.startswith("/incidents/")]) == len(TEXTS)
    ran, foreign, said = asyncio.run(loaded(app, pages))
    assert (ran, foreign, said) == ([], set(), [])
