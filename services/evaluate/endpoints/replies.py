"""What came back over HTTP: an answer, or why there is none, with status and content type in words. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final

from services.evaluate.endpoints.blotting import blotted
from services.evaluate.endpoints.event_stream import is_event_stream, read_events
from services.evaluate.endpoints.protocol import MANY, ApiForm, EndpointAnswer, EndpointFault, StreamEnded
from services.evaluate.endpoints.stop_fields import beside_stop
from services.outbound import HttpReply, Unanswered
from services.signals.stop_reasons import broke_off, is_filter_error
from services.strict_json import read_json
from services.wording import runs

_AGAIN: Final = frozenset({408, 409, 425, 429})
_SPENT: Final = frozenset({"insufficient_quota", "billing_hard_limit_reached", "billing_not_active"})
"""Codes of a 429 that no waiting helps."""
_SECONDS: Final = re.compile(r"\d{1,9}(?:\.\d{0,9})?", re.ASCII)
_CODE: Final = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{2,60}", re.ASCII)
_PARAMETER: Final = re.compile(r"[A-Za-z][A-Za-z0-9_.\[\]-]{1,60}", re.ASCII)
_OTHER_SHAPE: Final = (KeyError, IndexError, TypeError, AttributeError, ValueError)
_LONGEST_TEXT: Final = 512 * 1024


def fault_of(error: Unanswered) -> EndpointFault:
    """What came back when nothing did: a request that timed out is repeated once, for a hang costs most."""
    tries = {"oversized": 1, "redirect": 1, "timeout": 2}
    return EndpointFault(str(error), tries.get(error.trouble, MANY))


def parse_reply(
    form: ApiForm, reply: HttpReply, now: datetime, secrets: Collection[str] = ()
) -> EndpointAnswer | EndpointFault:
    """What the endpoint answered; `secrets` are blotted out wherever the answer repeats them."""
    raw, fault = _body(form, reply)
    raw = blotted(raw, secrets)
    if reply.status != 200:
        return _refused(reply, raw, now)
    return fault or _in_form(form, raw, reply.told)


def _body(form: ApiForm, reply: HttpReply) -> tuple[Any, EndpointFault | None]:
    """The JSON of a reply, an event stream joined; None, and why."""
    text = reply.body.decode("utf-8", "replace")
    if is_event_stream(reply.content_type, text):
        try:
            return form.joined(*read_events(text)), None
        except StreamEnded:
            return None, EndpointFault(runs.stream_ended(reply.told), MANY)
        except _OTHER_SHAPE:
            return None, EndpointFault(runs.no_known_stream(reply.told, form.api.title), MANY)
    try:
        return read_json(text.removeprefix("\ufeff")), None
    except ValueError:
        return None, EndpointFault(runs.no_json(reply.told), MANY)


def _refused(reply: HttpReply, raw: Any, now: datetime) -> EndpointFault:
    """What an answer of another status than 200 means: a filter's is final, one that may pass is asked again."""
    raw = raw[0] if isinstance(raw, list) and len(raw) == 1 else raw  # as Google sends errors
    if is_filter_error(raw):
        return EndpointFault(runs.filtered_with(reply.told), raw=raw)
    code = _code_of(raw)
    passes = (reply.status in _AGAIN or reply.status >= 500) and (code or "").partition(":")[0] not in _SPENT
    tries = MANY if passes else 1
    return EndpointFault(runs.answers_with(reply.status, reply.told, code), tries, _after(reply.headers, raw, now), raw)


def _in_form(form: ApiForm, raw: Any, told: str) -> EndpointAnswer | EndpointFault:
    """The answer of a status 200; an error in its place, a fragment and another API's form are none."""
    if (error := _error(form, raw)) is not None:
        return _broken(error, raw, told)
    try:
        answer = form.answer(raw)
    except _OTHER_SHAPE:
        if is_filter_error(raw):
            return EndpointFault(runs.filtered_with(told), raw=raw)
        return EndpointFault(runs.other_form(told, form.api.title, _form_of(raw)), MANY, raw=raw)
    return _unusable(answer, told) or answer


def _unusable(answer: EndpointAnswer, told: str) -> EndpointFault | None:
    """Why an answer of the right form is none: a fragment, nothing at all, or without end."""
    raw, beside = answer.raw, beside_stop(answer.raw)
    if broke_off(answer.finish_reason) and not is_filter_error(beside):
        return EndpointFault(runs.broke_off_by(told, answer.finish_reason or ""), MANY, raw=raw)
    if not (answer.text or answer.refusal or answer.tool_calls or answer.finish_reason or beside):
        return EndpointFault(runs.says_nothing(told), MANY, raw=raw)
    return EndpointFault(runs.too_long(told, _LONGEST_TEXT)) if len(answer.text or "") > _LONGEST_TEXT else None


def _error(form: ApiForm, raw: Any) -> Any:
    try:
        return form.error(raw)
    except _OTHER_SHAPE:
        return None


def _broken(error: Any, raw: Any, told: str) -> EndpointFault:
    """What an error within an answer of status 200 means: a filter's is final, any other may pass."""
    if is_filter_error(error):
        return EndpointFault(runs.filtered_with(told), raw=raw)
    return EndpointFault(runs.broke_off(told, _code_of({"error": error})), MANY, raw=raw)


def _code_of(raw: Any) -> str | None:
    """The code by which the endpoint names its error, and the field that it names; its sentences may repeat texts."""
    inner = raw.get("error", raw) if isinstance(raw, dict) else None
    found = inner if isinstance(inner, dict) else {"code": inner}
    codes = (found.get(name) for name in ("code", "type", "status", "__type"))
    code = next((code for code in codes if isinstance(code, str) and _CODE.fullmatch(code)), None)
    param = found.get("param")
    named = isinstance(param, str) and _PARAMETER.fullmatch(param) is not None
    return f"{code}: {param}" if code and named else code


_KEYS: Final[tuple[tuple[str, tuple[str, ...]], ...]] = (
    ("OpenAI Chat Completions", ("choices",)),
    ("Anthropic Messages", ("content", "stop_reason")),
    ("Gemini's own API", ("candidates",)),
    ("Bedrock's Converse", ("output", "stopReason")),
    ("DashScope's own API", ("output", "request_id")),
    ("OpenAI Responses", ("output", "status")),
    ("Ollama's own API", ("message", "done")),
    ("text generation", ("generated_text",)),
)
"""API -> fields that its answers have."""


def _form_of(raw: Any) -> str | None:
    """Which other API an answer looks like one of."""
    one = raw[0] if isinstance(raw, list) and raw else raw
    if not isinstance(one, dict):
        return None
    return next((title for title, names in _KEYS if all(name in one for name in names)), None)


def _after(headers: Mapping[str, str], raw: Any, now: datetime) -> float:
    """Seconds that the endpoint wants to be left alone: of its headers, else of Google's RetryInfo; 0 for nonsense."""
    if _SECONDS.fullmatch(exact := headers.get("retry-after-ms", "")):
        return float(exact) / 1000
    header = headers.get("retry-after", "").strip()
    return _retry_after(header, now) if header else _retry_info(raw)


def _retry_after(header: str, now: datetime) -> float:
    """Seconds of a Retry-After header, which may be a date."""
    if header.isascii() and header.isdigit():
        return float(header[:9])
    if _SECONDS.fullmatch(header):
        return float(header)
    try:
        date = parsedate_to_datetime(header)
    except (ValueError, TypeError, IndexError):
        return 0.0
    return max((date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp() - now.timestamp(), 0.0)


def _retry_info(raw: Any) -> float:
    """Seconds of `retryDelay` among the details of an error, such as `17s`."""
    error = raw.get("error") if isinstance(raw, dict) else None
    details = error.get("details") if isinstance(error, dict) else None
    for detail in details if isinstance(details, list) else ():
        delay = detail.get("retryDelay") if isinstance(detail, dict) else None
        if isinstance(delay, str) and delay.endswith("s") and _SECONDS.fullmatch(delay[:-1]):
            return float(delay[:-1])
    return 0.0
