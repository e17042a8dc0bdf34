"""What a suite of this size can tell, before it is run."""

from __future__ import annotations

from collections import Counter

from services.evaluate.paired import detectable, interval
from services.evaluate.suite import Suite


def remarks(suite: Suite) -> tuple[str, ...]:
    """For each tested measure: the smallest change that is seen, and whether `unchanged` can ever be said."""
    counts = Counter(item.measure for item in suite.items if item.measure != "canary")
    return tuple(_remark(measure, n, len(counts), suite.margin) for measure, n in sorted(counts.items()))


def _remark(measure: str, n: int, tests: int, margin: float) -> str:
    least, still = detectable(n, tests), 100 * interval(0, 0, n)[1]
    seen = (
        "no change can be shown" if least is None else f"a change of {100 * least:.0f} pp is shown with a chance of 80%"
    )
    said = (
        ""
        if still <= margin
        else f"; never `unchanged`: without any flip {still:.1f} pp are left, margin {margin:g} pp"
    )
    return f"{measure.replace('_', ' ')}, {n} items: {seen}{said}"
