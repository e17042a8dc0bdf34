"""`observe`: any function that asks a model, of each kind that Python has."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator, Callable, Iterator
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
        assert publisher.stats().dropped["fault"] >= 1
    assert exchanges == []
