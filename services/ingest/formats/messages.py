"""Messages and answers of foreign programs in the form that `Exchange` has: nothing of them is left out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from services.ingest.formats.fields import Fields, as_text, parsed_or_text
from services.ingest.formats.protocol import Json

_RESULT_NAMES: Final = ("content", "response", "result", "output", "server_tool_call_response")
_RESULTS: Final = frozenset(
    {"tool_call_response", "server_tool_call_response", "tool_result", "tool-result", "function_call_output"}
)
_APIS: Final = frozenset({"choices", "candidates", "output"})
_TEXTS: Final = frozenset({"text", "input_text", "output_text"})
_SYSTEMS: Final = ("system", "instructions", "system_instruction", "systemInstruction")
"""Of a request: where Anthropic, the Responses API and Gemini have what stands before the messages."""


def chat_messages(sent: Any, at: Fields, name: str, remedy: str) -> list[Json]:
    """A text, or a list of `{role, content}`; what is none of these is a fault of the field `name`."""
    if isinstance(sent, str) and sent:
        return [{"role": "user", "content": sent}]
    if sent is None or sent in ([], ""):
        at.fault(name, f"missing; {remedy}")
        return []
    if not isinstance(sent, list):
        at.fault(name, "must be a list of messages {role, content}")
        return []
    found = []
    for i, one in enumerate(sent):
        message = _message(one, at, f"{name}[{i}]", remedy)
        if message is not None:
            found.append(message)
    return found


def _message(sent: Any, at: Fields, where: str, remedy: str) -> Json | None:
    """A message; one of a user without content would be scored as if nothing had been asked."""
    if not isinstance(sent, dict):
        at.fault(where, "must be a message {role, content}")
        return None
    if not isinstance(sent.get("role"), str):
        at.fault(f"{where}.role", "must be text, for example user")
        return None
    if sent["role"] == "user" and sent.get("content") is None:
        at.fault(f"{where}.content", f"missing; {remedy}")
    return {**sent, "content": content_of(sent.get("content"), at, f"{where}.content")}


def _with_parts(sent: Any) -> Any:
    """Gemini's messages have their content under `parts`."""
    if isinstance(sent, dict) and "content" not in sent and isinstance(sent.get("parts"), list):
        return {**{name: item for name, item in sent.items() if name != "parts"}, "content": sent["parts"]}
    return sent


def content_of(sent: Any, at: Fields, where: str) -> Any:
    """A text, None, or parts; a part that is a text becomes one of type `text`."""
    if sent is None or isinstance(sent, str):
        return sent
    parts = [sent] if isinstance(sent, dict) else sent
    if not isinstance(parts, list):
        at.fault(where, "must be text or a list of parts")
        return None
    found = [{"type": "text", "text": part} if isinstance(part, str) else part for part in parts]
    if not all(isinstance(part, dict) for part in found):
        at.fault(where, "must be text or a list of parts, each an object")
        return None
    return [plain_part(part) for part in found]


def is_marker(content: Any, marker: str) -> bool:
    """Whether a text, or one of the parts, is what a product writes in its place: people may write it among others."""
    texts = [part.get("text") for part in content if isinstance(part, dict)] if isinstance(content, list) else [content]
    return marker in texts


def plain_part(part: Json) -> Json:
    """A part with its text, its result or its kind of media where `Exchange` reads them.

    OpenTelemetry has texts under `content`, media as `blob`, `uri` and `file` with a modality, and results under
    `response` or `result`; the AI SDK has results under `result` or `output`.
    """
    kind = str(part.get("type") or "")
    if kind in _TEXTS and "text" not in part and isinstance(part.get("content"), str):
        return {"type": "text", "text": part["content"]}
    if kind in {"blob", "uri", "file"} and isinstance(part.get("modality"), str):
        return {"type": part["modality"]}
    if kind == "server_tool_call":
        return {**part, "type": "tool_call", "arguments": part.get(kind)}
    if kind in _RESULTS:
        result = next((part[name] for name in _RESULT_NAMES if part.get(name) is not None), "")
        parts = isinstance(result, list) and all(isinstance(one, dict) for one in result)
        return {**part, "type": "tool_result", "content": result if parts else as_text(result)}
    return part


def answer_of(message: Any, at: Fields, name: str, finish_reason: Any = None) -> Json:
    """An assistant's message as a response: its fields as they came, without its role."""
    if not isinstance(message, Mapping):
        at.fault(name, "must be an object {role, content}")
        return {}
    found = {key: value for key, value in message.items() if key not in {"role", "annotations"}}
    found["content"] = content_of(message.get("content"), at, f"{name}.content")
    calls = message.get("tool_calls")
    if calls is not None and not isinstance(calls, list):
        at.fault(f"{name}.tool_calls", "must be a list")
        del found["tool_calls"]
    return found | finished(finish_reason, at, name)


def finished(reason: Any, at: Fields, name: str) -> Json:
    """Why the answer ended, as a field of it."""
    if reason is None:
        return {}
    if isinstance(reason, str):
        return {"finish_reason": reason}
    at.fault(f"{name}.finish_reason", "must be text")
    return {}


def any_prompt(sent: Any, at: Fields, name: str, remedy: str) -> list[Json]:
    """What people log as the input of a call: a text, messages, an object that holds them, or any JSON."""
    value = parsed_or_text(sent)
    if isinstance(value, dict):
        inner = next((value[key] for key in ("messages", "input", "prompt", "contents") if value.get(key)), None)
        system = next((value[key] for key in _SYSTEMS if value.get(key)), None)
        if isinstance(system, dict):
            system = system.get("parts", system)
        messages = any_prompt(inner if inner is not None else as_text(value) if value else None, at, name, remedy)
        told = content_of(system, at, f"{name}.system") if system else None
        return [{"role": "system", "content": told}, *messages] if told else messages
    if isinstance(value, list) and not any(isinstance(one, dict) and "role" in one for one in value) and value:
        value = as_text(value)
    if isinstance(value, (bool, int, float)):
        value = as_text(value)
    if isinstance(value, list):
        value = [_with_parts(one) for one in value]
    return chat_messages(value, at, name, remedy)


def any_answer(sent: Any, at: Fields, name: str) -> Json:
    """What people log as the output of a call: a text, a message, messages, a whole response, or any JSON."""
    value = parsed_or_text(sent)
    if isinstance(value, list) and value and isinstance(value[-1], dict) and "role" in value[-1]:
        value = value[-1]
    if isinstance(value, dict):
        choices = value.get("choices")
        if isinstance(choices, list) and choices and isinstance(choices[0], dict):
            return choice_of(choices[0], at, f"{name}.choices[0]")
        if isinstance(value.get("candidates"), list) or "promptFeedback" in value:
            return _of_candidates(value, at, name)
        if value.keys() & {"content", "tool_calls", "refusal", "function_call"}:
            return answer_of(value, at, name, value.get("finish_reason", value.get("stop_reason")))
        return {"content": _of_object(value, at, name)}
    if isinstance(value, list) and value and all(isinstance(one, dict) and _is_part(one) for one in value):
        return {"content": content_of(value, at, name)}
    return {"content": as_text(value)}


def _of_object(value: Json, at: Fields, name: str) -> Any:
    """The content of an object that is no message: its text, the output of the Responses API, or all of it as JSON."""
    text = next((value[key] for key in ("text", "completion", "output") if isinstance(value.get(key), str)), None)
    output = value.get("output")
    if isinstance(output, list) and output and all(isinstance(one, dict) and "type" in one for one in output):
        return _of_output(output, at, f"{name}.output")
    if text is None and value.keys() & _APIS:
        at.fault(name, f"a response of a known form ({', '.join(sorted(value.keys() & _APIS))}) without its answer")
    return as_text(value) if text is None else text


def _of_output(output: list[Json], at: Fields, name: str) -> list[Json]:
    """The Responses API's answer: the parts of its messages, and what stands beside them."""
    found: list[Json] = []
    for one in output:
        parts = content_of(one.get("content"), at, f"{name}.content") if one["type"] == "message" else [one]
        found += [{"type": "text", "text": parts}] if isinstance(parts, str) else parts or []
    return found


def _is_part(one: Json) -> bool:
    return isinstance(one.get("type"), str) and (isinstance(one.get("text"), str) or "tool" in one["type"])


def _of_candidates(value: Json, at: Fields, name: str) -> Json:
    """Gemini's answer: the first candidate, which has no parts where a filter withheld them."""
    candidates = value.get("candidates")
    first = candidates[0] if isinstance(candidates, list) and candidates else None
    if isinstance(first, dict):
        content = first.get("content")
        parts = content.get("parts") if isinstance(content, dict) else None
        reason = first.get("finishReason", first.get("finish_reason"))
        if parts is None and reason is None:
            at.fault(f"{name}.candidates[0]", "must have content.parts or finishReason")
        return {"content": content_of(parts, at, f"{name}.candidates[0].content.parts")} | finished(reason, at, name)
    feedback = value.get("promptFeedback")
    reason = feedback.get("blockReason") if isinstance(feedback, dict) else None
    if reason is None:
        at.fault(f"{name}.candidates", "must have an answer, or promptFeedback.blockReason")
    return {"content": None} | finished(reason, at, name)


def choice_of(choice: Any, at: Fields, name: str) -> Json:
    """One of `choices`: a chat's message, or the text of the older completions."""
    if not isinstance(choice, Mapping):
        at.fault(name, "must be an object {message, finish_reason}")
        return {}
    if isinstance(choice.get("text"), str) and choice.get("message") is None:
        return {"content": choice["text"]} | finished(choice.get("finish_reason"), at, name)
    return answer_of(choice.get("message"), at, f"{name}.message", choice.get("finish_reason"))


def declared_tools(sent: Iterable[Any]) -> list[Any]:
    """Tools as objects; the AI SDK and OpenTelemetry have each as a text of JSON."""
    return [parsed_or_text(one) for one in sent]
