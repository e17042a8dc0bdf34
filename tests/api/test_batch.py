"""A body is cut into exactly the records that were sent, byte for byte."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.api.exchange_publisher import uuid7
from services.api.http.batch import MOST_RECORDS, BatchError, split_records, with_id

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)
OBJECTS = st.lists(st.dictionaries(st.text(), VALUES), min_size=1, max_size=8)


@given(OBJECTS, st.sampled_from([None, 1]), st.booleans())
def test_arrays_wrapped_arrays_and_lines_hold_the_same_records(some, indent, ascii_only) -> None:
    def text(value, indent=indent):
        return json.dumps(value, indent=indent, ensure_ascii=ascii_only).encode("utf-8", "surrogatepass")

    assert [json.loads(one) for one in split_records(text(some))] == some
    assert [json.loads(one) for one in split_records(b' {"exchanges" :' + text(some) + b"}\n")] == some
    lines = b"\n".join(text(one, None) for one in some)
    assert [json.loads(one) for one in split_records(lines, lines=True)] == some
    assert [json.loads(one) for one in split_records(lines)] == some


def test_one_object_is_one_record_however_it_is_written() -> None:
    assert split_records(b'\xef\xbb\xbf {"a":\n 1}\n') == [b' {"a":\n 1}\n']
    assert split_records(b'{"a": 1') == [b'{"a": 1']
    assert split_records(b'{"a": "\xff"}') == [b'{"a": "\xff"}']
    assert split_records(b'[{"a": "\xff"}]') == [b'{"a": "\xff"}']
    assert split_records(b"\xff\xfe{\x00}\x00") == [b"\xff\xfe{\x00}\x00"]


def test_a_broken_line_leaves_its_neighbours_whole() -> None:
    assert split_records(b'{"a": 1}\n{"b": \n{"c": 3}') == [b'{"a": 1}', b'{"b": ', b'{"c": 3}']


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "body: empty"),
        (b" \n ", "body: empty"),
        (b"[]", "body: empty"),
        (b'{"exchanges": []}', "body: empty"),
        (b'[{"a": 1}, {"b": }]', "exchanges[1]: not JSON"),
        (b'[{"a": 1} {"b": 2}]', "exchanges[0]: a comma or ] must follow"),
        (b'[{"a": 1}', "exchanges[0]: a comma or ] must follow"),
        (b'[{"a": 1}] more', "body: goes on after the array"),
        (b'{"exchanges": [{"a": 1}], "b": 2}', "has no other fields"),
        (b"[" * 10_000, "exchanges[0]: not JSON"),
        (b"[" * 500_000, "exchanges[0]: nested more than 64 levels deep"),
        (b"[[" + b"[]," * 450_000 + b"[]]]", "exchanges[0]: more than 400,000 values"),
        (b"[" + b"[]," * 2_000_000 + b"[]]", "more than 1,000 exchanges"),
        (b"{}\n" * 2_000_000, "more than 1,000 exchanges"),
        (b"[1" + b"0" * 100_000 + b"]", "exchanges[0]: not JSON"),
        (b"[" + b",".join([b"{}"] * (MOST_RECORDS + 1)) + b"]", "more than 1,000 exchanges"),
    ],
)
def test_what_cannot_be_cut_is_refused_with_place_and_remedy(body: bytes, said: str) -> None:
    with pytest.raises(BatchError) as caught:
        split_records(body)
    assert said in str(caught.value)


@given(st.dictionaries(st.text(), VALUES, min_size=1))
def test_an_id_is_added_and_nothing_else_changes(fields) -> None:
    raw = json.dumps({**fields, "id": None}).encode() + b" \n"
    assert json.loads(with_id(raw, "x")) == {**fields, "id": "x"}


def test_ids_are_uuids_of_version_7_that_sort_by_time() -> None:
    ids = [uuid7(1_700_000_000_000 + i, bytes([255 - i] * 10)) for i in range(200)]
    assert ids == sorted(ids)
    assert all(one[14] == "7" and one[19] in "89ab" for one in ids)
