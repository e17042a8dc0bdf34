"""A real browser without a window: Debian's Chromium, what its pages say, what they ask for, and whether text ran."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import uvicorn
from fastapi import FastAPI
from playwright.async_api import Browser, Error, Page, async_playwright

ABSENT = "needs Chromium: install Debian's package chromium"
START_SECONDS = 30.0
PAGE_SECONDS = 20.0
_FLAGS = ("--disable-gpu", "--disable-dev-shm-usage", "--no-first-run", "--disable-background-networking")
# Errors of images, focus, toggles and animations come in turns of their own, after `load`: they are let through.
_AT_REST = """async () => {
  for (let i = 0; i < 3; i++) await new Promise(done => requestIdleCallback(done, {timeout: 500}));
  await document.fonts.ready;
}"""
_RAN = "() => document.documentElement.dataset.ran ?? null"


def chromium() -> str | None:
    """The browser's program, where there is one."""
    return shutil.which("chromium") or shutil.which("chromium-browser")


@dataclass
class Visit:
    """A page in a context of its own.

    Attributes:
        said: errors and warnings of its console, and exceptions. asked: the URL of every request of it and its frames.
        failed: requests that brought nothing, or a status of 400 and more.
    """

    page: Page
    said: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        on = self.page.on
        on("console", lambda one: self.said.append(f"{one.type}: {one.text}") if one.type in _BAD else None)
        on("pageerror", lambda error: self.said.append(f"exception: {error}"))
        on("request", lambda request: self.asked.append(request.url))
        on("requestfailed", lambda request: self.failed.append(f"{request.url}: {request.failure}"))
        on("response", lambda one: self.failed.append(f"{one.url}: {one.status}") if one.status >= 400 else None)

    async def open(self, url: str) -> None:
        """Open a page, until it and its frames have come to rest."""
        await self.page.goto(url, wait_until="load")
        try:
            await self.page.evaluate(_AT_REST)
        except Error:
            self.said.append(f"left by itself: {url}")
            await self.page.wait_for_load_state()

    async def ran(self) -> list[str]:
        """The frames in which a text that was shown has run."""
        with suppress(Error):  # it goes elsewhere at this moment, which `said` and `asked` tell
            return [frame.url for frame in self.page.frames if await frame.evaluate(_RAN) is not None]
        return []

    def forget(self) -> None:
        """What was said and asked until now does not count."""
        for kept in (self.said, self.asked, self.failed):
            kept.clear()


_BAD = ("error", "warning")


@asynccontextmanager
async def browsing() -> AsyncIterator[Browser]:
    """The browser, gone at the end."""
    program = chromium()
    assert program is not None, ABSENT
    as_root = ["--no-sandbox"] if os.geteuid() == 0 else []
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=program, args=[*_FLAGS, *as_root], timeout=START_SECONDS * 1000
        )
        try:
            yield browser
        finally:
            await browser.close()


@asynccontextmanager
async def visiting(browser: Browser, **options: Any) -> AsyncIterator[Visit]:
    """A page of a context with these options, closed at the end."""
    context = await browser.new_context(**options)
    context.set_default_timeout(PAGE_SECONDS * 1000)
    try:
        yield Visit(await context.new_page())
    finally:
        await context.close()


@asynccontextmanager
async def serving(app: FastAPI) -> AsyncIterator[str]:
    """The application on a port of this machine, in this loop; its URL."""
    config = uvicorn.Config(app, port=0, log_config=None, lifespan="off", timeout_graceful_shutdown=2)
    server = uvicorn.Server(config)
    task = asyncio.create_task(server.serve())
    try:
        async with asyncio.timeout(START_SECONDS):
            while not server.started:
                await asyncio.sleep(0.01)
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        await task
