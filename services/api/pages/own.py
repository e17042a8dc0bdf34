"""Paths of this server, to which a browser may be sent. Pure."""

from __future__ import annotations

from typing import Final
from urllib.parse import quote, urlsplit

HOME: Final = "/"
_MOST: Final = 1_000
_LOOPS: Final = frozenset({"/login", "/logout"})


def own_path(text: str | None) -> str:
    r"""The path with its query if it leads to a page of ours, else the first page.

    >>> own_path("/incidents?state=open"), own_path("//evil.example"), own_path("/\\evil.example")
    ('/incidents?state=open', '/', '/')
    """
    if not text or len(text) > _MOST or not text.startswith("/") or text.startswith("//"):
        return HOME
    # Browsers read a backslash as a slash, and leave spaces and control characters out.
    if "\\" in text or any(not "!" <= one <= "~" for one in text):
        return HOME
    try:
        path = urlsplit(text).path
    except ValueError:
        return HOME
    return HOME if path.rstrip("/") in _LOOPS else text


def asked_for(path: str, query: bytes) -> str:
    """What a browser asked for, as it would write it."""
    told = quote(path, safe="/:@!$&'()*+,;=~", errors="replace")
    return own_path(f"{told}?{query.decode('latin-1')}" if query else told)
