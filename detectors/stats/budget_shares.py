"""One budget of false alarms, shared by the streams of all traffic and those of its slices."""

from __future__ import annotations

import numpy as np

from detectors.protocol import Bool, Float


def budget_weights(whole: Bool) -> Float:
    """(K,) weight of each stream in the budget, with mean 1: half for those of all traffic, half for their slices.

    A stream is held to the common ARL over its weight, so the expected number of false alarms of all of them stays as
    it is with equal shares: every alarm is bounded, which bounds the share of false ones among those named. A route
    that names many slices is then not blinder as a whole: with 3 signals and 24 slices a stream of all traffic is held
    to 6 shares instead of 27, and one of a slice to 48.

    Args:
        whole: (K,) which streams are of all traffic.
    """
    count, some = len(whole), int(whole.sum())
    if some in (0, count):
        return np.ones(count)
    return np.where(whole, count / (2 * some), count / (2 * (count - some)))
