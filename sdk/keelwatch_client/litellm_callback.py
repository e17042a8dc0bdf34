"""A callback of LiteLLM, for its SDK and its proxy: `litellm.callbacks = [KeelwatchLogger(publisher)]`."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from keelwatch_client.call_form import count, get, listed, messages_of, present, text
from keelwatch_client.exchange import Json
from keelwatch_client.openai_calls import OpenAIChat
from keelwatch_client.publisher import Publisher, checked_route

if TYPE_CHECKING:
    CustomLogger = object
else:
    try:
        from litellm.integrations.custom_logger import CustomLogger
    except ImportError:  # without LiteLLM nobody calls it
        CustomLogger = object


class KeelwatchLogger(CustomLogger):
    """Publishes what LiteLLM logs: one exchange for each answer and each error of a provider.

    The route is `keelwatch_route` of the call's metadata, else the callback's, else the publisher's; `conversation` and
    `user` may stand in the metadata likewise, as `keelwatch_conversation` and `keelwatch_user`.
    """

    def __init__(self, publisher: Publisher, route: str | None = None) -> None:
        """Raises ValueError if the route is none."""
        super().__init__()
        self._publisher = publisher
        self._route = None if route is None else checked_route(route)

    def log_success_event(self, kwargs: Any, response_obj: Any, start_time: Any, end_time: Any) -> None:
        """LiteLLM calls it after an answer."""
        self._publish(kwargs, response_obj, start_time, end_time)

    def log_failure_event(self, kwargs: Any, response_obj: Any, start_time: Any, end_time: Any) -> None:
        """LiteLLM calls it after an error."""
        self._publish(kwargs, None, start_time, end_time, failed=True)

    async def async_log_success_event(self, kwargs: Any, response_obj: Any, start_time: Any, end_time: Any) -> None:
        """LiteLLM calls it after an answer, in a coroutine."""
        self._publish(kwargs, response_obj, start_time, end_time)

    async def async_log_failure_event(self, kwargs: Any, response_obj: Any, start_time: Any, end_time: Any) -> None:
        """LiteLLM calls it after an error, in a coroutine."""
        self._publish(kwargs, None, start_time, end_time, failed=True)

    def _publish(self, kwargs: Any, answer: Any, begin: Any, end: Any, failed: bool = False) -> None:
        try:
            for exchange in exchanges_of(kwargs, answer, begin, end, failed):
                self._publisher.publish({**present(route=self._route), **exchange})
        except Exception:
            self._publisher.failed()


def exchanges_of(kwargs: Any, answer: Any, begin: Any, end: Any, failed: bool) -> list[Json]:
    """The exchanges of one logged call; none of a call that asks for no answer in words, such as embeddings."""
    payload = get(kwargs, "standard_logging_object") or {}
    if (get(payload, "call_type") or "completion") not in ("completion", "acompletion"):
        return []
    metadata = _metadata(kwargs)
    optional = get(kwargs, "optional_params") or {}
    common = present(
        ts=begin.astimezone(timezone.utc).isoformat() if isinstance(begin, datetime) else None,
        latency_ms=max((end - begin).total_seconds() * 1000, 0.0) if isinstance(begin, datetime) else None,
        route=text(metadata.get("keelwatch_route")),
        conversation=text(metadata.get("keelwatch_conversation")),
        user=text(metadata.get("keelwatch_user")) or text(get(kwargs, "user")) or text(get(optional, "user")),
        prompt=messages_of(get(kwargs, "messages")),
        tools=listed(get(optional, "tools")),
    )
    model = present(
        requested=text(get(payload, "model_group")) or text(get(kwargs, "model")) or "",
        provider=text(get(kwargs, "custom_llm_provider")) or text(get(payload, "custom_llm_provider")),
    )
    if failed:
        return [{**common, "model": model, "response": {"error": _error(kwargs, payload)}}]
    return [{**common, **one, "model": {**model, **one["model"]}} for one in OpenAIChat().answers(answer)]


def _metadata(kwargs: Any) -> Json:
    """What the caller gave, by the SDK or by the body of a request to the proxy."""
    parameters = get(kwargs, "litellm_params") or {}
    found = get(parameters, "metadata") or {}
    return {**(get(found, "requester_metadata") or {}), **found}


def _error(kwargs: Any, payload: Any) -> Json:
    told = get(payload, "error_information") or {}
    error = get(kwargs, "exception")
    code = text(get(told, "error_code")) or count(getattr(error, "status_code", None))
    return present(
        type=text(get(told, "error_class")) or type(error).__name__,
        code=code,
        message=(text(get(told, "error_message")) or str(error))[:4_000],
    )
