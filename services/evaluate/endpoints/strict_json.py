"""JSON of endpoints, whom nobody trusts: finite numbers, ordinary depth, and no secret of ours repeated. Pure."""

from __future__ import annotations

import json
import math
from collections.abc import Collection
from typing import Any, Final

_DEEPEST: Final = 64
_SHORTEST_SECRET: Final = 6
"""What is shorter is no secret, and stands in ordinary answers."""
_BLOT: Final = "<api key>"


def read_json(text: str) -> Any:
    """The JSON value of a text.

    Raises:
        ValueError: if it is none, holds a number without an end, or is nested without end.
    """
    try:
        value = json.loads(text, parse_constant=_refuse, parse_float=_finite)
    except RecursionError:
        raise ValueError("nested without end") from None
    level: list[Any] = [value]
    for _ in range(_DEEPEST):
        level = [inner for one in level if isinstance(one, dict | list) for inner in _parts(one)]
        if not level:
            return value
    raise ValueError("nested without end")


def blotted(value: Any, secrets: Collection[str]) -> Any:
    """The value without any of the secrets, in whatever text or name of it they stood; of ordinary depth."""
    hidden = [secret for secret in secrets if len(secret) >= _SHORTEST_SECRET]
    return _blotted(value, hidden) if hidden else value


def _blotted(value: Any, secrets: Collection[str]) -> Any:
    if isinstance(value, str):
        for secret in secrets:
            value = value.replace(secret, _BLOT)
        return value
    if isinstance(value, list):
        return [_blotted(one, secrets) for one in value]
    if isinstance(value, dict):
        return {_blotted(name, secrets): _blotted(one, secrets) for name, one in value.items()}
    return value


def _parts(value: dict[str, Any] | list[Any]) -> list[Any]:
    return list(value.values()) if isinstance(value, dict) else value


def _refuse(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _finite(digits: str) -> float:
    value = float(digits)
    if not math.isfinite(value):
        raise ValueError("a number without an end")
    return value
