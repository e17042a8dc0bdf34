"""What counts as covered, what a flood is worth, and which gaps are told: on vectors whose answer is known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta

import numpy as np
import pytest

from services.evaluate.coverage import (
    MOST_OF_ONE,
    NEAR,
    AskedQuestions,
    Matrix,
    item_prompts,
    shares_of,
    topics_of,
    uncovered_clusters,
    unit_rows,
)
from tests.evaluate.test_suite_lint import asking, of
from tests.support.blocks import START

WIDE = 384


def direction(topic: int) -> Matrix:
    return unit_rows(np.random.default_rng([7, topic]).standard_normal((1, WIDE)))[0]


def questions(topic: int, n: int, spread: float = 0.8) -> Matrix:
    """(n, 384) different questions of one topic: cosines to it of about .8, to each other of about .6."""
    noise = np.random.default_rng([8, topic]).standard_normal((n, WIDE)) / np.sqrt(WIDE)
    return unit_rows(direction(topic) + spread * noise)


def asked(
    vectors: Matrix,
    users: Sequence[str | None] | None = None,
    signals: Sequence[Mapping[str, bool | None]] | None = None,
) -> AskedQuestions:
    n = len(vectors)
    times = [START + timedelta(seconds=i) for i in range(n)]
    return AskedQuestions([f"e{i}" for i in range(n)], users or [None] * n, times, signals or [{}] * n, vectors)


def test_the_share_of_questions_near_an_item_has_an_interval_around_it() -> None:
    found = shares_of(asked(np.vstack([questions(1, 60), questions(2, 40)])), np.stack([direction(1)]))
    assert found.share == pytest.approx(0.6)
    assert 0.49 < found.low < 0.52
    assert 0.68 < found.high < 0.71


@pytest.mark.parametrize(("item", "share"), [(1, 1.0), (2, 0.0)])
def test_neither_all_nor_nothing_is_ever_certain(item: int, share: float) -> None:
    found = shares_of(asked(questions(1, 40)), np.stack([direction(item)]))
    assert found.share == share
    assert found.high - found.low > 0.05


def test_without_items_nothing_is_covered() -> None:
    found = shares_of(asked(questions(1, 40)), np.zeros((0, WIDE), np.float32))
    assert found.share == 0.0
    assert found.high > 0.05


@pytest.mark.parametrize("user", [None, "one"])
def test_a_question_counts_once_however_often_it_is_asked(user: str | None) -> None:
    flood = np.repeat(questions(2, 1), 900, axis=0)
    vectors = np.vstack([questions(1, 60), questions(2, 41)[1:], flood])
    found = shares_of(asked(vectors, [None] * 100 + [user] * 900), np.stack([direction(1)]))
    assert found.share == pytest.approx(60 / 101)
    assert len(found.near) == 101


def test_one_user_with_many_different_questions_is_a_twentieth_and_no_more() -> None:
    vectors = np.vstack([questions(1, 95), questions(2, 500)])
    users = [f"u{i}" for i in range(95)] + ["one"] * 500
    found = shares_of(asked(vectors, users), np.stack([direction(1)]))
    assert 1 - found.share == pytest.approx(MOST_OF_ONE)
    assert found.low < found.share < found.high


@pytest.mark.parametrize("many", [1, 3, 19, 25])
def test_where_few_users_ask_all_the_interval_says_how_little_that_tells(many: int) -> None:
    per_user = 40
    vectors = np.vstack(
        [questions(user % 2, per_user) if user < 2 else questions(user, per_user) for user in range(many)]
    )
    users = [f"u{i // per_user}" for i in range(len(vectors))]
    found = shares_of(asked(vectors, users), np.stack([direction(0)]))
    assert found.weights.sum() > 0
    assert found.share == pytest.approx(1 / many)
    assert found.low < found.share <= found.high
    if many < 20:
        assert found.high - found.low > 0.15


def test_the_interval_of_independent_questions_holds_the_truth_nineteen_times_of_twenty() -> None:
    chance, held = np.random.default_rng(3), 0
    near, far = questions(1, 200), questions(2, 200)
    for _ in range(200):
        is_near = chance.random(120) < 0.3
        picks = chance.permutation(200)[:120]
        vectors = np.where(is_near[:, None], near[picks], far[picks])
        found = shares_of(asked(vectors), np.stack([direction(1)]))
        held += found.low <= 0.3 <= found.high
    assert held >= 180


def test_what_is_left_out_is_grouped_and_the_dangerous_group_comes_first() -> None:
    vectors = np.vstack([questions(1, 60), questions(2, 40), questions(3, 15), questions(4, 2)])
    signals = [{"harmful_request": 100 <= i < 115 and i % 2 == 0, "refusal": 60 <= i < 70} for i in range(117)]
    texts = {f"e{i}": f"which dose of ibuprofen is for number {i}" for i in range(100, 115)}
    texts |= {f"e{i}": f"where is parcel {i} of mine" for i in range(0, 60)}
    given = asked(vectors, signals=signals)
    shares = shares_of(given, np.stack([direction(1)]))
    risky, plain = uncovered_clusters(given, shares, texts)
    assert (risky.questions, plain.questions) == (15, 40)
    assert risky.share == pytest.approx(15 / 117)
    assert risky.risky == pytest.approx(8 / 15)
    assert plain.declined == pytest.approx(10 / 40)
    assert plain.risky == 0.0
    assert "ibuprofen" in risky.words
    assert len(risky.examples) == 5
    assert set(risky.examples) <= {f"e{i}" for i in range(100, 115)}
    assert plain.examples == plain.words == ()
    assert uncovered_clusters(given, shares, texts) == (risky, plain)


def test_a_signal_that_nothing_was_scored_of_is_not_known() -> None:
    given = asked(questions(2, 40), signals=[{"harmful_request": None}] * 40)
    (found,) = uncovered_clusters(given, shares_of(given, np.stack([direction(1)])), {})
    assert found.risky is None
    assert found.declined is None


def test_the_rate_of_a_group_is_of_its_questions_not_of_a_flood_of_one() -> None:
    vectors = np.vstack([questions(2, 20), np.repeat(questions(2, 1), 200, axis=0)])
    signals = [{"refusal": False}] * 20 + [{"refusal": True}] * 200
    given = asked(vectors, signals=signals)
    (found,) = uncovered_clusters(given, shares_of(given, np.stack([direction(1)])), {})
    assert found.questions == 20
    assert found.exchanges == 220
    assert found.declined == pytest.approx(1 / 20)


def test_groups_do_not_depend_on_how_long_vectors_are_and_single_ones_are_a_group() -> None:
    vectors = np.vstack([questions(1, 10), questions(2, 10)])
    assert len(set(topics_of(vectors).tolist())) == 2
    assert topics_of(vectors[:1]).tolist() == [0]
    assert topics_of(vectors[:0]).tolist() == []
    assert np.allclose(unit_rows(9 * vectors), vectors, atol=1e-6)


def test_a_broken_vector_resembles_nothing() -> None:
    rows = unit_rows(np.array([[np.nan] * WIDE, [0.0] * WIDE, [np.inf] + [0.0] * (WIDE - 1)], dtype=np.float32))
    assert np.isfinite(rows).all()
    assert (np.abs(rows @ direction(1)) < NEAR).all()


def test_of_an_item_what_its_user_says_last_is_compared() -> None:
    several = asking("a", "And now?")
    first = several.messages[0].model_copy(update={"content": "How do I begin?"})
    several = several.model_copy(update={"messages": (first, *several.messages)})
    assert item_prompts(of(several, asking("b", "And now?"), asking("c", "Who are you?"))) == (
        "And now?",
        "Who are you?",
    )
