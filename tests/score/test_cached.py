"""The cache in front of an embedder: same answers, less work, bounded."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.score.embed.cached import CachedEmbedder

LETTERS = st.lists(st.sampled_from("abcdefgh"), max_size=12)


class Hashing:
    """An embedder that makes vectors of hashes and remembers what it was asked."""

    engine = "hashing"
    precision = "f32"

    def __init__(self) -> None:
        self.asked: list[str] = []

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        self.asked += texts
        seeds = [hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest() for text in texts]
        rows = [np.frombuffer(seed * 12, dtype=np.uint8) for seed in seeds]
        return np.array(rows, dtype=np.float16).reshape(len(texts), 384)


@given(calls=st.lists(LETTERS, max_size=8), size=st.integers(1, 6))
def test_it_answers_as_the_embedder_behind_it_and_stays_bounded(calls, size):
    cached, plain = CachedEmbedder(Hashing(), size), Hashing()
    for texts in calls:
        np.testing.assert_array_equal(cached.embed(texts), plain.embed(texts))
        assert len(cached) <= size


def test_a_repeated_text_is_embedded_once():
    behind = Hashing()
    cached = CachedEmbedder(behind)
    cached.embed(["hello", "bye", "hello"])
    cached.embed(["bye", "hello", "new"])
    assert behind.asked == ["hello", "bye", "new"]


def test_the_text_used_longest_ago_goes_first():
    behind = Hashing()
    cached = CachedEmbedder(behind, size=2)
    for texts in (["a"], ["b"], ["a"], ["c"], ["a"], ["b"]):
        cached.embed(texts)
    assert behind.asked == ["a", "b", "c", "b"]


def test_changing_an_answer_does_not_change_the_cache():
    cached = CachedEmbedder(Hashing())
    first = cached.embed(["a"])
    kept = first.copy()
    first[:] = 0
    np.testing.assert_array_equal(cached.embed(["a"]), kept)


def test_texts_that_utf8_cannot_hold_are_cached_apart():
    assert CachedEmbedder(Hashing()).embed(["\ud800", "\ud801", "?"]).shape == (3, 384)
    assert CachedEmbedder(Hashing()).embed([]).shape == (0, 384)


def test_it_passes_on_what_computes():
    cached = CachedEmbedder(Hashing())
    assert (cached.engine, cached.precision) == ("hashing", "f32")
    with pytest.raises(ValueError, match="at least 1"):
        CachedEmbedder(Hashing(), 0)
