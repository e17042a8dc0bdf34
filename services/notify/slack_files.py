"""How a file comes to Slack: it names an address, takes the bytes there, and is told that they are complete."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import aiohttp

from services.notify.blocks import ALT, LABEL, cleaned
from services.notify.port import Trouble

_NAME = "chart.png"


def asked(picture: bytes, words: str) -> dict[str, Any]:
    """What is asked for an address: by name, length, and words for those who do not see it."""
    return {"filename": _NAME, "length": len(picture), "alt_txt": cleaned(words, ALT)}


def place_of(answer: Any) -> tuple[str, str]:
    """The address to send to, and the file's id.

    Raises:
        Trouble: if the answer has none.
    """
    said = answer if isinstance(answer, Mapping) else {}
    url, id = said.get("upload_url"), said.get("file_id")
    if not isinstance(url, str) or not isinstance(id, str):
        raise Trouble("the answer names no address for a file", "message")
    return url, id


async def put(url: str, picture: bytes, seconds: float) -> None:
    """Send the bytes, and follow nobody elsewhere.

    Raises:
        Trouble: if they were not taken.
    """
    timeout = aiohttp.ClientTimeout(total=seconds)
    async with (
        aiohttp.ClientSession(timeout=timeout) as session,
        session.post(url, data=picture, allow_redirects=False) as answer,
    ):
        if answer.status != 200:
            raise Trouble(f"a file was answered with {answer.status}", "message")


def completed(id: str, words: str) -> dict[str, str]:
    """What is said when the bytes are there. Without a channel the file is posted nowhere by itself."""
    return {"files": json.dumps([{"id": id, "title": cleaned(words, LABEL)}])}
