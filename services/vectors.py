"""Vectors as records carry them: base64 of little-endian float16, row by row."""

from __future__ import annotations

import base64
import binascii

import numpy as np
from numpy.typing import NDArray


def to_text(rows: NDArray[np.float16]) -> str:
    """The text of (n, width) numbers."""
    return base64.b64encode(rows.astype("<f2", copy=False).tobytes()).decode()


def to_rows(text: str, width: int) -> NDArray[np.float16]:
    """The (n, width) numbers in `text`.

    Raises:
        ValueError: if `text` is not base64 of whole rows of finite numbers.
    """
    try:
        raw = base64.b64decode(text, validate=True)
    except binascii.Error:
        raise ValueError("is not base64") from None
    if len(raw) % (2 * width):
        raise ValueError(f"holds {len(raw)} bytes, which are no rows of {width} float16 numbers")
    rows = np.frombuffer(raw, dtype="<f2").reshape(-1, width).astype(np.float16, copy=False)
    if not np.isfinite(rows).all():
        raise ValueError("holds numbers that are not finite")
    return rows
