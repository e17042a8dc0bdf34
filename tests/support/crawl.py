"""Every page of an application, found as people find them: by its links, its forms, and the paths that it has."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from html.parser import HTMLParser
from urllib.parse import urldefrag, urlencode, urljoin, urlsplit

import httpx
from fastapi import FastAPI
from fastapi.routing import iter_route_contexts

HTML = {"accept": "text/html"}


@dataclass
class Links(HTMLParser):
    """Where a page leads: by links, by what it loads, and by the forms that only ask."""

    to: list[str] = field(default_factory=list)
    _form: tuple[str, list[tuple[str, str]]] | None = None
    _select: str | None = None

    def __post_init__(self) -> None:
        super().__init__(convert_charrefs=True)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note what leads away."""
        named = {name: value or "" for name, value in attrs}
        if tag in ("a", "link") and "href" in named:
            self.to.append(named["href"])
        if tag in ("img", "script", "source") and "src" in named:
            self.to.append(named["src"])
        if tag == "form":
            self._form = (named.get("action", ""), []) if named.get("method", "get").lower() == "get" else None
        if tag == "select":
            self._select = named.get("name")
        if self._form is not None and tag == "input" and named.get("name"):
            self._form[1].append((named["name"], named.get("value", "")))
        if self._form is not None and tag == "option" and self._select:
            held = dict(self._form[1])
            if "selected" in named or self._select not in held:
                self._form[1][:] = [*(held | {self._select: named.get("value", "")}).items()]

    def handle_endtag(self, tag: str) -> None:
        """Note where a form that only asks leads to, as it stands."""
        if tag == "form" and self._form is not None:
            action, fields = self._form
            self.to.append(f"{action}?{urlencode(fields)}")
            self._form = None


@dataclass
class Site:
    """What was found.

    Attributes:
        pages: path as the application declares it -> addresses of pages of it. broken: what leads nowhere.
        unseen: paths for people to which nothing led.
    """

    pages: dict[str, list[str]] = field(default_factory=dict)
    broken: list[str] = field(default_factory=list)
    unseen: list[str] = field(default_factory=list)

    @property
    def addresses(self) -> list[str]:
        """Every page."""
        return [page for pages in self.pages.values() for page in pages]


def paths_of(app: FastAPI) -> dict[str, re.Pattern[str]]:
    """What people, not programs, ask for: each path as it is declared, and what an address of it looks like."""
    found = [one for one in iter_route_contexts(app.routes) if "GET" in (one.methods or ())]
    return {one.path: one.path_regex for one in found if one.path and not one.include_in_schema}


async def crawl(app: FastAPI, at: str, most: int = 3, cookies: dict[str, str] | None = None) -> Site:
    """Walk the application that is served `at`; of each of its paths at most so many pages."""
    site, seen, asked = Site(), Counter[str](), set[str]()
    paths = paths_of(app)
    queue = [(path, "the application") for path in paths if "{" not in path]
    async with httpx.AsyncClient(base_url=at, cookies=cookies, headers=HTML, trust_env=False, timeout=30) as client:
        while queue:
            address, whence = queue.pop(0)
            declared = _declared(paths, address)
            if address in asked or seen[declared] >= most:
                continue
            asked.add(address)
            seen[declared] += 1
            for to in await _visit(client, site, declared, address, whence):
                queue.append((to, address))
    site.unseen = sorted(paths.keys() - seen.keys())
    return site


async def _visit(client: httpx.AsyncClient, site: Site, declared: str, address: str, whence: str) -> list[str]:
    """One page, or what is none; where it leads to."""
    async with client.stream("GET", address) as answer:  # of what never ends the head alone is read
        if answer.is_redirect:
            return [_own(address, answer.headers["location"])]
        if answer.status_code >= 400:
            site.broken.append(f"{whence} leads to {address}: {answer.status_code}")
            return []
        if not answer.headers.get("content-type", "").startswith("text/html"):
            return []
        text = (await answer.aread()).decode()
    site.pages.setdefault(declared, []).append(address)
    links = Links()
    links.feed(text)
    links.close()
    return [_own(address, to) for to in links.to if not urlsplit(to).netloc and urlsplit(to).scheme in ("", "http")]


def _own(base: str, to: str) -> str:
    parts = urlsplit(urldefrag(urljoin(base, to)).url)
    return parts.path + (f"?{parts.query}" if parts.query else "")


def _declared(paths: dict[str, re.Pattern[str]], address: str) -> str:
    """The path as it is declared; what is no page of ours stands for itself."""
    path = httpx.URL(address).path
    return next((declared for declared, pattern in paths.items() if pattern.fullmatch(path)), address)
