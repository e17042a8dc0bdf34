"""The default embedder on CPU: all-MiniLM-L6-v2 compiled by OpenVINO, and run in fixed shapes.

Other shapes let the plugin choose other kernels for other batches, which changes 4-14% of the rows in the last
bit. Here every run has 8 rows of one of six lengths, padded, so that a text's vector has the same bits whatever
else is in the batch, in any order. A processor without bf16 computes in f32 and gives other bits: `precision` is
part of the scorer's version, and a fleet of mixed processors pins `f32`.

Several such runs go on side by side, each in a thread of its own: two threads that share one run wait for each other at
every layer, and on cores that others use as well they are slower than one.

The length is free in the graph, which is compiled once: a graph for each length gives the same bits, and holds the
weights once more for each (32 MB in bf16, 51 MB in f32). Why not a cache of compiled blobs: infra/decisions/0003.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Sequence
from importlib.metadata import version
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from services.score.embed.inputs import batches, readable
from services.score.embed.minilm import MODEL, WIDTH, MiniLM, load_tokenizer, load_weights, wheel_version
from services.score.embed.openvino_library import ov

ROWS: Final = 8
MOST_RUNS: Final = 8
"""Side by side; each holds what it computes with, some 20 MB."""
_PRECISIONS: Final = {"bfloat16": "bf16", "float32": "f32", "float16": "f16"}

Tokens = Sequence[int]


class OpenVinoEmbedder:
    """Embeds texts with all-MiniLM-L6-v2; at most 128 tokens of a text are read. Safe to call from several threads.

    Args:
        precision: `auto` takes bf16 where the processor computes in it; `f32` gives one answer on all processors
            of one kind of instruction set.
        threads: runs side by side, one thread each (of more than eight cores, several); all cores that this process may
            use when None. The bits do not depend on it.
    """

    def __init__(self, precision: Literal["auto", "f32"] = "auto", threads: int | None = None) -> None:
        self._core = ov.Core()
        threads = threads or len(os.sched_getaffinity(0))
        self._runs = min(threads, MOST_RUNS)
        self._model = MiniLM(load_weights(), ROWS)
        self._tokenizer = load_tokenizer()
        self._blank: Tokens = self._tokenizer.encode("").ids
        self._properties = _properties(precision, threads, self._runs)
        self._compiled = self._core.compile_model(self._model.graph(), "CPU", self._properties)
        self._requests = self._made()
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
            try:
                self._run(tokens, vectors)
            except BaseException:  # of those that still run nobody would hear
                self._requests = self._made()
                raise
        return vectors

    def _run(self, tokens: Sequence[Tokens], vectors: NDArray[np.float16]) -> None:
        cut = list(batches([len(ids) for ids in tokens], ROWS))
        for length in {length for length, _ in cut} - self._known:
            self._compile(length)
        free, running = deque(self._requests), deque[tuple[ov.InferRequest, list[int]]]()
        for length, rows in cut:
            request = free.popleft() if free else _finish(*running.popleft(), vectors)
            request.start_async(self._inputs(length, [tokens[row] for row in rows]))
            running.append((request, rows))
        for request, rows in running:
            _finish(request, rows, vectors)

    def _compile(self, length: int) -> None:
        """Let every run make its kernels of a length: they read the weights, and keep them in an order of their own."""
        blank = self._inputs(length, [])
        for request in self._requests:
            request.start_async(blank)
        for request in self._requests:
            request.wait()
        self._known.add(length)
        self._model.weights.leave()

    def _made(self) -> list[ov.InferRequest]:
        return [self._compiled.create_infer_request() for _ in range(self._runs)]

    def _inputs(self, length: int, texts: Sequence[Tokens]) -> list[NDArray[np.int32] | NDArray[np.float32]]:
        ids = np.zeros((ROWS, length), dtype=np.int32)
        mask = np.zeros((ROWS, length), dtype=np.float32)
        for row in range(ROWS):
            tokens = texts[row] if row < len(texts) else self._blank
            ids[row, : len(tokens)] = tokens
            mask[row, : len(tokens)] = 1
        return [ids, mask]

    def _reported_precision(self) -> str:
        reported = str(self._compiled.get_property("INFERENCE_PRECISION_HINT").to_string())
        return _PRECISIONS.get(reported, reported)


def _finish(request: ov.InferRequest, rows: Sequence[int], vectors: NDArray[np.float16]) -> ov.InferRequest:
    """Put what a run found into its rows; the request is free again."""
    request.wait()
    vectors[rows] = request.get_output_tensor(0).data[: len(rows)]
    return request


def _properties(precision: str, threads: int, runs: int) -> dict[str, str | int]:
    chosen: dict[str, str | int] = {
        "NUM_STREAMS": runs,
        "INFERENCE_NUM_THREADS": threads,
        "DYNAMIC_QUANTIZATION_GROUP_SIZE": 0,  # dynamic int8 makes a row depend on its neighbours
    }
    if precision == "f32":
        chosen["INFERENCE_PRECISION_HINT"] = "f32"
    return chosen
