"""Wrapped clients, replaying what the real libraries gave (payloads): what is published of each way of calling."""

from __future__ import annotations

import asyncio
import copy
import json
from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest

from keelwatch_client import context, wrap
from tests.sdk.replayed import CALLED, TEXT, FakeManager, client_of, payload, published

QUESTION = [{"role": "user", "content": "Where is my parcel?"}]
ASKED = {
    "chat.completions": {"model": "gpt-4", "messages": QUESTION},
    "responses": {"model": "gpt-4", "input": QUESTION, "instructions": "Be brief."},
    "messages": {"model": "claude", "messages": QUESTION, "system": "Be brief.", "max_tokens": 9},
}
FILES = {"chat.completions": "chat", "responses": "responses", "messages": "messages"}
PATHS = pytest.mark.parametrize("path", list(ASKED))
WAYS = pytest.mark.parametrize("later", [False, True], ids=["sync", "async"])


def call(client: Any, path: str, later: bool, verb: str = "create", **more: Any) -> Any:
    """One call, read to its end."""
    holder = client
    for step in path.split("."):
        holder = getattr(holder, step)
    method = getattr(holder, verb)

    async def work() -> Any:
        result = await method(**ASKED[path], **more)
        return [item async for item in result] if more.get("stream") else result

    if later:
        return asyncio.run(work())
    result = method(**ASKED[path], **more)
    return list(result) if more.get("stream") else result


@PATHS
@WAYS
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_each_way_of_calling_publishes_what_was_asked_and_answered(path: str, later: bool, stream: bool) -> None:
    given = payload(FILES[path] + (" stream" if stream else ""))
    with published() as (publisher, exchanges):
        client = wrap(client_of(path, given, later), publisher, provider="acme")
        with context(conversation="c-17", tags={"locale": "de"}):
            result = call(client, path, later, **({"stream": True} if stream else {}))
        assert result == given
    [exchange] = exchanges
    assert TEXT in json.dumps(exchange["response"])
    assert exchange["prompt"][-1] == QUESTION[0]
    if path != "chat.completions":
        assert exchange["prompt"][0] == {"role": "system", "content": "Be brief."}
    assert (
        exchange["model"].items()
        >= {
            "requested": ASKED[path]["model"],
            "served": "fake-1-0613",
            "provider": "acme",
            "endpoint": "models.example.com",
        }.items()
    )
    assert exchange["usage"] == {"input_tokens": 20, "output_tokens": 10}
    assert exchange["response"]["finish_reason"] in ("stop", "completed", "end_turn")
    assert exchange["latency_ms"] > 0
    assert (exchange["conversation"], exchange["tags"]) == ("c-17", {"locale": "de"})


@PATHS
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_calls_of_tools_are_published_with_their_arguments(path: str, stream: bool) -> None:
    with published() as (publisher, exchanges):
        given = CALLED[path, stream]
        call(wrap(client_of(path, given, False), publisher), path, False, **({"stream": True} if stream else {}))
    told = json.dumps(exchanges[0]["response"]).replace("\\", "")
    assert "send_mail" in told
    assert '"to": "a@example.com"' in told


class ModelError(Exception):
    status_code = 429
    body: ClassVar = {"error": {"type": "rate_limit", "code": "slow", "message": "slow down"}}


@PATHS
@WAYS
def test_an_error_of_the_call_is_the_librarys_own_and_is_published(path: str, later: bool) -> None:
    raised = ModelError("429: slow down")
    with published() as (publisher, exchanges):
        with pytest.raises(ModelError) as caught:
            call(wrap(client_of(path, raised, later), publisher), path, later)
        assert caught.value is raised
    [exchange] = exchanges
    assert exchange["response"] == {
        "error": {"type": "rate_limit", "code": "slow", "status": 429, "message": "429: slow down"}
    }


@PATHS
@WAYS
def test_a_stream_that_breaks_is_published_with_what_came_and_the_error(path: str, later: bool) -> None:
    chunks = payload(FILES[path] + " stream")
    raised = ModelError("gone")
    with published() as (publisher, exchanges):
        client = wrap(client_of(path, [*chunks[:4], raised], later), publisher)
        with pytest.raises(ModelError) as caught:
            call(client, path, later, stream=True)
        assert caught.value is raised
    [exchange] = exchanges
    assert exchange["response"]["error"]["message"] == "gone"


def test_a_stream_that_nobody_reads_to_its_end_is_cancelled_and_no_answer() -> None:
    """An empty answer would count as a refusal."""
    chunks = payload("chat stream")
    with published() as (publisher, exchanges):
        client = wrap(client_of("chat.completions", chunks, False), publisher)
        for read in (0, 1, 3):
            stream = call_unread(client)
            for _ in range(read):
                next(stream)
            stream.close() if read != 3 else stream.__exit__(None, None, None)
            del stream
    assert [(one["response"]["content"], one["response"]["finish_reason"]) for one in exchanges] == [
        (TEXT[:14], "cancelled")
    ]


def call_unread(client: Any) -> Any:
    return client.chat.completions.create(**ASKED["chat.completions"], stream=True)


@pytest.mark.parametrize("path", ["chat.completions", "messages"])
@pytest.mark.parametrize("error", [None, ModelError("x"), KeyError("the application's own")])
def test_the_helpers_of_the_vendors_publish_what_they_joined(path: str, error: Exception | None) -> None:
    whole = payload(FILES[path])
    with published() as (publisher, exchanges):
        client = wrap(client_of(path, FakeManager(whole), False), publisher)
        holder = client.chat.completions if path.startswith("chat") else client.messages
        with pytest.raises(type(error)) if error else nullcontext(), holder.stream(**ASKED[path]) as stream:
            assert list(stream.text_stream) == [TEXT]
            if error is not None:
                raise error
    [exchange] = exchanges
    assert TEXT in json.dumps(exchange["response"])
    assert "error" not in exchange["response"]


@WAYS
def test_a_helper_that_gives_the_whole_answer_publishes_it(later: bool) -> None:
    whole = payload("responses")
    with published() as (publisher, exchanges):
        client = wrap(client_of("responses", FakeManager(whole), False), publisher)

        async def work() -> Any:
            async with client.responses.stream(**ASKED["responses"]) as stream:
                return await stream.get_final_response()

        if later:
            assert asyncio.run(work()) is whole
        else:
            with client.responses.stream(**ASKED["responses"]) as stream:
                assert stream.get_final_response() is not None
    assert later or len(exchanges) == 1
    assert TEXT in json.dumps(exchanges[0]["response"])


def test_a_wrapped_client_is_as_its_own_class_and_the_given_one_stays_as_it_is() -> None:
    given = payload("chat")
    with published() as (publisher, exchanges):
        inner = client_of("chat.completions", given, False)
        client = wrap(inner, publisher)
        assert isinstance(client, type(inner))
        assert client.api_key == "sk-x"
        client.api_key = "sk-y"
        assert inner.api_key == "sk-y"
        inner.chat.completions.create(**ASKED["chat.completions"])
        assert client.chat.completions.create is client.chat.completions.create
        original = inner.chat.completions.create
        client.chat.completions.create = lambda **_: "patched, as tests of applications do"
        assert client.chat.completions.create() == "patched, as tests of applications do"
        client.chat.completions.create = original
        assert client.chat.completions.with_raw_response == "raw"
        with client as entered:
            entered.with_options(timeout=3).chat.completions.create(**ASKED["chat.completions"])
    assert len(exchanges) == 1


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy])
def test_a_copy_is_wrapped_as_well_and_has_settings_of_its_own(copied: Any) -> None:
    given = payload("chat")
    with published() as (publisher, exchanges):
        inner = client_of("chat.completions", given, False)
        other = copied(wrap(inner, publisher))
        other.api_key = "sk-y"
        assert (inner.api_key, other.api_key) == ("sk-x", "sk-y")
        assert other.chat.completions.create(**ASKED["chat.completions"]) == given
    assert len(exchanges) == 1


def test_two_choices_are_two_exchanges_and_the_tokens_count_once() -> None:
    given = payload("chat")
    two = {**given, "choices": [given["choices"][0], {**given["choices"][0], "index": 1}]}
    with published() as (publisher, exchanges):
        call(wrap(client_of("chat.completions", two, False), publisher), "chat.completions", False)
    assert [one.get("usage") for one in exchanges] == [{"input_tokens": 20, "output_tokens": 10}, None]
    assert exchanges[0]["id"] != exchanges[1]["id"]


def test_bytes_of_images_do_not_leave_and_are_still_known_to_be_there() -> None:
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A" * 100_000}}
    message = SimpleNamespace(model_dump=lambda **_: {"role": "assistant", "content": "A lamp."})
    asked = [{"role": "user", "content": [{"type": "text", "text": "What is it?"}, image]}, message]
    with published() as (publisher, exchanges):
        client: Any = wrap(client_of("chat.completions", payload("chat"), False), publisher)
        client.chat.completions.create(model="gpt-4", messages=asked)
    assert exchanges[0]["prompt"] == [
        {"role": "user", "content": [{"type": "text", "text": "What is it?"}, {"type": "image_url"}]},
        {"role": "assistant", "content": "A lamp."},
    ]


@pytest.mark.parametrize(
    "result", [None, 7, {"choices": 3}, {"choices": [None]}, object(), {"usage": {"prompt_tokens": "x"}}]
)
@PATHS
def test_what_no_library_gives_reaches_the_caller_all_the_same(path: str, result: Any) -> None:
    with published() as (publisher, _):
        assert call(wrap(client_of(path, result, False), publisher), path, False) is result


def test_arguments_of_any_kind_reach_the_library() -> None:
    seen: list[Any] = []
    inner = client_of("chat.completions", payload("chat"), False)
    inner.chat.completions.create = lambda *args, **asked: seen.append((args, asked)) or payload("chat")
    with published(decoded=False) as (publisher, exchanges):
        client: Any = wrap(inner, publisher)
        client.chat.completions.create(1, model=object(), messages=iter("x"), tools=object())
        client.chat.completions.create()
    assert len(seen) == 2
    assert [one["model"]["requested"] for one in exchanges] == ["", ""]
