"""`python -m tests.pictures.pages --out DIR`: every page, drawn and examined; what is wrong is listed.

On the demonstration's story and on an empty database, light and dark, on a phone and a desk. Exit code 1 on a fault.
"""

from __future__ import annotations

import argparse
import asyncio
import re
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from playwright.async_api import Browser

from services.api.app import Api, make
from services.api.system import BrokerOperations
from services.ports import StepLag
from services.store.engine import Database, open_database
from tests.support import story
from tests.support.api import Wire, api_on
from tests.support.browser import browsing, serving
from tests.support.crawl import crawl
from tests.support.look import THEMES, WIDTHS, Fault, View, look

VIEWS = tuple(View(theme, width) for theme in THEMES for width in WIDTHS)
AT_ONCE = 2


@dataclass(frozen=True, slots=True)
class Walked:
    """What a walk saw."""

    pages: tuple[str, ...]
    faults: tuple[Fault, ...]
    broken: tuple[str, ...]
    unseen: tuple[str, ...]


async def walk(
    database: Database, out: Path | None = None, views: Sequence[View] = VIEWS, most: int = 3, only: str = ""
) -> Walked:
    """Look at every page of the product on this database, from each point of view; draw them into `out`."""
    api = api_on(database, Wire(), live=None, operations=BrokerOperations(behind=_behind))
    app = make(api)
    async with surveyed(api), serving(app) as at, browsing() as browser:
        site = await crawl(app, at, most)
        pages = [page for page in site.addresses if only in page]
        turns, faults = asyncio.Semaphore(AT_ONCE), list[Fault]()

        async def one(page: str, view: View) -> None:
            async with turns:
                faults.extend(await _looked(browser, at, page, view, out))

        await asyncio.gather(*(one(page, view) for page in pages for view in views))
    return Walked(tuple(pages), tuple(sorted(faults)), tuple(site.broken), tuple(site.unseen))


@asynccontextmanager
async def surveyed(api: Api) -> AsyncIterator[None]:
    """Keep looking at how broker and database are, as whoever runs the API does."""
    await api.health.survey.look()
    looking = asyncio.create_task(api.health.survey.run())
    try:
        yield
    finally:
        looking.cancel()
        await asyncio.gather(looking, return_exceptions=True)


async def _behind() -> Sequence[StepLag]:
    return ()


async def _looked(browser: Browser, at: str, page: str, view: View, out: Path | None) -> list[Fault]:
    picture = None if out is None else out / f"{_name(page)}-{view.theme}-{view.width}.png"
    return await look(browser, at, page, replace(view, picture=picture))


def _name(page: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", page.lower()).strip("-")[:80] or "fleet"


def main() -> None:
    """Walk, say what was seen, and end with 1 if something is wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="where the pictures go")
    parser.add_argument("--only", default="", metavar="TEXT", help="only pages whose address has this text")
    parser.add_argument("--story", metavar="URL", help="a database that has the story already")
    given = parser.parse_args()
    wrong = False
    with TemporaryDirectory() as folder:
        for name, url in (("story", given.story), ("empty", None)):
            out = given.out / name
            out.mkdir(parents=True, exist_ok=True)
            with closing(open_database(url or f"sqlite:///{folder}/{name}.db")) as database:
                if name == "story" and url is None:
                    story.tell(database)
                walked = asyncio.run(walk(database, out, only=given.only))
            wrong |= _tell(name, walked if name == "story" else replace(walked, unseen=()))  # no object, no page of one
    sys.exit(wrong)


def _tell(name: str, walked: Walked) -> bool:
    found = [*map(str, walked.faults), *walked.broken, *(f"nothing leads to {path}" for path in walked.unseen)]
    pages = len(walked.pages)
    print(f"{name}: {pages} pages, {pages * len(VIEWS)} views, {len(found)} faults")
    for line in found:
        print(f"  {line}")
    return bool(found)


if __name__ == "__main__":
    main()
