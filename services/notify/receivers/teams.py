"""Microsoft Teams by the webhook of a workflow: each message is an Adaptive Card, of which it only takes new ones."""

from __future__ import annotations

import html
import json
from collections.abc import Iterator, Sequence
from typing import Any, Final

from services.notify.block_kit import Block
from services.notify.channel import MessageRef, PostOnlyChannel
from services.notify.incident_event import unlinked
from services.notify.message import RenderedMessage
from services.notify.receivers.http_post import HttpAddress

_SCHEMA: Final = "http://adaptivecards.io/schemas/adaptive-card.json"
_TYPE: Final = "application/vnd.microsoft.card.adaptive"
TEXT: Final = 800
MOST_BYTES: Final = 24_000
"""Teams takes messages of 28 KB."""
MOST_LINKS: Final = 5

Run = dict[str, Any]


class Teams(PostOnlyChannel):
    """A channel or chat of Teams. Texts are runs of rich text, in which nothing is markup."""

    def __init__(self, address: HttpAddress) -> None:
        self._address = address

    async def post(self, message: RenderedMessage) -> MessageRef:
        """Send a new message."""
        attachment = {"contentType": _TYPE, "contentUrl": None, "content": card_of(message)}
        body = json.dumps({"type": "message", "attachments": [attachment]}, ensure_ascii=False)
        reply = await self._address.send(body.encode("utf-8", "replace"), {})
        return MessageRef(answer=reply.told)


def card_of(message: RenderedMessage) -> dict[str, Any]:
    """The card: a paragraph for each of the message's, and our links as buttons; what is too much is left out."""
    found = [runs for block in message.blocks for runs in _paragraphs(block)]
    paragraphs = found or [[_run(html.unescape(message.text))]]
    body: list[dict[str, Any]] = []
    room = MOST_BYTES
    for runs in paragraphs:
        element = {"type": "RichTextBlock", "inlines": runs}
        room -= len(json.dumps(element, ensure_ascii=False).encode("utf-8", "replace"))
        if room < 0:
            break
        body.append(element)
    actions = [{"type": "Action.OpenUrl", "title": text, "url": url} for url, text in _links(message.blocks)]
    more = {"actions": actions[:MOST_LINKS]} if actions else {}
    return {"$schema": _SCHEMA, "type": "AdaptiveCard", "version": "1.4", "body": body, **more}


def _paragraphs(block: Block) -> Iterator[list[Run]]:
    """The texts of a block; a mention is Slack's, and buttons are answered there alone."""
    kind = block["type"]
    if kind == "header":
        yield [_run(block["text"]["text"], bold=True, size="Large")]
    elif kind == "section" and block["text"]["type"] == "plain_text":
        yield [_run(block["text"]["text"])]
    elif kind == "context":
        yield [_run(element["text"], subtle=True) for element in block["elements"]]
    elif kind == "rich_text":
        for part in block["elements"]:
            yield from _rich(part)


def _rich(part: Block) -> Iterator[list[Run]]:
    if part["type"] == "rich_text_list":
        for item in part["elements"]:
            for line in _rich(item):
                yield [_run("• "), *line]
        return
    runs: list[Run] = []
    for element in part["elements"]:
        if element["type"] != "text":
            continue
        if element["text"] == "\n":
            yield runs
            runs = []
        elif element["text"].strip():
            runs.append(_run(element["text"], bold=bool(element.get("style", {}).get("bold"))))
        else:
            runs.append({"type": "TextRun", "text": element["text"]})
    if runs:
        yield runs


def _links(blocks: Sequence[Block]) -> tuple[tuple[str, str], ...]:
    """Our links, each once."""
    parts = [part for block in blocks if block["type"] == "rich_text" for part in block["elements"]]
    lines = [line for part in parts for line in (part["elements"] if part["type"] == "rich_text_list" else [part])]
    links = [element for line in lines for element in line["elements"] if element["type"] == "link"]
    return tuple(dict.fromkeys((element["url"], element["text"]) for element in links))


def _run(text: str, *, bold: bool = False, subtle: bool = False, size: str | None = None) -> Run:
    spaced = f"{unlinked(text, TEXT)}{' ' if text.endswith(' ') else ''}"
    run: Run = {"type": "TextRun", "text": spaced}
    if bold:
        run["weight"] = "Bolder"
    if subtle:
        run["isSubtle"] = True
    if size is not None:
        run["size"] = size
    return run
