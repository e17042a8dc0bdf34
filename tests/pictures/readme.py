"""`python -m tests.pictures.readme`: the pictures of pages in README and documentation, of the demo's story."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from services.api.app import make
from services.demo.support_bot import ROUTE
from services.store import incidents
from services.store.engine import Database, open_database
from tests.support import story
from tests.support.api import Wire, api_on
from tests.support.browser import browsing, serving, visiting
from tests.support.source import ROOT

FOLDER: Final = ROOT / "infra" / "pictures"
MOST_BYTES: Final = 250_000
_SIZE: Final = {"width": 1200, "height": 820}


async def draw(database: Database, folder: Path) -> None:
    """The first screen of each page, on a desk, light."""
    [incident] = database.query(incidents.find, ROUTE, ("open",))
    pages: Mapping[str, str] = {"fleet": "/", "route": f"/routes/{ROUTE}", "incident": f"/incidents/{incident.id}"}
    async with serving(make(api_on(database, Wire(), live=None))) as at, browsing() as browser:
        for name, page in pages.items():
            async with visiting(browser, viewport=_SIZE, color_scheme="light", reduced_motion="reduce") as visit:
                await visit.open(at + page)
                assert not visit.failed, visit.failed
                await visit.page.screenshot(path=folder / f"{name}.png")


def main() -> None:
    """Draw them, and say how large they are."""
    url = sys.argv[1] if len(sys.argv) > 1 else None
    with TemporaryDirectory() as folder, closing(open_database(url or f"sqlite:///{folder}/kw.db")) as database:
        if url is None:
            story.tell(database)
        asyncio.run(draw(database, FOLDER))
    for picture in (FOLDER / f"{name}.png" for name in ("fleet", "route", "incident")):
        print(picture.relative_to(ROOT), picture.stat().st_size, "bytes")
        assert picture.stat().st_size < MOST_BYTES, f"{picture}: larger than {MOST_BYTES:,} bytes"


if __name__ == "__main__":
    main()
