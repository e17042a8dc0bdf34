"""Products with the same bits in any batch, ridge regression and principal directions."""

from __future__ import annotations

from functools import cache
from typing import Final

import numpy as np

from detectors.protocol import Float

TOGETHER: Final = 8  # rows of one product


def row_products(rows: Float, matrix: Float) -> Float:
    """`rows @ matrix`, (n, a) by (a, b), in products of exactly `TOGETHER` rows, the last one filled up with zeros.

    BLAS picks its kernel by the shape, so a row of a big product differs in its last bits from the same row of a
    small one; an alarm must not depend on how the broker cuts the batches. In products of one shape a row's bits are
    its own, wherever it stands; where a machine's BLAS does not keep to that (`_keeps_rows_apart` tries it once a
    shape), each row is a product of its own.
    """
    n, wide = rows.shape[0], matrix.shape[1]
    if not _keeps_rows_apart(*matrix.shape):
        out = np.empty((n, wide))
        for i, row in enumerate(rows):
            np.dot(row, matrix, out=out[i])
        return out
    blocks = -(-n // TOGETHER)
    filled = np.zeros((blocks * TOGETHER, rows.shape[1]))
    filled[:n] = rows
    out = np.empty((len(filled), wide))
    for start in range(0, len(filled), TOGETHER):
        np.dot(filled[start : start + TOGETHER], matrix, out=out[start : start + TOGETHER])
    return out[:n]


@cache
def _keeps_rows_apart(deep: int, wide: int) -> bool:
    """Whether a row has the same bits at each place of a product of this shape, beside other rows and beside zeros."""
    chance = np.random.default_rng(3)
    rows, matrix = chance.normal(size=(TOGETHER, deep)), chance.normal(size=(deep, wide))
    known = np.dot(rows, matrix)
    turned = all((np.dot(np.roll(rows, k, axis=0), matrix) == np.roll(known, k, axis=0)).all() for k in range(TOGETHER))
    alone = np.zeros_like(rows)
    alone[0] = rows[-1]
    return bool(turned and (np.dot(alone, matrix)[0] == known[-1]).all())


def ridge(design: Float, target: Float, penalty: float) -> tuple[Float, float]:
    """Weights (1 + q, d) of `target` (n, d) on `design` (n, 1 + q), and the trace of the hat matrix.

    The first column of `design` is the intercept. Source: Hoerl and Kennard, "Ridge regression" (1970), eq. 2.1;
    the trace is the effective number of parameters (Hastie et al., Elements of Statistical Learning, eq. 3.50).
    """
    gram = design.T @ design
    shrunk = gram + penalty * np.diag(np.r_[0.0, np.ones(len(gram) - 1)])
    solved = np.asarray(np.linalg.solve(shrunk, np.c_[design.T @ target, gram]), dtype=np.float64)
    return solved[:, : target.shape[1]], float(np.trace(solved[:, target.shape[1] :]))


def components(rows: Float, most: int) -> tuple[Float, Float, Float]:
    """Mean (a,), the leading directions (a, k) and their spreads (k,) of `rows` (n, a), k <= most.

    Directions in which the rows do not vary are left out, so k may be 0.
    """
    mean = rows.mean(axis=0)
    values, vectors = np.linalg.eigh(np.cov(rows.T, bias=True))
    spread = np.sqrt(np.maximum(values[::-1], 0.0))
    keep = min(most, int((spread > max(1e-3, 0.02 * spread[0])).sum()), max(len(rows) - 1, 0))
    directions = vectors[:, ::-1][:, :keep]
    signs = np.sign(directions[np.abs(directions).argmax(axis=0), np.arange(keep)])
    return mean, directions * signs, spread[:keep]
