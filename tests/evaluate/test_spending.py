"""What a run costs: counted by what endpoints say, planned from texts and earlier runs, never more than allowed."""

from __future__ import annotations

from dataclasses import replace

import pytest

from services.evaluate.client import BudgetSpent, RunLimits
from services.evaluate.result import SentMessage, UsedTokens
from services.evaluate.spending import AnswerCosts, SpendingMeter, plan_of
from services.evaluate.token_usage import Spent, Tokens, used
from services.monitor import SpendingLimit, TokenPrices
from tests.support.results import answer, result, suite_of

SUITE = suite_of(harmful=10, benign=10, canaries=0)
PRICES = TokenPrices(2.0, 8.0)
SENT = (SentMessage(role="user", content="x" * 40),)


@pytest.mark.parametrize(
    ("fields", "tokens"),
    [
        ({"raw": {"usage": {"prompt_tokens": 12, "completion_tokens": 7}}}, Tokens(12, 7)),
        ({"raw": {"usage": {"input_tokens": 12, "output_tokens": 7}}}, Tokens(12, 7)),
        ({"raw": {"usageMetadata": {"promptTokenCount": 12, "candidatesTokenCount": 7}}}, Tokens(12, 7)),
        ({"raw": {"usage": {"prompt_tokens": True, "completion_tokens": -1}}, "text": "y" * 8}, Tokens(14, 2)),
        ({"raw": {"usage": {"prompt_tokens": 10**400, "completion_tokens": 3}}}, Tokens(14, 3)),
        ({"raw": {"usage": "much"}, "text": "y" * 9}, Tokens(14, 3)),
        ({"raw": {"usage": {"promptTokenCount": 9, "candidatesTokenCount": 3, "totalTokenCount": 40}}}, Tokens(9, 31)),
        ({"raw": {"usage": {"input_tokens": 3, "cache_read_input_tokens": 900, "output_tokens": 1}}}, Tokens(903, 1)),
        ({"raw": {"usage": {"prompt_tokens": 903, "cache_read_input_tokens": 900}}, "text": ""}, Tokens(903, 0)),
        ({"raw": None, "text": None, "error": "no answer within 60 s"}, Tokens(14, 0)),
        ({"raw": {"usage": {"prompt_tokens": 9}}, "before": UsedTokens(sent=30, came=4), "text": "y"}, Tokens(39, 5)),
        ({"raw": {"error": {}}, "text": None, "error": "answers 500", "http_status": 500}, Tokens(0, 0)),
    ],
)
def test_an_answer_costs_what_its_endpoint_says_else_what_its_text_is(fields, tokens: Tokens) -> None:
    assert used(answer("harmful-0", messages=SENT, **fields)) == tokens


def test_a_plan_says_what_is_known_and_no_more() -> None:
    nothing = plan_of(SUITE, AnswerCosts.of(None, {}), SpendingLimit(), PRICES)
    assert (nothing.questions, nothing.came, nothing.cost, nothing.basis) == (20, None, None, None)
    most = plan_of(SUITE, AnswerCosts.of(None, {"max_tokens": 50}), SpendingLimit(), PRICES)
    assert (most.came, most.basis) == (1000, "max_tokens")
    assert most.cost == pytest.approx((most.sent * 2 + 1000 * 8) / 1e6)
    assert most.sent == nothing.sent
    assert plan_of(SUITE, AnswerCosts.of("a long prompt" * 9, {}), SpendingLimit(), None).sent > nothing.sent


def test_requests_that_brought_nothing_cost_and_say_nothing_of_what_one_takes() -> None:
    usage = {"usage": {"prompt_tokens": 30, "completion_tokens": 90}}
    tried = {"attempts": 3, "before": UsedTokens(sent=60, came=70)}
    earlier = result(SUITE, answers=tuple(answer(item.id, raw=usage, **tried) for item in SUITE.items))
    assert Spent.by(earlier.answers) == Spent(60, Tokens(20 * 90, 20 * 160))
    plan = plan_of(SUITE, AnswerCosts.of(None, {}, earlier), SpendingLimit(), None)
    assert (plan.sent, plan.came) == (600, 1800)


def test_an_earlier_run_says_how_long_answers_are_also_to_items_that_it_did_not_ask() -> None:
    usage = {"usage": {"prompt_tokens": 30, "completion_tokens": 90}}
    earlier = result(SUITE, answers=tuple(answer(item.id, raw=usage) for item in SUITE.items))
    plan = plan_of(SUITE, AnswerCosts.of(None, {"max_tokens": 500}, earlier), SpendingLimit(), PRICES)
    assert (plan.sent, plan.came, plan.basis) == (600, 1800, "earlier run")
    larger = suite_of(harmful=20, benign=10, canaries=0)
    assert plan_of(larger, AnswerCosts.of(None, {}, earlier), SpendingLimit(), None).came == 2700
    assert plan_of(SUITE, AnswerCosts.of(None, {"max_tokens": 40}, earlier), SpendingLimit(), None).came == 800


@pytest.mark.parametrize(
    ("limit", "affordable"),
    [
        (SpendingLimit(), None),
        (SpendingLimit(requests=7), 7),
        (SpendingLimit(tokens=20 * 130), None),
        (SpendingLimit(tokens=1000), 8),
        (SpendingLimit(cost=0.0009), 1),
    ],
)
def test_a_plan_says_where_the_budget_ends_the_run(limit: SpendingLimit, affordable: int | None) -> None:
    usage = {"usage": {"prompt_tokens": 30, "completion_tokens": 90}}
    earlier = result(SUITE, answers=tuple(answer(item.id, raw=usage) for item in SUITE.items))
    assert plan_of(SUITE, AnswerCosts.of(None, {}, earlier), limit, PRICES).affordable == affordable


def test_a_slow_target_moves_the_end_of_a_run_and_nothing_else() -> None:
    usual = plan_of(SUITE, AnswerCosts.of(None, {}), SpendingLimit(), None)
    slow = plan_of(SUITE, AnswerCosts.of(None, {}), SpendingLimit(), None, answer_seconds=600)
    assert usual.most_seconds is not None
    assert slow == replace(usual, most_seconds=10 * usual.most_seconds)
    assert plan_of(SUITE, AnswerCosts.of(None, {}), SpendingLimit(), None, answer_seconds=5) == usual


def test_what_is_under_way_counts_until_its_answer_is_there() -> None:
    meter = SpendingMeter(SpendingLimit(tokens=130), None, AnswerCosts.of(None, {"max_tokens": 50}))
    item = SUITE.items[0]
    first, second = meter.take(item), meter.take(item)
    assert first is not None
    assert second is not None
    assert meter.take(item) is None, "it may fit once it is known what those under way came to"
    meter.settle(first, answer(item.id, raw={"usage": {"prompt_tokens": 5, "completion_tokens": 1}}))
    assert meter.take(item) == second
    meter.settle(second, None)
    assert meter.spent == Tokens(5, 1)
    meter.taken_over(Spent.by([answer(item.id, raw={"usage": {"prompt_tokens": 99, "completion_tokens": 1}})]))
    with pytest.raises(BudgetSpent, match="130 tokens"):
        meter.take(item)


def test_a_large_suite_may_take_more_than_a_small_one_and_a_plan_says_how_much() -> None:
    small, large = suite_of(harmful=100), suite_of(harmful=2_000, benign=0, canaries=0)
    expected = AnswerCosts.of(None, {"max_tokens": 4_000})
    plans = [plan_of(suite, expected, SpendingLimit(), None) for suite in (small, large)]
    assert [(one.most_requests, one.most_tokens, one.most_seconds) for one in plans] == [
        (5_000, 2_000_000, 1_800.0),
        (16_000, 16_000_000, 24_000.0),
    ]
    assert [one.affordable for one in plans] == [None, None]
    own = plan_of(large, expected, SpendingLimit(tokens=1_000_000, requests=9), None)
    assert (own.most_requests, own.most_tokens, own.affordable) == (9, 1_000_000, 9)
    assert RunLimits(seconds=1.0, tokens=5).of(2_000) == RunLimits(seconds=1.0, requests=16_000, tokens=5)
