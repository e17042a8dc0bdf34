"""Corpus: fields of the wrong type, missing, unknown; routes and ids."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Final

from schemas.exchange import Exchange
from tests.support.case import Case, changed, dotted, exchange, line

_PLACES: Final[dict[tuple[str | int, ...], str]] = {
    # path: what it may be (s text, o object, l list, i whole number, n number, x anything); null is always "missing"
    ("id",): "s",
    ("route",): "s",
    ("conversation",): "s",
    ("user",): "s",
    ("model",): "o",
    ("model", "provider"): "s",
    ("model", "requested"): "s",
    ("model", "served"): "s",
    ("model", "fingerprint"): "s",
    ("model", "endpoint"): "s",
    ("model", "system_prompt_sha256"): "s",
    ("model", "tools_sha256"): "s",
    ("model", "guardrails_sha256"): "s",
    ("prompt",): "s",
    ("prompt", 0): "",
    ("prompt", 0, "role"): "s",
    ("prompt", 1, "content"): "sl",
    ("response",): "so",
    ("response", "content"): "sl",
    ("response", "tool_calls"): "l",
    ("response", "finish_reason"): "s",
    ("response", "refusal"): "s",
    ("usage",): "o",
    ("usage", "input_tokens"): "i",
    ("usage", "output_tokens"): "i",
    ("latency_ms",): "in",
    ("guardrails",): "l",
    ("guardrails", 0): "",
    ("guardrails", 0, "name"): "s",
    ("tags",): "o",
    ("tags", "locale"): "sinb",
    ("extra",): "o",
}
_WRONG: Final[tuple[tuple[str, str, Any], ...]] = (
    ("s", "text", "x"),
    ("i", "whole number", 3),
    ("n", "fraction", 1.5),
    ("b", "true", True),
    ("l", "list", []),
    ("o", "object", {}),
)


def wrong_types() -> Iterator[Case]:
    for path, allowed in _PLACES.items():
        name = dotted(path)
        for kind, label, value in _WRONG:
            if kind not in allowed:
                reason = "tags" if path[0] == "tags" else name
                yield Case(f"wrong type: {label} as {name}", changed(f"{label}-{name}", path, value), reason=reason)
    for value in (3, 1.5, True, False):
        raw = changed(f"tag-{value}", ("tags", "tenant"), value)
        kept = json.dumps(value)
        yield Case(f"a tag that is no text: {value}", raw, (), holds=lambda e, kept=kept: e.tags["tenant"] == kept)
    raw = changed("tag-null", ("tags", "tenant"), None)
    yield Case("a tag that is null", raw, (), holds=lambda e: "tenant" not in e.tags)
    for value, label in ((3, "number"), (True, "true"), ([], "list"), ({}, "object"), (1.5, "fraction"), ("", "empty")):
        yield Case(f"wrong type: {label} as ts", changed(f"{label}-ts", ("ts",), value), reason="ts:")


def missing() -> Iterator[Case]:
    for path in (("route",), ("prompt",), ("response",), ("model",), ("model", "requested")):
        name = dotted(path)
        for label, value in (("absent", ...), ("null", None)):
            yield Case(f"missing: {name} {label}", changed(f"{name}-{label}", path, value), reason=f"{name}:")
    for path in (("prompt", 0, "role"), ("guardrails", 0, "name"), ("guardrails", 0, "outcome")):
        yield Case(f"missing: {dotted(path)}", changed(f"no-{dotted(path)}", path, ...), reason=dotted(path))
    yield Case("missing: no message", line(exchange("no-message", prompt=[])), reason="prompt:")
    optional = ("conversation", "user", "usage", "latency_ms", "guardrails", "tags", "extra", "schema_version")
    for name in optional:
        yield Case(f"optional: {name} null", line(exchange(f"null-{name}", **{name: None})), ())
        yield Case(f"optional: {name} absent", line(exchange(f"absent-{name}", **{name: ...})), ())
    yield Case(
        "optional: only what is required",
        line({"route": "a", "prompt": "b", "response": "c", "model": {"requested": "m"}}),
        (),
        holds=lambda e: bool(e.id) and e.ts is not None,
    )
    yield Case("optional: id null", line(exchange("", id=None)), (), holds=lambda e: bool(e.id))
    yield Case("optional: ts null", line(exchange("ts-null", ts=None)), (), holds=lambda e: e.ts is not None)
    yield Case("optional: no answer but an error", line(exchange("provider-error", response={"error": "429"})), ())
    yield Case("optional: tool call only", line(exchange("tool-call", response={"tool_calls": [{"name": "f"}]})), ())
    yield Case("optional: message without content", line(exchange("no-content", prompt=[{"role": "user"}])), ())


def routes_and_ids() -> Iterator[Case]:
    for route in (
        "",
        "Support-Bot/prod",
        "support bot",
        "a" * 201,
        "bot/safety",
        "safety",
        "a/profile/b",
        "metrics",
        "_keelwatch/x",
        "ä",
        "a:b",
        "a\\b",
        "a?b",
        "a#b",
        "a%2fb",
        "a\tb",
        "a\n",
        "\ud800",
        "a\u202eb",
        "a*",
        "<b>",
        "../../etc/passwd\0",
    ):
        name = repr(route)[:30]
        raw = line(exchange(f"route {name}", route=route), ascii=True)
        yield Case(f"route: {name}", raw, reason="route:")
    for route in ("a", "a" * 200, "a/b/c/d", ".", "..", "/", "//", "-", "safety-bot", "my/metrics2", "_keelwatch"):
        yield Case(f"route: {route[:20]} is fine", line(exchange(f"fine route {route[:20]}", route=route)), ())
    yield Case("id: empty", line(exchange("")), reason="id:")
    yield Case("id: 513 characters", line(exchange("i" * 513)), reason="id:")
    yield Case("id: 512 characters", line(exchange("i" * 512)), (), holds=lambda e: e.id == "i" * 512)
    yield Case("id: emoji and slashes", line(exchange("k:😀/../1")), (), holds=lambda e: e.id == "k:😀/../1")


def unknown_fields() -> Iterator[Case]:
    def kept(e: Exchange) -> Any:
        return e.model_dump()["extra"]

    yield Case("unknown: top level", line(exchange("u1", cost=0.5)), (), holds=lambda e: kept(e) == {"cost": 0.5})
    yield Case(
        "unknown: beside extra",
        line(exchange("u2", cost=1, extra={"a": {"b": []}})),
        (),
        holds=lambda e: kept(e) == {"a": {"b": []}, "cost": 1},
    )
    yield Case(
        "unknown: in model",
        changed("u3", ("model", "temperature"), 0.7),
        (),
        holds=lambda e: kept(e) == {"model": {"temperature": 0.7}},
    )
    yield Case(
        "unknown: a field that is no attribute",
        line(exchange("u4", model_dump=1, __class__="x", self=2)),
        (),
        holds=lambda e: kept(e) == {"model_dump": 1, "__class__": "x", "self": 2},
    )
    for path, look in (
        (("prompt", 1, "name"), lambda e: e.messages[1].model_extra),
        (("response", "logprobs"), lambda e: e.answer.model_extra),
        (("usage", "cached"), lambda e: e.usage.model_extra),
        (("guardrails", 0, "score"), lambda e: e.guardrails[0].model_extra),
    ):
        yield Case(
            f"unknown: {dotted(path)}",
            changed(f"u {path}", path, [1]),
            (),
            holds=lambda e, look=look, path=path: look(e) == {path[-1]: [1]},
        )
    yield Case("unknown: role", changed("u5", ("prompt", 1, "role"), "wizard"), ())
    yield Case("unknown: schema version", line(exchange("u6", schema_version=2)), reason="schema_version")
    yield Case("unknown: outcome", changed("u7", ("guardrails", 0, "outcome"), "maybe"), reason="guardrails[0].outcome")
    yield Case("unknown: 10,000 fields", line(exchange("u8", **{f"f{i}": i for i in range(10_000)})), ())
    yield Case("unknown: empty name", line({**exchange("u9"), "": 1}), (), holds=lambda e: kept(e) == {"": 1})
    parts = [{"type": "text", "text": "Where?"}, {"type": "image_url", "image_url": {"url": "data:"}}]
    yield Case(
        "unknown: parts of a message",
        changed("u10", ("prompt", 1, "content"), parts),
        (),
        holds=lambda e: e.messages[1].text == "Where?",
    )
    for label, bad in (("text", "x"), ("number", 1), ("list", []), ("null", None)):
        raw = changed(f"part {label}", ("prompt", 1, "content"), [bad])
        yield Case(f"wrong type: {label} as a part", raw, reason="prompt[1].content")
