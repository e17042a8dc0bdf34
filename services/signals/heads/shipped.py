"""The heads that ship, each a file of the folder `weights`; read when the first exchange is measured."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import Final

from services.signals.heads.head import Heads, digest_in, load_heads

FOLDER: Final = files("services.signals.heads") / "weights"
_UNFITTED: Final = "unfitted"
"""Stands in a version while `fit_heads` makes the files: nothing can be measured by then."""


@cache
def shipped(signal: str) -> Heads:
    """The heads of a signal, with their weights."""
    return load_heads((FOLDER / f"{signal}.json").read_bytes())


@cache
def shipped_digest(signal: str) -> str:
    """What a signal's version says of its heads, read from the first line of their file alone."""
    path = FOLDER / f"{signal}.json"
    if not path.is_file():
        return _UNFITTED
    with path.open("rb") as file:
        return digest_in(file.readline(200))


def shipped_names() -> tuple[str, ...]:
    """The signals that have heads of their own."""
    return tuple(sorted(path.name.removesuffix(".json") for path in FOLDER.iterdir() if path.name.endswith(".json")))


def version_of(rules: str, signal: str, own: Heads | None) -> str:
    """The version of a signal with a head: of its rules, and of the head that scores."""
    return f"{rules}+{own.digest if own else shipped_digest(signal)}"
