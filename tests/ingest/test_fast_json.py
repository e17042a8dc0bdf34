"""The fast decoder of JSON and of protobuf's attributes reads what the slow ones read, to the same values."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.ingest import json_text
from services.ingest.errors import FormatError
from services.ingest.formats.otlp_wire import read_otlp
from services.ingest.formats.protobuf import nested, packed
from tests.ingest.fuzz import broken, decoders

ODD = (
    *(
        "1e5",
        "-0",
        "-0.0",
        "1" * 25,
        "-9223372036854775809",
        "18446744073709551616",
        "1e-400",
        '"a\tb"',
        '{"a":1,"a":2}',
    ),
    *(
        '"\\u0000"',
        "1.0",
        "123456789012345678901234567890.5",
        '"\\/"',
        '"\x7f"',
        '"\\ud83d\\ude00"',
        '"\\ud83d\\u0041"',
    ),
    *('"\\ud800"', "0e999999", "[[]]", '"\u2028"', " 1 ", "9" * 4000, '{"": {"b": [null, true, 1.5e3]}}', "\n{}\r\t"),
)


def slow(text: str) -> Any:
    return json.JSONDecoder(strict=False).decode(text)


def told(value: Any) -> str:
    """With types and order, and without any number that equals another by chance."""
    return repr(value)


@pytest.mark.parametrize("text", ODD)
def test_odd_texts_have_the_values_that_the_decoder_of_python_gives(text: str) -> None:
    assert told(json_text.parse(text)) == told(slow(text))


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=12,
)


@given(values, st.booleans())
def test_any_value_is_read_as_it_was_written(value: Any, escaped: bool) -> None:
    text = json.dumps(value, ensure_ascii=escaped)
    assert told(json_text.parse(text)) == told(slow(text))


def test_broken_records_have_the_same_value_or_none() -> None:
    import random  # noqa: PLC0415

    chance, wholes = random.Random(3), [one for some in decoders().values() for one in some]
    read = 0
    for _ in range(400):
        text, _ = json_text.unicode_of(broken(chance, wholes))
        try:
            found = json_text.parse(text)
        except FormatError:
            continue
        assert told(found) == told(slow(text))
        read += 1
    assert read > 50


@pytest.mark.parametrize("size", [0, 1, 126, 127, 128, 129, 5000, 16383, 16384, 70_000])
@pytest.mark.parametrize("turned", [False, True])
def test_attributes_of_any_length_and_order_are_read(size: int, turned: bool) -> None:
    """Lengths of one, two and three bytes, and a value before its key, which protobuf allows."""
    key, text = "gen_ai.prompt.0.content", "x" * size
    pieces = [nested(1, key.encode()), nested(2, nested(1, text.encode()))]
    sent = [("gen_ai.request.model", nested(1, b"gpt-4")), ("gen_ai.usage.input_tokens", b"\x18" + packed(300))]
    more = [nested(9, nested(1, name.encode()) + nested(2, value)) for name, value in sent]
    pair = nested(9, b"".join(reversed(pieces) if turned else pieces))
    answer = nested(9, nested(1, b"gen_ai.completion.0.content") + nested(2, nested(1, b"yes")))
    span = nested(1, b"\1" * 16) + nested(2, b"\1" * 8) + pair + answer + b"".join(more)
    [draft] = read_otlp(nested(1, nested(2, nested(2, span))))
    assert draft.fields["prompt"][0]["content"] == text
    assert draft.fields["usage"]["input_tokens"] == 300
