"""What Slack refuses: the limits of Block Kit, and more strictly than Slack what a client would make of a text."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

TEXT = {"type", "text", "emoji"}
ALL_TEXT = 12_000  # above about 13,200 Slack says msg_blocks_too_long


def problems(body: dict[str, Any]) -> list[str]:
    """What is wrong with the blocks and the text of a message; empty if Slack takes it."""
    blocks = body.get("blocks") or []
    found = [f"blocks[{i}].{what}" for i, block in enumerate(blocks) for what in _block(block)]
    if not isinstance(body.get("text"), str) or not 1 <= _units(body["text"]) <= 40_000:
        found.append("no_text")
    if len(blocks) > 50:
        found.append("more than 50 blocks")
    if sum(_units(text) for block in blocks for text in texts(block)) > ALL_TEXT:
        found.append("msg_blocks_too_long")
    return found


def texts(value: Any) -> Iterator[str]:
    """Every text that a block shows."""
    if isinstance(value, dict):
        for name, item in value.items():
            if name == "text" and isinstance(item, str):
                yield item
            else:
                yield from texts(item)
    elif isinstance(value, list):
        for item in value:
            yield from texts(item)


def _units(text: str) -> int:
    return len(text.encode("utf-16-le")) // 2


def _block(block: dict[str, Any]) -> Iterator[str]:
    kind = block.get("type")
    if kind == "header":
        yield from _keys(block, {"type", "text"})
        yield from _text(block["text"], 150, {"plain_text"})
    elif kind == "section":
        yield from _keys(block, {"type", "text"})
        yield from _text(block["text"], 3000, {"plain_text", "mrkdwn"})
    elif kind == "context":
        yield from _keys(block, {"type", "elements"})
        yield from _count(block["elements"], 10)
        for element in block["elements"]:
            yield from _text(element, 3000, {"plain_text", "mrkdwn"})
    elif kind == "image":
        yield from _image(block)
    elif kind == "actions":
        yield from _keys(block, {"type", "elements"})
        yield from _actions(block["elements"])
    elif kind == "rich_text":
        yield from _keys(block, {"type", "elements"})
        yield from _count(block["elements"], 50)
        for part in block["elements"]:
            yield from _part(part)
    elif kind == "divider":
        yield from _keys(block, {"type"})
    else:
        yield f"type {kind!r}"


def _actions(buttons: list[dict[str, Any]]) -> Iterator[str]:
    yield from _count(buttons, 25)
    if len({button["action_id"] for button in buttons}) < len(buttons):
        yield "action_id twice"
    for button in buttons:
        yield from _keys(button, {"type", "action_id", "text", "value", "style", "confirm"})
        yield from _text(button["text"], 75, {"plain_text"})
        if button.get("style") not in (None, "primary", "danger"):
            yield "style"
        if not 1 <= len(button["value"]) <= 2000 or not 1 <= len(button["action_id"]) <= 255:
            yield "value or action_id"
        for name, limit in {"title": 100, "text": 300, "confirm": 30, "deny": 30}.items():
            if "confirm" in button:
                yield from _text(button["confirm"][name], limit, {"plain_text"})


def _part(part: dict[str, Any]) -> Iterator[str]:
    if part.get("type") == "rich_text_list":
        yield from _keys(part, {"type", "style", "elements"})
        yield from _count(part["elements"], 100)
        if part["style"] not in ("bullet", "ordered"):
            yield "style"
        for item in part["elements"]:
            yield from _part(item)
        return
    if part.get("type") != "rich_text_section":
        yield f"type {part.get('type')!r}"
        return
    yield from _count(part["elements"], 1000)
    for element in part["elements"]:
        yield from _keys(element, {"type", "text", "style"} | ({"url"} if element["type"] == "link" else set()))
        if element["type"] not in ("text", "link") or not element["text"]:
            yield f"element {element}"
        if element["type"] == "link" and not element["url"].startswith(("http://", "https://")):
            yield "url"
        if not set(element.get("style", {})) <= {"bold", "italic", "strike", "code"}:
            yield "style"


def _image(block: dict[str, Any]) -> Iterator[str]:
    yield from _keys(block, {"type", "slack_file", "alt_text"})
    yield from _keys(block["slack_file"], {"id"})
    if not 1 <= _units(block["alt_text"]) <= 2000:
        yield "alt_text"


def _keys(value: dict[str, Any], known: set[str]) -> Iterator[str]:
    if not set(value) <= known:
        yield f"unknown {sorted(set(value) - known)}"


def _count(elements: list[Any], most: int) -> Iterator[str]:
    if not 1 <= len(elements) <= most:
        yield f"{len(elements)} elements"


def _text(text: dict[str, Any], limit: int, kinds: set[str]) -> Iterator[str]:
    if text.get("type") not in kinds:
        yield f"text of type {text.get('type')!r}"
    yield from _keys(text, TEXT if text.get("type") == "plain_text" else {"type", "text", "verbatim"})
    if not 1 <= _units(text["text"]) <= limit:
        yield f"text of {_units(text['text'])}"
