"""JSON of whom nobody trusts, models and endpoints: finite numbers, ordinary depth. Pure."""

from __future__ import annotations

import json
import math
from typing import Any, Final

DEEPEST: Final = 64


class TooDeepError(ValueError):
    """It is nested deeper than anything that people write."""


def read_json(text: str) -> Any:
    """The JSON value of a text.

    Raises:
        TooDeepError: if it is nested more than `DEEPEST` deep.
        ValueError: if it is none, or holds a number without an end.
    """
    try:
        value = json.loads(text, parse_constant=_refuse, parse_float=_finite)
    except RecursionError:
        raise TooDeepError("nested without end") from None
    level: list[Any] = [value]
    for _ in range(DEEPEST):
        level = [inner for one in level if isinstance(one, dict | list) for inner in _parts(one)]
        if not level:
            return value
    raise TooDeepError("nested without end")


def unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object of `json.loads`: a key that is written twice shows a reader one value, and a program the other.

    Raises:
        ValueError: if one is; it names the key.
    """
    made = dict(pairs)
    if len(made) < len(pairs):
        names = [key for key, _ in pairs]
        twice = next(key for key in names if names.count(key) > 1)
        raise ValueError(f"the key {json.dumps(twice)[:80]} is written twice; keep one")
    return made


def _parts(value: dict[str, Any] | list[Any]) -> list[Any]:
    return list(value.values()) if isinstance(value, dict) else value


def _refuse(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _finite(digits: str) -> float:
    value = float(digits)
    if not math.isfinite(value):
        raise ValueError("a number without an end")
    return value
