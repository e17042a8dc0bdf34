"""Nobody can stop a worker with a text: what is measured of it takes time in proportion to its length.

The families are data (`tests/support/pathological.py`), and every signal is tried on all of them.
`python -m tests.benchmarks.signals --families` prints the milliseconds.
"""

from __future__ import annotations

import pytest

from tests.support.pathological import FAMILIES, MEASURES, seconds, slowness

SMALL, LARGE = 4 * 1024, 64 * 1024
STEP = 4
NOISE = 0.004
"""Seconds that no growth is read from; these and those below of a machine whose `slowness` is 1."""
MOST = 0.1
"""Seconds of the largest text: four times what is promised (100 ms for 256 KiB), since machines differ."""


@pytest.mark.parametrize("family", FAMILIES)
def test_four_times_the_text_takes_at_most_six_times_the_time(family: str) -> None:
    slow = slowness()
    noise, most = slow * NOISE, slow * MOST
    for name, measure in MEASURES.items():
        if seconds(measure, family, LARGE, repeats=1) <= 6 * noise:
            continue  # the largest takes less than any growth is read from: so do all steps to it
        size, before = SMALL, seconds(measure, family, SMALL)
        while size < LARGE:
            size *= STEP
            now = seconds(measure, family, size)
            if now > 6 * max(before, noise):  # seen again before it counts: the machine may have been elsewhere
                before, now = (seconds(measure, family, one, repeats=5) for one in (size // STEP, size))
            assert now <= 6 * max(before, noise), f"{name}: {size:,} characters of {family} take {now:.3f} s"
            before = now
        assert before <= most, f"{name}: {size:,} characters of {family} take {before:.3f} s"
