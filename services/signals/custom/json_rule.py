"""Whether an answer is JSON that a schema allows: the answer itself, or the one fenced block in it.

jsonschema_rs reads patterns by a linear engine and fetches nothing; what could make it work without end is refused
before: a `$ref` that leads back to itself, or references that multiply.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from services.signals.custom.rules import CUT, Hit, Look, RuleRefused
from services.strict_json import TooDeepError, read_json

LONGEST_SCHEMA: Final = 64 * 1024
MOST_PARTS: Final = 5_000
"""Parts of a schema with every reference written out."""
TOO_DEEP: Final = "nested_too_deep"
NO_JSON: Final = "no_json"
SEVERAL: Final = "several_json_blocks"
NOT_ALLOWED: Final = "not_allowed_by_the_schema"
_FENCE: Final = re.compile(r"^ {0,3}(```+|~~~+)[ \t]*([A-Za-z0-9_+.-]*)[^\n]*$", re.MULTILINE)
_OF_JSON: Final = ("", "json", "jsonc", "json5", "application/json")
_FORBIDDEN: Final = ("$dynamicRef", "$recursiveRef", "$dynamicAnchor", "$recursiveAnchor", "$anchor")
_LITERAL: Final = frozenset({"const", "enum", "default", "examples"})


@dataclass(frozen=True, slots=True)
class JsonSchemaRule:
    """Fits an answer that is no JSON, or JSON that the schema does not allow.

    Attributes:
        source: the schema as JSON.
    """

    source: str
    kind: str = "json_schema"

    @classmethod
    def of(cls, schema: Mapping[str, Any]) -> JsonSchemaRule:
        """Of a schema as plain values; sequences may be tuples.

        Raises:
            RuleRefused: if a number in it is none of JSON.
        """
        try:
            return cls(json.dumps(schema, ensure_ascii=False, sort_keys=True, allow_nan=False))
        except (ValueError, TypeError):
            raise RuleRefused("holds what JSON does not know: a date, or a number without an end") from None

    @property
    def told(self) -> object:
        """The schema."""
        return [self.kind, self.source]

    def check(self) -> None:
        """Raises RuleRefused if it is no schema, is too large, or refers to itself or to elsewhere."""
        if len(self.source) > LONGEST_SCHEMA:
            raise RuleRefused(f"has {len(self.source):,} characters; at most {LONGEST_SCHEMA:,}")
        schema = json.loads(self.source)
        _Weight(schema).check()
        import jsonschema_rs  # noqa: PLC0415

        try:
            _validator(self.source)
        except (jsonschema_rs.ValidationError, ValueError) as fault:
            said = str(fault).splitlines()[0]
            raise RuleRefused(f"no JSON schema: {said}") from None

    def look(self, text: str, *, cut: bool, most: int) -> Look:
        """1 if it does not fit, 0 if it does; None where the answer was cut or is nested too deep to say."""
        found, why = _json_of(text)
        if cut:
            return Look(None, CUT)
        if why is not None:
            return Look(None if why == TOO_DEEP else 1, why)
        return Look(0) if _validator(self.source).is_valid(found) else Look(1, NOT_ALLOWED)

    def hits(self, text: str, most: int) -> tuple[Hit, ...]:
        """None: the answer as a whole does not fit."""
        return ()


def _json_of(text: str) -> tuple[Any, str | None]:
    """The JSON value of an answer, or why there is none."""
    whole, why = _parsed(text.strip())
    if why != NO_JSON:
        return whole, why
    blocks = list(_blocks(text))
    if len(blocks) != 1:
        return None, SEVERAL if blocks else NO_JSON
    return _parsed(blocks[0].strip())


def _blocks(text: str) -> Iterator[str]:
    """The fenced blocks of an answer that are said to be JSON, or nothing; one that is not closed is none."""
    opened: re.Match[str] | None = None
    for fence in _FENCE.finditer(text):
        if opened is None:
            opened = fence
        elif fence[1].startswith(opened[1]) and not fence[2]:
            if opened[2].lower() in _OF_JSON:
                yield text[opened.end() : fence.start()]
            opened = None


def _parsed(text: str) -> tuple[Any, str | None]:
    try:
        return read_json(text), None
    except TooDeepError:
        return None, TOO_DEEP
    except ValueError:
        return None, NO_JSON


@lru_cache(maxsize=64)
def _validator(source: str) -> Any:
    """The validator of a schema: it fetches nothing, and its patterns are linear in the text."""
    import jsonschema_rs  # noqa: PLC0415 -- who has no such signal needs none

    return jsonschema_rs.validator_for(json.loads(source), pattern_options=jsonschema_rs.RegexOptions(), offline=True)


class _Weight:
    """How many parts a schema has when its references are written out."""

    def __init__(self, schema: Any) -> None:
        self._schema = schema
        self._known: dict[str, int] = {}
        self._open: set[str] = set()

    def check(self) -> None:
        """Raises RuleRefused if they have no end, are too many, or lead elsewhere."""
        if not isinstance(self._schema, dict):
            raise RuleRefused("must be a mapping: a JSON schema")
        if self._of(self._schema, top=True) > MOST_PARTS:
            raise RuleRefused(f"has over {MOST_PARTS:,} parts once its $ref are written out; refer to less")

    def _of(self, part: Any, *, top: bool = False) -> int:
        if isinstance(part, list):
            return 1 + sum(map(self._of, part))
        if not isinstance(part, dict):
            return 1
        for name in _FORBIDDEN:
            if name in part and isinstance(part[name], (str, bool)):
                raise RuleRefused(f"{name} is not read; write $ref with #/$defs/NAME")
        if not top and isinstance(part.get("$id"), str):
            raise RuleRefused("$id within a schema is not read; leave it out")
        inner = sum(self._of(one) for name, one in part.items() if name not in _LITERAL)
        target = part.get("$ref")
        return min(1 + inner + (self._referred(target) if isinstance(target, str) else 0), 10 * MOST_PARTS)

    def _referred(self, target: str) -> int:
        if target in self._open:
            raise RuleRefused(f"$ref {target} leads back to itself; write out the levels that there are")
        if target not in self._known:
            self._open.add(target)
            self._known[target] = self._of(self._at(target), top=target == "#")
            self._open.discard(target)
        return self._known[target]

    def _at(self, target: str) -> Any:
        if target == "#":
            raise RuleRefused("$ref # leads back to itself; write out the levels that there are")
        if not target.startswith("#/"):
            raise RuleRefused(f"$ref {target[:100]} leads elsewhere, and nothing is fetched; write it under $defs")
        found = self._schema
        for step in target[2:].split("/"):
            name = step.replace("~1", "/").replace("~0", "~")
            if isinstance(found, dict) and name in found:
                found = found[name]
            else:
                raise RuleRefused(f"$ref {target[:100]} leads nowhere; define it under $defs")
        return found
