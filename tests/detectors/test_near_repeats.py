"""Which prompts repeat too much, word for word or nearly: floods do, and users who narrow their questions do not."""

from __future__ import annotations

import numpy as np
import pytest

from detectors.stats.near_repeats import MANY, UsualPrompts, largest_share, sketches_of

DIM = 384


def unit(rows):
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float16)


def around(centre, n, length, seed):
    """Vectors around a unit vector; `length` .22 is a cosine of .95 between two of them, .7 one of .67."""
    noise = np.random.default_rng(seed).standard_normal((n, DIM))
    return unit(centre + length * noise / np.linalg.norm(noise, axis=1, keepdims=True))


@pytest.fixture
def prompts():
    """900 prompts of 30 topics, none like another."""
    centres = unit(np.random.default_rng(1).standard_normal((30, DIM))).astype(np.float64)
    return np.concatenate([around(centre, 30, 0.7, seed) for seed, centre in enumerate(centres)])


def usual(prompts):
    return UsualPrompts.of(prompts, np.zeros(len(prompts), np.int64))


def test_prompts_in_their_usual_mix_do_not_repeat(prompts):
    order = np.random.default_rng(2).permutation(len(prompts))
    none = np.zeros(0, np.uint64)
    assert not usual(prompts).repeats(none, sketches_of(prompts[order])).any()


@pytest.mark.parametrize("topics", [2, 5])
def test_neither_do_those_of_a_few_topics(prompts, topics):
    some = np.random.default_rng(3).permutation(prompts[: 30 * topics])
    assert usual(prompts).repeats(np.zeros(0, np.uint64), sketches_of(np.tile(some, (3, 1)))).mean() < 0.05


@pytest.mark.parametrize("length", [0.0, 0.1, 0.22])
@pytest.mark.parametrize("known", [True, False])
def test_a_campaign_does_from_its_sixth_exchange_on(prompts, length, known):
    centre = prompts[7] if known else unit(np.random.default_rng(9).standard_normal((1, DIM)))[0]
    campaign = around(centre.astype(np.float64), 200, length, 5)
    found = usual(prompts).repeats(np.zeros(0, np.uint64), sketches_of(campaign))
    assert not found[: MANY - 1].any()
    assert found[2 * MANY :].mean() > 0.9


def test_what_a_baseline_asks_all_the_time_may_be_asked_as_often(prompts):
    greeting = np.tile(prompts[:1], (300, 1))
    mixed = np.random.default_rng(4).permutation(np.concatenate([prompts[300:], greeting]))
    assert not usual(mixed).repeats(np.zeros(0, np.uint64), sketches_of(mixed)).any()


def test_without_a_baseline_nothing_repeats(prompts):
    assert not UsualPrompts().repeats(np.zeros(0, np.uint64), sketches_of(np.tile(prompts[:1], (50, 1)))).any()


@pytest.mark.parametrize("cut", [1, 7, 64])
def test_it_does_not_depend_on_how_the_prompts_are_cut(prompts, cut):
    some = sketches_of(np.concatenate([prompts[:100], np.tile(prompts[3:5], (60, 1))]))
    whole, before, parts = usual(prompts).repeats(np.zeros(0, np.uint64), some), np.zeros(0, np.uint64), []
    for start in range(0, len(some), cut):
        parts.append(usual(prompts).repeats(before, some[start : start + cut]))
        before = np.concatenate([before, some[start : start + cut]])[-500:]
    assert (np.concatenate(parts) == whole).all()


def test_the_share_of_the_question_that_most_are_like(prompts):
    assert largest_share(sketches_of(np.concatenate([prompts[:60], np.tile(prompts[:1], (40, 1))]))) >= 0.4
    assert largest_share(np.zeros(0, np.uint64)) == 0.0


def test_the_largest_share_of_one_user_is_known():
    users = np.array([1, 1, 1, 2, 0, 0])
    assert UsualPrompts.of(np.zeros((6, DIM), np.float16), users).user_share == pytest.approx(0.5)
    assert UsualPrompts.of(np.zeros((2, DIM), np.float16), np.zeros(2, np.int64)).user_share == 0.0
