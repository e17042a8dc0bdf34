"""Which prompts a baseline knows: only of these can it say what the model would have answered.

The judgement is a conformal one, exchange by exchange: of a baseline's own exchanges, each held against the others, at
most a share would count as unknown. An exchange whose prompt another one of the baseline holds too is no distance away
from it. Where nearly every exchange is such, as on a route with a fixed set of questions, one that was never asked is
unknown however near it lies: an unsafe question may differ from a safe one by a single word, and no distance between
embeddings tells them apart.

Source: Vovk, Gammerman and Shafer, "Algorithmic Learning in a Random World" (2005), chapter 2; the chance that a next
exchange is new is the share of those that were seen once: Good (1953).
"""

from __future__ import annotations

import numpy as np

from detectors.protocol import Float, Int


def known_within(apart: Float, prompt: Int, share: float, least: float = 0.0) -> float:
    """The distance within which a prompt that the baseline does not hold is still known; -1 where none is.

    At most `share` of the baseline's exchanges, each held against the others, lie farther away.

    Args:
        apart: (u,) distance of each distinct prompt to the others.
        prompt: (n,) number of the distinct prompt of each exchange.
        share: of the baseline's exchanges.
        least: distance within which two prompts say the same; never less than this, unless none is known.
    """
    times = np.bincount(prompt, minlength=len(apart))[prompt]
    alone = np.where(times > 1, -1.0, apart[prompt])
    radius = float(np.quantile(alone, 1 - share, method="higher")) if len(alone) else -1.0
    return max(radius, least) if radius >= 0 else -1.0
