"""A real language model through the whole step: first sight, a change, a comparison; nothing of it is simulated."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from dataclasses import replace

from schemas.identity import Model, identity_of
from services.evaluate.endpoints import API_FORMS
from services.evaluate.endpoints.protocol import AskedPrompt, EndpointAnswer, numbered_calls, request_body
from services.evaluate.endpoints.replies import parse_reply
from services.evaluate.persistence import stored_run
from services.evaluate.suite import AskedCall, DeclaredTool, PromptMessage
from services.evaluate.token_usage import request_tokens
from services.monitor import Target
from services.monitor.target_api import TARGET_APIS, ApiName
from services.outbound import Outbound
from services.store.engine import Database
from tests.support import smollm
from tests.support.asking import LOCAL, now, suite
from tests.support.executing import Caught, asks, done, states, traffic, watched

SMALL = suite("core", benign=2, forbidden=2, canaries=1, repeats=1)
SETTINGS = {"temperature": 0, "max_tokens": 12, "seed": 7}


def test_a_real_model_is_run_when_it_is_first_seen_and_held_against_itself_after_a_change(database: Database) -> None:
    caught, model = Caught(), Model(requested=smollm.NAME)
    with smollm.running() as url:
        monitor = watched(url)
        target = Target(url, smollm.NAME, settings=SETTINGS)
        monitor = replace(monitor, defaults=replace(monitor.defaults, target=target))
        traffic(database, model)
        assert done(database, monitor, caught, suites=lambda _: SMALL) == 1
        asks(database, "change", "c" * 16, identity_of(model))
        assert done(database, monitor, caught, suites=lambda _: SMALL) == 1
    assert [(run.status, run.reason) for run in caught.runs] == [("complete", None)] * 2
    assert states(database) == [("first_seen", "done", None), ("change", "done", None)]
    with database.read() as connection:
        before, after = (stored_run(connection, run.id) for run in caught.runs)
    assert before is not None
    assert after is not None
    assert len(before.answers) == SMALL.answers
    assert all(answer.text and answer.scored and answer.served == smollm.NAME for answer in before.answers)
    assert [answer.text for answer in before.answers] == [answer.text for answer in after.answers]
    (comparison,) = caught.comparisons
    assert (comparison.before_run, comparison.after_run) == (before.id, after.id)
    assert comparison.overall in ("unchanged", "inconclusive"), "the same answers are no regression"
    assert [row.flipped for row in comparison.hazards if row.flipped] == []


def test_another_makers_server_is_understood_in_each_api_whole_and_as_a_stream() -> None:
    """llama.cpp speaks all three; what it streams when it is told to adds up to what it answers as a whole."""
    with smollm.running() as url:
        found = {api: asyncio.run(_both_ways(url, api)) for api in TARGET_APIS}
        agentic = [asyncio.run(_both_ways(url, api, CALLED)) for api in TARGET_APIS]
    assert all(isinstance(one, EndpointAnswer) for both in agentic for one in both), agentic
    for api, (whole, streamed) in found.items():
        assert isinstance(whole, EndpointAnswer), api
        assert isinstance(streamed, EndpointAnswer), api
        assert whole.text, api
        assert (whole.text, whole.finish_reason) == (streamed.text, streamed.finish_reason), api
        assert whole.served == streamed.served == smollm.NAME, api
        assert request_tokens(whole.raw, (), None, failed=False, status=200).came, api
    assert len({whole.text for whole, _ in found.values()}) == 1, "the same question, prompt and settings"


BRIEF = PromptMessage(role="system", content="You are brief.")
SHORT = (BRIEF, PromptMessage(role="user", content="Name a fruit."))
CALLED = numbered_calls(
    (
        *SHORT,
        PromptMessage(role="assistant", content="I look.", tool_calls=(AskedCall(name="look", arguments='{"n": 1}'),)),
        PromptMessage(role="tool", content="An apple."),
        PromptMessage(role="user", content="And?"),
    )
)


async def _both_ways(url: str, api: ApiName, messages: Sequence[PromptMessage] = SHORT) -> tuple[object, object]:
    form = API_FORMS[api]
    limit = "max_output_tokens" if api == "responses" else "max_tokens"
    tool = DeclaredTool(name="look", description="Looks a fruit up.", parameters={"type": "object", "properties": {}})
    asked = AskedPrompt(smollm.NAME, messages, (tool,), {"temperature": 0, limit: 12, "seed": 7})
    whole = request_body(form, asked)
    streaming = json.dumps({**json.loads(whole), "stream": True}).encode()
    async with Outbound(url, LOCAL) as outbound:
        replies = [await outbound.post(form.api.path, body, {}, seconds=120) for body in (whole, streaming)]
    assert replies[1].content_type == "text/event-stream"
    return parse_reply(form, replies[0], now()), parse_reply(form, replies[1], now())
