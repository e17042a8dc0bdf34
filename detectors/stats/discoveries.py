"""Many streams, one error budget: which of them are discoveries when each has evidence of its own.

Source: Wang and Ramdas, "False discovery rate control with e-values" (2022, arXiv 2009.02824), the e-BH procedure and
its weighted form. A Shiryaev-Roberts process divided by a horizon is an e-process against "nothing changes within the
horizon" (a uniform mixture of bets that begin at each exchange). So with K streams of evidence `M` and a threshold of
`K x A` for one alone, the k greatest are discoveries where the k-th reaches `K x A / k`: of all that are named within
`a x A` exchanges the expected share that did not move is at most `a`, however the streams depend on each other. What
K equal shares find, it finds too, and no later.
"""

from __future__ import annotations

from math import log

import numpy as np

from detectors.protocol import Bool, Float


def budget_weights(whole: Bool) -> Float:
    """(K,) share of each stream in the budget, with mean 1: half for those of all traffic, half for their slices.

    A route that names many slices is then not blinder as a whole: with 3 signals and 24 slices a stream of all
    traffic is held to twice 3 shares, instead of 27.

    Args:
        whole: (K,) which streams are of all traffic.
    """
    count, some = len(whole), int(whole.sum())
    if some in (0, count):
        return np.ones(count)
    return np.where(whole, count / (2 * some), count / (2 * (count - some)))


def discoveries(log_e: Float, weight: Float, arl: float) -> Bool:
    """(K,) which streams are discoveries by weighted e-BH.

    Args:
        log_e: (K,) natural logarithm of each stream's evidence, minus infinity where there is none.
        weight: (K,) shares of the budget, mean 1.
        arl: mean number of exchanges between false alarms that one stream alone of equal weight is held to: K x A.

    >>> discoveries(np.log([9e5, 5e5, 10.0]), np.ones(3), 9e5).tolist()
    [True, True, False]
    """
    found = np.asarray(log_e + np.log(weight))
    order = np.sort(found)[::-1]
    reached = order >= log(arl) - np.log(np.arange(1, len(order) + 1))
    if not reached.any():
        return np.zeros(len(found), dtype=np.bool_)
    last = int(np.flatnonzero(reached)[-1])
    return np.asarray(found >= order[last])
