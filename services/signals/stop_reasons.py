"""Why a provider says that an answer ended: one table for live traffic and for evaluations. Pure.

A new value is a line of `STOP_REASONS` or `FILTER_ERRORS`, with its vendor, source and date. Values are compared
without case, punctuation and prefixes, so that `contentFilter`, `CONTENT_FILTER` and `content-filter` are one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any, Final, Literal

from schemas.exchange import Answer

Meaning = Literal["withheld", "length", "technical", "ordinary"]
"""`withheld`: the provider or its filter keeps the answer back. `length`: a limit was reached. `technical`: something
broke, or the model must go on elsewhere. `ordinary`: the answer is whole, as far as the provider knows."""

STOP_REASONS: Final[Mapping[str, tuple[tuple[Meaning, str], ...]]] = {
    # platform.openai.com/docs/api-reference: chat `finish_reason`, responses `incomplete_details.reason`; 2026-11
    "OpenAI": (
        ("ordinary", "stop tool_calls function_call completed"),
        ("length", "length max_output_tokens max_completion_tokens"),
        ("withheld", "content_filter"),
        ("technical", "failed cancelled incomplete"),
    ),
    # learn.microsoft.com/azure/ai-services/openai/concepts/content-filter; 2026-11
    "Azure OpenAI": (("withheld", "content_filter"), ("technical", "content_filter_error")),
    # docs.anthropic.com/en/api/handling-stop-reasons; 2026-11
    "Anthropic": (
        ("ordinary", "end_turn stop_sequence tool_use"),
        ("length", "max_tokens model_context_window_exceeded"),
        ("withheld", "refusal"),
        ("technical", "pause_turn compaction"),
    ),
    # ai.google.dev/api/generate-content and googleapis.github.io/js-genai: FinishReason, BlockedReason; 2026-11
    "Gemini and Vertex AI": (
        ("ordinary", "stop"),
        ("length", "max_tokens"),
        ("withheld", "safety recitation blocklist prohibited_content spii image_safety image_prohibited_content"),
        ("withheld", "image_recitation model_armor jailbreak"),
        ("technical", "malformed_function_call unexpected_tool_call too_many_tool_calls malformed_response"),
        ("technical", "missing_thought_signature language other image_other no_image finish_reason_unspecified"),
    ),
    # docs.aws.amazon.com/bedrock/latest/APIReference: Converse `stopReason`, InvokeModel of Titan; 2026-11
    "Amazon Bedrock": (
        ("ordinary", "end_turn tool_use stop_sequence finish"),
        ("length", "max_tokens model_context_window_exceeded length"),
        ("withheld", "guardrail_intervened content_filtered"),
        ("technical", "malformed_model_output malformed_tool_use rag_query_when_rag_disabled"),
    ),
    # docs.cohere.com/reference/chat (v1 and v2); 2026-11
    "Cohere": (
        ("ordinary", "complete stop_sequence tool_call"),
        ("length", "max_tokens error_limit"),
        ("withheld", "error_toxic"),
        ("technical", "error timeout user_cancel"),
    ),
    # docs.mistral.ai/api; 2026-11
    "Mistral": (("ordinary", "stop tool_calls"), ("length", "length model_length"), ("technical", "error")),
    # api-docs.deepseek.com/api/create-chat-completion; 2026-11
    "DeepSeek": (("withheld", "content_filter"), ("technical", "insufficient_system_resource")),
    # docs.bigmodel.cn and docs.z.ai: finish_reason of chat completions; 2026-11
    "Zhipu": (("withheld", "sensitive"), ("length", "model_context_window_exceeded"), ("technical", "network_error")),
    # IBM watsonx.ai: stop_reason of text generation; 2026-11
    "watsonx": (
        ("ordinary", "eos_token stop_sequence"),
        ("length", "max_tokens token_limit"),
        ("technical", "not_finished cancelled time_limit error"),
    ),
    # docs.vllm.ai, docs.sglang.ai, huggingface.co/docs/text-generation-inference, github.com/ollama/ollama; 2026-11
    "servers of open models": (
        ("ordinary", "stop eos eos_token stop_sequence tool_calls stop_str stop_token"),
        ("length", "length context_length"),
        ("technical", "abort aborted load unload connection_closed preempted"),
    ),
    # docs.litellm.ai, openrouter.ai/docs/errors, sdk.vercel.ai (FinishReason), LangChain; 2026-11
    "gateways": (
        ("ordinary", "stop tool_calls done"),
        ("withheld", "content-filter content_filtered blocked moderation flagged"),
        ("technical", "error other unknown function_call_filter"),
    ),
}

FILTER_ERRORS: Final[Mapping[str, str]] = {
    # Codes and types in the body of an error, by vendor; sources as above and the vendors' pages of errors; 2026-11
    "OpenAI": "content_filter content_policy_violation invalid_prompt moderation_blocked cyber_policy_violation",
    "Azure OpenAI": "content_filter responsibleaipolicyviolation jailbreak contentfilter",
    "Gemini and Vertex AI": "safety prohibited_content blocklist recitation spii model_armor",
    "Amazon Bedrock": "guardrail_intervened content_filtered",
    "Cohere": "error_toxic",
    "LiteLLM": "contentpolicyviolationerror content_policy_violation_error guardrailraisedexception",
    "OpenRouter": "content_policy_violation refusal flagged_input",
    "Moonshot": "content_filter",
    "DashScope": "data_inspection_failed datainspectionfailed",
    "Volcengine": "sensitivecontentdetected inputtextsensitivecontentdetected outputtextsensitivecontentdetected",
    "Zhipu": "1301",
    "xAI": "safety_check_failed",
}
_FILTER_MESSAGE: Final = re.compile(
    r"content ?policy ?violation|responsibleaipolicyviolation|content management policy"
    r"|(?:rejected|blocked|flagged|stopped|filtered) (?:as a result of|by|due to) (?:\w{1,20} ){0,4}"
    r"(?:safety system|content[ _-]filter|guardrail|moderation|safety (?:filter|setting|polic))"
    r"|flagged (?:as|for) (?:potentially )?(?:violat|harm|unsafe|sexual|violen|hate|harass|self|illicit)"
    r"|(?:input|prompt|content|request|message|output)s? (?:was|were|is|has been|got) (?:flagged|moderated)"
    r"|requires moderation|moderation policy|violated? (?:the |a )?guardrail|guardrail (?:violation|intervened"
    r"|blocked)"
    r"|violat(?:es?|ed|ing|ion of) (?:\w{1,20}(?:'s)? ){0,3}(?:usage|content|acceptable use|safety)"
    r" (?:polic|guideline|rule|term)"
    r"|content[ _-]filter(?:ing)? (?:polic|was triggered|triggered|blocked|stopped|flagged)"
    r"|trigger\w{0,3} .{0,40}content[ _-]filter"
    r"|output blocked by content|(?:data|input|prompt|output) (?:may )?contains? (?:inappropriate|prohibited"
    r"|sensitive) content"
    r"|(?:rejected|blocked|stopped|filtered|withheld) (?:due to|for|because of) (?:\w{1,20} ){0,2}"
    r"(?:safety|recitation|prohibited|blocklist|spii|jailbreak|responsible ai)"
    r"|violate\w{0,2} (?:\w{1,20}(?:'s)? ){0,3}responsible ai",
    re.IGNORECASE,
)
_CLOSED: Final = re.compile(
    r"\b(?:account|organi[sz]ation|subscription|api[ _-]?key|consumer|tenant|workspace)\b[^.]{0,60}"
    r"\b(?:has|have|was|were|is|are)(?: been)? (?:\w{1,20} ){0,2}"
    r"(?:deactivated|disabled|suspended|terminated|banned|blocked|revoked|closed|locked|restricted)",
    re.IGNORECASE,
)
"""Who asks was shut out, be it for a policy's sake: nothing of the question was looked at, and no model refused it."""
_LONGEST_MESSAGE: Final = 4000
_QUOTED_CODE: Final = re.compile(
    r"""\\{0,3}["'](?:error_?code|code|type|reason|block_?reason|finish_?reason|stop_?reason)\\{0,3}["']\s{0,4}:\s{0,4}"""
    r"""\\{0,3}["']([\w.:-]{1,60})\\{0,3}["']""",
    re.IGNORECASE,
)
"""A code within a message: gateways put the error of a vendor into theirs as text, JSON or Python's."""
_MOST_CODES: Final = 16
_WITHHOLDING: Final = re.compile(
    r"filter|safety|moderat|polic(?:y|ies)|block|guardrail|refus|sensitive|toxic|prohibit|recit|violat|jailbreak"
    r"|flagged|unsafe|censor|inspection|harm"
)
_LIMITING: Final = re.compile(r"length|max.?tok|token.?limit|limit.?tok|context|max.?output")
_BREAKING: Final = re.compile(
    r"error|fail|time.?out|timelimit|abort|cancel|malform|overload|unavailable|network|interrupt|invalid|exceed|quota"
    r"|resource|disconnect|connection|preempt|internal|unexpected|unknown|unspecified|other|incomplete|limit|pause"
)
_CODE_FIELDS: Final = (
    *("code", "type", "reason", "status", "blockReason", "block_reason", "error_code", "errorCode", "name", "action"),
    "__type",
)
_NESTED_FIELDS: Final = (
    *("error", "errors", "innererror", "inner_error", "metadata", "raw", "provider_specific_fields", "detail"),
    *("details", "body", "promptFeedback", "prompt_feedback", "incomplete_details", "choices", "candidates"),
    *("prompt_filter_results", "prompt_annotations"),
)
_RESULT_FIELDS: Final = ("content_filter_result", "content_filter_results")
_DEEPEST: Final = 8
_MOST_PARTS: Final = 64
_STOP_FIELDS: Final = ("native_finish_reason", "stop_reason", "stopReason", "done_reason")
_ERROR_STOP_FIELDS: Final = ("finish_reason", "finishReason", *_STOP_FIELDS)
_UNSAID: Final = ("other", "unknown", "finish_reason_unspecified", "load", "unload")
"""Technical words that say only that nothing is known: an answer with text may be whole."""


def _key(value: str) -> str:
    """A value without case, punctuation and what enumerations put before it."""
    bare = re.sub(r"[^a-z0-9]", "", value[:80].lower())
    for before in ("finishreason", "stopreason", "blockedreason", "blockreason"):
        if bare.startswith(before) and len(bare) > len(before) and bare != "finishreasonunspecified":
            bare = bare[len(before) :]
    return bare


_MEANINGS: Final[Mapping[str, Meaning]] = {
    _key(value): meaning for reasons in STOP_REASONS.values() for meaning, values in reasons for value in values.split()
}
_SAYS_NOTHING: Final = frozenset(_key(value) for value in _UNSAID)
_FILTER_CODES: Final = frozenset(_key(value) for values in FILTER_ERRORS.values() for value in values.split())


def stop_meaning(reason: str | None) -> Meaning:
    """What a stop reason means; one that no vendor of the table has is judged by its words.

    >>> stop_meaning("FinishReason.SAFETY"), stop_meaning("function_call_filter: MALFORMED_FUNCTION_CALL")
    ('withheld', 'technical')
    """
    if not reason or not reason.strip():
        return "ordinary"
    whole = _MEANINGS.get(_key(reason))
    if whole is None and ":" in reason:  # Gemini's OpenAI endpoint: "content_filter: RECITATION"
        whole = _MEANINGS.get(_key(reason.rpartition(":")[2])) or _MEANINGS.get(_key(reason.partition(":")[0]))
    return whole or _by_words(reason[:80].lower())


def _by_words(reason: str) -> Meaning:
    kinds: tuple[tuple[Meaning, re.Pattern[str]], ...] = (
        ("withheld", _WITHHOLDING),
        ("length", _LIMITING),
        ("technical", _BREAKING),
    )
    return next((meaning for meaning, pattern in kinds if pattern.search(reason)), "ordinary")


def broke_off(reason: str | None) -> bool:
    """Whether a stop reason says that what there is of the answer is a fragment: something broke on the way.

    >>> broke_off("network_error"), broke_off("length"), broke_off("unknown"), broke_off("SAFETY")
    (True, False, False, False)
    """
    return stop_meaning(reason) == "technical" and _key(reason or "") not in _SAYS_NOTHING


def is_filter_error(error: Any) -> bool:
    """Whether an error, or the whole body of one, says that a filter stopped the request or the answer.

    Codes and types count, in whatever the gateways wrap them; so do reasons of a moderation, filters that say that
    they filtered, and the sentences of messages that hold no code.

    >>> is_filter_error({"error": {"code": "400", "innererror": {"code": "ResponsibleAIPolicyViolation"}}})
    True
    >>> is_filter_error({"code": 429, "message": "Rate limit reached"})
    False
    """
    return any(_says_filter(part) for part in _parts(error))


def _parts(error: Any) -> Iterator[Any]:
    """The error and what is nested in it, breadth first, as deep and as many as errors have."""
    level, seen = [error] if isinstance(error, (str, Mapping)) else [], 0
    for _ in range(_DEEPEST):
        inner: list[Any] = []
        for part in level:
            seen += 1
            if seen > _MOST_PARTS:
                return
            yield part
            if isinstance(part, Mapping):
                inner += [part[name] for name in _NESTED_FIELDS if part.get(name)]
            elif isinstance(part, (list, tuple)):
                inner += part[:_MOST_PARTS]
        level = inner


def _says_filter(part: Any) -> bool:
    if isinstance(part, str):
        return _key(part) in _FILTER_CODES or _tells_of_filter(part)
    if not isinstance(part, Mapping):
        return False
    codes = [part.get(name) for name in _CODE_FIELDS]
    if any(_key(str(code)) in _FILTER_CODES for code in codes if isinstance(code, (str, int))):
        return True
    if part.get("flagged_input") or _was_moderated(part.get("metadata")):
        return True
    if any(_is_withheld(part.get(name)) for name in _ERROR_STOP_FIELDS) or _was_blocked(part):
        return True
    message = part.get("message")
    return isinstance(message, str) and _tells_of_filter(message)


def _was_moderated(metadata: Any) -> bool:
    """Whether OpenRouter says for which reasons; elsewhere reasons are of any kind, such as a right that is missing."""
    reasons = metadata.get("reasons") if isinstance(metadata, Mapping) else None
    return isinstance(reasons, (list, tuple)) and bool(reasons)


def _is_withheld(reason: Any) -> bool:
    """Whether a stop reason is one that a vendor of the table withholds by; words alone are not enough in an error."""
    return isinstance(reason, str) and _MEANINGS.get(_key(reason)) == "withheld"


def _tells_of_filter(message: str) -> bool:
    """Whether a message says so in a sentence, or holds the code of a filter."""
    read = message[:_LONGEST_MESSAGE]
    if _CLOSED.search(read) is not None:
        return False
    codes = islice(_QUOTED_CODE.finditer(read), _MOST_CODES)
    return _FILTER_MESSAGE.search(read) is not None or any(_key(code[1]) in _FILTER_CODES for code in codes)


def _has_filtered(results: Any) -> bool:
    """Whether one of Azure's filters says that it filtered; `detected` alone is a remark."""
    found = list(results.values())[:_MOST_PARTS] if isinstance(results, Mapping) else []
    return any(isinstance(one, Mapping) and one.get("filtered") is True for one in found)


def stop_of(answer: Answer) -> Meaning:
    """Why an answer ended, after its stop reason, an error, and what vendors and gateways put beside them."""
    beside = answer.__pydantic_extra__ or {}
    reasons = [answer.finish_reason, *(beside.get(name) for name in _STOP_FIELDS)]
    details = beside.get("incomplete_details")
    if isinstance(details, Mapping):
        reasons.append(details.get("reason"))
    meanings = {stop_meaning(reason) for reason in reasons if isinstance(reason, str)}
    if "withheld" in meanings or is_filter_error(answer.error) or _was_blocked(beside):
        return "withheld"
    if answer.error:
        return "technical"
    order: tuple[Meaning, ...] = ("technical", "length")
    return next((meaning for meaning in order if meaning in meanings), "ordinary")


def _was_blocked(beside: Mapping[str, Any]) -> bool:
    """Gemini's feedback on the prompt, Azure's results of filters, Bedrock's guardrail."""
    if any(_has_filtered(beside.get(name)) for name in _RESULT_FIELDS):
        return True
    if beside.get("amazon-bedrock-guardrailAction") == "INTERVENED":
        return True
    feedback = beside.get("promptFeedback") or beside.get("prompt_feedback")
    blocked = (feedback.get("blockReason") or feedback.get("block_reason")) if isinstance(feedback, Mapping) else None
    return isinstance(blocked, str) and not blocked.upper().endswith("UNSPECIFIED")


_ELSEWHERE: Final = ("audio", "images", "reasoning_content", "reasoning", "thinking", "thinking_blocks")


def is_elsewhere(answer: Answer) -> bool:
    """Whether what was generated stands where no signal reads: in audio, images, or reasoning alone."""
    beside = answer.__pydantic_extra__ or {}
    parts = isinstance(answer.content, tuple) and len(answer.content) > 0 and not (answer.text or "").strip()
    return parts or any(beside.get(name) for name in (*_ELSEWHERE, "reasoning_details"))


def has_call(answer: Answer) -> bool:
    """Whether the answer calls a tool, in whatever form."""
    return bool(answer.calls)


def says_why(answer: Answer) -> bool:
    """Whether anything says why the answer ended, be it the usual field or one of vendors and gateways."""
    beside = answer.__pydantic_extra__ or {}
    named = (answer.finish_reason, *(beside.get(name) for name in _STOP_FIELDS), beside.get("incomplete_details"))
    return any(named)
