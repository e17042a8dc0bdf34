"""What an endpoint says, without the secrets of ours that it repeats. Pure."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Final

_SHORTEST_SECRET: Final = 6
"""What is shorter is no secret, and stands in ordinary answers."""
_BLOT: Final = "<api key>"


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
