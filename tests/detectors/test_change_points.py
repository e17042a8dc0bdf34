"""Since when: estimates lie near the change, intervals hold it, and effects are measured since it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detectors.model_shift import ModelShift
from detectors.protocol import Finding, Rows
from detectors.rate_shift import RateShift
from detectors.stats.change_points import drift_posterior, onset_of, packed, rate_posterior, unpacked
from detectors.user_shift import UserShift
from tests.support import rows as made
from tests.support.rate_streams import pinned, refusals, traffic

KEPT = 300


def index(n: int) -> np.ndarray:
    return np.arange(n, dtype=np.int64)


@pytest.mark.parametrize(("before", "after"), [(0.05, 0.4), (0.5, 0.2), (0.9, 0.3), (0.0, 0.2)])
def test_a_moved_rate_is_dated(before: float, after: float) -> None:
    off, held = [], []
    for seed in range(40):
        rng = np.random.default_rng(seed)
        true = int(rng.integers(60, KEPT - 60))
        values = (rng.random(KEPT) < np.where(index(KEPT) < true, before, after)).astype(float)
        posterior = rate_posterior(values, np.full(KEPT, before), after > before, 0.02)
        onset = onset_of(posterior, index(KEPT), index(KEPT) * 1.0, KEPT)
        off.append(abs(onset.event_index - true))
        held.append(onset.low <= true <= onset.high)
    assert np.median(off) <= 8
    assert np.mean(held) >= 0.85


@pytest.mark.parametrize("shift", [0.3, 0.6, 2.0])
def test_a_moved_mean_is_dated(shift: float) -> None:
    off, held = [], []
    for seed in range(40):
        rng = np.random.default_rng(seed)
        true = int(rng.integers(60, 100))
        rows = rng.normal(size=(160, 30)) + (index(160) >= true)[:, None] * shift * (np.arange(30) < 8)
        posterior = drift_posterior(rows, np.full(30, 0.5), np.ones(30))
        onset = onset_of(posterior, index(160), index(160) * 1.0, 160)
        off.append(abs(onset.event_index - true))
        held.append(onset.low <= true <= onset.high)
    assert np.median(off) <= 8
    assert np.mean(held) >= 0.85


def test_an_interval_counts_the_exchanges_between_two_rows_of_the_stream() -> None:
    """Rows of a slice come every tenth exchange: the change may lie anywhere between two of them."""
    posterior = np.zeros(50)
    posterior[20] = 1.0
    onset = onset_of(posterior, 10 * index(50), 60.0 * index(50), 1050)
    assert (onset.low, onset.event_index, onset.high) == (191, 200, 200)
    assert (onset.ts_low, onset.ts, onset.ts_high) == (60.0 * 19, 60.0 * 20, 60.0 * 20)
    assert onset.n == 1020


@given(st.integers(1, 9), st.integers(0, 5))
def test_packed_coordinates_come_back_rounded(wide: int, n: int) -> None:
    rows = np.random.default_rng(wide).uniform(-6, 6, size=(n, wide))
    assert np.abs(unpacked(packed(rows), wide) - rows).max(initial=0.0) <= 0.43


def said(detector: RateShift | ModelShift | UserShift, artefact: object, stream: Rows) -> list[Finding]:
    return list(detector.step(artefact, detector.start(artefact), stream)[1])  # type: ignore[arg-type]


def test_effects_and_exemplars_of_a_rate_are_of_the_rows_since_the_change() -> None:
    rng = np.random.default_rng(3)
    artefact = RateShift().fit(pinned(refusals(rng, 1000)))
    rows = [refusals(rng, 700), refusals(rng, 300, 0.25)]
    prompt = np.concatenate([part.prompt for part in rows])
    stream = traffic(prompt, {"refusal": np.concatenate([part.signals["refusal"] for part in rows])})
    firing = [one for one in said(RateShift(), artefact, stream) if one.status == "firing"]
    for one in firing:
        assert one.change_point is not None
        assert one.change_point.low <= 700 <= one.change_point.high
        assert abs(one.change_point.event_index - 700) <= 60
        assert one.effect is not None
        assert all(int(id_[1:]) >= one.change_point.event_index for id_ in one.exemplars)
    last = firing[-1].effect
    assert last is not None
    true = np.clip(np.array([0.02, 0.05, 0.1, 0.3, 0.6, 0.9]) + 0.25, 0, 1).mean()
    assert last.after == pytest.approx(100 * true, abs=8)


@pytest.mark.parametrize("detector", [ModelShift(), UserShift()], ids=["model", "users"])
def test_a_drift_is_dated_and_refined(detector: ModelShift | UserShift) -> None:
    artefact = detector.fit(made.baseline(1000, arl=20_000.0))
    moved = {"model": 0.5} if isinstance(detector, ModelShift) else {"users": 1.0}
    for seed in range(3):
        stream = made.joined(made.rows(300, seed + 50), made.rows(300, seed + 90, **moved))
        firing = [one for one in said(detector, artefact, stream) if one.status == "firing"]
        points = [one.change_point for one in firing]
        assert len(points) > 2
        assert all(point is not None and point.low <= point.event_index <= point.high for point in points)
        assert points[-1] is not None
        assert abs(points[-1].event_index - 300) <= 15
        assert points[-1].high - points[-1].low <= 120


def test_a_quiet_stream_has_no_change_point() -> None:
    artefact = ModelShift().fit(made.baseline(1000, arl=20_000.0))
    assert all(one.change_point is None for one in said(ModelShift(), artefact, made.rows(300, 7)))
