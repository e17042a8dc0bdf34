"""Whether questions are those of the baseline: by their words, by words like theirs, or as a whole."""

from __future__ import annotations

import numpy as np
import pytest

from detectors.stats.near_repeats import Sketches, sketches_of
from detectors.stats.question_likeness import LEAST, usual_questions

WIDE = 384
NEAR = 0.29
"""Length of what is added to a unit vector: other words for the same, at a cosine of .96."""


def unit(vectors):
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def questions(count: int, seed: int, apart: float = 0.0):
    """So many questions about some topics; `apart` moves them off along one line."""
    chance = np.random.default_rng(seed)
    topics = np.random.default_rng(1).normal(size=(6, WIDE))
    off = apart * np.random.default_rng(2).normal(size=WIDE)
    return unit(topics[chance.integers(6, size=count)] + 2 * chance.normal(size=(count, WIDE)) + off)


def asked(pool, count: int, seed: int, anew: bool = False) -> Sketches:
    chance = np.random.default_rng(seed)
    picked = pool[chance.integers(len(pool), size=count)]
    if anew:
        picked = picked + NEAR * unit(chance.normal(size=picked.shape))
    return sketches_of(picked.astype(np.float16))


POOL = questions(250, 3)
NEVER = sketches_of(questions(1000, 4).astype(np.float16))
"""A baseline in which no question returns."""


def fresh(count: int, seed: int, apart: float = 0.0) -> Sketches:
    return sketches_of(questions(count, seed, apart).astype(np.float16))


def judged(usual, recent: Sketches, strange: float = 0.1) -> str:
    return usual.judge(recent, strange)


def test_where_questions_return_word_for_word_other_answers_are_the_models():
    usual = usual_questions(asked(POOL, 1000, 5))
    assert judged(usual, asked(POOL, 3, 6)) == "same"
    assert judged(usual, asked(questions(200, 7), 100, 8)) == "same", (
        "who judges a rate leaves strange ones out by itself"
    )


@pytest.mark.parametrize(
    ("strange", "count", "said"), [(0.0, 100, "same"), (0.0, 8, "few"), (1.0, 4, "other"), (0.5, 24, "other")]
)
def test_where_they_return_in_other_words_strange_ones_tell_after_a_few(strange, count, said):
    usual = usual_questions(asked(POOL, 1000, 5, anew=True))
    assert usual.same < 0.05
    of_others = round(strange * count)
    recent = [asked(POOL, count - of_others, 6, anew=True), asked(questions(200, 7), of_others, 8, anew=True)]
    assert judged(usual, np.concatenate(recent)) == said


def test_strange_questions_count_only_where_they_are_enough_to_be_what_moved():
    usual = usual_questions(asked(POOL, 1000, 5, anew=True))
    recent = np.concatenate([asked(POOL, 140, 6, anew=True), asked(questions(200, 7), 60, 8, anew=True)])
    assert [judged(usual, recent, least) for least in (0.1, 0.4, 0.6)] == ["other", "other", "same"]


def test_new_questions_are_looked_at_as_a_whole_and_a_few_are_too_few():
    usual = usual_questions(NEVER)
    assert max(usual.same, usual.alike) < 0.01
    assert judged(usual, fresh(LEAST - 1, 9)) == "few"
    assert judged(usual, fresh(LEAST, 9)) == "alike"
    assert judged(usual, fresh(LEAST, 9, apart=1.0)) == "other"
    assert judged(usual, fresh(LEAST // 2, 9, apart=2.0)) == "other"


def test_like_questions_are_seldom_taken_for_others():
    usual = usual_questions(NEVER)
    said = [judged(usual, fresh(200, 100 + seed)) for seed in range(60)]
    assert said.count("other") <= 2  # .6 are expected


def test_a_short_baseline_never_vouches_for_new_questions():
    usual = usual_questions(NEVER[:80])
    assert judged(usual, fresh(2 * LEAST, 9)) == "few"
    assert judged(usual, fresh(2 * LEAST, 9, apart=2.0)) == "few"


def test_one_question_in_many_words_is_worth_one():
    """A flood of it does not say that the users as a whole ask otherwise."""
    usual = usual_questions(NEVER)
    many = asked(questions(1, 12), 100, 13, anew=True)
    assert judged(usual, many) == "few"


def about(count: int, seed: int, share: float, apart: float = 0.0) -> Sketches:
    """So many new questions about ten topics, of which one has this share."""
    chance = np.random.default_rng(seed)
    mix = [share, *[(1 - share) / 9] * 9]
    vectors = np.random.default_rng(1).normal(size=(10, WIDE))[chance.choice(10, size=count, p=mix)]
    off = apart * np.random.default_rng(2).normal(size=WIDE)
    return sketches_of(unit(vectors + 1.5 * chance.normal(size=vectors.shape) + off).astype(np.float16))


def test_topics_come_and_go_and_that_makes_no_other_questions():
    usual = usual_questions(about(1000, 20, share=0.1))
    said = [judged(usual, about(150, seed, share=0.3)) for seed in range(30, 50)]
    assert said.count("alike") >= 19
    assert judged(usual, about(150, 50, share=0.1, apart=0.5)) == "other", "within each topic these are others"


def with_one_popular(sketches: Sketches) -> Sketches:
    """The same, where every tenth exchange asks one and the same thing."""
    return np.where(np.arange(len(sketches)) % 10 == 0, NEVER[0], sketches)


def test_one_popular_question_does_not_hide_that_all_others_are_new():
    usual = usual_questions(with_one_popular(NEVER))
    assert usual.worth > 800
    assert judged(usual, with_one_popular(fresh(200, 9))) == "alike"
    assert judged(usual, with_one_popular(fresh(200, 9, apart=1.0))) == "other"


def test_what_one_asks_again_and_again_is_one_strange_question():
    usual = usual_questions(asked(POOL, 1000, 5, anew=True))
    recent = asked(POOL, 80, 6, anew=True)
    assert judged(usual, np.concatenate([recent, asked(questions(1, 7), 20, 8, anew=True)])) != "other"
    assert judged(usual, np.concatenate([recent, asked(questions(200, 7), 20, 8, anew=True)])) == "other"


@pytest.mark.parametrize("returns", [True, False])
def test_looking_again_and_again_takes_few_for_others(returns):
    """The chance is that of all looks at an alarm together, until it is clear what the questions are."""
    chance = np.random.default_rng(21)
    wide = questions(1500, 3)  # of which a baseline of 1,000 holds two thirds, so that it is long unclear
    usual = usual_questions(asked(wide, 1000, 5, anew=True) if returns else NEVER)
    found = []
    for seed in chance.integers(1_000_000, size=30).tolist():
        recent = asked(wide, 200, seed, anew=True) if returns else fresh(200, seed)
        words = (judged(usual, recent[:n]) for n in range(4, 201, 4))
        found.append(next((word for word in words if word != "few"), "few"))
    assert found.count("other") <= 1


def test_without_any_question_it_is_not_known_what_is_asked():
    assert judged(usual_questions(NEVER), NEVER[:0]) == "few"
