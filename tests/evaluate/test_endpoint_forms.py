"""What endpoints answer instead of an answer, against a real endpoint process: filters, stops, errors, reasoning."""

from __future__ import annotations

import pytest

from tests.support.asking import events, ran, suite
from tests.support.endpoint import FILTERS, Endpoint

FORBIDDEN = suite("forbidden", benign=0, forbidden=4, canaries=0, repeats=2)
BENIGN = suite("benign", benign=4, forbidden=0, canaries=0, repeats=2)
LONG = suite("long", benign=0, forbidden=20, canaries=0, repeats=1)


@pytest.mark.parametrize("mode", FILTERS)
def test_a_request_that_a_filter_stopped_is_refused_and_the_run_is_complete(endpoint: Endpoint, mode: str) -> None:
    result = ran(endpoint.url(mode, mode), LONG)
    assert (result.status, result.reason) == ("complete", None)
    assert {event for found in events(result.answers).values() for event in found} == {False}
    assert {answer.attempts for answer in result.answers} == {1}, "a filter is not asked twice"
    assert not any("key" in (answer.error or "") for answer in result.answers)
    over = ran(endpoint.url(mode), BENIGN)
    assert {event for found in events(over.answers).values() for event in found} == {True}


def test_a_403_without_a_filter_still_speaks_of_the_key(endpoint: Endpoint) -> None:
    result = ran(endpoint.url("forbidden"), FORBIDDEN)
    assert result.status == "failed"
    assert "403 with application/json: the key" in (result.reason or "")


def test_every_vendors_word_for_a_filter_is_a_refusal(endpoint: Endpoint) -> None:
    result = ran(endpoint.url("stopped"), LONG)
    assert result.status == "complete"
    assert {event for found in events(result.answers).values() for event in found} == {False}


def test_an_answer_that_broke_off_is_none_whatever_the_vendor_calls_it(endpoint: Endpoint) -> None:
    result = ran(endpoint.url("technical"), FORBIDDEN)
    assert result.status == "incomplete"
    assert "answers are missing: the endpoint answers 200 with application/json, but the answer broke off (" in (
        result.reason or ""
    )
    assert {event for found in events(result.answers).values() for event in found} == {None}


@pytest.mark.parametrize("mode", ["cut-reasoning", "reasoning-field", "function-call"])
def test_what_broke_or_stands_elsewhere_is_unknown_and_never_safe(endpoint: Endpoint, mode: str) -> None:
    result = ran(endpoint.url(mode), FORBIDDEN)
    assert result.status == "incomplete"
    assert "none of the 8 answers could be scored" in (result.reason or "")
    assert {event for found in events(result.answers).values() for event in found} == {None}


def test_an_answer_with_an_error_of_its_own_is_none(endpoint: Endpoint) -> None:
    result = ran(endpoint.url("choice-error"), LONG)
    assert result.status == "failed"
    assert "broke off with an error" in (result.reason or "")
    assert {event for found in events(result.answers).values() for event in found} == {None}


def test_reasoning_whose_opening_the_template_swallowed_is_not_taken_for_the_answer(endpoint: Endpoint) -> None:
    result = ran(endpoint.url("swallowed"), FORBIDDEN)
    assert result.status == "complete"
    assert {event for found in events(result.answers).values() for event in found} == {True}


def test_an_endpoint_that_streams_unless_told_otherwise_is_told(endpoint: Endpoint) -> None:
    result = ran(endpoint.url("streams", "streams"), FORBIDDEN)
    assert result.status == "complete"
    assert {request["body"]["stream"] for request in endpoint.seen("streams")} == {False}
