"""`wrap(client)`: the same client, whose calls of models are published."""

from __future__ import annotations

import copy
import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit

from keelwatch_client.anthropic_calls import AnthropicMessages
from keelwatch_client.call_form import CallForm, present
from keelwatch_client.exchange import Json
from keelwatch_client.openai_calls import OpenAIChat, OpenAIResponses
from keelwatch_client.publisher import Publisher, checked_route
from keelwatch_client.recorded_call import RecordedCall, result_later, result_of
from keelwatch_client.streams import Stand, StreamManager, is_stream_manager, recorded_stream

C = TypeVar("C")
_VERBS: Final = ("create", "parse", "stream")
_RESOURCES: Final[Mapping[str, Mapping[str, CallForm]]] = {
    "openai": {
        "chat.completions": OpenAIChat(),
        "beta.chat.completions": OpenAIChat(),
        "responses": OpenAIResponses(),
    },
    "anthropic": {"messages": AnthropicMessages(), "beta.messages": AnthropicMessages()},
}
_COPIES: Final = frozenset({"with_options", "copy"})
_PROVIDERS: Final = {
    "api.openai.com": "openai",
    "openai.azure.com": "azure",
    "cognitiveservices.azure.com": "azure",
    "api.anthropic.com": "anthropic",
}


def wrap(client: C, publisher: Publisher, *, route: str | None = None, provider: str | None = None) -> C:
    """A client of `openai` or `anthropic`, sync or async, whose calls of models are published as exchanges.

    The client that is given stays as it is. Answers, streams and exceptions are the library's own. Calls by
    `with_raw_response` and `with_streaming_response` pass through and are not published.

    Args:
        client: also one of AzureOpenAI, AnthropicBedrock and the like, or for another server (`base_url`).
        publisher: where exchanges go.
        route: of these calls, if not the publisher's; `context` goes before both.
        provider: who answers, where the address does not say it.

    Raises:
        TypeError: if it is a client of neither library.
        ValueError: if the route is none.
    """
    kind = next((one.__module__ for one in type(client).__mro__ if one.__module__ != "builtins"), "")
    library = next((name for name in _RESOURCES if kind.partition(".")[0] == name), None) or _likely(client)
    host = urlsplit(str(getattr(client, "base_url", ""))).hostname
    known = next((name for end, name in _PROVIDERS.items() if host and (host == end or host.endswith("." + end))), None)
    fields: Json = {"model": present(provider=provider or known, endpoint=host)}
    if route is not None:
        fields["route"] = checked_route(route)
    again = functools.partial(wrap, publisher=publisher, route=route, provider=provider)
    start = functools.partial(RecordedCall, publisher, fields=fields)
    return WrappedClient(client, "", start, again, _RESOURCES[library])  # type: ignore[return-value]  # it stands for it


def _likely(client: Any) -> str:
    """The library that a client of another class is like."""
    if hasattr(client, "chat") or hasattr(client, "responses"):
        return "openai"
    if hasattr(client, "messages"):
        return "anthropic"
    raise TypeError(
        f"client: must be one of openai or anthropic, not {type(client).__name__}; use `observe` for others"
    )


class WrappedClient(Stand):
    """A client, or one of its resources on the way to a call."""

    def __init__(
        self,
        inner: Any,
        path: str,
        start: Callable[..., RecordedCall],
        again: Callable[[Any], Any],
        resources: Mapping[str, CallForm],
    ) -> None:
        super().__init__(inner)
        object.__setattr__(self, "_below", (path, start, again, resources))

    def __getattr__(self, name: str) -> Any:
        value = super().__getattr__(name)
        path, start, again, resources = self._below
        here = f"{path}.{name}" if path else name
        if path in resources and name in _VERBS:
            return self._kept(name, _recorded(value, functools.partial(start, form=resources[path])))
        if any(f"{resource}.".startswith(f"{here}.") for resource in resources):
            return self._kept(name, WrappedClient(value, here, start, again, resources))
        if not path and name in _COPIES:
            return lambda *args, **kwargs: again(value(*args, **kwargs))
        return value

    def __copy__(self) -> Any:
        return WrappedClient(copy.copy(self._inner), *self._below)

    def __deepcopy__(self, memo: Any) -> Any:
        return WrappedClient(copy.deepcopy(self._inner, memo), *self._below)

    def _kept(self, name: str, made: Any) -> Any:
        """Keep what is asked for with every call."""
        object.__setattr__(self, name, made)
        return made

    def __setattr__(self, name: str, value: Any) -> None:
        self.__dict__.pop(name, None)
        super().__setattr__(name, value)

    def __enter__(self) -> Any:
        self._inner.__enter__()
        return self

    def __exit__(self, *raised: Any) -> Any:
        return self._inner.__exit__(*raised)

    async def __aenter__(self) -> Any:
        await self._inner.__aenter__()
        return self

    async def __aexit__(self, *raised: Any) -> Any:
        return await self._inner.__aexit__(*raised)


def _recorded(method: Callable[..., Any], start: Callable[..., RecordedCall]) -> Callable[..., Any]:
    @functools.wraps(method)
    def call_model(*args: Any, **asked: Any) -> Any:
        return result_of(lambda: method(*args, **asked), start(asked=asked), _now_or_later)

    return call_model


def _now_or_later(result: Any, call: RecordedCall) -> Any:
    return result_later(result, call, _returned) if inspect.isawaitable(result) else _returned(result, call)


def _returned(result: Any, call: RecordedCall) -> Any:
    """The result as the application gets it: itself, or a stream that is recorded as it is read."""
    if hasattr(result, "__next__") or hasattr(result, "__anext__"):
        return recorded_stream(result, call)
    if is_stream_manager(result):
        return StreamManager(result, call)
    call.answered(result)
    return result
