"""A callback of LangChain and LangGraph: `model.invoke(..., config={"callbacks": [KeelwatchCallback(publisher)]})`."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from keelwatch_client.call_form import count, get, listed, messages_of, present, text
from keelwatch_client.context import current
from keelwatch_client.exchange import Json, now, without_media
from keelwatch_client.publisher import Publisher, checked_route
from keelwatch_client.recorded_call import error_of

if TYPE_CHECKING:
    BaseCallbackHandler = object
else:
    try:
        from langchain_core.callbacks import BaseCallbackHandler
    except ImportError:  # without LangChain nobody calls it
        BaseCallbackHandler = object

MOST_RUNS: Final = 10_000
_ROLES: Final = {"human": "user", "ai": "assistant", "AIMessageChunk": "assistant", "function": "tool"}


class KeelwatchCallback(BaseCallbackHandler):
    """Publishes each call of a model within a chain: prompt, answer, tools, tokens, model and latency.

    Route, conversation and user of a run may stand in its metadata: `keelwatch_route`, `keelwatch_conversation` and
    `keelwatch_user`. A `context` around the call goes before both.
    """

    def __init__(self, publisher: Publisher, route: str | None = None) -> None:
        """Raises ValueError if the route is none."""
        super().__init__()
        self._publisher = publisher
        self._route = None if route is None else checked_route(route)
        self._runs: OrderedDict[Any, Json] = OrderedDict()
        self._lock = threading.RLock()

    def on_chat_model_start(self, serialized: Any, messages: Any, *, run_id: Any, **more: Any) -> None:
        """LangChain calls it before a chat model is asked."""
        self._begin(run_id, lambda: [_message(one) for one in messages[0]], more)

    def on_llm_start(self, serialized: Any, prompts: Any, *, run_id: Any, **more: Any) -> None:
        """LangChain calls it before a model of texts is asked."""
        self._begin(run_id, lambda: messages_of(prompts[0]), more)

    def on_llm_end(self, response: Any, *, run_id: Any, **more: Any) -> None:
        """LangChain calls it after an answer."""
        self._end(run_id, lambda: _answers(response))

    def on_llm_error(self, error: BaseException, *, run_id: Any, **more: Any) -> None:
        """LangChain calls it after an error."""
        self._end(run_id, lambda: [{"response": {"error": error_of(error)}, "model": {}}])

    def _begin(self, run: Any, prompt: Callable[[], list[Any]], more: Json) -> None:
        try:
            asked, metadata = more.get("invocation_params") or {}, more.get("metadata") or {}
            model = text(get(asked, "model")) or text(get(asked, "model_name")) or text(metadata.get("ls_model_name"))
            begun = present(
                ts=now(),
                route=text(metadata.get("keelwatch_route")) or self._route,
                conversation=text(metadata.get("keelwatch_conversation")),
                user=text(metadata.get("keelwatch_user")),
                prompt=prompt(),
                tools=listed(get(asked, "tools")),
                model=present(requested=model or "", provider=text(metadata.get("ls_provider"))),
            )
            with self._lock:
                self._runs[run] = {"fields": begun, "around": current(), "began": time.perf_counter()}
                while len(self._runs) > MOST_RUNS:  # runs that never ended
                    self._runs.popitem(last=False)
        except Exception:
            self._publisher.failed()

    def _end(self, run: Any, answers: Callable[[], list[Json]]) -> None:
        try:
            with self._lock:
                begun = self._runs.pop(run, None)
            if begun is None:
                return
            latency = (time.perf_counter() - begun["began"]) * 1000
            for one in answers():
                fields = {**begun["fields"], **one, **begun["around"], "latency_ms": latency}
                self._publisher.enqueue({**fields, "model": {**begun["fields"]["model"], **one["model"]}}, {})
        except Exception:
            self._publisher.failed()


def _message(message: Any) -> Json:
    """A message of LangChain as a message of an exchange."""
    role = text(get(message, "role")) or text(get(message, "type")) or "user"
    fields = present(tool_calls=listed(get(message, "tool_calls")), tool_call_id=text(get(message, "tool_call_id")))
    light: Json = without_media({"role": _ROLES.get(role, role), "content": get(message, "content"), **fields})
    return light


def _answers(result: Any) -> list[Json]:
    generations = get(result, "generations") or ()
    output = get(result, "llm_output") or {}
    return [_answer(one, output) for one in (generations[0] if generations else ())]


def _answer(generation: Any, output: Any) -> Json:
    """One generation. The vendors' fields lie in `response_metadata` of the message."""
    message = get(generation, "message")
    told = get(message, "response_metadata") or get(generation, "generation_info") or {}
    usage = get(message, "usage_metadata")
    content = get(message, "content") if message is not None else get(generation, "text")
    reason = get(told, "finish_reason") or get(told, "stop_reason") or get(told, "done_reason") or get(told, "status")
    response = present(
        content=without_media({"content": content})["content"],
        tool_calls=listed(get(message, "tool_calls")),
        finish_reason=text(reason),
        refusal=text(get(get(message, "additional_kwargs"), "refusal")),
    )
    served = text(get(told, "model_name")) or text(get(told, "model")) or text(get(output, "model_name"))
    model = present(served=served, fingerprint=text(get(told, "system_fingerprint")))
    tokens = present(input_tokens=count(get(usage, "input_tokens")), output_tokens=count(get(usage, "output_tokens")))
    return present(model=model, response=response, usage=tokens or None)
