"""SVG elements with classes, escaped by the standard library; for a picture the classes become colours."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from typing import Final
from xml.etree import ElementTree as Xml

BAD: Final = "\N{REPLACEMENT CHARACTER}"
_HIDING: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Cn"})
_INK, _QUIET, _LINE = "#16191d", "#5a636e", "#dadfe4"
_NOW, _BASE, _CHANGE, _INCIDENT = "#0b5a63", "#6b7683", "#8a5a00", "#b3261e"
PAINT: Final[Mapping[str, Mapping[str, str]]] = {
    "c-ground": {"fill": "#ffffff"},
    "c-title": {"fill": _INK, "font-size": "17", "font-weight": "700"},
    "c-where": {"fill": _QUIET, "font-size": "13"},
    "c-text": {"fill": _QUIET, "font-size": "12"},
    "c-now": {"fill": _NOW, "font-size": "12", "font-weight": "700"},
    "c-base": {"fill": _QUIET, "font-size": "12", "font-weight": "700"},
    "c-grid": {"stroke": _LINE, "stroke-width": "1"},
    "c-axis": {"stroke": _QUIET, "stroke-width": "1"},
    "c-gap": {"fill": "#f1f3f5"},
    "c-band": {"fill": _NOW, "fill-opacity": "0.16"},
    "c-line": {"stroke": _NOW, "stroke-width": "2.2", "fill": "none", "stroke-linejoin": "round"},
    "c-whisker": {"stroke": _NOW, "stroke-width": "1.2", "stroke-opacity": "0.5"},
    "c-dot": {"fill": _NOW},
    "c-floor": {"fill": _BASE, "fill-opacity": "0.2"},
    "c-baseline": {"stroke": _BASE, "stroke-width": "1.6", "stroke-dasharray": "6 4"},
    "c-change": {"stroke": _CHANGE, "stroke-width": "1.6"},
    "c-incident": {"stroke": _INCIDENT, "stroke-width": "2"},
    "c-evaluation": {"stroke": _QUIET, "stroke-width": "1.2", "stroke-dasharray": "2 3"},
    "c-pinned": {"stroke": _BASE, "stroke-width": "1.2", "stroke-dasharray": "2 3"},
    "c-change-text": {"fill": _CHANGE, "font-size": "12", "font-weight": "700"},
    "c-incident-text": {"fill": _INCIDENT, "font-size": "12", "font-weight": "700"},
    "c-evaluation-text": {"fill": _QUIET, "font-size": "12"},
    "c-pinned-text": {"fill": _QUIET, "font-size": "12"},
}
"""Class -> its attributes in a picture. Ink on white, with at least 4.5:1 for every text."""


def cleaned(text: str, limit: int) -> str:
    r"""One line of `text`, at most `limit` characters, without what XML forbids, hides, or turns text around.

    >>> cleaned("a\x00b\n c\u202e", 9), cleaned("abcdef", 4)
    ('a�b c�', 'abc…')
    """
    line = " ".join(text[: 4 * limit].split())
    seen = "".join(BAD if unicodedata.category(character) in _HIDING else character for character in line)
    return seen if len(seen) <= limit else seen[: limit - 1].rstrip() + "…"


def number(value: float) -> str:
    """A coordinate, to a tenth of a pixel.

    >>> number(12.0), number(1 / 3), number(-0.01)
    ('12', '0.3', '0')
    """
    return f"{round(value, 1) + 0.0:g}"


class Drawing:
    """An SVG of `width` by `height` that grows element by element. `name` and `says` are for screen readers."""

    def __init__(self, width: float, height: float, name: str, says: str, kind: str) -> None:
        size = {"viewBox": f"0 0 {number(width)} {number(height)}", "class": f"chart {kind}"}
        self._root = Xml.Element("svg", {"xmlns": "http://www.w3.org/2000/svg", **size, "role": "img"})
        self._root.set("aria-label", name)
        Xml.SubElement(self._root, "desc").text = says
        self.width, self.height = width, height

    def rect(self, kind: str, x: float, y: float, width: float, height: float) -> Xml.Element:
        """A rectangle."""
        return self._add("rect", kind, x=x, y=y, width=max(width, 0.0), height=max(height, 0.0))

    def path(self, kind: str, d: str) -> Xml.Element:
        """A path."""
        made = self._add("path", kind)
        made.set("d", d)
        return made

    def dot(self, kind: str, x: float, y: float, radius: float = 2.5) -> Xml.Element:
        """A filled circle."""
        return self._add("circle", kind, cx=x, cy=y, r=radius)

    def text(self, kind: str, x: float, y: float, words: str, anchor: str = "start") -> None:
        """A line of text whose base is at y; `words` are cleaned already."""
        made = self._add("text", kind, x=x, y=y)
        made.set("text-anchor", anchor)
        made.text = words

    def tip(self, element: Xml.Element, words: str) -> None:
        """What an element says when it is pointed at."""
        Xml.SubElement(element, "title").text = words

    def for_page(self) -> str:
        """With classes, for the style sheet of the pages."""
        return Xml.tostring(self._root, "unicode")

    def for_picture(self) -> str:
        """With colours and a size of its own: it needs no style sheet, and a strict policy forbids none of it."""
        for element in self._root.iter():
            element.attrib.update(PAINT.get(element.attrib.pop("class", ""), {}))
        self._root.attrib.update({"width": number(self.width), "height": number(self.height)})
        self._root.set("font-family", "Lato, Helvetica, Arial, sans-serif")
        return Xml.tostring(self._root, "unicode")

    def _add(self, tag: str, kind: str, **numbers: float) -> Xml.Element:
        return Xml.SubElement(self._root, tag, {"class": kind, **{name: number(n) for name, n in numbers.items()}})
