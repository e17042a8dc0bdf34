"""What vendors, clouds and gateways put beside the stop reason of an answer, wherever its form has it. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

_BESIDE: Final = (
    *("native_finish_reason", "stop_reason", "stopReason", "done_reason", "incomplete_details"),
    *("content_filter_results", "content_filter_result", "promptFeedback", "prompt_feedback"),
    "amazon-bedrock-guardrailAction",
)
_ELSEWHERE: Final = ("reasoning_content", "reasoning", "reasoning_details", "audio", "images")


def beside_stop(raw: Any) -> dict[str, Any]:
    """What stands beside the stop reason of an answer, and where its words stand when no signal reads there.

    Args:
        raw: the whole JSON of an endpoint, in any of the forms.

    Returns:
        Field by field; empty where the answer has none, or is in no known form.
    """
    if not isinstance(raw, dict):
        return {}
    beside = {name: raw[name] for name in _BESIDE if raw.get(name)}
    for results in _prompt_filters(raw):
        beside.setdefault("content_filter_results", results)
    choices = raw.get("choices")
    choice = choices[0] if isinstance(choices, list) and choices else None
    if isinstance(choice, dict):
        beside |= {name: choice[name] for name in _BESIDE if choice.get(name)}
        message = choice.get("message")
        if isinstance(message, dict):
            beside |= {name: message[name] for name in _ELSEWHERE if message.get(name)}
    return beside


def _prompt_filters(raw: Mapping[str, Any]) -> Iterator[Any]:
    """Azure's results for the prompt, which stand apart from those of the answer."""
    for name in ("prompt_filter_results", "prompt_annotations"):
        found = raw.get(name)
        for one in found if isinstance(found, list) else ():
            results = one.get("content_filter_results") if isinstance(one, dict) else None
            if isinstance(results, dict) and any(
                isinstance(found, dict) and found.get("filtered") is True for found in results.values()
            ):
                yield results
