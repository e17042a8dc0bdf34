"""`observe`: a decorator for any function that asks a model."""

from __future__ import annotations

import asyncio
import functools
import inspect
from collections.abc import AsyncGenerator, Callable, Generator, Mapping
from typing import Any, ParamSpec, TypeVar, cast

from keelwatch_client.call_form import messages_of, present
from keelwatch_client.exchange import Json, dumps, plain
from keelwatch_client.publisher import Publisher, checked_route
from keelwatch_client.recorded_call import RecordedCall, result_later, result_of
from keelwatch_client.streams import recorded_stream

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
        return [{"response": _answer(value)}]

    def joiner(self) -> JoinedPieces:
        """Joins what a generator yields."""
        return JoinedPieces()

    def snapshot(self, stream: Any) -> Any:
        """There is no helper."""
        return None


def _answer(value: Any) -> Json:
    """A value as a response; what is no text is written as JSON, or by the name of its type."""
    shown = value if isinstance(value, (str, Mapping, list, tuple)) else plain(value)
    if isinstance(shown, Mapping):
        return dict(shown)
    if isinstance(value, (int, float, list, tuple)):
        return {"content": dumps(value).decode()}
    return {"content": None if value is None else shown}


class JoinedPieces:
    """What was yielded."""

    def __init__(self) -> None:
        self._pieces: list[Any] = []

    def add(self, chunk: Any) -> None:
        """The next piece."""
        self._pieces.append(chunk)

    def whole(self) -> Any:
        """The text, or the list of the pieces where one of them is no text."""
        return "".join(self._pieces) if all(isinstance(one, str) for one in self._pieces) else self._pieces


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
        response: is given the result (of a generator the text of all pieces, or their list where one is no text) and
            returns the answer, a text or an object with `content`; else it is the result.

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


Begin = Callable[[Any, Any], "tuple[Any, RecordedCall]"]


def _recording(function: Callable[..., Any], start: Callable[[Any, Any], RecordedCall]) -> Callable[..., Any]:
    """The function of the same kind, recorded: frameworks ask of which kind a function is."""

    def begin(args: Any, kwargs: Any) -> tuple[Any, RecordedCall]:
        return function(*args, **kwargs), start(args, kwargs)

    if inspect.isasyncgenfunction(function):
        return _generator_later(begin)
    if inspect.isgeneratorfunction(function):
        return _generator(begin)
    if inspect.iscoroutinefunction(function):

        async def awaited(*args: Any, **kwargs: Any) -> Any:
            call = start(args, kwargs)
            return await result_later(function(*args, **kwargs), call, _returned)

        return awaited

    def called(*args: Any, **kwargs: Any) -> Any:
        return result_of(lambda: function(*args, **kwargs), start(args, kwargs), _returned)

    return called


def _returned(result: Any, call: RecordedCall) -> Any:
    """The result as the application gets it: itself, or, where the answer is still to come, what records it."""
    kind = type(result)
    if inspect.isgenerator(result):
        return _generator(lambda *_: (result, call))()
    if inspect.isasyncgen(result):
        return _generator_later(lambda *_: (result, call))()
    if inspect.iscoroutine(result):
        return result_later(result, call, _returned)
    if isinstance(result, asyncio.Future):
        result.add_done_callback(functools.partial(_done, call))
    elif hasattr(kind, "__next__") or hasattr(kind, "__anext__"):
        return recorded_stream(result, call)
    elif not hasattr(kind, "__await__"):  # of another library: it could not stand for itself
        call.answered(result)
    return result


def _done(call: RecordedCall, future: asyncio.Future[Any]) -> None:
    if future.cancelled():
        return
    if (error := future.exception()) is None:
        call.answered(future.result())
    else:
        call.failed(error)


def _generator(begin: Begin) -> Callable[..., Any]:
    """A generator that delegates as `yield from` does (PEP 380), and records what passes."""

    def reading(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
        pieces, call = begin(args, kwargs)
        try:
            piece = next(pieces)
            while True:
                call.chunk(piece)
                try:
                    given = yield piece
                except GeneratorExit:
                    pieces.close()
                    raise
                except BaseException as error:
                    piece = pieces.throw(error)
                else:
                    piece = pieces.send(given)
        except StopIteration as end:
            call.stream_ended(whole=True)
            return end.value
        except Exception as error:
            call.stream_ended(error=error)
            raise
        finally:
            call.stream_ended()

    return reading


def _generator_later(begin: Begin) -> Callable[..., Any]:
    """The same of a generator of coroutines (PEP 525)."""

    async def reading(*args: Any, **kwargs: Any) -> AsyncGenerator[Any, Any]:
        pieces, call = begin(args, kwargs)
        try:
            piece = await pieces.__anext__()
            while True:
                call.chunk(piece)
                try:
                    given = yield piece
                except GeneratorExit:
                    await pieces.aclose()
                    raise
                except BaseException as error:
                    piece = await pieces.athrow(error)
                else:
                    piece = await pieces.asend(given)
        except StopAsyncIteration:
            call.stream_ended(whole=True)
        except Exception as error:
            call.stream_ended(error=error)
            raise
        finally:
            call.stream_ended()

    return reading
