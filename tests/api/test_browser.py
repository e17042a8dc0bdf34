"""Nothing that a model or a person wrote runs, loads or frames anything in a real browser."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse

from services.api.app import Api, make
from services.api.guard import Secure
from services.store.engine import Database, open_database
from tests.api.pages import told
from tests.support.api import Wire, api_on, recorded
from tests.support.browser import ABSENT, chromium, opened
from tests.support.hostile_pages import PAYLOADS
from tests.support.records import ROUTE, alert, decision


@pytest.fixture(scope="module")
def browser() -> str:
    """Chromium's program."""
    program = chromium()
    if program is None:
        pytest.skip(ABSENT)
    return program


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    """One database: what a browser does with a page does not depend on where its text was kept."""
    made = open_database(f"sqlite:///{tmp_path}/kw.db")
    yield made
    made.close()


def unsecured(api: Api) -> FastAPI:
    """The application without its security headers: escaping alone must hold."""
    app = make(api)
    app.user_middleware = [one for one in app.user_middleware if one.cls is not Secure]
    return app


@contextmanager
def serving(app: FastAPI, asked: list[str]) -> Iterator[str]:
    """The application on a port; `asked` gets the path of every request."""

    @app.middleware("http")
    async def note(request: Request, call_next):
        asked.append(request.url.path)
        return await call_next(request)

    server = uvicorn.Server(uvicorn.Config(app, port=0, log_config=None, lifespan="off"))
    ready = threading.Event()

    async def work() -> None:
        task = asyncio.create_task(server.serve())
        while not server.started:
            await asyncio.sleep(0.01)
        ready.set()
        await task

    thread = threading.Thread(target=lambda: asyncio.run(work()))
    thread.start()
    try:
        assert ready.wait(20)
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(20)


def test_a_page_that_does_not_escape_is_noticed(browser: str, tmp_path: Path) -> None:
    """The tests below can fail: of the same texts, unescaped and without the policy, most run."""
    app, asked = FastAPI(), []

    @app.get("/page/{i}")
    async def bare(i: int) -> HTMLResponse:
        return HTMLResponse(f"<!doctype html><body><p>{PAYLOADS[i]}</p>")

    @app.get("/")
    async def all_of_them() -> HTMLResponse:
        frames = "".join(f"<iframe src=/page/{i}></iframe>" for i in range(len(PAYLOADS)))
        return HTMLResponse(f"<!doctype html><body>{frames}")

    with serving(app, asked) as at:
        opened(browser, at, tmp_path / "profile")
        html, _ = opened(browser, f"{at}/page/4", tmp_path / "profile")
    assert asked.count("/ran") >= 20
    assert "data-ran" in html


def test_forty_hostile_texts_run_nowhere_even_without_the_policy(
    browser: str, database: Database, tmp_path: Path
) -> None:
    ids = [
        told(database, text.replace("\0", "\N{REPLACEMENT CHARACTER}"), f"bot{i}/p") for i, text in enumerate(PAYLOADS)
    ]
    app, asked = unsecured(api_on(database, Wire())), []
    frames = "".join(f"<iframe src=/incidents/{id}></iframe>" for id in ids) + "<iframe src=/incidents></iframe>"

    @app.get("/frames")
    async def all_of_them() -> HTMLResponse:
        return HTMLResponse(f"<!doctype html><body>{frames}")

    with serving(app, asked) as at:
        assert "content-security-policy" not in httpx.get(f"{at}/frames", trust_env=False).headers
        opened(browser, f"{at}/frames", tmp_path / "profile")
    own = {f"/incidents/{id}" for id in ids} | {
        "/incidents",
        "/frames",
        "/static/keelwatch.css",
        "/static/keelwatch.svg",
    }
    assert own - {"/static/keelwatch.svg"} <= set(asked)
    assert set(asked) - own - {"/favicon.ico"} == set()


def test_the_page_as_it_is_served_runs_nothing_and_its_console_is_silent(
    browser: str, database: Database, tmp_path: Path
) -> None:
    recorded(database, alert("firing", 300))
    api = api_on(database, Wire())
    [incident] = api.repository.incidents()
    texts = [text.replace("\0", "\N{REPLACEMENT CHARACTER}") for text in PAYLOADS]
    recorded(
        database,
        *(
            decision("roll_back", 6 + i / 100, incident=incident.id, actor=text, reason=text)
            for i, text in enumerate(texts)
        ),
        alert("firing", 310, route=f"{ROUTE}/2"),
    )
    asked: list[str] = []
    with serving(make(api), asked) as at:
        html, console = opened(browser, f"{at}/incidents/{incident.id}", tmp_path / "profile")
    assert html.count("roll") >= len(PAYLOADS)
    assert "data-ran" not in html
    assert "<script" not in html
    assert console == []
    assert set(asked) <= {f"/incidents/{incident.id}", "/static/keelwatch.css", "/static/keelwatch.svg"}
