"""`observe`: a decorator for any function that asks a model."""

from __future__ import annotations

import functools
import inspect
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from typing import Any, ParamSpec, TypeVar, cast

from keelwatch_client.call_form import messages_of, present
from keelwatch_client.exchange import Json
from keelwatch_client.publisher import Publisher, checked_route
from keelwatch_client.recorded_call import RecordedCall

P = ParamSpec("P")
R = TypeVar("R")


class FunctionCall:
    """The form of a call of a function: its first argument is asked, what it returns or yields is the answer."""

    def __init__(self, signature: inspect.Signature, prompt: Callable[..., Any] | None, response: Any) -> None:
        self._signature, self._prompt, self._response = signature, prompt, response

    def request(self, asked: Mapping[str, Any]) -> Json:
        """What is asked, by the arguments."""
        args, kwargs = asked["args"], asked["kwargs"]
        if self._prompt is not None:
            value = self._prompt(*args, **kwargs)
        else:
            given = self._signature.bind(*args, **kwargs).arguments
            value = next((item for name, item in given.items() if name not in ("self", "cls")), "")
        return {"prompt": value if isinstance(value, str) else messages_of(value), "model": {}}

    def answers(self, result: Any) -> list[Json]:
        """The answer, by what was returned."""
        value = result if self._response is None else self._response(result)
        answer = dict(value) if isinstance(value, Mapping) else {"content": value if value is None else str(value)}
        return [{"response": answer}]

    def joiner(self) -> JoinedPieces:
        """Joins what a generator yields."""
        return JoinedPieces()

    def snapshot(self, stream: Any) -> Any:
        """There is no helper."""
        return None


class JoinedPieces:
    """Pieces of text."""

    def __init__(self) -> None:
        self._pieces: list[str] = []

    def add(self, chunk: Any) -> None:
        """The next piece."""
        self._pieces.append(str(chunk))

    def whole(self) -> Any:
        """The text."""
        return "".join(self._pieces)


def observe(
    publisher: Publisher,
    *,
    model: str,
    route: str | None = None,
    provider: str | None = None,
    prompt: Callable[..., Any] | None = None,
    response: Callable[[Any], Any] | None = None,
) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """A decorator: each call of the function is published as an exchange; generators once they are read.

    Args:
        publisher: where exchanges go.
        model: the name of who answers.
        route: of these calls, if not the publisher's.
        provider: who runs the model.
        prompt: is given the arguments and returns what is asked, a text or messages; else it is the first argument.
        response: is given the result and returns the answer, a text or an object with `content`; else it is the result.

    Raises:
        ValueError: if the route is none.
    """
    fields: Json = {"model": present(requested=model, provider=provider)}
    if route is not None:
        fields["route"] = checked_route(route)

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        form = FunctionCall(inspect.signature(function), prompt, response)

        def start(args: Any, kwargs: Any) -> RecordedCall:
            return RecordedCall(publisher, form=form, fields=fields, asked={"args": args, "kwargs": kwargs})

        return cast(Callable[P, R], functools.wraps(function)(_recording(function, start)))

    return decorate


def _recording(function: Callable[..., Any], start: Callable[[Any, Any], RecordedCall]) -> Callable[..., Any]:
    """The function of the same kind, recorded."""
    if inspect.isasyncgenfunction(function):
        return lambda *args, **kwargs: _yielding_later(function(*args, **kwargs), start(args, kwargs))
    if inspect.isgeneratorfunction(function):
        return lambda *args, **kwargs: _yielding(function(*args, **kwargs), start(args, kwargs))
    if inspect.iscoroutinefunction(function):

        async def awaited(*args: Any, **kwargs: Any) -> Any:
            call = start(args, kwargs)
            try:
                result = await function(*args, **kwargs)
            except Exception as error:
                call.failed(error)
                raise
            call.answered(result)
            return result

        return awaited

    def called(*args: Any, **kwargs: Any) -> Any:
        call = start(args, kwargs)
        try:
            result = function(*args, **kwargs)
        except Exception as error:
            call.failed(error)
            raise
        call.answered(result)
        return result

    return called


def _yielding(pieces: Iterator[Any], call: RecordedCall) -> Iterator[Any]:
    try:
        for piece in pieces:
            call.chunk(piece)
            yield piece
    except Exception as error:
        call.stream_ended(error=error)
        raise
    else:
        call.stream_ended(whole=True)
    finally:
        call.stream_ended()


async def _yielding_later(pieces: AsyncIterator[Any], call: RecordedCall) -> AsyncIterator[Any]:
    try:
        async for piece in pieces:
            call.chunk(piece)
            yield piece
    except Exception as error:
        call.stream_ended(error=error)
        raise
    else:
        call.stream_ended(whole=True)
    finally:
        call.stream_ended()
