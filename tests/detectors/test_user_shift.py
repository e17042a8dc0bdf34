"""Users who narrow to a few topics, bring new ones, or ask the same again: what user_shift says."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from detectors.protocol import Baseline, Finding, Rows
from detectors.user_shift import TOO_FEW, UserShift, UserShiftArtefact
from tests.support import rows as made

DETECTOR = UserShift()
ARTEFACT = DETECTOR.fit(made.baseline(1000, arl=20_000.0))


def said(stream: Rows, artefact: UserShiftArtefact = ARTEFACT) -> list[Finding]:
    return list(DETECTOR.step(artefact, DETECTOR.start(artefact), stream)[1])


def crossings(found: list[Finding]) -> list[int]:
    return [finding.row for finding in found if finding.transition and finding.status == "firing"]


@pytest.mark.parametrize("seed", range(3))
def test_users_who_narrow_to_two_topics_are_found(seed: int) -> None:
    found = said(made.joined(made.rows(300, seed + 50), made.rows(300, seed + 90, users=1.0)))
    assert len(crossings(found)) == 1
    assert 300 <= crossings(found)[0] < 500


@pytest.mark.parametrize("seed", range(3))
def test_the_same_users_are_not_a_shift_whatever_the_model_does(seed: int) -> None:
    assert crossings(said(made.rows(3000, seed + 20, model=1.0))) == []


def test_new_topics_are_a_shift() -> None:
    stream = made.rows(200, 4)
    odd = np.random.default_rng(3).normal(size=(200, 384))
    unknown = replace(stream, prompt=(odd / np.linalg.norm(odd, axis=1, keepdims=True)).astype(np.float16))
    assert crossings(said(made.joined(made.rows(200, 5), unknown)))


def test_a_few_prompts_asked_over_and_over_are_quiet() -> None:
    chance = np.random.default_rng(8)
    pool = made.rows(60, 9)
    artefact = DETECTOR.fit(Baseline(pool.take(chance.integers(60, size=500)), {}, 2000.0))
    assert crossings(said(pool.take(chance.integers(60, size=3000)), artefact)) == []


def test_too_few_prompts_make_it_blind() -> None:
    pool = made.rows(10, 9)
    artefact = DETECTOR.fit(Baseline(pool.take(np.arange(300) % 10), {}, 2000.0))
    assert [(f.status, f.reason) for f in said(made.rows(50, 1), artefact)] == [("blind", TOO_FEW)]
    empty = DETECTOR.fit(Baseline(pool.take(np.arange(0)), {}, 2000.0))
    assert said(made.rows(50, 1), empty)[0].status == "blind"
