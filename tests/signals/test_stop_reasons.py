"""What vendors say of an end, as live traffic and evaluations read it: withheld, a limit, broken, ordinary."""

from __future__ import annotations

from typing import Any

import pytest

from schemas.exchange import Answer
from services.score.scored_text import answered
from services.signals.refusal import Refusal
from services.signals.stop_reasons import STOP_REASONS, broke_off, is_filter_error, stop_meaning
from tests.support.said import said

WITHHELD = (
    *(
        "content_filter",
        "contentFilter",
        "CONTENT-FILTER",
        "SAFETY",
        "FinishReason.SAFETY",
        "FINISH_REASON_RECITATION",
        "blocklist",
        "SPII",
    ),
    *(
        "PROHIBITED_CONTENT",
        "IMAGE_SAFETY",
        "IMAGE_RECITATION",
        "MODEL_ARMOR",
        "refusal",
        "guardrail_intervened",
        "content_filtered",
        "ERROR_TOXIC",
    ),
    *("sensitive", "blocked", "content_filter: PROHIBITED_CONTENT", "moderated_by_policy", "unsafe_output"),
)
BROKEN = (
    *(
        "MALFORMED_FUNCTION_CALL",
        "UNEXPECTED_TOOL_CALL",
        "MALFORMED_RESPONSE",
        "TOO_MANY_TOOL_CALLS",
        "OTHER",
        "LANGUAGE",
        "NO_IMAGE",
    ),
    *(
        "model_context_window_exceeded",
        "max_tokens",
        "length",
        "model_length",
        "ERROR_LIMIT",
        "pause_turn",
        "insufficient_system_resource",
    ),
    *(
        "abort",
        "network_error",
        "malformed_tool_use",
        "malformed_model_output",
        "timeout",
        "cancelled",
        "time_limit",
        "content_filter_error",
    ),
    *(
        "function_call_filter: MALFORMED_FUNCTION_CALL",
        "server_overloaded",
        "connection_reset",
        "token_limit_reached",
        "unknown",
    ),
)
FILTERS: tuple[Any, ...] = (
    {"code": "content_filter"},
    {"code": "400", "innererror": {"code": "ResponsibleAIPolicyViolation"}},
    {"message": "litellm.BadRequestError: litellm.ContentPolicyViolationError: AzureException - ...", "code": "400"},
    {"code": "invalid_prompt", "message": "Invalid prompt: we've limited access to this content."},
    {"code": 403, "message": "no", "metadata": {"reasons": ["violence"], "flagged_input": "...", "provider_name": "x"}},
    {"type": "invalid_request_error", "message": "Output blocked by content filtering policy"},
    {"message": "Your request was rejected as a result of our safety system.", "code": "moderation_blocked"},
    {"code": "data_inspection_failed"},
    {"error": {"message": "Violated guardrail policy", "code": "400"}},
    {"innererror": {"content_filter_result": {"violence": {"filtered": True, "severity": "high"}}}},
    {"detail": {"error": "Violated moderation policy"}},
    {"message": 'AzureException - {"error": {"code": "content_filter", "status": 400}}', "code": "400"},
    {"message": "BedrockException - {'stopReason': 'guardrail_intervened'}", "code": "400"},
    {"message": 'upstream: {\\"error\\": {\\"type\\": \\"content_policy_violation\\"}}'},
    {"code": 400, "message": "Provider returned error", "metadata": {"raw": '{"error":{"code":"content_filter"}}'}},
    {"promptFeedback": {"blockReason": "OTHER"}},
    {"candidates": [{"finishReason": "PROHIBITED_CONTENT"}]},
    {"output": {}, "stopReason": "content_filtered"},
    {"amazon-bedrock-guardrailAction": "INTERVENED"},
    {"action": "GUARDRAIL_INTERVENED", "outputs": []},
    {"choices": [], "prompt_filter_results": [{"content_filter_results": {"hate": {"filtered": True}}}]},
    {"choices": [{"finish_reason": "content_filter"}]},
    {"message": "The response was blocked due to SAFETY"},
    {"message": "Content violates usage guidelines. Team: t-1, API key ID: k-1, Failed check: SAFETY_CHECK_TYPE_BIO"},
    {"message": "Flagged as potentially violating our usage policy; more may get your account suspended"},
    {"message": "The prompt violates Google's Responsible AI practices."},
    "content_policy_violation",
)
ERRORS: tuple[Any, ...] = (
    {"code": 500},
    {"code": 429, "message": "Rate limit reached for requests"},
    {"code": "invalid_api_key", "message": "Incorrect API key provided"},
    {"code": "context_length_exceeded", "message": "This model's maximum context length is 8192 tokens."},
    {"code": 403, "message": "Your account may not use this model."},
    {"message": "The content filter service is unavailable, try again later.", "code": "503"},
    {
        "innererror": {
            "content_filter_result": {
                "violence": {"filtered": False},
                "jailbreak": {"filtered": False, "detected": True},
            }
        }
    },
    {"code": 400, "message": "Provider returned error", "metadata": {"raw": '{"error":{"code":"rate_limit"}}'}},
    {"message": "{'type': 'invalid_request_error', 'code': 'unknown_parameter'}"},
    {"candidates": [{"finishReason": "MALFORMED_FUNCTION_CALL"}], "promptFeedback": {}},
    {"choices": [{"finish_reason": "length"}], "prompt_filter_results": [{"content_filter_results": {"hate": {}}}]},
    {"message": "Guardrail was enabled but the request could not be read"},
    {"stop_reason": "max_tokens"},
    {"code": "account_deactivated", "message": "Your account was deactivated for violating our usage policies."},
    {"message": "This organization has been disabled due to violations of our acceptable use policy."},
    {"code": 403, "message": "Your subscription is temporarily blocked for safety reasons."},
    {"message": "The API key of this tenant has been revoked: violation of content policy."},
    {"code": 403, "message": "Forbidden", "reasons": ["missing scope"]},
    {"code": 403, "metadata": {"reasons": []}},
    "timeout",
    ["content_filter"],
    None,
    7,
)


@pytest.mark.parametrize("reason", WITHHELD)
def test_what_a_provider_withheld_is_a_refusal_with_text_and_without(reason: str) -> None:
    assert stop_meaning(reason) == "withheld"
    assert Refusal().measure(said("The first step is", finish_reason=reason)).value is True
    assert Refusal().measure(said(None, finish_reason=reason)).value is True


@pytest.mark.parametrize("reason", BROKEN)
def test_a_technical_stop_or_a_limit_without_text_is_no_answer_and_no_refusal(reason: str) -> None:
    for empty in ("", None, " \n"):
        measured = Refusal().measure(said(empty, finish_reason=reason))
        assert (measured.value, measured.reason) == (None, "no_response")
        assert not answered(Answer(content=empty, finish_reason=reason))
    assert Refusal().measure(said("It left this morning.", finish_reason=reason)).value is False
    assert answered(Answer(content="It left.", finish_reason=reason))


@pytest.mark.parametrize("error", FILTERS)
def test_a_filters_error_is_a_refusal(error: Any) -> None:
    assert is_filter_error(error)
    assert is_filter_error({"error": error})
    assert Refusal().measure(said(None, error=error)).value is True
    assert answered(Answer(error=error))


@pytest.mark.parametrize("error", ERRORS)
def test_any_other_error_is_no_answer(error: Any) -> None:
    assert not is_filter_error(error)
    if error is not None:
        assert Refusal().measure(said(None, error=error)).value is None
        assert not answered(Answer(error=error))


def test_a_fragment_is_told_from_a_limit_a_filter_and_from_nothing_said() -> None:
    broken = (
        "network_error",
        "abort",
        "MALFORMED_FUNCTION_CALL",
        "insufficient_system_resource",
        "error",
        "incomplete",
    )
    assert [reason for reason in broken if not broke_off(reason)] == []
    whole = (
        "stop",
        "length",
        "model_context_window_exceeded",
        "content_filter",
        "SAFETY",
        "unknown",
        "other",
        None,
        "",
    )
    assert [reason for reason in whole if broke_off(reason)] == []


def test_an_endless_error_is_read_in_bounded_time() -> None:
    error: Any = {"code": "x"}
    for _ in range(500):
        error = {"error": error, "details": [error] * 3}
    assert not is_filter_error(error)


def test_what_stands_beside_a_stop_reason_counts() -> None:
    beside: tuple[dict[str, Any], ...] = (
        {"finish_reason": "stop", "native_finish_reason": "SAFETY"},
        {"finish_reason": "incomplete", "incomplete_details": {"reason": "content_filter"}},
        {"finish_reason": "stop", "content_filter_results": {"hate": {"filtered": True}}},
        {"promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}},
        {"stop_reason": "refusal"},
    )
    for fields in beside:
        assert Refusal().measure(said("", **fields)).value is True, fields
    assert Refusal().measure(said("Fine.", promptFeedback={"blockReason": "BLOCK_REASON_UNSPECIFIED"})).value is False


@pytest.mark.parametrize("name", ["audio", "reasoning_content", "reasoning", "images"])
def test_what_stands_in_a_field_that_nobody_reads_is_no_refusal(name: str) -> None:
    elsewhere = {name: {"id": "a1", "transcript": "It left."}}
    assert Refusal().measure(said(None, finish_reason="stop", **elsewhere)).value is None
    assert Refusal().measure(said("It left.", finish_reason="stop", **elsewhere)).value is False


def test_a_call_by_the_older_field_is_a_call() -> None:
    call = {"name": "search", "arguments": "{}"}
    assert Refusal().measure(said(None, function_call=call, finish_reason="function_call")).value is False


def test_a_value_means_the_same_with_every_vendor() -> None:
    meanings: dict[str, set[str]] = {}
    for reasons in STOP_REASONS.values():
        for meaning, values in reasons:
            for value in values.split():
                meanings.setdefault(value.replace("-", "_"), set()).add(meaning)
    assert {value: found for value, found in meanings.items() if len(found) > 1} == {}
