"""A signal that a monitor file defines: its rule, which text it looks at, and what people call it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final, Literal

from schemas.spec import Spec
from services.signals.custom.json_rule import TOO_DEEP
from services.signals.custom.judge_rule import NOT_ASKED, PROMPT_VERSION, JudgeRule
from services.signals.custom.rules import MOST_HITS, Hit, Rule
from services.signals.protocol import Measurement, ScoredText

PREFIX: Final = "custom."
"""Before the name of every signal that a monitor file defines."""
Where = Literal["prompt", "response", "system", "documents", "tool_calls"]
Counted = Literal["share", "count"]
RULES_VERSION: Final = "1"
"""Changes when the same rule could say something else of the same text."""
_ABSENT: Final = {
    "system": "no_system_prompt",
    "documents": "no_documents",
    "tool_calls": "no_tool_calls",
    "response": "cut_in_reasoning",
}


@dataclass(frozen=True, slots=True)
class CustomDefinition:
    """An entry of `signals`.

    Attributes:
        name: without its prefix. where: the text that the rule looks at.
        value: `share` says yes or no, so that it has a rate; `count` how often, a number that is recorded and shown.
        floor: share by which the rate must move to count; 0 makes the first one an alert; None: not watched.
        title, noun: what people call it; made of the name when they are empty.
    """

    name: str
    rule: Rule
    where: Where = "response"
    value: Counted = "share"
    floor: float | None = None
    title: str = ""
    noun: str = ""

    @property
    def spec(self) -> Spec:
        """What others ask of it instead of its name."""
        plain = self.name.replace("_", " ")
        return Spec(
            name=f"{PREFIX}{self.name}",
            kind="signal",
            title=self.title or plain.capitalize(),
            noun=self.noun or (f"number of {plain}" if self.value == "count" else f"{plain} rate"),
            says=plain,
            seen=self.title[:1].lower() + self.title[1:] or plain,
            floor=self.floor,
            number=self.value == "count",
        )

    @property
    def version(self) -> str:
        """Changes with all that decides its value, and with nothing else."""
        told = json.dumps([RULES_VERSION, self.where, self.value, self.rule.told])
        hashed = hashlib.sha256(told.encode()).hexdigest()[:12]
        if isinstance(self.rule, JudgeRule):
            return f"{PROMPT_VERSION}+{self.rule.model}+{hashed}"
        return f"{self.rule.kind}-{RULES_VERSION}+{hashed}"


class CustomSignal:
    """A signal of the monitor file."""

    def __init__(self, definition: CustomDefinition) -> None:
        self.definition = definition

    @cached_property
    def spec(self) -> Spec:
        """As its definition says."""
        return self.definition.spec

    @cached_property
    def version(self) -> str:
        """As its definition says."""
        return self.definition.version

    def measure(self, text: ScoredText) -> Measurement:
        """Whether, or how often, the rule fits; unscored with a reason where there is no such text.

        What a judge said comes with the text; where it says nothing, nobody was asked.
        """
        if isinstance(self.definition.rule, JudgeRule):
            return text.judged.get(self.spec.name, Measurement(None, reason=NOT_ASKED))
        read, why = text_at(text, self.definition.where)
        if read is None:
            return Measurement(None, reason=why)
        counts = self.definition.value == "count"
        found = self.definition.rule.look(read, cut=text.cut, most=MOST_HITS if counts else 1)
        if found.n is None:
            return Measurement(None, reason=found.reason)
        return Measurement(float(found.n) if counts else found.n > 0, reason=found.reason)

    def hits(self, text: ScoredText, most: int) -> tuple[Hit, ...]:
        """Where it fits, for people to see."""
        read, _ = text_at(text, self.definition.where)
        return () if read is None else self.definition.rule.hits(read, most)


def text_at(text: ScoredText, where: Where) -> tuple[str | None, str | None]:
    """The text that a signal looks at, or None and why there is none."""
    if where == "prompt":
        return text.prompt, None
    if where == "response":
        return text.spoken, _ABSENT[where]
    if where == "tool_calls":
        return _calls(text)
    read = text.system_text if where == "system" else text.document_text
    return (read, None) if read else (None, _ABSENT[where])


def _calls(text: ScoredText) -> tuple[str | None, str | None]:
    """Every call of a tool: its name, then its arguments."""
    try:
        told = "\n".join(line for call in text.answer.calls for line in _call(call))
    except RecursionError:
        return None, TOO_DEEP
    return (told, None) if told else (None, _ABSENT["tool_calls"])


def _call(call: Any) -> Iterator[str]:
    if not isinstance(call, dict):
        yield json.dumps(call, ensure_ascii=False)
        return
    inner = call.get("function")
    inner = inner if isinstance(inner, dict) else call
    for name in ("name", "arguments", "input", "parameters"):
        value = inner.get(name)
        if value is not None:
            yield value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
