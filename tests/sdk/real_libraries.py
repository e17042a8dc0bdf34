"""The client with the real libraries, in an environment that has them, against an endpoint of this machine.

    python -m venv build/sdk && build/sdk/bin/pip install openai anthropic litellm langchain-openai langchain-anthropic
    PYTHONPATH=sdk:. build/sdk/bin/python -m tests.sdk.real_libraries [--write] [--only PREFIX]

Every way of calling is tried, what is published is compared with what the library gave, and `--write` records what the
libraries gave as tests/sdk/payloads, which the tests of CI replay without them.
"""

from __future__ import annotations

import asyncio
import json
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.metadata import version
from pathlib import Path
from typing import Any

import anthropic
import litellm
import openai
from langchain_anthropic import ChatAnthropic
from langchain_openai import ChatOpenAI

from keelwatch_client import Publisher, wrap
from keelwatch_client.langchain_callback import KeelwatchCallback
from keelwatch_client.litellm_callback import KeelwatchLogger
from tests.support.endpoint_forms import streamed, whole
from tests.support.exchange_taker import ExchangeTaker, taker

PAYLOADS = Path(__file__).with_name("payloads")
TEXT = "It left our warehouse this morning."
SERVED = "fake-1-0613"
QUESTION = [{"role": "user", "content": "Where is my parcel?"}]
TOOL = {"type": "function", "function": {"name": "send_mail", "parameters": {"type": "object"}}}
ANTHROPIC_TOOL = {"name": "send_mail", "input_schema": {"type": "object"}}


class _Model(BaseHTTPRequestHandler):
    """Answers as models do; one whose name begins with `no-` fails, one with `calls` calls a tool."""

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        calls = "calls" in body["model"]
        if body["model"].startswith("no-"):
            self._reply(429, json.dumps({"error": {"code": "rate_limit", "message": "slow down"}}).encode(), "json")
        elif body.get("stream"):
            events = streamed(self.path, SERVED, TEXT, calls)
            self._reply(200, b"".join(events), "event-stream")
        else:
            self._reply(200, json.dumps(whole(self.path, SERVED, TEXT, calls)).encode(), "json")

    def _reply(self, status: int, raw: bytes, kind: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", f"text/{kind}" if kind == "event-stream" else f"application/{kind}")
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)

    def log_message(self, *_: Any) -> None:
        """Quiet."""


@contextmanager
def model() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Model)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}/v1"
    server.shutdown()


def openai_calls(base: str, publisher: Publisher) -> Iterator[tuple[str, Callable[[], Any]]]:
    """Every way of `openai`, sync and async."""
    sync = wrap(openai.OpenAI(base_url=base, api_key="sk-x", max_retries=0), publisher)
    later = wrap(openai.AsyncOpenAI(base_url=base, api_key="sk-x", max_retries=0), publisher)
    assert isinstance(sync, openai.OpenAI)
    chat: dict[str, Any] = {"model": "gpt-4", "messages": QUESTION, "tools": [TOOL]}
    respond: dict[str, Any] = {"model": "gpt-4", "input": "Where is my parcel?", "instructions": "Be brief."}

    async def acreate() -> Any:
        return await later.chat.completions.create(**chat)

    async def astream() -> Any:
        return [chunk async for chunk in await later.chat.completions.create(**chat, stream=True)]

    async def ahelper() -> Any:
        async with later.chat.completions.stream(**chat) as stream:
            return await stream.get_final_completion()

    def helper() -> Any:
        with sync.chat.completions.stream(**chat) as stream:
            return list(stream)

    def events() -> Any:
        with sync.responses.create(**respond, stream=True) as stream:
            return list(stream)

    yield "chat", lambda: sync.chat.completions.create(**chat)
    yield "chat options", lambda: sync.with_options(timeout=5).chat.completions.create(**chat)
    yield "chat stream", lambda: list(sync.chat.completions.create(**chat, stream=True))
    yield "chat helper", helper
    yield "chat async", lambda: asyncio.run(acreate())
    yield "chat async stream", lambda: asyncio.run(astream())
    yield "chat async helper", lambda: asyncio.run(ahelper())
    yield "responses", lambda: sync.responses.create(**respond)
    yield "responses stream", events


def anthropic_calls(base: str, publisher: Publisher) -> Iterator[tuple[str, Callable[[], Any]]]:
    """Every way of `anthropic`, sync and async."""
    root = base.removesuffix("/v1")
    sync = wrap(anthropic.Anthropic(base_url=root, api_key="sk-x", max_retries=0), publisher)
    later = wrap(anthropic.AsyncAnthropic(base_url=root, api_key="sk-x", max_retries=0), publisher)
    asked: dict[str, Any] = {"model": "claude", "max_tokens": 9, "messages": QUESTION, "tools": [ANTHROPIC_TOOL]}

    async def acreate() -> Any:
        return await later.messages.create(**asked)

    async def astream() -> Any:
        return [event async for event in await later.messages.create(**asked, stream=True)]

    async def ahelper() -> Any:
        async with later.messages.stream(**asked) as stream:
            return [text async for text in stream.text_stream]

    def helper() -> Any:
        with sync.messages.stream(**asked) as stream:
            return list(stream.text_stream)

    yield "messages", lambda: sync.messages.create(**asked, system="Be brief.")
    yield "messages stream", lambda: list(sync.messages.create(**asked, stream=True))
    yield "messages helper", helper
    yield "messages async", lambda: asyncio.run(acreate())
    yield "messages async stream", lambda: asyncio.run(astream())
    yield "messages async helper", lambda: asyncio.run(ahelper())


class _Keeping:
    """Keeps the arguments of each call of a callback, for the fixtures."""

    def __init__(self, inner: Any, names: tuple[str, ...]) -> None:
        self.kept: list[Any] = []
        for name in names:
            setattr(inner, name, self._keeper(name, getattr(inner, name)))

    def _keeper(self, name: str, method: Any) -> Any:
        if asyncio.iscoroutinefunction(method):

            async def later(*args: Any, **kwargs: Any) -> Any:
                self.kept.append((name, args, kwargs))
                return await method(*args, **kwargs)

            return later

        def kept(*args: Any, **kwargs: Any) -> Any:
            self.kept.append((name, args, kwargs))
            return method(*args, **kwargs)

        return kept


def langchain_calls(base: str, callback: Any) -> Iterator[tuple[str, Callable[[], Any]]]:
    """LangChain with the models of both vendors."""
    config: Any = {"callbacks": [callback], "metadata": {"keelwatch_conversation": "c-17"}}
    chat = ChatOpenAI(model="gpt-4", base_url=base, api_key="sk-x", max_retries=0)
    other = ChatAnthropic(model="claude", base_url=base.removesuffix("/v1"), api_key="sk-x", max_retries=0)
    yield "langchain openai", lambda: chat.bind_tools([TOOL]).invoke("Where is my parcel?", config)
    yield "langchain openai stream", lambda: list(chat.stream("Where is my parcel?", config))
    yield "langchain anthropic", lambda: other.invoke("Where is my parcel?", config)
    yield "langchain async", lambda: asyncio.run(chat.ainvoke("Where is my parcel?", config))


def litellm_calls(base: str, logger: Any) -> Iterator[tuple[str, Callable[[], Any]]]:
    """LiteLLM's SDK; its proxy calls the same callback."""
    litellm.callbacks = [logger]
    asked: dict[str, Any] = {"model": "openai/gpt-4", "messages": QUESTION, "api_base": base, "api_key": "sk-x"}
    asked |= {"metadata": {"keelwatch_conversation": "c-17"}, "num_retries": 0}

    async def acreate() -> Any:
        found = await litellm.acompletion(**asked)
        await asyncio.sleep(1)
        return found

    yield "litellm", lambda: litellm.completion(**asked)
    yield "litellm stream", lambda: list(litellm.completion(**asked, stream=True))
    yield "litellm async", lambda: asyncio.run(acreate())


def failing(base: str, publisher: Publisher, callback: Any) -> Iterator[tuple[str, Callable[[], Any]]]:
    """Each library's own error comes through, and is published."""
    sync = wrap(openai.OpenAI(base_url=base, api_key="sk-x", max_retries=0), publisher)
    other = wrap(anthropic.Anthropic(base_url=base.removesuffix("/v1"), api_key="sk-x", max_retries=0), publisher)
    chat = ChatOpenAI(model="no-gpt", base_url=base, api_key="sk-x", max_retries=0)
    yield "openai error", lambda: sync.chat.completions.create(model="no-gpt", messages=QUESTION)  # type: ignore[arg-type]
    yield "anthropic error", lambda: other.messages.create(model="no-claude", max_tokens=9, messages=QUESTION)  # type: ignore[arg-type]
    yield "langchain error", lambda: chat.invoke("Where is my parcel?", {"callbacks": [callback]})
    yield (
        "litellm error",
        lambda: litellm.completion(
            model="openai/no-gpt", messages=QUESTION, api_base=base, api_key="sk-x", num_retries=0
        ),
    )


def one_exchange(server: ExchangeTaker, publisher: Publisher, call: Callable[[], Any]) -> tuple[Any, dict[str, Any]]:
    """What a call gave, and the exchange that was published of it: exactly one."""
    before = len(server.taken)
    try:
        result = call()
    except Exception as error:
        result = error
    for _ in range(100):
        publisher.flush(10)
        if len(server.taken) > before:
            break
        threading.Event().wait(0.05)
    threading.Event().wait(0.3)
    publisher.flush(10)
    [exchange] = server.taken[before:]
    return result, exchange


def check(name: str, exchange: dict[str, Any]) -> None:
    """An exchange that holds what was asked and answered."""
    response = exchange["response"]
    if name.endswith("error"):
        assert response["error"]["message"], exchange
        return
    told = json.dumps(response)
    assert TEXT in told, exchange
    assert "Where is my parcel?" in json.dumps(exchange["prompt"]), exchange
    assert exchange["model"]["requested"] in ("gpt-4", "claude"), exchange
    # LiteLLM joins a stream under the name that was asked for.
    assert exchange["model"]["served"] == ("gpt-4" if name == "litellm stream" else SERVED), exchange
    assert response["finish_reason"] in ("stop", "end_turn", "completed"), exchange
    assert exchange["latency_ms"] > 0
    if name != "chat helper" and "langchain openai stream" not in name:
        assert exchange["usage"]["input_tokens"] == 20, exchange


def plain(value: Any) -> Any:
    """What a library gave, as JSON."""
    return json.loads(json.dumps(value, default=_plain))


def _plain(value: Any) -> Any:
    dump = getattr(value, "model_dump", None)
    return dump(mode="json", warnings=False, serialize_as_any=True) if dump else f"<{type(value).__name__}>"


def main() -> None:
    """Try all."""
    versions = {name: version(name) for name in ("openai", "anthropic", "litellm", "langchain-core")}
    print(", ".join(f"{name} {number}" for name, number in versions.items()))
    recorded: dict[str, Any] = {}
    only = sys.argv[sys.argv.index("--only") + 1] if "--only" in sys.argv else ""
    with model() as base, taker() as server, Publisher(server.url, route="bot/prod", linger_seconds=0) as publisher:
        logger, callback = KeelwatchLogger(publisher), KeelwatchCallback(publisher)
        logged = _Keeping(logger, ("log_success_event", "log_failure_event", "async_log_success_event"))
        told = _Keeping(callback, ("on_chat_model_start", "on_llm_end", "on_llm_error"))
        calls = [*openai_calls(base, publisher), *anthropic_calls(base, publisher)]
        for name, call in [*calls, *langchain_calls(base, callback), *litellm_calls(base, logger)]:
            if not name.startswith(only):
                continue
            logged.kept.clear()
            told.kept.clear()
            result, exchange = one_exchange(server, publisher, call)
            assert not isinstance(result, Exception), (name, result)
            check(name, exchange)
            kept = told.kept if name.startswith("langchain") else logged.kept if name.startswith("litellm") else result
            recorded[name] = plain(kept)
            print(f"ok {name}")
        for name, call in failing(base, publisher, callback):
            if not name.startswith(only):
                continue
            result, exchange = one_exchange(server, publisher, call)
            assert isinstance(result, Exception), name
            check(name, exchange)
            print(f"ok {name}: {type(result).__module__}.{type(result).__name__}")
        assert publisher.stats().dropped == {}, publisher.stats()
    if "--write" in sys.argv:
        write(recorded, versions)


def write(recorded: dict[str, Any], versions: dict[str, str]) -> None:
    """One file for each way of calling that differs in form."""
    names = ("chat", "chat stream", "responses", "responses stream", "messages", "messages stream")
    for name in recorded.keys() & {*names, "langchain openai", "langchain anthropic", "litellm", "litellm stream"}:
        body = {"versions": versions, "payload": small(recorded[name])}
        path = PAYLOADS / f"{name.replace(' ', '_')}.json"
        path.write_text(json.dumps(body, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def small(value: Any) -> Any:
    """Without what is null or empty, and without what differs from run to run or from machine to machine."""
    leave = {"api_base", "api_key", "base_url", "additional_args", "hidden_params", "model_parameters", "headers"}
    leave |= {"litellm_call_id", "created", "trace_id", "startTime", "endTime", "completionStartTime", "input"}
    leave |= {"start_time", "end_time", "completion_start_time", "api_call_start_time", "run_id", "session_id", "id"}
    leave |= {"model_map_information", "original_response", "response_headers", "response_time", "llm_api_duration_ms"}
    leave |= {
        "litellm_trace_id",
        "llm_api_timing_windows",
        "cost_breakdown",
        "ls_base_url",
        "openai_api_base",
        "anthropic_api_url",
    }
    leave |= {"current_attempt_api_call_start_time", "first_api_call_start_time", "complete_streaming_response"}
    if isinstance(value, dict):
        return {
            key: small(item)
            for key, item in value.items()
            if item not in (None, [], {}, "")
            and (key not in leave or (isinstance(item, (dict, list)) and key == "input"))
        }
    return [small(item) for item in value] if isinstance(value, list) else value


if __name__ == "__main__":
    main()
