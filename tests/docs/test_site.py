"""The documentation builds without a warning, and the built site loads nothing from elsewhere."""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest
from fastapi import FastAPI
from fastapi.staticfiles import StaticFiles

from tests.support.browser import ABSENT, browsing, chromium, serving, visiting
from tests.support.source import ROOT

LOADS = {"src", "srcset", "data", "poster", "action", "formaction", "background"}
LINKS_THAT_LOAD = {
    "stylesheet",
    "icon",
    "preload",
    "prefetch",
    "preconnect",
    "dns-prefetch",
    "modulepreload",
    "manifest",
}
DORMANT = {
    "https://unpkg.com/mermaid@11/dist/mermaid.min.js": "of a diagram language that no page uses",
    "https://unpkg.com/resize-observer-polyfill": "of browsers from before 2020",
    "https://api.github.com/repos/": "of sites that name a repository; this one names none",
    "https://api.github.com/users/": "of sites that name a repository; this one names none",
}
NAMES = re.compile(r"https?://(?:www\.w3\.org/|clipboardjs\.com/|lunrjs\.com|tartarus\.org/|bit\.ly/|fontawesome\.com)")
READ = ("index.html", "quickstart.html", "api.html")
pytestmark = pytest.mark.slow  # builds the whole site


class Loads(HTMLParser):
    """What a page makes a browser load."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.policy = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self.found += [value for name, value in given.items() if name in LOADS]
        if tag == "link" and LINKS_THAT_LOAD & set(given.get("rel", "").split()):
            self.found.append(given.get("href", ""))
        if tag == "meta" and given.get("http-equiv", "").lower() == "content-security-policy":
            self.policy = given["content"]
        self.found += re.findall(r"url\(\s*['\"]?([^'\")]+)", given.get("style", ""))


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built site; building it fails for a warning."""
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def _elsewhere(target: str) -> bool:
    return re.match(r"([a-z][a-z0-9+.-]*:)?//", target.strip(), re.IGNORECASE) is not None


def test_no_page_loads_anything_from_elsewhere_and_each_forbids_it(site: Path) -> None:
    pages = sorted(site.rglob("*.html"))
    assert len(pages) > 20
    for path in pages:
        seen = Loads(path.read_text(encoding="utf-8"))
        assert [target for target in seen.found if _elsewhere(target)] == [], path
        assert seen.policy.startswith("default-src 'none'"), path
        assert "//" not in seen.policy
        assert "*" not in seen.policy


def test_no_style_loads_anything_from_elsewhere(site: Path) -> None:
    for path in sorted(site.rglob("*.css")):
        text = re.sub(r"/\*.*?\*/", "", path.read_text(encoding="utf-8"), flags=re.DOTALL)
        asked = re.findall(r"(?:url\(|@import)\s*['\"]?([^'\")\s]+)", text)
        assert [target for target in asked if _elsewhere(target)] == [], path


def test_addresses_in_scripts_are_those_that_nothing_asks(site: Path) -> None:
    """Material's script names a few addresses for features that are not in use; the policy would refuse them.

    What lies in `lunr/` is loaded for languages other than English alone, and holds addresses in its comments.
    """
    found = {
        address
        for path in sorted(site.rglob("*.js"))
        if "lunr" not in path.relative_to(site).parts
        for address in re.findall(r"https?://[\w./@%-]+", path.read_text(encoding="utf-8"))
        if not NAMES.match(address)
    }
    assert found <= set(DORMANT)


@pytest.mark.browser
def test_a_browser_asks_nobody_else_and_finds_things(site: Path) -> None:
    if chromium() is None:
        pytest.skip(ABSENT)
    asyncio.run(_read(site))


async def _read(site: Path) -> None:
    app = FastAPI(openapi_url=None)
    app.mount("/", StaticFiles(directory=site))
    async with serving(app) as at, browsing() as browser, visiting(browser) as visit:
        for page in READ:
            await visit.open(f"{at}/{page}")
        await visit.page.locator("[data-md-component=search-query]").press_sequentially("retention", delay=30)
        await visit.page.wait_for_selector(".md-search-result__item", state="attached", timeout=60_000)
        assert [url for url in visit.asked if not url.startswith(at) and not url.startswith(("data:", "blob:"))] == []
        # A page that is left before its icon has come gives that up; the others ask for the same icon.
        assert [one for one in visit.failed if not one.endswith("keelwatch.svg: net::ERR_ABORTED")] == []
        assert visit.said == []
