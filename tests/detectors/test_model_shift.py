"""The model changed, the users changed, prompts are unknown, the baseline is odd: what model_shift says."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from detectors.model_shift import NOVEL, TOO_FEW, ModelShift, ModelShiftArtefact
from detectors.protocol import Baseline, Finding, Rows
from tests.support import rows as made

DETECTOR = ModelShift()
ARTEFACT = DETECTOR.fit(made.baseline(1000, arl=20_000.0))


def said(stream: Rows, artefact: ModelShiftArtefact = ARTEFACT) -> list[Finding]:
    return list(DETECTOR.step(artefact, DETECTOR.start(artefact), stream)[1])


def crossings(found: list[Finding]) -> list[int]:
    return [finding.row for finding in found if finding.transition and finding.status == "firing"]


def unlike(stream: Rows, seed: int = 0) -> Rows:
    """The rows with prompts of a topic that the baseline has never seen."""
    odd = np.random.default_rng(seed).normal(size=(1, 384)) + 0.05 * np.random.default_rng(1).normal(
        size=(len(stream), 384)
    )
    return replace(stream, prompt=(odd / np.linalg.norm(odd, axis=1, keepdims=True)).astype(np.float16))


@pytest.mark.parametrize("seed", range(3))
def test_a_changed_model_is_found_soon_and_not_before(seed: int) -> None:
    found = said(made.joined(made.rows(300, seed + 50), made.rows(300, seed + 90, model=0.4)))
    assert len(crossings(found)) == 1
    assert 300 <= crossings(found)[0] < 400
    crossing = next(finding for finding in found if finding.transition)
    assert crossing.effect is not None
    assert crossing.effect.unit == "sd"
    assert crossing.effect.low is not None
    assert crossing.effect.low > 0
    assert crossing.log_e is not None
    assert crossing.threshold == pytest.approx(np.log(20_000.0))
    assert crossing.log_e >= crossing.threshold
    assert 1 <= len(crossing.exemplars) <= 5
    assert sum(id_.startswith(f"x{seed + 90}-") for id_ in crossing.exemplars) >= len(crossing.exemplars) - 1


def test_an_alarm_names_the_style_features_that_moved_most() -> None:
    before, after = made.rows(300, 50), made.rows(300, 90)
    style = after.style.copy()
    style[:, 13] += np.float16(1.0)  # bullets
    style[:, 0] -= np.float16(0.5)  # length, a logarithm
    found = said(made.joined(before, replace(after, style=style)))
    assert all(not finding.movements for finding in found if finding.status == "quiet")
    last = [finding for finding in found if finding.status == "firing"][-1]
    named = {movement.name: movement for movement in last.movements}
    assert [movement.name for movement in last.movements[:2]] == ["bullet points", "length in characters"]
    assert len(named) <= 5
    mean = float(ARTEFACT.lens.style_mean[13]) if ARTEFACT.lens else 0.0
    assert named["bullet points"].before == pytest.approx(np.expm1(mean), rel=0.01)
    assert named["bullet points"].after == pytest.approx(np.expm1(mean + 1.0), rel=0.15)
    assert (named["length in characters"].before, named["length in characters"].unit) == (1.0, "ratio")
    assert named["length in characters"].after == pytest.approx(np.exp(-0.5), rel=0.1)


@pytest.mark.parametrize("seed", range(3))
def test_changed_users_are_not_a_changed_model(seed: int) -> None:
    assert crossings(said(made.rows(2000, seed + 10, users=1.0))) == []


def test_an_unchanged_stream_has_an_interval_inside_the_floor() -> None:
    words = [f for seed in range(4) for f in said(made.rows(1200, 200 + seed)) if f.n >= 500]
    assert words
    for word in words:
        assert word.effect is not None
        assert word.effect.high is not None
        assert word.floor is not None
        assert word.effect.high <= word.floor


def test_a_model_that_comes_back_is_quiet_after_500_rows_with_zero_evidence() -> None:
    stream = made.joined(made.rows(300, 1), made.rows(800, 2, model=0.5), made.rows(1200, 3))
    state, found = DETECTOR.step(ARTEFACT, DETECTOR.start(ARTEFACT), stream)
    turns = [(finding.status, finding.row) for finding in found if finding.transition]
    assert [status for status, _ in turns] == ["firing", "quiet"]
    assert turns[1][1] > 1100
    assert state.wealth.max() < 20_000.0


def test_unknown_prompts_make_it_blind_and_touch_nothing() -> None:
    before, _ = DETECTOR.step(ARTEFACT, DETECTOR.start(ARTEFACT), made.rows(100, 1))
    after, found = DETECTOR.step(ARTEFACT, before, unlike(made.rows(60, 2, model=1.0)))
    assert [(f.status, f.reason) for f in found] == [("blind", NOVEL)]
    assert after.n == before.n
    assert (after.wealth == before.wealth).all()
    assert (after.sums == before.sums).all()
    _, back = DETECTOR.step(ARTEFACT, after, made.rows(60, 3))
    assert [f.status for f in back if f.transition] == ["quiet"]


@pytest.mark.parametrize("share", [0.1, 0.3, 0.5, 1.0])
@pytest.mark.parametrize("known", [True, False], ids=["known", "unknown"])
def test_a_flood_of_one_prompt_is_not_a_changed_model(known: bool, share: float) -> None:
    chance = np.random.default_rng(4)
    asked = made.rows(6000, 3) if known else unlike(made.rows(1, 3, model=1.0))
    same = 1500 + np.flatnonzero((asked.prompt == asked.prompt[0]).all(axis=1))
    flood = np.where(chance.random(1500) < share, chance.choice(same, 1500), np.arange(1500))
    mixed = made.joined(made.rows(1500, 9), asked).take(flood)
    found = said(mixed)
    assert crossings(found) == []
    if share > 0.6:
        assert any(finding.status == "blind" and finding.reason == NOVEL for finding in found)


@pytest.mark.slow
@pytest.mark.parametrize("size", [300, 1000, 5000])
def test_baselines_of_any_size(size: int) -> None:
    artefact = DETECTOR.fit(made.baseline(size, arl=20_000.0))
    assert crossings(said(made.rows(1000, 4), artefact)) == []
    assert crossings(said(made.rows(300, 5, model=0.5), artefact))


def odd_baseline(**columns: np.ndarray) -> Baseline:
    whole = made.baseline(400)
    return replace(whole, rows=replace(whole.rows, **columns))


def first(column: np.ndarray) -> np.ndarray:
    return np.repeat(column[:1], len(column), axis=0)


WHOLE = made.baseline(400).rows
FEW = WHOLE.take(np.arange(400) % 7)


@pytest.mark.parametrize(
    "rows",
    [
        WHOLE.take(np.arange(0)),
        WHOLE.take(np.arange(3)),
        FEW,
        replace(WHOLE, prompt=first(WHOLE.prompt), response=first(WHOLE.response), style=first(WHOLE.style)),
        replace(WHOLE, response=first(WHOLE.response), style=first(WHOLE.style)),
        replace(WHOLE, embedded=np.zeros(400, dtype=np.bool_)),
    ],
    ids=["empty", "three rows", "seven exchanges", "one exchange", "one answer", "no vectors"],
)
def test_a_baseline_that_says_nothing_makes_it_blind(rows: Rows) -> None:
    artefact = DETECTOR.fit(Baseline(rows, {}, 1000.0))
    found = said(made.rows(80, 6, model=1.0), artefact)
    assert [(f.status, f.reason, f.n) for f in found] == [("blind", TOO_FEW, 0)]


@pytest.mark.parametrize(
    "columns",
    [
        {"prompt": first(WHOLE.prompt)},
        {"style": np.zeros_like(WHOLE.style)},
        {"response": first(WHOLE.response)},
    ],
    ids=["one prompt", "no style", "one vector"],
)
def test_a_baseline_that_says_little_still_works(columns: dict[str, np.ndarray]) -> None:
    artefact = DETECTOR.fit(odd_baseline(**columns))
    assert artefact.fitted is not None
    clean = made.rows(600, 8)
    constant = {name: np.repeat(column[:1], 600, axis=0) for name, column in columns.items()}
    found = said(replace(clean, **constant), artefact)
    assert crossings(found) == []
    assert all(np.isfinite(f.log_e) for f in found if f.log_e is not None)
