"""Corpus: bytes that are not UTF-8, not JSON, or JSON of something else; duplicate keys; depth."""

from __future__ import annotations

import codecs
import gzip
import json
from collections.abc import Iterator

from tests.support.case import BAD, WHOLE, Case, changed, exchange, line


def not_json() -> Iterator[Case]:
    text = WHOLE.decode()
    broken = {
        "open brace": "{",
        "close brace": "}",
        "word": "hello",
        "single quotes": text.replace('"', "'"),
        "trailing comma": text[:-1] + ",}",
        "comment": text[:-1] + "/* x */}",
        "unquoted key": text.replace('"route"', "route"),
        "two objects": text + text,
        "array of two, open": "[" + text,
        "half a record": text[: len(text) // 2],
        "last brace lost": text[:-1],
        "cut in a string": text[: text.index("parcel")],
        "cut in an escape": '{"route": "a\\u00',
        "bad escape": text.replace("parcel", "par\\xcel"),
        "no colon": text.replace('"ts":', '"ts"'),
        "no comma": text.replace(", ", " ", 1),
        "python literals": text.replace("null", "None"),
        "xml": "<exchange><route>a</route></exchange>",
        "csv": "id,ts,route,prompt,response",
        "yaml": "route: a",
        "sse prefix": "data: " + text,
        "log prefix": "2026-11-24 18:00:00 INFO " + text,
        "javascript": "var x = " + text + ";",
        "plus sign": text.replace("310", "+310"),
        "leading zero": text.replace("310", "0310"),
        "hex number": text.replace("310", "0x136"),
        "bare decimal point": text.replace("310", "310."),
        "undefined": text.replace("310", "undefined"),
        "NUL after the record": text + "\0",
        "NUL between tokens": text.replace(", ", ",\0", 1),
        "BOM after the first byte": "{\ufeff" + text[1:],
        "record separator first": "\x1e" + text,
        "non-breaking space between tokens": text.replace(", ", ",\u00a0", 1),
        "two BOMs": "\ufeff\ufeff" + text,
    }
    for name, content in broken.items():
        yield Case(f"not JSON: {name}", content.encode(), reason="not JSON")
    yield Case("not JSON: gzip", gzip.compress(WHOLE, mtime=0).replace(b"\n", b""), reason="not JSON")
    yield Case("not JSON: random bytes", bytes(range(128, 256)) + bytes(range(11, 128)), reason="not JSON")
    yield Case("not JSON: protobuf-like", b"\x0b\x12\x07support\x1a\x04prod", reason="not JSON")


def not_an_exchange() -> Iterator[Case]:
    for name, value in {
        "array": [exchange("in-array")],
        "empty array": [],
        "text": "hello",
        "number": 42,
        "true": True,
        "null": None,
    }.items():
        yield Case(f"not an object: {name}", line(value), reason="JSON object")
    for name, value in {
        "empty object": {},
        "another record": {"level": "info", "message": "started"},
        "nested exchange": {"payload": exchange("nested")},
        "capital names": {"Route": "a", "Prompt": "b", "Response": "c", "Model": {}},
    }.items():
        yield Case(f"no known format: {name}", line(value), reason="no known format (otlp, ")


def encodings() -> Iterator[Case]:
    text = json.dumps(exchange("encoding", response="Grüße"), ensure_ascii=False)
    for encoding in ("utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be"):
        yield Case(f"encoding: {encoding}", text.encode(encoding), reason="UTF-8")
    yield Case("encoding: UTF-16 BOM before UTF-8", codecs.BOM_UTF16_LE + text.encode(), reason="UTF-8")
    yield Case("encoding: EBCDIC", text.encode("cp037", "replace"), reason="not JSON")
    yield Case("encoding: UTF-7", b"+AHs" + text.encode("utf-7"), reason="not JSON")

    def hostile(name: str, data: bytes, expected: str) -> Case:
        raw = line(exchange(f"encoding {name}", response="@@")).replace(b"@@", data)
        return Case(f"encoding: {name}", raw, ("sanitized",), holds=lambda e: e.answer.content == expected)

    yield hostile("latin-1", "Grüße".encode("latin-1"), f"Gr{BAD}{BAD}e")
    yield hostile("windows-1252 quotes", b"\x93hi\x94", f"{BAD}hi{BAD}")
    yield hostile("truncated UTF-8", "Grüße 😀".encode()[:-1], f"Grüße {BAD}")
    yield hostile("lone continuation byte", b"a\x80b", f"a{BAD}b")
    yield hostile("overlong slash", b"a\xc0\xafb", f"a{BAD * 2}b")
    yield hostile("beyond U+10FFFF", b"\xf4\x90\x80\x80", BAD * 4)
    yield hostile("surrogate as UTF-8", b"a\xed\xa0\x80b", f"a{BAD * 3}b")
    yield hostile("CESU-8 pair", b"\xed\xa0\xbd\xed\xb8\x80", BAD * 6)
    yield hostile("FF and FE", b"\xff\xfe", BAD * 2)
    yield hostile("raw NUL", b"a\0b", f"a{BAD}b")
    yield Case("encoding: UTF-8 BOM", codecs.BOM_UTF8 + line(exchange("bom")), (), holds=lambda e: e.id == "bom")
    yield Case("encoding: carriage return at the end", line(exchange("cr")) + b"\r", (), holds=lambda e: e.id == "cr")
    yield Case("encoding: spaces around", b" \t" + line(exchange("spaces")) + b"  ", ())
    key = line(exchange("bad byte in a key")).replace(b'"locale"', b'"loc\xffale"')
    yield Case("encoding: bad byte in a key", key, ("sanitized",), holds=lambda e: list(e.tags) == [f"loc{BAD}ale"])


def twice() -> Iterator[Case]:
    whole = line(exchange("twice"))
    yield Case(
        "duplicate key: the last one wins",
        whole[:-1] + b', "route": "second"}',
        (),
        holds=lambda e: e.route == "second",
    )
    yield Case("duplicate key: the last one is wrong", whole[:-1] + b', "route": "Second"}', reason="route:")
    first = b'{"route": 3, ' + line(exchange("twice-2"))[1:]
    yield Case("duplicate key: only the first is wrong", first, (), holds=lambda e: e.route == "support-bot/prod")
    escaped = line(exchange("twice-3"))[:-1] + b', "ro\\u0075te": "escaped"}'
    yield Case("duplicate key: written with an escape", escaped, (), holds=lambda e: e.route == "escaped")


def deep() -> Iterator[Case]:
    for depth in (70, 500, 2_000, 100_000):
        for opening, closing in (("[", "]"), ('{"a":', "}")):
            nested = (opening * depth + "1" + closing * depth).encode()
            raw = changed(f"deep {depth} {opening}", ("surprise",), "@@").replace(b'"@@"', nested)
            yield Case(f"deep: {depth} x {opening}", raw, reason="deep")
    yield Case("deep: 1,000,000 open brackets alone", b"[" * 1_000_000, reason="deep")
    yield Case("deep: open objects alone", b'{"a":' * 100_000, reason="deep")
    nested = b"[" * 60 + b"]" * 60
    yield Case("deep: 61 levels are fine", changed("deep 60", ("surprise",), "@@").replace(b'"@@"', nested), ())
    tools = b"[" * 80 + b"]" * 80
    raw = changed("deep tools", ("response", "tool_calls"), "@@").replace(b'"@@"', tools)
    yield Case("deep: in tool calls", raw, reason="deep")
