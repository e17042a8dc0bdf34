"""Streams that look like the vendor's own, and are recorded as they are read."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Iterator
from typing import Any, Final

from keelwatch_client.recorded_call import RecordedCall

_FINAL: Final = frozenset({"get_final_message", "get_final_completion", "get_final_response"})
_LIBRARIES: Final = frozenset({"openai", "anthropic", "httpx", "httpx2", "httpcore", "httpcore2"})


class Stand:
    """Stands for another object: has its class, its attributes and takes its settings."""

    def __init__(self, inner: Any) -> None:
        object.__setattr__(self, "_inner", inner)

    @property  # type: ignore[misc]  # isinstance asks it
    def __class__(self) -> Any:
        return type(self._inner)

    def __getattr__(self, name: str) -> Any:
        if name == "_inner":  # a copy has none before it is filled
            raise AttributeError(name)
        return getattr(self._inner, name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self._inner, name, value)

    def __repr__(self) -> str:
        return repr(self._inner)


class _ReadStream(Stand):
    """What both kinds of streams do."""

    def __init__(self, inner: Any, call: RecordedCall, helper: bool = False) -> None:
        super().__init__(inner)
        object.__setattr__(self, "_call", call)
        object.__setattr__(self, "_helper", inner if helper else None)

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._inner, name)
        return _final(found, self._call) if name in _FINAL else found

    def __del__(self) -> None:
        self._call.stream_ended(self._helper)


class ReadStream(_ReadStream):
    """A stream that is iterated."""

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        try:
            item = next(self._inner)
        except StopIteration:
            self._call.stream_ended(self._helper, whole=True)
            raise
        except Exception as error:
            self._call.stream_ended(self._helper, error)
            raise
        self._call.chunk(item)
        return item

    def __enter__(self) -> Any:
        self._inner.__enter__()
        return self

    def __exit__(self, *raised: Any) -> Any:
        _left(self._call, self._helper, raised[1])
        return self._inner.__exit__(*raised)

    def close(self) -> Any:
        """Read no further."""
        self._call.stream_ended(self._helper)
        return self._inner.close()


class ReadAsyncStream(_ReadStream):
    """A stream that is iterated in a coroutine."""

    def __aiter__(self) -> AsyncIterator[Any]:
        return self

    async def __anext__(self) -> Any:
        try:
            item = await self._inner.__anext__()
        except StopAsyncIteration:
            self._call.stream_ended(self._helper, whole=True)
            raise
        except Exception as error:
            self._call.stream_ended(self._helper, error)
            raise
        self._call.chunk(item)
        return item

    async def __aenter__(self) -> Any:
        await self._inner.__aenter__()
        return self

    async def __aexit__(self, *raised: Any) -> Any:
        _left(self._call, self._helper, raised[1])
        return await self._inner.__aexit__(*raised)

    def close(self) -> Any:
        """Read no further."""
        self._call.stream_ended(self._helper)
        return self._inner.close()

    aclose = close


class StreamManager(Stand):
    """What the helpers `stream()` give: the call is made when their block begins."""

    def __init__(self, inner: Any, call: RecordedCall) -> None:
        super().__init__(inner)
        object.__setattr__(self, "_call", call)
        object.__setattr__(self, "_stream", None)

    def __enter__(self) -> Any:
        try:
            stream = self._inner.__enter__()
        except Exception as error:
            self._call.failed(error)
            raise
        object.__setattr__(self, "_stream", stream)
        return ReadStream(stream, self._call, helper=True)

    def __exit__(self, *raised: Any) -> Any:
        _left(self._call, self._stream, raised[1])
        return self._inner.__exit__(*raised)

    async def __aenter__(self) -> Any:
        try:
            stream = await self._inner.__aenter__()
        except Exception as error:
            self._call.failed(error)
            raise
        object.__setattr__(self, "_stream", stream)
        return ReadAsyncStream(stream, self._call, helper=True)

    async def __aexit__(self, *raised: Any) -> Any:
        _left(self._call, self._stream, raised[1])
        return await self._inner.__aexit__(*raised)


def recorded_stream(result: Any, call: RecordedCall) -> Any:
    """A result of `stream=True`, recorded as it is read."""
    if hasattr(result, "__anext__"):
        return ReadAsyncStream(result, call)
    return ReadStream(result, call) if hasattr(result, "__next__") else result


def is_stream_manager(result: Any) -> bool:
    """Whether a result is a block in which a stream is read."""
    return hasattr(result, "__enter__") or hasattr(result, "__aenter__")


def _left(call: RecordedCall, helper: Any, error: BaseException | None) -> None:
    """The block was left. An error that is no error of the libraries that call is the application's own."""
    ours = error is not None and type(error).__module__.partition(".")[0] in _LIBRARIES
    call.stream_ended(helper, error if ours else None)


def _final(method: Any, call: RecordedCall) -> Any:
    """A method that reads to the end and gives the whole answer."""

    def read(*args: Any, **kwargs: Any) -> Any:
        result = method(*args, **kwargs)
        if inspect.isawaitable(result):
            return _answered_later(result, call)
        call.answered(result)
        return result

    return read


async def _answered_later(waiting: Any, call: RecordedCall) -> Any:
    result = await waiting
    call.answered(result)
    return result
