"""rate_shift: honest about chance, topics and floors; quick about what moved; pure whatever the cuts."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.protocol import Finding, Rows, Stream
from detectors.rate_shift import RateArtefact, RateShift, RateState
from services.store.codec import pack, unpack
from tests.support.rate_streams import asked, at_status, coins, pinned, refusals, traffic

DETECTOR = RateShift()


def fitted(seed: int = 0, arl: float = 200_000, n: int = 1000) -> tuple[RateArtefact, np.random.Generator]:
    rng = np.random.default_rng(seed)
    return DETECTOR.fit(pinned(refusals(rng, n), arl)), rng


def findings(artefact: RateArtefact, *parts: Rows) -> tuple[Finding, ...]:
    """The findings of several stretches of traffic, with rows counted from the first."""
    state, found, at = DETECTOR.start(artefact), [], 0
    for part in parts:
        state, new = DETECTOR.step(artefact, state, part)
        found += [replace(finding, row=finding.row + at) for finding in new]
        at += len(part)
    return tuple(found)


def cut(artefact: RateArtefact, rows: Rows, sizes: list[int]) -> tuple[RateState, tuple[Finding, ...]]:
    state, found, at = DETECTOR.start(artefact), [], 0
    while at < len(rows):
        size = sizes[len(found) % len(sizes)] if at else sizes[0]
        upto = min(at + size, len(rows))
        state, new = DETECTOR.step(artefact, state, rows.take(np.arange(at, upto)))
        found += [replace(finding, row=finding.row + at) for finding in new]
        at = upto
    return state, tuple(found)


def assert_same(one: tuple[Finding, ...], other: tuple[Finding, ...]) -> None:
    assert [(f.row, f.status, f.transition, f.n, f.direction, f.exemplars) for f in one] == [
        (f.row, f.status, f.transition, f.n, f.direction, f.exemplars) for f in other
    ]
    for a, b in zip(one, other, strict=True):
        assert a.log_e == pytest.approx(b.log_e, abs=1e-9)
        assert a.effect is not None
        assert b.effect is not None
        assert [a.effect.before, a.effect.after, a.effect.low, a.effect.high] == pytest.approx(
            [b.effect.before, b.effect.after, b.effect.low, b.effect.high], abs=1e-9
        )


@pytest.mark.slow
def test_unchanged_streams_stay_within_the_run_length() -> None:
    """12 streams of 1,500 rows at ARL 1,000 may alarm 18 times; the floor and the allowance leave far fewer."""
    alarms = 0
    for seed in range(12):
        artefact, rng = fitted(seed, arl=1000)
        alarms += len(at_status(findings(artefact, refusals(rng, 1500)), "firing"))
    assert alarms <= 2


@pytest.mark.slow
def test_users_who_turn_to_other_topics_are_not_a_changed_model() -> None:
    """The overall rate goes from 33% to 75% or to 4%; given the prompt nothing moved."""
    for seed in range(4):
        artefact, rng = fitted(seed)
        topics = np.array([0, 1]) if seed % 2 else np.array([4, 5])
        assert not at_status(findings(artefact, refusals(rng, 1500, topics=topics)), "firing")


@pytest.mark.parametrize(("more", "direction"), [(0.2, "up"), (-0.3, "down")])
def test_a_moved_rate_is_found_in_both_directions(more: float, direction: str) -> None:
    for seed in range(3):
        artefact, rng = fitted(seed)
        found = findings(artefact, refusals(rng, 400), refusals(rng, 600, more))
        (alarm,) = [f for f in found if f.transition]
        assert (alarm.status, alarm.direction, alarm.stream) == ("firing", direction, Stream("refusal"))
        assert 400 <= alarm.row < 400 + 500
        assert alarm.log_e is not None
        assert alarm.threshold == pytest.approx(np.log(200_000))
        assert alarm.log_e >= alarm.threshold
        assert alarm.floor == 0.02
        assert len(alarm.exemplars) == 5


def test_the_effect_is_told_with_an_interval_that_holds_it() -> None:
    """Expected and observed rates of the last 500 rows, in percent; the interval bounds their difference."""
    held = 0
    for seed in range(8):
        artefact, rng = fitted(seed)
        rows = refusals(rng, 1000, 0.2)
        effect = findings(artefact, rows)[-1].effect
        assert effect is not None
        assert (effect.name, effect.unit) == ("refusal rate", "pp")
        assert effect.low is not None
        assert effect.high is not None
        assert effect.after == pytest.approx(100 * rows.signals["refusal"][-500:].mean(), abs=3)
        held += effect.low <= 18.3 <= effect.high  # 20 points, less what does not fit under 100%
    assert held >= 7


def test_a_shift_below_the_floor_is_no_news() -> None:
    for seed in range(2):
        artefact, rng = fitted(seed)
        assert not at_status(findings(artefact, refusals(rng, 3000, 0.015)), "firing")


@pytest.mark.parametrize(("rate", "within"), [(1.0, 6), (0.3, 80), (0.1, 500)])
def test_a_signal_that_the_baseline_never_saw_tells_soon(rate: float, within: int) -> None:
    for seed in range(2):
        rng = np.random.default_rng(seed)
        artefact = DETECTOR.fit(pinned(coins(rng, 1000, 0.0)))
        alarms = at_status(findings(artefact, coins(rng, 600, 0.0), coins(rng, 600, rate)), "firing")
        assert alarms
        assert 600 <= alarms[0] < 600 + within


def test_an_alarm_ends_when_the_rate_is_back_and_can_come_again() -> None:
    artefact, rng = fitted(1)
    parts = [refusals(rng, n, more) for n, more in ((300, 0.0), (1500, -0.3), (1500, 0.0), (600, 0.3))]
    changes = [f for f in findings(artefact, *parts) if f.transition]
    assert [(f.status, f.direction) for f in changes] == [("firing", "down"), ("quiet", "down"), ("firing", "up")]
    assert 1800 < changes[1].row < 3300 <= changes[2].row
    assert changes[1].log_e is None


def test_an_alarm_goes_on_while_the_rate_stays_away() -> None:
    artefact, rng = fitted(2)
    assert at_status(findings(artefact, refusals(rng, 3000, 0.12)), "quiet") == []


def test_one_prompt_asked_again_and_again_is_not_a_changed_model() -> None:
    """A prompt near a rarely refused topic that the model happens always to refuse."""
    artefact, rng = fitted(3)
    prompt, _ = asked(rng, 1, np.array([0]))
    usual, always = refusals(rng, 500), traffic(np.repeat(prompt, 500, axis=0), {"refusal": np.ones(500)})
    order = rng.permutation(1000)
    mixed = traffic(
        np.concatenate([usual.prompt, always.prompt])[order],
        {"refusal": np.concatenate([usual.signals["refusal"], always.signals["refusal"]])[order]},
    )
    assert not at_status(findings(artefact, mixed), "firing")


def test_prompts_unlike_the_baseline_make_it_blind_until_they_are_few() -> None:
    artefact, rng = fitted(4)
    strange = rng.normal(size=(300, 384))
    strange = (strange / np.linalg.norm(strange, axis=1, keepdims=True)).astype(np.float16)
    found = findings(artefact, refusals(rng, 200), traffic(strange, {"refusal": np.ones(300)}), refusals(rng, 200))
    changes = [f for f in found if f.transition]
    assert [(f.status, f.reason) for f in changes] == [("blind", "prompts unlike the baseline"), ("quiet", None)]
    assert 200 <= changes[0].row < 250
    assert 500 <= changes[1].row < 560


@pytest.mark.parametrize("gone", ["column", "values", "vectors"])
def test_a_signal_that_stops_being_scored_is_blind_and_never_quiet(gone: str) -> None:
    artefact, rng = fitted(5)
    lost = refusals(rng, 400)
    if gone == "vectors":
        lost = replace(lost, embedded=np.zeros(400, dtype=np.bool_))
    else:
        lost = replace(lost, signals={} if gone == "column" else {"refusal": np.full(400, np.nan)})
    changes = [f for f in findings(artefact, refusals(rng, 120), lost, refusals(rng, 60)) if f.transition]
    assert [(f.status, f.reason, f.row) for f in changes] == [("blind", "unscored", 319), ("quiet", None, 520)]


def test_too_few_scored_baseline_rows_are_blind_from_the_first_row_on() -> None:
    rng = np.random.default_rng(0)
    base = refusals(rng, 300)
    values = np.where(np.arange(300) < 49, base.signals["refusal"], np.nan)
    baseline = replace(pinned(base), rows=replace(base, signals={"refusal": values}))
    baseline = replace(baseline, floors={"refusal": 0.02, "never_scored": 0.02, "secret_leak": 0.0})
    assert DETECTOR.streams(baseline) == (Stream("never_scored"), Stream("refusal"))
    found = findings(DETECTOR.fit(baseline), refusals(rng, 100), refusals(rng, 100))
    assert [(f.row, f.stream.signal, f.status, f.reason) for f in found] == [
        (0, "never_scored", "blind", "too few"),
        (0, "refusal", "blind", "too few"),
    ]


def test_a_shift_in_one_slice_is_found_there() -> None:
    rng = np.random.default_rng(6)

    def spoken(rows: Rows, more: float) -> Rows:
        locale = tuple("de" if i % 5 == 0 else "en" if i % 50 else "fr" for i in range(len(rows)))
        here = np.array([where == "de" for where in locale])
        refused = np.maximum(rows.signals["refusal"], here & (rng.random(len(rows)) < more))
        return replace(rows, slices={"tags.locale": locale}, signals={"refusal": refused.astype(float)})

    baseline = pinned(spoken(refusals(rng, 1500), 0.0))
    de = Stream("refusal", "tags.locale=de")
    assert DETECTOR.streams(baseline) == (Stream("refusal"), Stream("refusal", "tags.locale=en"), de)
    found = findings(DETECTOR.fit(baseline), spoken(refusals(rng, 1500), 0.6))
    assert {f.stream for f in found if f.transition} >= {de}
    assert Stream("refusal", "tags.locale=en") not in {f.stream for f in found if f.transition}


def test_it_speaks_every_50_used_rows() -> None:
    artefact, rng = fitted(7)
    rows = refusals(rng, 330)
    rows.signals["refusal"][:10] = np.nan  # type: ignore[index]
    found = findings(artefact, rows)
    assert {f.n % 50 for f in found} == {0}
    assert [f.n for f in found] == list(range(50, found[-1].n + 1, 50))
    assert found[-1].n >= 250


def drifting() -> tuple[RateArtefact, Rows]:
    artefact, rng = fitted(8)
    parts = [refusals(rng, 250), refusals(rng, 550, 0.3, at=250)]
    prompt = np.concatenate([part.prompt for part in parts])
    refused = np.concatenate([part.signals["refusal"] for part in parts])
    refused[rng.random(800) < 0.02] = np.nan
    return artefact, traffic(prompt, {"refusal": refused})


ARTEFACT, DRIFTING = drifting()
WHOLE_STATE, WHOLE = DETECTOR.step(ARTEFACT, DETECTOR.start(ARTEFACT), DRIFTING)


@settings(max_examples=8)
@given(st.lists(st.integers(1, 300), min_size=1, max_size=4))
def test_where_the_rows_are_cut_changes_nothing(sizes: list[int]) -> None:
    assert at_status(WHOLE, "firing")
    state, found = cut(ARTEFACT, DRIFTING, sizes)
    assert_same(found, WHOLE)
    assert state.columns is not None
    assert WHOLE_STATE.columns is not None
    np.testing.assert_allclose(state.columns.wealth, WHOLE_STATE.columns.wealth, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("size", [1, 7, 64, 500])
def test_the_usual_cuts_change_nothing(size: int) -> None:
    assert_same(cut(ARTEFACT, DRIFTING, [size])[1], WHOLE)


def test_nothing_given_is_changed_and_the_same_comes_out_twice() -> None:
    artefact, rng = fitted(9)
    rows, state = refusals(rng, 400, 0.3), DETECTOR.start(artefact)
    before = pack((artefact, state, rows))
    first, second = DETECTOR.step(artefact, state, rows), DETECTOR.step(artefact, state, rows)
    assert pack((artefact, state, rows)) == before
    assert pack(first) == pack(second)


def test_state_and_artefact_survive_storage_and_stay_small() -> None:
    artefact, rng = fitted(10)
    state, _ = DETECTOR.step(artefact, DETECTOR.start(artefact), refusals(rng, 700, 0.2))
    packed = pack(state)
    assert len(packed) < 10_000
    again, kept = unpack(RateState, packed), unpack(RateArtefact, pack(artefact))
    rows = refusals(rng, 200, 0.2)
    assert pack(DETECTOR.step(kept, again, rows)) == pack(DETECTOR.step(artefact, state, rows))


def test_a_constant_baseline_of_one_prompt_is_no_error() -> None:
    rng = np.random.default_rng(11)
    prompt = np.repeat(asked(rng, 1)[0], 400, axis=0)
    artefact = DETECTOR.fit(pinned(traffic(prompt, {"refusal": np.zeros(400)})))
    found = findings(artefact, traffic(prompt, {"refusal": np.zeros(400)}), traffic(prompt, {"refusal": np.ones(400)}))
    assert at_status(found, "firing")[0] < 410
