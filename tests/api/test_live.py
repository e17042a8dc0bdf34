"""`GET /live` of a real server: who is told what, how it ends, and what a page in a browser makes of it."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, closing, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn

from services.api.app import Api, make
from services.api.auth.authorization import Principal
from services.api.http.problems import Problem
from services.api.sse import EVERYTHING, Listener, LiveUpdates
from services.store import change_marks
from services.store.engine import Database, open_database
from tests.api.test_routes import pinned
from tests.record.stories import scores
from tests.support.api import Wire, api_on, recorded
from tests.support.browser import ABSENT, chromium

QUICK = {"every": 0.05, "beat": 0.3}


class Keys:
    """A guard that knows keys by name; a key that is taken out is revoked."""

    def __init__(self, **routes: tuple[str, ...]) -> None:
        self.routes = routes

    async def __call__(self, request: Any, _role: str) -> Principal:
        name = request.headers.get("authorization", "")
        if name not in self.routes:
            raise Problem(401, "no such key; ask for one")
        return Principal(name, "viewer", self.routes[name])


def live_api(database: Database, keys: Keys | None = None, **more: Any) -> Api:
    live = LiveUpdates(lambda: database.query(change_marks.read), **{**QUICK, **more})
    return api_on(database, Wire(), live=live, **({} if keys is None else {"guard": keys}))


class Served:
    """The API on a port, in a thread of its own."""

    def __init__(self, api: Api) -> None:
        self.api, self.ready = api, threading.Event()
        config = uvicorn.Config(make(api), port=0, log_config=None, lifespan="off", timeout_graceful_shutdown=15)
        self.server = uvicorn.Server(config)
        self.loop: asyncio.AbstractEventLoop | None = None
        self.thread = threading.Thread(target=lambda: asyncio.run(self._work()))

    async def _work(self) -> None:
        self.loop = asyncio.get_running_loop()
        task = asyncio.create_task(self.server.serve())
        while not self.server.started:
            await asyncio.sleep(0.01)
        self.ready.set()
        await task

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.servers[0].sockets[0].getsockname()[1]}"

    def stop(self) -> float:
        """Stop as a process does; how many seconds that took."""
        begin = time.monotonic()
        if not self.thread.is_alive():
            return 0.0
        assert self.loop is not None
        assert self.api.live is not None
        self.loop.call_soon_threadsafe(self.api.live.close)
        self.server.should_exit = True
        self.thread.join(20)
        assert not self.thread.is_alive()
        return time.monotonic() - begin


@contextmanager
def served(api: Api) -> Iterator[Served]:
    one = Served(api)
    one.thread.start()
    try:
        assert one.ready.wait(20)
        yield one
    finally:
        one.stop()


class Stream:
    """Server-sent events as a browser reads them."""

    def __init__(self, lines: AsyncIterator[str]) -> None:
        self._lines = lines

    async def event(self) -> tuple[str, Any] | None:
        """The next event and its data, None at the end; a comment is ("beat", None)."""
        kind = ""
        async for line in self._lines:
            if line.startswith(":"):
                return "beat", None
            if line.startswith("event: "):
                kind = line.removeprefix("event: ")
            if line.startswith("data: "):
                return kind, json.loads(line.removeprefix("data: "))
        return None

    async def news(self) -> Any:
        """The next event that is no sign of life."""
        while (found := await self.event()) is not None and found[0] == "beat":
            pass
        return found


@asynccontextmanager
async def listening(url: str, key: str = "") -> AsyncIterator[Stream]:
    async with httpx.AsyncClient(timeout=20) as client:
        headers = {"authorization": key} if key else {}
        async with client.stream("GET", f"{url}/live", headers=headers) as answer:
            assert (answer.status_code, answer.headers["content-type"].split(";")[0]) == (200, "text/event-stream")
            stream = Stream(answer.aiter_lines())
            assert await stream.event() == ("ready", {})
            await stream.event()  # a sign of life: by then it looks
            yield stream


def change(database: Database, route: str) -> Awaitable[None]:
    return asyncio.to_thread(recorded, database, pinned(route))


async def until(what: Callable[[], bool]) -> None:
    async with asyncio.timeout(15):
        while not what():
            await asyncio.sleep(0.02)


def test_a_page_is_told_which_of_its_routes_changed_and_of_no_other(database: Database) -> None:
    api = live_api(database, Keys(mine=("a/*",), all=("*",)))

    async def work(url: str) -> None:
        async with listening(url, "mine") as mine, listening(url, "all") as everyone:
            await change(database, "b/one")
            assert await everyone.news() == ("changed", {"routes": ["b/one"]})
            await change(database, "a/one")
            assert await everyone.news() == ("changed", {"routes": ["a/one"]})
            assert await mine.news() == ("changed", {"routes": ["a/one"]})

    with served(api) as server:
        asyncio.run(work(server.url))


def test_who_goes_away_is_forgotten_and_nobody_looks_any_more(database: Database) -> None:
    api = live_api(database)
    assert api.live is not None
    live = api.live

    async def work(url: str) -> None:
        async with listening(url), listening(url):
            assert live.listeners == 2
        await until(lambda: live.listeners == 0)

    with served(api) as server:
        asyncio.run(work(server.url))


def test_a_stream_ends_when_the_key_is_revoked(database: Database) -> None:
    keys = Keys(mine=("a/*",))

    async def work(url: str) -> None:
        async with listening(url, "mine") as stream:
            del keys.routes["mine"]
            assert await stream.news() is None
        async with httpx.AsyncClient() as client:
            assert (await client.get(f"{url}/live")).status_code == 401

    with served(live_api(database, keys)) as server:
        asyncio.run(work(server.url))


def test_a_server_stops_at_once_although_pages_listen(database: Database) -> None:
    api = live_api(database, beat=60)

    async def work(server: Served) -> float:
        async with httpx.AsyncClient(timeout=20) as client, client.stream("GET", f"{server.url}/live") as answer:
            stream = Stream(answer.aiter_lines())
            assert await stream.event() == ("ready", {})
            stopping = asyncio.create_task(asyncio.to_thread(server.stop))
            assert await stream.event() is None
        return await stopping

    with served(api) as server:
        assert asyncio.run(work(server)) < 8


def test_too_many_are_told_to_come_later(database: Database) -> None:
    async def work(url: str) -> None:
        async with listening(url), httpx.AsyncClient() as client:
            answer = await client.get(f"{url}/live")
            assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")

    with served(live_api(database, most=1)) as server:
        asyncio.run(work(server.url))


def test_one_key_cannot_take_the_places_of_all(database: Database) -> None:
    keys = Keys(mine=("a/*",), all=("*",))

    async def work(url: str) -> None:
        async with listening(url, "mine"), httpx.AsyncClient() as client:
            answer = await client.get(f"{url}/live", headers={"authorization": "mine"})
            assert (answer.status_code, answer.headers["retry-after"]) == (429, "5")
            async with listening(url, "all"):
                pass

    with served(live_api(database, keys, each=1)) as server:
        asyncio.run(work(server.url))


def test_what_a_slow_page_missed_is_told_at_once_and_does_not_pile_up() -> None:
    listener = Listener(lambda route: route != "hidden", everything=False)
    for _ in range(1000):
        listener.note({"a", "hidden", EVERYTHING})
        listener.note({"b"})
    assert listener.changed == {"a", "b"}
    assert json.loads(listener.take()) == {"routes": ["a", "b"]}
    assert (listener.changed, listener.woken.is_set()) == (set(), False)
    listener.note({"hidden", EVERYTHING})
    assert not listener.woken.is_set()
    listener.note({str(place) for place in range(51)})
    assert json.loads(listener.take()) == {"routes": None}


def test_a_database_that_is_away_ends_no_stream() -> None:
    async def work() -> None:
        def look() -> dict[str, str]:
            raise Problem(503, "away; try again")

        async def again() -> Principal:
            raise Problem(503, "away; try again")

        events = LiveUpdates(look, **QUICK).events(again, Principal(None, "admin"))
        assert (await anext(events)).startswith("event: ready")
        assert (await anext(events)) == ": still here\n\n"
        await events.aclose()

    asyncio.run(work())


@pytest.mark.browser
@pytest.mark.skipif(chromium() is None, reason=ABSENT)
def test_an_open_page_shows_what_changed_and_leaves_what_is_being_written(database: Database) -> None:
    from playwright.sync_api import sync_playwright  # noqa: PLC0415

    recorded(database, pinned("a/one"))
    with served(live_api(database)) as server, sync_playwright() as started:
        browser = started.chromium.launch(executable_path=chromium(), args=["--no-sandbox"])
        page = browser.new_context(timezone_id="Asia/Tokyo").new_page()
        said: list[str] = []
        page.on("console", lambda message: said.append(message.text))
        page.goto(f"{server.url}/")
        page.wait_for_selector("#live:text-is('Live')")
        link = page.locator("a.route")
        link.first.focus()
        recorded(database, pinned("a/two"))
        page.wait_for_selector("a.route:text-is('a/two')", timeout=20_000)
        assert page.evaluate("document.activeElement.textContent") == "a/one"
        page.fill("input[name=route]", "half a wo")
        recorded(database, pinned("a/three"))
        page.wait_for_selector("#live:has-text('Something new')", timeout=20_000)
        assert (page.input_value("input[name=route]"), link.count()) == ("half a wo", 2)
        page.click("#live a")
        page.wait_for_selector("a.route:text-is('a/three')")
        assert said == []
        browser.close()


@pytest.mark.browser
@pytest.mark.skipif(chromium() is None, reason=ABSENT)
def test_who_waits_for_the_first_exchange_copies_how_to_send_it_and_is_led_to_its_route(tmp_path: Path) -> None:
    from playwright.sync_api import sync_playwright  # noqa: PLC0415

    with (
        closing(open_database(f"sqlite:///{tmp_path}/kw.db")) as database,
        served(live_api(database)) as server,
        sync_playwright() as started,
    ):
        browser = started.chromium.launch(executable_path=chromium(), args=["--no-sandbox"])
        page = browser.new_context(permissions=["clipboard-read", "clipboard-write"]).new_page()
        said: list[str] = []
        page.on("console", lambda message: said.append(message.text))
        page.goto(f"{server.url}/")
        page.wait_for_selector("#live:text-is('Live')")
        page.click("[data-copy='curl']")
        page.wait_for_selector("[data-copy='curl']:text-is('Copied')")
        assert f"{server.url}/v1/exchanges" in page.evaluate("navigator.clipboard.readText()")
        recorded(database, *scores("shop-bot/prod"))
        page.wait_for_url(f"{server.url}/routes/shop-bot/prod", timeout=20_000)
        assert said == []
        browser.close()
