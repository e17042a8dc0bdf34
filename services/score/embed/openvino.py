"""The default embedder on CPU: all-MiniLM-L6-v2 compiled by OpenVINO, and run in fixed shapes.

Other shapes let the plugin choose other kernels for other batches, which changes 4-14% of the rows in the last
bit. Here every run has 8 rows of one of six lengths, padded, so that a text's vector has the same bits whatever
else is in the batch, in any order. A processor without bf16 computes in f32 and gives other bits: `precision` is
part of the scorer's version, and a fleet of mixed processors pins `f32`.

The length is free in the graph, which is compiled once: a graph for each length gives the same bits, and holds the
weights once more for each (32 MB in bf16, 51 MB in f32). Why not a cache of compiled blobs: infra/decisions/0003.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from importlib.metadata import version
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from services.score.embed.inputs import batches, readable
from services.score.embed.minilm import MODEL, WIDTH, MiniLM, load_tokenizer, load_weights, wheel_version
from services.score.embed.openvino_library import ov

ROWS: Final = 8
_PRECISIONS: Final = {"bfloat16": "bf16", "float32": "f32", "float16": "f16"}

Tokens = Sequence[int]


class OpenVinoEmbedder:
    """Embeds texts with all-MiniLM-L6-v2; at most 128 tokens of a text are read. Safe to call from several threads.

    Args:
        precision: `auto` takes bf16 where the processor computes in it; `f32` gives one answer on all processors
            of one kind of instruction set.
        threads: threads of one run; OpenVINO decides when None. The bits do not depend on it.
    """

    def __init__(self, precision: Literal["auto", "f32"] = "auto", threads: int | None = None) -> None:
        self._core = ov.Core()
        self._properties = _properties(precision, threads)
        self._model = MiniLM(load_weights(), ROWS)
        self._tokenizer = load_tokenizer()
        self._blank: Tokens = self._tokenizer.encode("").ids
        self._compiled = self._core.compile_model(self._model.graph(), "CPU", self._properties)
        self._request = self._compiled.create_infer_request()
        self._known: set[int] = set()
        self._lock = threading.Lock()
        self._precision = self._reported_precision()
        self._engine = f"openvino-{version('openvino')}/{MODEL}-{wheel_version()}"

    @property
    def engine(self) -> str:
        """OpenVINO's version, the model and the version of its wheel."""
        return self._engine

    @property
    def precision(self) -> str:
        """`bf16` or `f32`: what the compiled model computes in, as the plugin reports it."""
        return self._precision

    def embed(self, texts: Sequence[str]) -> NDArray[np.float16]:
        """(n, 384) unit vectors; an empty text has the vector of no words, which is a unit vector as well."""
        vectors = np.zeros((len(texts), WIDTH), dtype=np.float16)
        encodings = self._tokenizer.encode_batch([readable(text) for text in texts]) if texts else []
        tokens = [encoding.ids for encoding in encodings]
        with self._lock:
            for length, rows in batches([len(ids) for ids in tokens], ROWS):
                vectors[rows] = self._run(length, [tokens[row] for row in rows])
        return vectors

    def _run(self, length: int, texts: Sequence[Tokens]) -> NDArray[np.float32]:
        ids = np.zeros((ROWS, length), dtype=np.int32)
        mask = np.zeros((ROWS, length), dtype=np.float32)
        for row in range(ROWS):
            tokens = texts[row] if row < len(texts) else self._blank
            ids[row, : len(tokens)] = tokens
            mask[row, : len(tokens)] = 1
        result = self._request.infer([ids, mask])
        unit: NDArray[np.float32] = result[0][: len(texts)]
        if length not in self._known:  # its kernels have read the weights, and keep them in an order of their own
            self._known.add(length)
            self._model.weights.leave()
        return unit

    def _reported_precision(self) -> str:
        reported = str(self._compiled.get_property("INFERENCE_PRECISION_HINT").to_string())
        return _PRECISIONS.get(reported, reported)


def _properties(precision: str, threads: int | None) -> dict[str, str | int]:
    chosen: dict[str, str | int] = {
        "PERFORMANCE_HINT": "LATENCY",
        "NUM_STREAMS": 1,
        "DYNAMIC_QUANTIZATION_GROUP_SIZE": 0,  # dynamic int8 makes a row depend on its neighbours
    }
    if precision == "f32":
        chosen["INFERENCE_PRECISION_HINT"] = "f32"
    if threads is not None:
        chosen["INFERENCE_NUM_THREADS"] = threads
    return chosen
