"""Random single edits of a JSON document: what a careless hand or a forger changes, one place at a time."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from random import Random
from typing import Any

Place = tuple[str | int, ...]


def places(value: Any, place: Place = ()) -> Iterator[Place]:
    """Every value of the document but the whole, parents before children."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, one in inner:
        yield (*place, key)
        yield from places(one, (*place, key))


def field_of(place: Place) -> str:
    """The place without its numbers and names of items: what kind of field was edited."""
    return ".".join("#" if isinstance(step, int) else step for step in place)


def edited(document: Any, place: Place, chance: Random) -> Any:
    """A copy of the document with one other value at that place."""
    made = copy.deepcopy(document)
    parent = made
    for step in place[:-1]:
        parent = parent[step]
    last = place[-1]
    if isinstance(parent, list) and chance.random() < 0.3:
        parent.pop(last)
    else:
        parent[last] = _other(parent[last], chance)
    return made


def _other(value: Any, chance: Random) -> Any:
    """Another value of the same kind."""
    match value:
        case bool():
            return not value
        case int() | float():
            return value + chance.choice((1, 2, 10))
        case str():
            return _other_text(value, chance)
        case list():
            return value[1:] if value else ["x"]
        case dict():
            return dict(list(value.items())[1:]) if value else {"x": 1}
        case _:
            return "x"


def _other_text(text: str, chance: Random) -> str:
    if not text:
        return "x"
    place = chance.randrange(len(text))
    other = chance.choice([char for char in "abcdef0123456789" if char != text[place]])
    return text[:place] + other + text[place + 1 :]
