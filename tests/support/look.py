"""What is wrong with a page, as people with eyes, thumbs and keyboards would notice it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from playwright.async_api import Browser, Page

from tests.support.browser import Visit, visiting

THEMES = ("light", "dark")
WIDTHS = (390, 1440)
_SERIOUS = ("serious", "critical")
_MOST_TABS = 400

_OUTSIDE = """() => {
  const found = [], wide = document.documentElement.clientWidth;
  const name = one => one.tagName.toLowerCase() + (one.id ? '#' + one.id : '')
    + (typeof one.className === 'string' && one.className ? '.' + one.className.trim().replace(/\\s+/g, '.') : '');
  const scrolls = one => one && one !== document.body && (
    ['auto', 'scroll', 'hidden', 'clip'].includes(getComputedStyle(one).overflowX) || scrolls(one.parentElement));
  if (document.documentElement.scrollWidth > wide)
    found.push(['scrolls sideways', `html ${document.documentElement.scrollWidth} > ${wide}`]);
  for (const one of document.body.querySelectorAll('*')) {
    const own = [...one.childNodes].some(node => node.nodeType === 3 && node.textContent.trim());
    const box = one.getBoundingClientRect(), style = getComputedStyle(one);
    if (!own || !box.width || !box.height || style.visibility === 'hidden' || style.clip !== 'auto'
        || style.clipPath !== 'none' || one.closest('svg, .sr-only, .skip')) continue;
    if ((box.right > wide + 1 || box.left < -1) && !scrolls(one.parentElement))
      found.push(['text outside of view', name(one)]);
    if (one.scrollWidth > one.clientWidth + 1 && one.clientWidth && style.overflowX === 'hidden'
        && style.textOverflow !== 'ellipsis')
      found.push(['text cut off', name(one)]);
  }
  for (const text of document.querySelectorAll('svg text')) {
    const box = text.getBoundingClientRect(), frame = text.ownerSVGElement.getBoundingClientRect();
    if (box.width && (box.right > frame.right + 2 || box.left < frame.left - 2))
      found.push(['text outside of its picture', text.textContent.slice(0, 40)]);
  }
  return found;
}"""
_REACHABLE = """() => {
  const all = 'a[href], button, input:not([type=hidden]), select, textarea, summary, [tabindex]';
  const radios = new Set();
  return [...document.querySelectorAll(all)].filter(one => {
    if (one.disabled || one.tabIndex < 0 || !one.checkVisibility({visibilityProperty: true})) return false;
    if (one.type !== 'radio') return true;
    if (radios.has(one.name)) return false;
    radios.add(one.name); return true;
  }).map((one, i) => { one.__place = i; return one.outerHTML.slice(0, 80); });
}"""
_FOCUSED = """() => {
  const one = document.activeElement;
  if (!one || one === document.body) return null;
  const style = getComputedStyle(one);
  const radio = one.type === 'radio'
    ? [...document.getElementsByName(one.name)].find(other => other.__place !== undefined) : one;
  return {
    place: radio.__place ?? null,
    shown: (style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) > 0) || style.boxShadow !== 'none',
    html: one.outerHTML.slice(0, 80),
  };
}"""
_H1 = "() => document.querySelectorAll('h1').length"


@dataclass(frozen=True, slots=True, order=True)
class Fault:
    """What is wrong, and where."""

    page: str
    theme: str
    width: int
    rule: str
    where: str

    def __str__(self) -> str:
        return f"{self.page}  {self.theme} {self.width}  {self.rule}: {self.where}"


@dataclass(frozen=True, slots=True)
class View:
    """How a page is looked at. `picture`: where it is drawn, if it is."""

    theme: str = "light"
    width: int = 1440
    picture: Path | None = None
    keyboard: bool = True


async def look(browser: Browser, at: str, address: str, view: View) -> list[Fault]:
    """Everything that is wrong with one page."""
    size = {"width": view.width, "height": 900 if view.width > 600 else 844}
    async with visiting(browser, viewport=size, color_scheme=view.theme, reduced_motion="reduce") as visit:
        await visit.open(at + address)
        found = [*_said(visit, at)]
        if await visit.page.evaluate(_H1) != 1:
            found.append(("one h1", "not exactly one"))
        found += [(rule, where) for rule, where in await visit.page.evaluate(_OUTSIDE)]
        if view.picture is not None:
            await visit.page.screenshot(path=view.picture, full_page=True)
        found += await violations(visit.page)
        if view.keyboard:
            found += await unreached(visit.page)
    return [Fault(address, view.theme, view.width, rule, where) for rule, where in dict.fromkeys(found)]


def _said(visit: Visit, at: str) -> list[tuple[str, str]]:
    own = urlsplit(at).netloc
    foreign = [url for url in visit.asked if urlsplit(url).scheme in ("http", "https") and urlsplit(url).netloc != own]
    return [
        *(("console", line) for line in visit.said),
        *(("asks another host", url) for url in foreign),
        *(("request failed", line) for line in visit.failed),
    ]


async def violations(page: Page) -> list[tuple[str, str]]:
    """What axe finds serious or critical: its rule, and the selector with what it says of it."""
    await page.evaluate(_axe())
    found: dict[str, Any] = await page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    return [
        (f"axe {one['id']}", f"{' '.join(map(str, node['target']))} {_first(node)}")
        for one in found["violations"]
        if one["impact"] in _SERIOUS
        for node in one["nodes"]
    ]


def _first(node: dict[str, Any]) -> str:
    told = [*node["any"], *node["all"], *node["none"]]
    return told[0]["message"] if told else ""


@cache
def _axe() -> str:
    return files("axe_playwright_python").joinpath("axe.min.js").read_text(encoding="utf-8")


async def unreached(page: Page) -> list[tuple[str, str]]:
    """What the tab key does not reach, or reaches without showing it."""
    wanted: list[str] = await page.evaluate(_REACHABLE)
    reached, dim = set[int](), []
    await page.evaluate("() => { document.activeElement?.blur(); getSelection().removeAllRanges(); }")
    for _ in range(min(2 * len(wanted) + 5, _MOST_TABS)):
        await page.keyboard.press("Tab")
        now = await page.evaluate(_FOCUSED)
        if now is None or (now["place"] in reached and len(reached) >= len(wanted)):
            if len(reached) >= len(wanted):
                break
            continue
        if now["place"] is not None:
            reached.add(now["place"])
        if not now["shown"]:
            dim.append(("focus is not seen", now["html"]))
    missed = [one for i, one in enumerate(wanted) if i not in reached] if len(wanted) < _MOST_TABS else []
    return [*(("not reached by keyboard", one) for one in missed), *dim]
