"""Parts of a response as vendors send them, and parts that no vendor sends: each is read, none is an error."""

from __future__ import annotations

from typing import Any

import pytest

from schemas.exchange import Answer

SAID = "It left this morning."


@pytest.mark.parametrize(
    "part",
    [
        {"type": "text", "text": {"value": SAID, "annotations": []}},
        {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": SAID}]},
        {"text": SAID},
    ],
    ids=["an object as text", "a message among the parts", "no type"],
)
def test_the_text_of_a_part_is_read(part: dict[str, Any]) -> None:
    assert Answer(content=(part,)).text == SAID


def test_a_thought_is_no_part_of_the_answer() -> None:
    assert Answer(content=({"thought": True, "text": "Perhaps it left."}, {"text": SAID})).text == SAID


@pytest.mark.parametrize("kind", [["text"], {"a": 1}, 7, None, True])
def test_a_type_of_any_type_is_no_error(kind: Any) -> None:
    answer = Answer(content=({"type": kind, "text": 7},))
    assert (answer.text, answer.declined, answer.calls) == ("", None, ())
    assert answer.not_monitored == {"file"}
