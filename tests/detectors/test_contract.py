"""What holds for every registered detector: a newcomer is tested by being registered."""

from __future__ import annotations

from dataclasses import fields, is_dataclass, replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors import DETECTORS, registered
from detectors.protocol import Baseline, Detector, Finding, Rows
from services.store.codec import pack, unpack
from tests.support import rows as made

pytestmark = pytest.mark.parametrize("detector", DETECTORS, ids=lambda detector: detector.spec.name)
AnyDetector = Detector[Any, Any]
STREAM = made.drifting()
LINES = [field.name for field in fields(Finding) if field.name != "row"]


def baseline_of(detector: AnyDetector) -> Baseline:
    """A detector that does not learn gets an empty baseline."""
    full = made.baseline()
    return full if detector.learns else replace(full, rows=full.rows.take(np.arange(0)))


def fitted(detector: AnyDetector, cache: dict[str, Any] = {}) -> Any:  # noqa: B006
    """The artefact, fitted once per detector."""
    if detector.spec.name not in cache:
        cache[detector.spec.name] = detector.fit(baseline_of(detector))
    return cache[detector.spec.name]


def told(
    detector: AnyDetector, stream: Rows, cuts: list[int], through_bytes: bool = False
) -> tuple[Any, list[Finding]]:
    """State and findings (rows counted in the whole stream) after the stream in pieces of `cuts` rows, repeated."""
    artefact = fitted(detector)
    state = detector.start(artefact)
    found: list[Finding] = []
    at, turn = 0, 0
    while at < len(stream):
        stop = min(at + cuts[turn % len(cuts)], len(stream))
        state, new = detector.step(artefact, state, stream.take(np.arange(at, stop)))
        found += [shifted(finding, at) for finding in new]
        if through_bytes:
            artefact = unpack(detector.artefact_type, pack(artefact))
            state = unpack(detector.state_type, pack(state))
        at, turn = stop, turn + 1
    return state, found


def shifted(finding: Finding, by: int) -> Finding:
    values = {name: getattr(finding, name) for name in LINES}
    return Finding(row=finding.row + by, **values)


def flat(value: Any) -> list[Any]:
    """All numbers and words in a nest of dataclasses, records, mappings, tuples and arrays, in order."""
    if isinstance(value, np.ndarray):
        return [value.shape, *value.ravel().tolist()]
    if is_dataclass(value) and not isinstance(value, type):
        return [part for field in fields(value) for part in flat(getattr(value, field.name))]
    if hasattr(value, "model_dump"):
        return flat(value.model_dump())
    if isinstance(value, dict):
        return [part for key, inner in value.items() for part in (key, *flat(inner))]
    if isinstance(value, tuple | list):
        return [part for inner in value for part in flat(inner)]
    return [value]


def assert_same(left: Any, right: Any, tolerance: float = 1e-9) -> None:
    a, b = flat(left), flat(right)
    assert len(a) == len(b)
    for one, other in zip(a, b, strict=True):
        if isinstance(one, float) and isinstance(other, float):
            assert one == pytest.approx(other, abs=tolerance, rel=tolerance, nan_ok=True)
        else:
            assert one == other


def loudest(found: list[Finding]) -> float:
    """The most evidence that was shown, as a share of the threshold; an event has all of it."""
    fired = any(finding.status == "firing" for finding in found)
    evidence = [f.log_e / f.threshold for f in found if f.log_e is not None and f.threshold]
    return max([*evidence, float(fired)])


def test_the_same_input_gives_the_same_words(detector: AnyDetector) -> None:
    assert_same(told(detector, STREAM, [64]), told(detector, STREAM, [64]), 0.0)
    assert pack(detector.fit(baseline_of(detector))) == pack(fitted(detector))


def test_artefact_state_and_rows_are_left_as_they_were(detector: AnyDetector) -> None:
    baseline = baseline_of(detector)
    given_rows = pack(baseline.rows)
    artefact = detector.fit(baseline)
    assert pack(baseline.rows) == given_rows
    state = detector.start(artefact)
    for at in range(0, len(STREAM), 110):
        part = STREAM.take(np.arange(at, at + 110))
        held = pack(artefact), pack(state), pack(part)
        after, _ = detector.step(artefact, state, part)
        assert (pack(artefact), pack(state), pack(part)) == held
        state = after


@pytest.mark.parametrize("cut", [1, 7, 64, 500])
def test_batch_cuts_change_nothing(detector: AnyDetector, cut: int) -> None:
    assert_same(told(detector, STREAM, [cut]), told(detector, STREAM, [len(STREAM)]))


WHOLE: dict[str, Any] = {}
LONG = made.joined(STREAM, made.rows(500, 31, model=0.3), made.rows(240, 32, users=1.0, refusals=0.3))


@pytest.mark.parametrize("cut", [1, 7, 64, 1000])
def test_not_a_bit_depends_on_how_rows_are_cut(detector: AnyDetector, cut: int) -> None:
    """Findings and state to the bit, over more rows than are worked out in one product."""
    if detector.spec.name not in WHOLE:
        WHOLE[detector.spec.name] = told(detector, LONG, [len(LONG)])
    assert_same(told(detector, LONG, [cut]), WHOLE[detector.spec.name], 0.0)


STATE_BYTES = 8_000
ROOM = {"model_shift": 16_000}  # docs/detectors.md says of what


def test_a_stream_keeps_a_small_state(detector: AnyDetector) -> None:
    """Ids as long as those of most routes, conversations more than are remembered, and each ever riskier."""
    rows = replace(
        LONG,
        ids=tuple(f"3f2b8c1e-5a40-4d7e-9c61-{i:012d}" for i in range(len(LONG))),
        conversation=1 + np.arange(len(LONG), dtype=np.int64) % 200 + (1 << 60),
    )
    artefact = fitted(detector)
    state = detector.start(artefact)
    streams = max(len(detector.streams(baseline_of(detector))), 1)
    for at in range(0, len(rows), 64):
        state, _ = detector.step(artefact, state, rows.take(np.arange(at, min(at + 64, len(rows)))))
        assert len(pack(state)) <= ROOM.get(detector.spec.name, STATE_BYTES) * streams


@settings(max_examples=6, deadline=None)
@given(cuts=st.lists(st.integers(1, 200), min_size=1, max_size=6))
def test_any_cuts_change_nothing(detector: AnyDetector, cuts: list[int]) -> None:
    assert_same(told(detector, STREAM, cuts)[1], told(detector, STREAM, [len(STREAM)])[1])


def test_artefact_and_state_survive_storage(detector: AnyDetector) -> None:
    assert_same(told(detector, STREAM, [128], through_bytes=True), told(detector, STREAM, [128]), 0.0)


def test_not_a_bit_depends_on_whether_the_artefact_was_stored(detector: AnyDetector) -> None:
    """Products of another order of memory have other bits: the process that fitted has the order of those that load."""
    artefact = fitted(detector)
    stored = unpack(detector.artefact_type, pack(artefact))
    assert [one.strides for one in arrays(artefact)] == [one.strides for one in arrays(stored)]
    (state, found), (other, known) = (detector.step(one, detector.start(one), STREAM) for one in (artefact, stored))
    assert (pack(state), found) == (pack(other), known)


def arrays(value: Any) -> list[Any]:
    if isinstance(value, np.ndarray):
        return [value]
    if is_dataclass(value) and not isinstance(value, type):
        return [part for field in fields(value) for part in arrays(getattr(value, field.name))]
    if isinstance(value, dict):
        return [part for inner in value.values() for part in arrays(inner)]
    return [part for inner in value for part in arrays(inner)] if isinstance(value, tuple | list) else []


def test_a_shifted_window_scores_above_a_clean_one(detector: AnyDetector) -> None:
    _, clean = told(detector, made.rows(len(STREAM), 5), [128])
    _, moved = told(detector, STREAM, [128])
    assert loudest(moved) > loudest(clean)
    assert any(finding.status == "firing" and finding.transition for finding in moved)
    assert not any(finding.status == "firing" for finding in clean)


def test_findings_point_at_rows_and_streams_that_exist(detector: AnyDetector) -> None:
    streams = detector.streams(baseline_of(detector))
    _, found = told(detector, STREAM, [64])
    assert found
    for finding in found:
        assert 0 <= finding.row < len(STREAM)
        assert finding.stream in streams
        assert finding.transition or finding.n % 50 == 0
        assert set(finding.exemplars) <= set(STREAM.ids[: finding.row + 1])
        assert finding.effect is None or finding.effect.name
    assert [finding.row for finding in found] == sorted(finding.row for finding in found)


def test_status_changes_only_at_transitions(detector: AnyDetector) -> None:
    status: dict[Any, str] = {}
    for finding in told(detector, STREAM, [64])[1]:
        before = status.get(finding.stream, "quiet")
        assert finding.transition == (finding.status != before)
        status[finding.stream] = finding.status


def test_no_rows_and_rows_without_vectors_or_answers(detector: AnyDetector) -> None:
    artefact = fitted(detector)
    state = detector.start(artefact)
    same, found = detector.step(artefact, state, STREAM.take(np.arange(0)))
    assert found == ()
    assert_same(same, state)
    bare = made.rows(60, 3)
    none = np.zeros(60, dtype=np.bool_)
    silent = Rows(
        bare.index, bare.ts, bare.prompt, bare.response, bare.style, none, none,
        {name: np.full(60, np.nan) for name in bare.signals}, bare.slices, bare.ids,
    )  # fmt: skip
    assert not any(f.status == "firing" for f in detector.step(artefact, state, silent)[1])


def test_names_are_unique(detector: AnyDetector) -> None:
    assert [other.spec.name for other in registered()].count(detector.spec.name) == 1
