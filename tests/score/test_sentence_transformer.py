"""The reference embedder, and how close the default one is to it."""

from __future__ import annotations

import socket
from importlib import import_module

import numpy as np
import pytest

from services.errors import InputError
from services.score.embed.openvino import OpenVinoEmbedder

pytestmark = pytest.mark.embedding


@pytest.fixture(scope="module")
def embedder():
    """The class; PyTorch is imported when a test asks for it, not in every process that collects tests."""
    return import_module("services.score.embed.sentence_transformer").SentenceTransformerEmbedder


@pytest.fixture(scope="module")
def reference(embedder):
    return embedder(device="cpu")


@pytest.fixture(scope="module")
def expected(reference, sentences):
    return reference.embed(sentences)


def cosines(one, other):
    a, b = one.astype(np.float64), other.astype(np.float64)
    return (a * b).sum(axis=1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)


@pytest.mark.embedding
@pytest.mark.parametrize(("precision", "least"), [("auto", 0.999), ("f32", 0.99999)])
def test_the_default_embedder_agrees_with_it(expected, sentences, precision, least):
    fast = OpenVinoEmbedder(precision=precision)
    smallest = cosines(fast.embed(sentences), expected).min()
    print(f"cosine to float32, smallest of {len(sentences)}: {smallest:.6f} ({fast.precision})")
    assert smallest >= least


def test_a_text_has_the_same_bits_in_another_batch(reference, expected, sentences):
    for i in (0, len(sentences) - 1):
        np.testing.assert_array_equal(reference.embed([sentences[i]]).view(np.uint16)[0], expected[i].view(np.uint16))


def test_it_says_what_computes(reference):
    assert reference.precision == "f32"
    assert reference.engine.startswith("sentence-transformers-")
    assert reference.engine.endswith("/cpu/all-MiniLM-L6-v2")


def test_a_model_that_is_not_here_is_not_downloaded(embedder, monkeypatch):
    def refuse(*_, **__):
        raise AssertionError("a connection was tried")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    with pytest.raises(InputError, match="no-such-owner/no-such-model: is not on this machine"):
        embedder("no-such-owner/no-such-model")


def test_vectors_of_another_width_are_refused(embedder, tmp_path):
    words = import_module("sentence_transformers.sentence_transformer.modules").BoW(vocab=["safe", "dangerous"])
    import_module("sentence_transformers").SentenceTransformer(modules=[words]).save(str(tmp_path))
    with pytest.raises(InputError, match="vectors are 2 wide"):
        embedder(tmp_path)
