"""Callbacks of LiteLLM and LangChain, with the arguments that the real libraries gave (payloads)."""

from __future__ import annotations

import asyncio
import json
import threading
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from keelwatch_client import context, langchain_callback
from keelwatch_client.langchain_callback import KeelwatchCallback
from keelwatch_client.litellm_callback import KeelwatchLogger
from tests.sdk.replayed import TEXT, payload, published

BEGIN = datetime(2026, 12, 1, 6, tzinfo=UTC)


class ProviderError(Exception):
    status_code = 429


def logged(name: str) -> tuple[dict[str, Any], Any]:
    """The arguments of LiteLLM's last call of the callback."""
    _, _, given = payload(name)[-1]
    return given["kwargs"], given["response_obj"]


@pytest.mark.parametrize("name", ["litellm", "litellm stream"])
@pytest.mark.parametrize("later", [False, True])
def test_what_litellm_logs_is_published(name: str, later: bool) -> None:
    kwargs, answer = logged(name)
    with published() as (publisher, exchanges):
        logger = KeelwatchLogger(publisher, route="gateway/prod")
        if later:
            asyncio.run(logger.async_log_success_event(kwargs, answer, BEGIN, BEGIN + timedelta(seconds=0.31)))
        else:
            logger.log_success_event(kwargs, answer, BEGIN, BEGIN + timedelta(seconds=0.31))
    [exchange] = exchanges
    assert exchange["response"] == {"content": TEXT, "finish_reason": "stop"}
    assert exchange["prompt"] == [{"role": "user", "content": "Where is my parcel?"}]
    assert (exchange["route"], exchange["conversation"]) == ("gateway/prod", "c-17")
    assert (exchange["latency_ms"], exchange["ts"]) == (310.0, "2026-12-01T06:00:00+00:00")
    assert exchange["usage"] == {"input_tokens": 20, "output_tokens": 10}
    assert (exchange["model"]["requested"], exchange["model"]["provider"]) == ("gpt-4", "openai")


def test_an_error_that_litellm_logs_is_published() -> None:
    kwargs, _ = logged("litellm")
    failed = {**kwargs, "exception": ProviderError("slow down"), "standard_logging_object": None}
    with published() as (publisher, exchanges):
        KeelwatchLogger(publisher).log_failure_event(failed, None, BEGIN, BEGIN)
        asyncio.run(KeelwatchLogger(publisher).async_log_failure_event(failed, None, BEGIN, BEGIN))
    told = {"type": "ProviderError", "code": 429, "message": "slow down"}
    assert [one["response"]["error"] for one in exchanges] == [told, told]


def test_what_is_no_answer_in_words_is_not_published() -> None:
    kwargs, answer = logged("litellm")
    embedding = {**kwargs, "standard_logging_object": {"call_type": "aembedding"}}
    with published() as (publisher, exchanges):
        KeelwatchLogger(publisher).log_success_event(embedding, answer, BEGIN, BEGIN)
    assert exchanges == []


@pytest.mark.parametrize("odd", [None, 7, {"choices": 3}])
def test_a_callback_never_raises(odd: Any) -> None:
    with published() as (publisher, exchanges):
        KeelwatchLogger(publisher).log_success_event({"litellm_params": 3}, odd, None, None)
        told = KeelwatchCallback(publisher)
        told.on_chat_model_start(None, odd, run_id="r", metadata=3)
        told.on_llm_end(odd, run_id="r")
        told.on_llm_end(odd, run_id="unknown")
        assert publisher.stats().dropped.get("fault", 0) >= 1
    assert exchanges == []


def run(callback: KeelwatchCallback, name: str, **ends: Any) -> None:
    """What LangChain calls for one run; it ends in another thread, as it does for tools and in executors."""
    (_, begin_given, begin), (_, end_given, end) = payload(name)
    with context(tags={"locale": "de"}):
        callback.on_chat_model_start(*begin_given, **{**begin, "run_id": "r"})
    finish = ends.get("finish") or (lambda: callback.on_llm_end(*end_given, **{**end, "run_id": "r"}))
    thread = threading.Thread(target=finish)
    thread.start()
    thread.join()


@pytest.mark.parametrize(
    ("name", "model", "reason"), [("langchain openai", "gpt-4", "stop"), ("langchain anthropic", "claude", "end_turn")]
)
def test_what_langchain_tells_is_published(name: str, model: str, reason: str) -> None:
    with published() as (publisher, exchanges):
        run(KeelwatchCallback(publisher, route="chain/prod"), name)
    [exchange] = exchanges
    assert TEXT in json.dumps(exchange["response"])
    assert exchange["response"]["finish_reason"] == reason
    assert exchange["prompt"] == [{"role": "user", "content": "Where is my parcel?"}]
    assert exchange["model"].items() >= {"requested": model, "served": "fake-1-0613"}.items()
    assert exchange["usage"] == {"input_tokens": 20, "output_tokens": 10}
    assert (exchange["route"], exchange["conversation"]) == ("chain/prod", "c-17")
    assert exchange["tags"] == {"locale": "de"}
    assert exchange["latency_ms"] > 0


def test_an_error_that_langchain_tells_is_published() -> None:
    with published() as (publisher, exchanges):
        callback = KeelwatchCallback(publisher)
        run(callback, "langchain openai", finish=lambda: callback.on_llm_error(ProviderError("slow"), run_id="r"))
    assert exchanges[0]["response"] == {
        "error": {"type": "ProviderError", "code": 429, "status": 429, "message": "slow"}
    }


def test_runs_that_never_end_do_not_fill_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(langchain_callback, "MOST_RUNS", 100)
    with published() as (publisher, _):
        callback = KeelwatchCallback(publisher)
        for i in range(150):
            callback.on_llm_start({}, ["p"], run_id=i)
        assert len(callback._runs) == 100
