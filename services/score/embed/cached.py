"""A cache in front of another embedder: greetings and canned answers are embedded once."""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from services.ports import Embedder

DEFAULT_SIZE: Final = 16_384  # 12 MiB of vectors


class CachedEmbedder:
    """Keeps the vectors of the `size` texts used last, by hash: no text stays in memory.

    Within one call a repeated text is embedded once. The answer is that of the embedder behind it, bit for bit,
    because that one does not depend on the batch. Safe to call from several threads.
    """

    def __init__(self, embedder: Embedder, size: int = DEFAULT_SIZE) -> None:
        if size < 1:
            raise ValueError(f"the embedding cache needs room for at least 1 text, not {size}")
        self._embedder = embedder
        self._size = size
        self._vectors: OrderedDict[bytes, NDArray[np.float16]] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._vectors)

    @property
    def engine(self) -> str:
        """The engine behind the cache."""
        return self._embedder.engine

    @property
    def precision(self) -> str:
        """The precision behind the cache."""
        return self._embedder.precision

    def embed(self, texts: Sequence[str]) -> NDArray[np.float16]:
        """(n, 384) unit vectors, one row a text."""
        keys = [_key(text) for text in texts]
        known = self._lookup(keys)
        missing = {key: text for key, text in zip(keys, texts, strict=True) if key not in known}
        fresh = self._embedder.embed(list(missing.values()))
        known.update(zip(missing, fresh, strict=True))
        self._keep(keys, known)
        if not keys:
            return fresh
        return np.stack([known[key] for key in keys])

    def _lookup(self, keys: Sequence[bytes]) -> dict[bytes, NDArray[np.float16]]:
        with self._lock:
            return {key: self._vectors[key] for key in keys if key in self._vectors}

    def _keep(self, keys: Sequence[bytes], known: dict[bytes, NDArray[np.float16]]) -> None:
        with self._lock:
            for key in keys:
                # A row of a batch is a view that would keep the whole batch alive.
                if key not in self._vectors:
                    self._vectors[key] = known[key].copy()
                self._vectors.move_to_end(key)
            while len(self._vectors) > self._size:
                self._vectors.popitem(last=False)


def _key(text: str) -> bytes:
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()
