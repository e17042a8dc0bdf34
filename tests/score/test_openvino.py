"""The default embedder: the same bits whatever else is in the batch, close to the reference, no network."""

from __future__ import annotations

import subprocess
import sys
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.monitor import RoutePolicy
from services.score.core import ExchangeScorer
from services.score.embed.inputs import LENGTHS
from services.score.embed.openvino import ROWS, OpenVinoEmbedder

pytestmark = pytest.mark.embedding
OFFLINE = """
import socket, sys
def refuse(*_): raise AssertionError("the embedder opened a connection")
socket.socket.connect = socket.socket.connect_ex = socket.getaddrinfo = refuse
from services.score.embed.openvino import ROWS, OpenVinoEmbedder
vectors = OpenVinoEmbedder(threads=1).embed(["hello"])
heavy = {"torch", "transformers", "sentence_transformers"} & set(sys.modules)
assert vectors.shape == (1, 384) and not heavy, heavy
"""


def bits(vectors):
    return vectors.view(np.uint16)


@pytest.fixture(scope="module")
def whole(embedder, sentences):
    return bits(embedder.embed(sentences))


@given(data=st.data())
@settings(max_examples=8)
def test_a_text_has_the_same_bits_in_every_batch_and_order(data, embedder, sentences, whole):
    order = data.draw(st.permutations(range(len(sentences))))[: data.draw(st.integers(1, 30))]
    cuts = data.draw(st.sets(st.integers(1, len(order)), max_size=4))
    for start, stop in pairwise(sorted({0, len(order), *cuts})):
        part = list(order[start:stop])
        np.testing.assert_array_equal(bits(embedder.embed([sentences[i] for i in part])), whole[part])


@pytest.mark.parametrize("threads", [2, 5])
def test_the_bits_do_not_depend_on_the_number_of_threads(threads, sentences, whole):
    some = list(range(0, len(sentences), 3))
    other = OpenVinoEmbedder(threads=threads).embed([sentences[i] for i in some])
    np.testing.assert_array_equal(bits(other), whole[some])


def test_every_text_has_a_unit_vector(embedder, sentences):
    lengths = np.linalg.norm(embedder.embed(sentences).astype(np.float64), axis=1)
    np.testing.assert_allclose(lengths, 1, atol=2e-3)


def test_text_without_words_has_the_vector_of_no_words(embedder):
    empty, blank, marks = embedder.embed(["", " \n\t", "\u200b"])
    np.testing.assert_array_equal(bits(empty), bits(blank))
    np.testing.assert_array_equal(bits(empty), bits(marks))


def test_no_texts_are_no_vectors(embedder):
    assert embedder.embed([]).shape == (0, 384)


def test_precision_is_what_the_plugin_computes_in_and_can_be_pinned(embedder):
    assert embedder.precision in {"bf16", "f32"}
    pinned = OpenVinoEmbedder(precision="f32", threads=1)
    assert pinned.precision == "f32"
    assert pinned.engine == embedder.engine


def test_it_starts_without_torch_and_without_a_network():
    subprocess.run([sys.executable, "-W", "error", "-c", OFFLINE], check=True)


@pytest.mark.embedding
def test_a_scorer_that_was_warmed_has_no_length_left_to_compile():
    embedder = OpenVinoEmbedder(threads=1)
    ExchangeScorer(embedder, lambda route: RoutePolicy()).warm()
    assert sorted(embedder._known) == list(LENGTHS)


def test_bits_do_not_depend_on_which_length_came_first(sentences, whole):
    longest_first = OpenVinoEmbedder(threads=1)
    for n in (120, 40, 8, 80):
        longest_first.embed(["word " * n])
    np.testing.assert_array_equal(bits(longest_first.embed(sentences)), whole)


@pytest.mark.parametrize("length", [LENGTHS[0], LENGTHS[3], LENGTHS[-1]])
def test_a_graph_of_that_length_alone_gives_the_same_bits(embedder, length):
    model = embedder._model.graph()
    model.reshape({name: [ROWS, length] for name in ("ids", "mask")})
    alone = embedder._core.compile_model(model, "CPU", embedder._properties).create_infer_request()
    ids = np.random.default_rng(length).integers(1000, 30000, (ROWS, length), dtype=np.int32)
    mask = np.tri(ROWS, length, length - ROWS, dtype=np.float32)
    expected, found = (request.infer([ids, mask])[0] for request in (alone, embedder._requests[0]))
    np.testing.assert_array_equal(found.view(np.uint32), expected.view(np.uint32))
