"""What is read and not measured: stops for length, and what guardrails reported."""

from __future__ import annotations

import pytest

from schemas.exchange import Answer, Exchange, Guardrail
from schemas.identity import Model
from services.score.scored_text import scored_text
from services.signals.cut_off import CutOff
from services.signals.guardrail_blocked import GuardrailBlocked
from services.signals.guardrail_modified import GuardrailModified
from services.signals.protocol import Measurement, ScoredText
from tests.support.said import said


class TestCutOff:
    @pytest.mark.parametrize(
        "reason",
        [
            "length",
            "max_tokens",
            "MAX_TOKENS",
            "FinishReason.MAX_TOKENS",
            "max_output_tokens",
            "model_length",
            "token_limit",
            "model_context_window_exceeded",
        ],
    )
    def test_a_stop_at_a_limit_is_one(self, reason: str) -> None:
        assert CutOff().measure(said("It is", finish_reason=reason)).value is True

    @pytest.mark.parametrize(
        "beside",
        [
            {"stop_reason": "max_tokens"},
            {"stopReason": "max_tokens"},
            {"done_reason": "length"},
            {"finish_reason": "stop", "native_finish_reason": "MAX_TOKENS"},
            {"incomplete_details": {"reason": "max_output_tokens"}},
        ],
    )
    def test_what_vendors_put_beside_it_counts(self, beside: dict) -> None:
        assert CutOff().measure(said("It is", **beside)).value is True

    @pytest.mark.parametrize("reason", ["stop", "end_turn", "tool_calls", "content_filter", "SAFETY", "COMPLETE"])
    def test_any_other_stop_is_none(self, reason: str) -> None:
        assert CutOff().measure(said("It is so.", finish_reason=reason)).value is False

    def test_without_a_reason_nothing_is_known(self) -> None:
        assert CutOff().measure(said("It is")) == Measurement(None, reason="no_stop_reason")


def reported(**outcomes: str) -> ScoredText:
    rails = tuple(Guardrail(name=name, outcome=outcome) for name, outcome in outcomes.items())
    answer = Answer(content="Hello!")
    return scored_text(
        Exchange(route="t/r", model=Model(requested="m"), prompt="Hi", response=answer, guardrails=rails)
    )


class TestGuardrails:
    def test_each_is_said_of_its_own(self) -> None:
        text = reported(pii="modified", jailbreak="pass", topic="blocked")
        blocked = {"pii": False, "jailbreak": False, "topic": True}
        modified = {"pii": True, "jailbreak": False, "topic": False}
        assert GuardrailBlocked().measure(text) == Measurement(True, parts=blocked)
        assert GuardrailModified().measure(text) == Measurement(True, parts=modified)

    def test_what_passed_is_false(self) -> None:
        assert GuardrailBlocked().measure(reported(pii="pass")) == Measurement(False, parts={"pii": False})
        assert GuardrailModified().measure(reported(pii="blocked")).value is False

    @pytest.mark.parametrize("signal", [GuardrailBlocked(), GuardrailModified()])
    def test_where_none_reported_nothing_is_known(self, signal) -> None:
        assert signal.measure(reported()) == Measurement(None, reason="no_guardrail")
        assert signal.spec.dimension == "guardrail"

    def test_fifty_guardrails_are_bounded_and_the_value_counts_all(self) -> None:
        text = reported(**{f"rail_{n}": "pass" for n in range(50)}, last="blocked")
        measured = GuardrailBlocked().measure(text)
        assert measured.value is True
        assert len(measured.parts) == 16
        assert measured.parts["last"] is True
