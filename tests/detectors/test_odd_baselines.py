"""Every detector can be fitted on any baseline that exchanges can make, and what it then says can be stored."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors import DETECTORS
from detectors.protocol import Baseline, Detector, Finding, Rows
from services.store.codec import pack, unpack
from tests.support import rows as made

WHOLE = made.baseline(600).rows
STREAM = made.drifting()
ARLS = st.sampled_from([100.0, 200_000.0])
VALUES: dict[str, Callable[[int], Any]] = {
    "as they are": lambda n: None,
    "all true": np.ones,
    "all false": np.zeros,
    "unscored": lambda n: np.full(n, np.nan),
    "one true": lambda n: (np.arange(n) == 3).astype(float),
    "alternating": lambda n: (np.arange(n) % 2).astype(float),
    "half unscored": lambda n: np.where(np.arange(n) < n // 2, (np.arange(n) % 2).astype(float), np.nan),
}


def limited(column: np.ndarray, different: int | None) -> np.ndarray:
    """The column with at most `different` values, 0: zeros, None: as it is."""
    if different is None:
        return column
    return column[np.arange(len(column)) % different] if different else np.zeros_like(column)


@st.composite
def odd_rows(draw: st.DrawFn) -> Rows:
    """Rows with few prompts, few answers, no vectors, or signals that say little."""
    n = draw(st.sampled_from([0, 1, 2, 20, 50, 60, 300, 600]))
    different = st.sampled_from([None, None, 0, 1, 2, 3, 6, 12])
    rows = WHOLE.take(np.arange(n))
    value = VALUES[draw(st.sampled_from(sorted(VALUES)))](n)
    signals = rows.signals if value is None else dict.fromkeys(rows.signals, value)
    whole = st.sampled_from([None, True, True, False])
    embedded, answered = draw(whole), draw(whole)
    return replace(
        rows,
        prompt=limited(rows.prompt, draw(different) if n else None),
        response=limited(rows.response, draw(different) if n else None),
        style=limited(rows.style, draw(different) if n else None),
        embedded=rows.embedded if embedded is None else np.full(n, embedded),
        answered=rows.answered if answered is None else np.full(n, answered),
        signals=signals if draw(st.booleans()) else {},
    )


def numbers(finding: Finding) -> list[float]:
    effect = finding.effect
    said = [finding.log_e, finding.threshold, finding.floor]
    if effect is not None:
        said += [effect.before, effect.after, effect.low, effect.high]
    return [value for value in said if value is not None]


def heard(detector: Detector[Any, Any], baseline: Baseline, *streams: Rows) -> list[Finding]:
    """All that it says of each stream, artefact and state going through storage."""
    artefact = unpack(detector.artefact_type, pack(detector.fit(baseline)))
    found: list[Finding] = []
    for stream in streams:
        state = detector.start(artefact)
        for at in range(0, len(stream), 200):
            state, said = detector.step(artefact, state, stream.take(np.arange(at, min(at + 200, len(stream)))))
            state = unpack(detector.state_type, pack(state))
            found += said
    return found


@pytest.mark.slow
@pytest.mark.parametrize("detector", DETECTORS, ids=lambda detector: detector.spec.name)
@settings(max_examples=25, deadline=None)
@given(rows=odd_rows(), arl=ARLS)
def test_no_baseline_is_too_odd(detector: Detector[Any, Any], rows: Rows, arl: float) -> None:
    found = heard(detector, Baseline(rows, made.FLOORS, arl), rows, STREAM)
    assert found or detector.spec.name in (
        "events",
        "novel_rate",
        "objective",
    )  # they speak only of what they are about
    assert np.isfinite([value for finding in found for value in numbers(finding)]).all()


@pytest.mark.parametrize("values", ["alternating", "half unscored"])
@pytest.mark.parametrize("prompts", [0, 1, 2, 6])
def test_a_handful_of_prompts_is_no_reason_to_fail_or_fire(prompts: int, values: str) -> None:
    rows = replace(WHOLE, prompt=limited(WHOLE.prompt, prompts), embedded=np.ones(600, dtype=np.bool_))
    rows = replace(rows, signals=dict.fromkeys(WHOLE.signals, VALUES[values](600)))
    for detector in DETECTORS:
        if detector.learns:
            found = heard(detector, Baseline(rows, made.FLOORS, 200_000.0), rows)
            assert not any(finding.status == "firing" for finding in found)


def test_a_baseline_of_one_prompt_knows_no_other() -> None:
    rows = replace(WHOLE, prompt=limited(WHOLE.prompt, 1))
    detector = next(detector for detector in DETECTORS if detector.spec.name == "rate_shift")
    found = heard(detector, Baseline(rows, made.FLOORS, 200_000.0), made.rows(200, 5, refusals=0.9))
    assert {finding.status for finding in found if finding.stream.slice is None} == {"blind"}
