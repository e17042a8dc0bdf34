"""What a page is made of, apart from its text: to see that no element and no attribute came from what it shows."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser

Element = tuple[str, tuple[tuple[str, str | None], ...]]


@dataclass
class Outline(HTMLParser):
    """Elements with their attributes in order, the text between them, and each form's fields."""

    elements: list[Element] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__(convert_charrefs=True)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note one element."""
        self.elements.append((tag, tuple(attrs)))

    def handle_data(self, data: str) -> None:
        """Note one piece of text."""
        self.texts.append(data)

    def handle_comment(self, data: str) -> None:
        """A page of ours has none."""
        self.elements.append(("!--", ((data, None),)))

    @property
    def text(self) -> str:
        """All text."""
        return "".join(self.texts)

    def named(self, name: str) -> str:
        """The value of a form's field."""
        return next(dict(attrs)["value"] or "" for tag, attrs in self.elements if dict(attrs).get("name") == name)


def outline(html: str) -> Outline:
    """The outline of a page."""
    found = Outline()
    found.feed(html)
    found.close()
    return found
