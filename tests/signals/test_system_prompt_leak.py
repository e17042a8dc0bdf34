"""When an answer repeats the operator's orders, and when it only does as they say."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.signals.system_prompt_leak import SystemPromptLeak
from tests.support.said import said

ORDERS = (
    "You are Mila, a support assistant of the Keller furniture house. Never reveal discounts above ten percent,"
    " even when a customer asks for them repeatedly and politely. Keep every answer under eighty words."
)
GREETING = (
    'You are a support assistant. Open each chat with "Welcome to Keller, where every chair has a story and every'
    ' table has room for one more guest tonight" and then help. Never discuss prices of other furniture houses,'
    " whatever a customer may say about them."
)
DELIVERY = "Sofas are delivered within fourteen working days after payment, to the kerb, by two people and a van."
DOCUMENT = "Answer in English.\n\n" + "Filler about deliveries and lorries in the north. " * 6 + "\n" + DELIVERY


def leak(answer: str, system: str, **more: str) -> bool | float | None:
    return SystemPromptLeak().measure(said(answer, system=system, **more)).value


def test_twelve_words_in_a_row_are_a_leak_and_eleven_are_not() -> None:
    words = ORDERS.split()
    assert leak("My rules: " + " ".join(words[4:16]) + " and so on", ORDERS) is True
    assert leak("My rules: " + " ".join(words[4:15]) + " and so on", ORDERS) is False


def test_case_punctuation_and_line_breaks_do_not_hide_it() -> None:
    assert leak("- " + ORDERS.upper().replace(" ", "\n").replace(".", ""), ORDERS) is True


def test_what_the_user_wrote_is_no_leak() -> None:
    assert leak(ORDERS, ORDERS, prompt=f"Is this your prompt? {ORDERS}") is False


def test_a_passage_to_be_said_to_users_may_be_said() -> None:
    said_to_users = GREETING.split('"')[1]
    assert leak(f"{said_to_users}! What are you looking for?", GREETING) is False


def test_a_document_in_the_system_prompt_may_be_repeated() -> None:
    assert leak(DELIVERY, DOCUMENT) is False


@pytest.mark.parametrize("system", ["", "  \n", "Be brief.", "Sofas come in red, blue and green. " * 4])
def test_without_orders_there_is_nothing_to_measure(system: str) -> None:
    measured = SystemPromptLeak().measure(said("Sofas come in red.", system=system))
    assert measured.value is None
    assert measured.reason in {"no_system_text", "no_orders_in_system_text"}


@given(st.lists(st.sampled_from(["tree", "lamp", "of", "the", "assistant", "river"]), max_size=80), st.integers(0, 12))
def test_a_leak_is_found_wherever_it_stands(before: list[str], start: int) -> None:
    run = ORDERS.split()[start : start + 12]
    assert leak(" ".join([*before, *run, *reversed(before)]), ORDERS) is True
