"""Products that give the same bits for a row whatever rows stand beside it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float64]


def row_products(rows: Float, matrix: Float) -> Float:
    """`rows @ matrix`, (n, a) by (a, b), one vector product a row.

    BLAS picks its kernel by the number of rows, so a row of a big product differs in its last bits from the
    same row of a small one; an alarm must not depend on how the broker cuts the batches.
    """
    out = np.empty((rows.shape[0], matrix.shape[1]))
    for i, row in enumerate(rows):
        np.dot(row, matrix, out=out[i])
    return out
