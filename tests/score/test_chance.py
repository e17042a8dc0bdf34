"""Shares drawn by id: stable, of the right size, independent of each other."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from schemas.sample import is_drawn

IDS = [f"k:c/t/0/{n}" for n in range(20_000)]


@given(id=st.text(st.characters(codec="utf-8")), low=st.floats(0, 1), high=st.floats(0, 1))
def test_who_is_in_a_share_is_in_every_greater_one(id, low, high):
    low, high = sorted((low, high))
    assert is_drawn(id, low, "sample") <= is_drawn(id, high, "sample")
    assert is_drawn(id, 1.0, "sample")
    assert not is_drawn(id, 0.0, "sample")


def test_a_share_has_its_size_also_within_another_draw():
    sampled = [id for id in IDS if is_drawn(id, 0.05, "sample")]
    assert 850 < len(sampled) < 1150
    embedded = [id for id in sampled if is_drawn(id, 0.5, "embed")]
    assert 0.42 < len(embedded) / len(sampled) < 0.58


def test_the_draw_is_the_same_on_every_machine():
    assert [n for n, id in enumerate(IDS[:100]) if is_drawn(id, 0.05, "sample")] == [18, 19, 20, 36, 54]
