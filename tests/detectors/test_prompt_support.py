"""Which prompts a baseline knows, and what a rate on the others says."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from detectors.model_shift import ModelShift
from detectors.novel_rate import NovelRate
from detectors.protocol import Baseline, Finding, Float, Half, Rows
from detectors.rate_shift import RateShift
from detectors.stats.prompt_map import left_out_novel, map_prompts
from detectors.stats.prompt_support import known_within
from tests.support import rows as made

FLOORS = {"refusal": 0.02}


def questions(count: int, seed: int) -> Rows:
    """`count` different questions of six topics, once each, with their answers."""
    chance = np.random.default_rng(seed)
    topic = made.TOPIC[chance.integers(made.TOPICS, size=count)]
    every = np.ones(count, dtype=np.bool_)
    pool = replace(made.rows(count, seed), embedded=every, answered=every)
    return replace(pool, prompt=unit(topic + 1.2 * chance.normal(size=(count, 48)) @ made.AXES))


def unit(vectors: Float) -> Half:
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float16)


def asked(pool: Rows, count: int, seed: int, refused: float) -> Rows:
    """Exchanges that ask questions of `pool` again and again, of which so many are refused."""
    chance = np.random.default_rng(seed)
    rows = pool.take(chance.integers(len(pool), size=count))
    answers = (chance.random(count) < refused).astype(float)
    return replace(rows, signals={"refusal": answers}, ids=tuple(str(i) for i in range(count)))


def alike(pool: Rows) -> Rows:
    """Other questions in nearly the words of those of `pool`: each as near to one of them as they are to each other."""
    return replace(
        pool, prompt=unit(pool.prompt + np.random.default_rng(7).normal(scale=0.004, size=pool.prompt.shape))
    )


def moved(pool: Rows) -> Rows:
    """The questions of `pool` as another model answers them."""
    return replace(pool, response=made.rows(len(pool), 8, model=1.5).response)


def fires(detector, baseline: Baseline, stream: Rows) -> list[Finding]:
    artefact = detector.fit(baseline)
    found = detector.step(artefact, detector.start(artefact), stream)[1]
    return [one for one in found if one.transition and one.status == "firing"]


POOL = questions(150, 3)
BASELINE = Baseline(asked(POOL, 1000, 4, refused=0.1), FLOORS, 20_000.0)


def test_a_distance_counts_only_where_a_baseline_has_questions_that_were_asked_once():
    apart = np.array([1.0, 2.0, 3.0, 9.0])
    once = np.arange(4)
    assert known_within(apart, once, 0.25) == 9.0
    assert known_within(apart, once, 0.5) == 3.0
    twice = np.repeat(once, 2)
    assert known_within(apart, twice, 0.5, least=0.1) == -1.0
    assert known_within(np.zeros(4), once, 0.5, least=0.1) == 0.1
    assert known_within(np.zeros(0), np.zeros(0, dtype=np.int64), 0.5) == -1.0


@pytest.mark.parametrize(("pool", "count"), [(150, 1000), (400, 1000), (3000, 1000)], ids=["few", "some", "many"])
def test_about_the_share_of_clean_exchanges_is_unknown_however_often_questions_return(pool, count):
    """Also those that are new in the stream: 5% of the baseline's own, and about as many of what follows."""
    questions_ = questions(pool, 11)
    baseline, later = asked(questions_, count, 12, 0.1), asked(questions_, 4000, 13, 0.1)
    prompts = map_prompts(baseline.prompt, 8, 24, 0.05)
    assert left_out_novel(prompts, baseline.prompt).mean() <= 0.05
    assert prompts.locate(later.prompt).novel.mean() <= 0.08


@pytest.mark.parametrize("detector", [ModelShift(), RateShift()], ids=["model_shift", "rate_shift"])
def test_look_alikes_of_a_fixed_set_of_questions_say_nothing_of_the_model(detector):
    assert not fires(detector, BASELINE, asked(alike(moved(POOL)), 400, 5, refused=0.9))
    assert fires(detector, BASELINE, asked(moved(POOL), 400, 5, refused=0.9)), "the same of its own questions does"


@pytest.mark.parametrize(("refused", "direction"), [(0.9, "up"), (0.1, None)], ids=["refused", "as ever"])
def test_a_rate_on_look_alikes_is_said_of_the_users(refused, direction):
    found = fires(NovelRate(), BASELINE, asked(alike(POOL), 400, 5, refused))
    assert [one.direction for one in found] == ([] if direction is None else [direction])
    if found:
        (one,) = found
        assert one.row < 60
        assert one.effect is not None
        assert one.effect.low > 0
        assert set(one.exemplars) <= {str(i) for i in range(400)}


def test_a_rate_on_the_questions_of_the_baseline_is_none_of_new_ones():
    assert not fires(NovelRate(), BASELINE, asked(POOL, 1000, 6, refused=0.9))


def test_one_new_question_asked_again_and_again_is_not_many():
    flood = asked(alike(POOL).take(np.zeros(1, dtype=np.int64)), 400, 5, refused=1.0)
    assert not fires(NovelRate(), BASELINE, flood)


@pytest.mark.parametrize("seed", range(3))
def test_new_questions_of_clean_traffic_are_no_shift(seed):
    many = questions(4000, 21)
    baseline = Baseline(asked(many, 1000, 30 + seed, 0.1), FLOORS, 20_000.0)
    assert not fires(NovelRate(), baseline, asked(many, 5000, 40 + seed, 0.1))
