"""`observe`: any function that asks a model, of each kind that Python has."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator, Iterator
from typing import Any

import pytest

from keelwatch_client import Publisher, observe
from tests.sdk.replayed import published

Functions = dict[str, Callable[..., Any]]


class OwnError(Exception):
    """The application's own."""


def functions(publisher: Publisher, raised: Exception | None = None) -> Functions:
    """The same answer by a function, a generator and both of coroutines."""
    observed = observe(publisher, model="house-7b", provider="own", route="own/model")

    @observed
    def plain(question: str) -> str:
        if raised:
            raise raised
        return f"{question} Yes."

    @observed
    def pieces(question: str) -> Iterator[str]:
        yield question
        if raised:
            raise raised
        yield " Yes."

    @observed
    async def later(question: str) -> str:
        await asyncio.sleep(0)
        if raised:
            raise raised
        return f"{question} Yes."

    @observed
    async def pieces_later(question: str) -> AsyncIterator[str]:
        yield question
        await asyncio.sleep(0)
        if raised:
            raise raised
        yield " Yes."

    return {"plain": plain, "pieces": pieces, "later": later, "pieces_later": pieces_later}


def asked(function: Callable[..., Any], *args: Any) -> str:
    """The whole answer of a function of any kind."""

    async def work() -> str:
        if inspect.isasyncgen(found := function(*args)):
            return "".join([piece async for piece in found])
        whole: str = await found
        return whole

    if function.__name__.endswith("later"):
        return asyncio.run(work())
    return "".join(function(*args))


@pytest.mark.parametrize("name", ["plain", "pieces", "later", "pieces_later"])
def test_each_kind_of_function_is_published_and_gives_the_same(name: str) -> None:
    with published() as (publisher, exchanges):
        assert asked(functions(publisher)[name], "Well?") == "Well? Yes."
    [exchange] = exchanges
    assert (exchange["prompt"], exchange["response"]) == ("Well?", {"content": "Well? Yes."})
    assert exchange["model"] == {"requested": "house-7b", "provider": "own"}
    assert exchange["route"] == "own/model"


@pytest.mark.parametrize("name", ["plain", "pieces", "later", "pieces_later"])
def test_its_own_exception_comes_through_unchanged_and_is_published(name: str) -> None:
    raised = OwnError("no")
    with published() as (publisher, exchanges):
        with pytest.raises(OwnError) as caught:
            asked(functions(publisher, raised)[name], "Well?")
        assert caught.value is raised
    assert exchanges[0]["response"]["error"] == {"type": "OwnError", "message": "no"}


def test_prompt_and_response_may_be_taken_from_anywhere() -> None:
    with published() as (publisher, exchanges):

        class Bot:
            @observe(publisher, model="m", prompt=lambda self, *, turns: turns, response=lambda found: found["told"])
            def ask(self, *, turns: list[dict[str, str]]) -> dict[str, Any]:
                return {"told": {"content": "Yes.", "finish_reason": "stop"}, "more": object()}

            @observe(publisher, model="m")
            def first(self, question: str) -> str:
                return "No."

        Bot().ask(turns=[{"role": "user", "content": "Well?"}])
        Bot().first("Well?")
    assert exchanges[0]["prompt"] == [{"role": "user", "content": "Well?"}]
    assert exchanges[0]["response"] == {"content": "Yes.", "finish_reason": "stop"}
    assert exchanges[1]["prompt"] == "Well?"


def test_what_cannot_be_read_from_a_call_does_not_break_it() -> None:
    with published() as (publisher, exchanges):

        @observe(publisher, model="m", response=lambda _: 1 / 0)
        def odd() -> str:
            return "Yes."

        assert odd() == "Yes."
        with pytest.raises(TypeError):
            odd(1, 2, 3)  # type: ignore[call-arg]
        assert publisher.stats().dropped == {"fault": 2}, "each call once"
    assert exchanges == []


def test_a_function_without_arguments_has_an_empty_prompt() -> None:
    with published() as (publisher, exchanges):
        observe(publisher, model="m")(lambda: "Yes.")()
    assert [one["prompt"] for one in exchanges] == [""]


def test_what_goes_into_a_generator_and_what_it_returns_pass_through() -> None:
    with published() as (publisher, exchanges):

        @observe(publisher, model="m")
        def talk(question: str) -> Generator[str, str, str]:
            try:
                heard = yield question
            except OwnError:
                heard = yield " Thrown."
            yield heard
            return "returned"

        assert inspect.isgeneratorfunction(talk)
        spoken = talk("Well?")
        assert [next(spoken), spoken.throw(OwnError()), spoken.send(" Yes.")] == ["Well?", " Thrown.", " Yes."]
        with pytest.raises(StopIteration) as end:
            next(spoken)
        assert end.value.value == "returned"
        left = talk("Left?")
        next(left)
        left.close()
    assert [one["response"] for one in exchanges] == [
        {"content": "Well? Thrown. Yes."},
        {"content": "Left?", "finish_reason": "cancelled"},
    ]


def test_what_goes_into_a_generator_of_coroutines_passes_through_and_it_is_closed() -> None:
    closed = []

    async def work(publisher: Publisher) -> list[str]:
        @observe(publisher, model="m")
        async def talk(question: str) -> AsyncGenerator[str, str]:
            try:
                try:
                    heard = yield question
                except OwnError:
                    heard = yield " Thrown."
                yield heard
            finally:
                closed.append(question)

        assert inspect.isasyncgenfunction(talk)
        spoken = talk("Well?")
        told = [await spoken.__anext__(), await spoken.athrow(OwnError()), await spoken.asend(" Yes.")]
        await spoken.aclose()
        assert closed == ["Well?"]
        return told

    with published() as (publisher, exchanges):
        assert asyncio.run(work(publisher)) == ["Well?", " Thrown.", " Yes."]
    assert exchanges[0]["response"] == {"content": "Well? Thrown. Yes.", "finish_reason": "cancelled"}


def test_a_stream_or_a_coroutine_that_a_function_returns_is_the_answer() -> None:
    """The function itself is a plain one, as where a library's method is given on."""

    async def later() -> str:
        return "Yes."

    async def pieces_later() -> AsyncIterator[str]:
        yield "Ye"
        yield "s."

    async def stream(_: str) -> AsyncIterator[str]:
        return pieces_later()

    async def work(publisher: Publisher) -> None:
        observed = observe(publisher, model="m")
        assert await observed(lambda _: later())("coroutine") == "Yes."
        assert await observed(lambda _: asyncio.ensure_future(later()))("task") == "Yes."
        assert [piece async for piece in observed(lambda _: pieces_later())("async generator")] == ["Ye", "s."]
        assert [piece async for piece in await observed(stream)("awaited stream")] == ["Ye", "s."]
        assert list(observed(lambda _: (piece for piece in ("Ye", "s.")))("generator")) == ["Ye", "s."]
        assert list(observed(lambda _: iter(("Ye", "s.")))("iterator")) == ["Ye", "s."]

    with published() as (publisher, exchanges):
        asyncio.run(work(publisher))
    assert [one["response"] for one in exchanges] == [{"content": "Yes."}] * 6


class Secretive:
    """Its words are the application's."""

    def __str__(self) -> str:
        raise AssertionError("nobody asked for it")

    __repr__ = __str__


@pytest.mark.parametrize(
    ("result", "content"),
    [
        (None, None),
        (7, "7"),
        (True, "true"),
        (["a", Secretive()], '["a","<Secretive>"]'),
        (Secretive(), "<Secretive>"),
    ],
)
def test_what_is_no_text_is_written_as_json_or_by_the_name_of_its_type(result: Any, content: Any) -> None:
    with published() as (publisher, exchanges):
        assert observe(publisher, model="m")(lambda _: result)("Well?") is result
    assert exchanges[0]["response"] == {"content": content}
