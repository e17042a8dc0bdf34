"""Which route an exchange is of that does not say it: a header, a rule of the monitor file, or the sender's name."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, Final, Protocol

from services.ingest.formats.protocol import Draft

ROUTE_HEADER: Final = "keelwatch-route"
_LONGEST: Final = 200
_OTHER: Final = re.compile(r"[^a-z0-9._/-]+")
MISSING: Final = (
    "route: missing; send it as field or header keelwatch-route, or add to the monitor file "
    'ingest: [{match: {model: "*"}, route: "..."}]'
)


class RouteRule(Protocol):
    """A rule of the monitor file: what fits every pattern of `match` is of `route`."""

    @property
    def match(self) -> Mapping[str, str]:
        """Name of a fact -> pattern, with * and ?."""

    @property
    def route(self) -> str:
        """The route of what fits."""


@dataclass(frozen=True, slots=True)
class Carriage:
    """What came with a record: its headers, names in lower case, and the rules by which it is given a route."""

    headers: Mapping[str, str]
    rules: tuple[RouteRule, ...] = ()

    @classmethod
    def of(cls, headers: Iterable[tuple[str, bytes]], rules: tuple[RouteRule, ...] = ()) -> Carriage:
        """With the headers of a message of Kafka, whose bytes may be anything."""
        return cls({name.lower(): value.decode("utf-8", "replace") for name, value in headers if value}, rules)


NOTHING: Final = Carriage({})


def route_of(draft: Draft, form: str, carriage: Carriage) -> str | None:
    """The route by the header, else by the first rule that fits, else by what the sender calls itself."""
    header = carriage.headers.get(ROUTE_HEADER)
    if header:
        return header
    for rule in carriage.rules:
        if all(_fits(pattern, _fact(name, draft, form, carriage)) for name, pattern in rule.match.items()):
            return rule.route
    return None if draft.service is None else as_route(draft.service)


def _fact(name: str, draft: Draft, form: str, carriage: Carriage) -> Any:
    if name == "format":
        return form
    if name.startswith("header."):
        return carriage.headers.get(name.removeprefix("header.").lower())
    return draft.facts.get(name)


def _fits(pattern: str, value: Any) -> bool:
    """Whether a value, or one of several, fits; what is not there fits nothing."""
    if isinstance(value, list):
        return any(_fits(pattern, one) for one in value if isinstance(one, str))
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        return False
    return fnmatchcase(str(value), pattern)


def as_route(name: str) -> str | None:
    """A name as a route: in lower case, with `-` for what routes may not have.

    >>> as_route("Checkout Service")
    'checkout-service'
    """
    return _OTHER.sub("-", name.lower()).strip("-")[:_LONGEST] or None
