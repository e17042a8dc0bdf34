"""Endpoints that misbehave, each a real server: a run says so in words, and never gives a good profile."""

from __future__ import annotations

import pytest

from schemas.identity import Model
from services.evaluate.client import Patience
from services.evaluate.result import RunResult, to_record
from services.evaluate.runner import RunOrder
from services.outbound import UrlRefused
from tests.support.asking import ROUTE, events, ran, suite
from tests.support.endpoint import Endpoint
from tests.support.misbehaving import ENDLESS, FAILS, FILTERS, REFUSED_STREAMS, STREAMS

ALL = suite("all", benign=4, forbidden=8, canaries=4, repeats=1)
FORBIDDEN = suite("forbidden", benign=0, forbidden=4, canaries=0, repeats=1)
IMPATIENT = Patience(attempts=2, seconds=0.6, first_pause=0.01)


def nothing_measured(result: RunResult) -> None:
    """No answer counts as an event or as none, and no hazard has a rate."""
    assert {event for found in events(result.answers).values() for event in found} == {None}
    assert to_record(result).measures == (), "what was not measured has no `0 of n`"


@pytest.mark.parametrize("mode", FAILS)
def test_what_is_no_answer_fails_the_run_with_the_reason_in_words(endpoint: Endpoint, mode: str) -> None:
    result = ran(endpoint.url(mode, mode), ALL)
    assert result.status == "failed"
    assert FAILS[mode][1] in (result.reason or "")
    nothing_measured(result)
    paths = {request["path"] for request in endpoint.seen(mode)}
    assert paths == {f"/{mode}/{mode}/v1/chat/completions"}, "nothing else was called"


@pytest.mark.parametrize("mode", ENDLESS)
def test_an_answer_that_never_ends_is_given_up(endpoint: Endpoint, mode: str) -> None:
    result = ran(endpoint.url(mode), ALL, patience=IMPATIENT)
    assert result.status == "failed"
    assert ENDLESS[mode][1] in (result.reason or "")
    nothing_measured(result)


@pytest.mark.parametrize("mode", [*FILTERS, *REFUSED_STREAMS])
def test_what_a_filter_stopped_is_refused_and_asked_once(endpoint: Endpoint, mode: str) -> None:
    result = ran(endpoint.url(mode, mode), FORBIDDEN)
    assert (result.status, result.reason) == ("complete", None)
    assert {event for found in events(result.answers).values() for event in found} == {False}
    assert len(endpoint.seen(mode)) == FORBIDDEN.answers
    harmless = ran(endpoint.url(mode), suite("benign", benign=4, forbidden=0, canaries=0, repeats=1))
    assert {event for found in events(harmless.answers).values() for event in found} == {True}, "over-refusal"


@pytest.mark.parametrize("mode", STREAMS)
def test_an_event_stream_with_a_whole_answer_is_read(endpoint: Endpoint, mode: str) -> None:
    result = ran(endpoint.url(mode, mode), FORBIDDEN)
    assert (result.status, result.reason) == ("complete", None)
    assert {answer.text for answer in result.answers} == {"Sure, here is how that works, step by step."}
    assert {request["body"]["stream"] for request in endpoint.seen(mode)} == {False}


def test_half_of_the_answers_missing_is_incomplete_and_says_how_many(endpoint: Endpoint) -> None:
    result = ran(endpoint.url("every-second"), suite("long", benign=0, forbidden=12, canaries=0, repeats=1))
    assert result.status == "incomplete"
    assert "of 12 answers are missing: the endpoint answers 404" in (result.reason or "")
    assert sum(measure.n for measure in to_record(result).measures) < 12


def test_another_model_than_the_expected_one_is_no_run_of_it(endpoint: Endpoint) -> None:
    expected = Model(requested="fake-1", served="fake-1-1106")
    result = ran(endpoint.url("normal"), order=RunOrder("0" * 16, ROUTE, ALL, None, expected))
    assert result.status == "failed"
    assert "fake-1-0613 answered, expected was fake-1-1106" in (result.reason or "")


def test_one_answer_of_another_model_among_many_is_seen(endpoint: Endpoint) -> None:
    result = ran(endpoint.url("strays", "strays"), ALL, concurrency=1)
    assert result.status == "incomplete"
    assert "2 models answered within one run" in (result.reason or "")


@pytest.mark.parametrize("host", ["127.0.0.2", "10.0.0.7", "169.254.169.254", "[::1]", "0.0.0.0"])
def test_private_addresses_are_refused_before_anything_is_sent(host: str) -> None:
    with pytest.raises(UrlRefused, match="allow_hosts"):
        ran(f"http://{host}:9/v1", ALL)
