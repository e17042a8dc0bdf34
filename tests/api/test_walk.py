"""Every page in a real browser: on the demonstration's story and on nothing at all, dark phone and light desk.

`python -m tests.pictures.pages` looks from every point of view, and draws what it sees.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from fastapi import FastAPI
from fastapi.responses import HTMLResponse

from services.store.engine import Database, open_database
from tests.pictures.pages import walk
from tests.support import story
from tests.support.browser import ABSENT, browsing, chromium, serving
from tests.support.look import View, look

pytestmark = [pytest.mark.browser, pytest.mark.skipif(chromium() is None, reason=ABSENT)]
VIEWS = (View("dark", 390), View("light", 1440, keyboard=False))
_BAD = """<!doctype html><html lang="en"><title>x</title><style>.x:focus {{ outline: none }}</style><main><h1>x</h1>
{}</main>"""


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    """A database with the story."""
    with closing(open_database(f"sqlite:///{tmp_path_factory.mktemp('story')}/kw.db")) as made:
        story.tell(made)
        yield made


@pytest.mark.embedding
def test_every_page_of_the_story_is_well(told: Database) -> None:
    walked = asyncio.run(walk(told, views=VIEWS, most=1))
    assert [str(fault) for fault in walked.faults] == []
    assert walked.unseen == ()
    assert len(walked.pages) > 1


def test_every_page_of_an_empty_database_is_well(tmp_path: Path) -> None:
    with closing(open_database(f"sqlite:///{tmp_path}/kw.db")) as empty:
        walked = asyncio.run(walk(empty, views=VIEWS[:1], most=1))
    assert [str(fault) for fault in walked.faults] == []


@pytest.mark.parametrize(
    ("markup", "rule"),
    [
        ("<img src=/gone alt=x>", "request failed"),
        ("<img src=http://127.0.0.1:1/x alt=x>", "asks another host"),
        ("<script>console.error('x')</script>", "console"),
        ("<script>throw new Error('x')</script>", "console"),
        ("<input>", "axe label"),
        ("<p style='color:#aaa;background:#fff'>pale</p>", "axe color-contrast"),
        ("<p style='width:900px'>wide</p>", "text outside of view"),
        ("<p style='width:900px'>wide</p>", "scrolls sideways"),
        ("<p style='width:3rem;overflow:hidden;white-space:nowrap'>cut off somewhere</p>", "text cut off"),
        ("<h1>y</h1>", "one h1"),
        ("<a class=x href=/>x</a>", "focus is not seen"),
        (
            "<a href=/ onfocus='this.blur(); document.body.append(this)'>x</a><a href=/y>y</a>",
            "not reached by keyboard",
        ),
    ],
)
def test_what_is_wrong_with_a_page_is_noticed(markup: str, rule: str) -> None:
    """The walk can fail: each fault, planted, is found under its name."""

    async def found() -> set[str]:
        app = FastAPI()

        @app.get("/")
        async def bad() -> HTMLResponse:
            return HTMLResponse(_BAD.format(markup))

        async with serving(app) as at, browsing() as browser:
            return {fault.rule for fault in await look(browser, at, "/", VIEWS[0])}

    assert rule in asyncio.run(found())
