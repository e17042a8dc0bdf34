"""Products with the same bits in any batch, ridge regression and principal directions."""

from __future__ import annotations

from functools import cache
from typing import Any, Final, TypeVar

import numpy as np
from numpy.typing import NDArray

from detectors.protocol import Float

AnyFloat = TypeVar("AnyFloat", bound=NDArray[np.floating[Any]])
TOGETHER: Final = 8  # rows of one product


def row_products(rows: AnyFloat, matrix: AnyFloat) -> AnyFloat:
    """`rows @ matrix`, (n, a) by (a, b), in products of exactly `TOGETHER` rows, the last one filled up with zeros.

    BLAS picks its kernel by the shape, so a row of a big product differs in its last bits from the same row of a
    small one; an alarm must not depend on how the broker cuts the batches. In products of one shape a row's bits are
    its own, wherever it stands; where a machine's BLAS does not keep to that (`_keeps_rows_apart` tries it once a
    shape), each row is a product of its own.
    """
    n, wide = rows.shape[0], matrix.shape[1]
    together = TOGETHER if _keeps_rows_apart(*matrix.shape, matrix.dtype) else 1
    blocks = -(-n // together)
    filled: NDArray[Any] = rows
    if n != blocks * together:
        filled = np.zeros((blocks * together, rows.shape[1]), dtype=rows.dtype)
        filled[:n] = rows
    made: AnyFloat = np.matmul(filled.reshape(blocks, together, rows.shape[1]), matrix).reshape(
        blocks * together, wide
    )[:n]
    return made


@cache
def _keeps_rows_apart(deep: int, wide: int, kind: np.dtype[Any]) -> bool:
    """Whether a row has the same bits at each place of a product of this shape, beside other rows and beside zeros."""
    chance = np.random.default_rng(3)
    rows = chance.normal(size=(TOGETHER, deep)).astype(kind)
    matrix = chance.normal(size=(deep, wide)).astype(kind)
    known = np.dot(rows, matrix)
    turned = all((np.dot(np.roll(rows, k, axis=0), matrix) == np.roll(known, k, axis=0)).all() for k in range(TOGETHER))
    alone = np.zeros_like(rows)
    alone[0] = rows[-1]
    return bool(turned and (np.dot(alone, matrix)[0] == known[-1]).all())


def running_sums(start: AnyFloat, rows: AnyFloat) -> AnyFloat:
    """(n + 1, ...) sums before the first of (n, ...) rows and after each.

    Row by row, so that the bits do not depend on where the rows are cut; for few rows faster than an accumulation
    along the first axis.
    """
    sums: AnyFloat = np.empty((len(rows) + 1, *start.shape), dtype=start.dtype)  # type: ignore[assignment]  # as given
    sums[0] = start
    flat, add = sums.reshape(len(sums), -1), np.add
    last = flat[0]
    for after, row in zip(flat[1:], rows.reshape(len(rows), -1), strict=True):
        last = add(last, row, after)  # by place: a keyword costs as much as the sum
    return sums


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
