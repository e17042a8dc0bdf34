"""Corpus: characters that do not exist, text that is strange and yet valid, text that is too long."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from schemas.exchange import Exchange
from tests.support.case import BAD, KEPT, MIB, Case, Check, changed, dotted, exchange, line

_LONE: Final = {
    "high": ("\\ud83d", BAD),
    "low": ("\\ude00", BAD),
    "upper case": ("\\uD83D", BAD),
    "swapped pair": ("\\ude00\\ud83d", BAD * 2),
    "high then letter": ("\\ud83dx", f"{BAD}x"),
    "two highs and a low": ("\\ud83d\\ud83d\\ude00", f"{BAD}😀"),
    "NUL": ("\\u0000", BAD),
    "NULs": ("a\\u0000\\u0000b", f"a{BAD}{BAD}b"),
}
_TEXT_PLACES: Final[tuple[tuple[str | int, ...], ...]] = (
    ("id",),
    ("conversation",),
    ("user",),
    ("model", "requested"),
    ("model", "served"),
    ("prompt",),
    ("prompt", 1, "content"),
    ("prompt", 1, "role"),
    ("response",),
    ("response", "content"),
    ("response", "finish_reason"),
    ("tags", "locale"),
    ("guardrails", 0, "name"),
    ("surprise",),
)


def invalid_characters() -> Iterator[Case]:
    for name, (escape, expected) in _LONE.items():
        raw = line(exchange(f"escape {name}", response="@@")).replace(b"@@", escape.encode())
        yield Case(
            f"invalid character: escaped {name}",
            raw,
            ("sanitized",),
            holds=lambda e, expected=expected: e.answer.content == expected,
        )
    for path in _TEXT_PLACES:
        name = dotted(path)
        raw = changed(f"surrogate {name}", path, f"{name}@@").replace(b"@@", b"\\udc00")
        yield Case(f"invalid character: in {name}", raw, ("sanitized",), holds=lambda e: BAD in e.encode().decode())
    key = line(exchange("surrogate in a key")).replace(b'"locale"', b'"\\ud800"')
    yield Case("invalid character: in a key", key, ("sanitized",), holds=lambda e: dict(e.tags) == {BAD: "de"})
    route = line(exchange("surrogate in the route", route="a@@")).replace(b"@@", b"\\ud800")
    yield Case("invalid character: in the route", route, reason="route:")


def strange_but_valid() -> Iterator[Case]:
    texts = {
        "emoji": "😀👩‍👩‍👧‍👦🏳️‍🌈",
        "escaped pair": "😀",
        "right to left override": "\u202egnp.exe",
        "zero width": "a\u200bb\u200dc\ufeffd",
        "zalgo": "Z" + "\u0300" * 500,
        "private use and non-characters": "\ue000\ufffe\uffff\U0010ffff",
        "control characters": "".join(map(chr, range(1, 32))) + "\x7f\x85\u2028\u2029",
        "a literal backslash-u": "\\ud800 and \\u0000",
        "html": "<script>alert(1)</script>",
        "sql": "'; DROP TABLE incidents; --",
        "template": "{{7*7}} ${jndi:ldap://x} %s %n",
        "json in text": '{"signals": 1, "prompt_vec": "x"}',
        "replacement character already": BAD,
        "empty": "",
        "blank": " \t ",
        "one letter": "a",
        "Arabic and Hebrew": "مرحبا שלום",
        "combining Hangul": "\u1112\u1161\u11ab",
        "many lines": "\n" * 5000,
        "ten thousand brackets": "[{" * 10_000,
    }
    for name, content in texts.items():
        for ascii in (
            (False, True) if name in {"emoji", "control characters", "private use and non-characters"} else (True,)
        ):
            raw = line(exchange(f"strange {name} {ascii}", response=content, prompt=content), ascii)
            yield Case(
                f"strange: {name}{' escaped' if ascii else ''}",
                raw,
                (),
                holds=lambda e, content=content: e.answer.content == content == e.messages[0].text,
            )
    raw = line(exchange("raw tab", response="a@@b")).replace(b"@@", b"\t\x01\x1b[31m")
    yield Case("strange: raw control characters", raw, (), holds=lambda e: e.answer.content == "a\t\x01\x1b[31mb")


def long() -> Iterator[Case]:
    def size(get: Callable[[Exchange], str | None], n: int) -> Check:
        return lambda e: len((get(e) or "").encode()) == n

    def answer(e: Exchange) -> str | None:
        return e.answer.content

    yield Case("long: response of 1 MiB", line(exchange("l1", response="a" * MIB)), (), holds=size(answer, MIB))
    over = line(exchange("l2", response="a" * (MIB + 1)))
    yield Case("long: response of 1 MiB and 1 byte", over, ("truncated",), holds=size(answer, KEPT))
    content = line(exchange("l3", response={"content": "a" * 2 * MIB, "finish_reason": "stop"}))
    yield Case("long: content of the response", content, ("truncated",), holds=size(answer, KEPT))
    euro = line(exchange("l4", response="€" * (MIB // 3 + 1)))
    yield Case("long: never cut inside a character", euro, ("truncated",), holds=size(answer, KEPT // 3 * 3))
    emoji = line(exchange("l5", response="x" + "😀" * (MIB // 4)), ascii=True)
    yield Case("long: cut before an emoji", emoji, ("truncated",), holds=size(answer, KEPT - 3))
    prompt = line(exchange("l6", prompt="a" * 2 * MIB))
    yield Case("long: prompt", prompt, ("truncated",), holds=size(lambda e: e.messages[0].text, KEPT))
    message = changed("l7", ("prompt", 1, "content"), "a" * 2 * MIB)
    yield Case("long: message", message, ("truncated",), holds=size(lambda e: e.messages[1].text, KEPT))
    part = changed("l8", ("prompt", 1, "content"), [{"type": "text", "text": "a" * 2 * MIB}])
    yield Case("long: part of a message", part, ("truncated",), holds=size(lambda e: e.messages[1].text, KEPT))
    both = line(exchange("l9", response="a" * 2 * MIB + "@@")).replace(b"@@", b"\0")
    yield Case("long: and hostile", both, ("sanitized", "truncated"), holds=size(answer, KEPT))
    many = [{"role": "user", "content": "hi"}] * 100_000
    yield Case(
        "long: 100,000 messages", line(exchange("l10", prompt=many)), (), holds=lambda e: len(e.messages) == 100_000
    )
    yield Case("long: unknown field of 2 MiB", line(exchange("l11", surprise="a" * 2 * MIB)), ())
    yield Case("long: not JSON, 2 MiB", b"a" * 2 * MIB, reason="not JSON")
    yield Case("long: key of 1 MiB", line({**exchange("l12"), "k" * MIB: 1}), ())
    yield Case("long: wrong key of 1 MiB under tags", line(exchange("l13", tags={"k" * MIB: []})), reason="tags.*")
