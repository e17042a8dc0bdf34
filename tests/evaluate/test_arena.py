"""Battles and strengths: what files say, what disagreement is, and that strengths are those of made versions."""

from __future__ import annotations

import json

import numpy as np
import pytest

from services.errors import InputError
from services.evaluate.arena import Battle, Winner, read_battles, settle, strengths_of


def test_two_orders_that_disagree_are_a_tie_and_silence_is_no_verdict() -> None:
    every: tuple[Winner, ...] = ("a", "b", "tie", "inconclusive")
    for one in every:
        assert settle(one, one) == one
        for other in every:
            assert settle(one, other) == settle(other, one)
    assert settle("a", "b") == settle("a", "tie") == "tie"
    assert settle("b", "inconclusive") == "inconclusive"


@pytest.mark.parametrize("lines", [True, False])
def test_battle_files_of_fastchat_are_read(lines: bool) -> None:
    rows = [
        {"question_id": 81, "model_a": "x", "model_b": "y", "winner": winner, "judge": "arena_user", "turn": 1}
        for winner in ("model_a", "model_b", "tie", "tie (bothbad)", "inconclusive")
    ]
    text = "\n".join(json.dumps(row) for row in rows) if lines else json.dumps(rows, indent=1)
    assert [one.winner for one in read_battles(text, "f")] == ["a", "b", "tie", "tie", "inconclusive"]
    assert {one.item for one in read_battles(text, "f")} == {"81"}


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "holds no battle"),
        ("[]", "holds no battle"),
        ("{", "neither JSON nor JSONL"),
        ('["x"]', "f:1: not an object"),
        ('{"model_a": "x", "model_b": "y"}', "f:1: winner: must be text"),
        ('{"model_a": "x", "model_b": "x", "winner": "tie"}', "f:1: model_b: is model_a"),
        ('{"model_a": "x", "model_b": "y", "winner": "x"}', "winner: 'x' is none of model_a, model_b, tie"),
        ('{"model_a": 1, "model_b": "y", "winner": "tie"}', "f:1: model_a: must be text"),
    ],
)
def test_what_is_no_battle_file_is_named_with_its_fault(text: str, fault: str) -> None:
    with pytest.raises(InputError, match="f") as caught:
        read_battles(text, "f")
    assert fault in str(caught.value)


def made(strengths: dict[str, float], items: int, ties: float = 0.1) -> list[Battle]:
    """Battles of every two versions over items, by their strengths in log odds."""
    rng, names, found = np.random.default_rng(5), sorted(strengths), []
    for item in range(items):
        for i, a in enumerate(names):
            for b in names[i + 1 :]:
                wins = rng.random() < 1 / (1 + np.exp(strengths[b] - strengths[a]))
                winner: Winner = "tie" if rng.random() < ties else "a" if wins else "b"
                found.append(Battle(a, b, winner, str(item)))
    return found


def test_strengths_are_those_of_the_versions_and_intervals_hold_them() -> None:
    table = strengths_of(made({"new": 0.8, "old": 0.0, "older": -0.8}, 400, ties=0.0), bootstraps=300)
    assert [one.version for one in table.strengths] == ["new", "old", "older"]
    for one, truth in zip(table.strengths, (0.8, 0.0, -0.8), strict=True):
        rating = 1000 + 400 / np.log(10) * truth
        assert one.low <= rating <= one.high
        assert one.low < one.rating < one.high
        assert one.high - one.low < 90
        assert one.wins + one.losses + one.ties == 800
    assert (table.battles, table.connected) == (1200, True)


def test_a_version_that_won_every_battle_has_an_end_and_swapped_sides_change_nothing() -> None:
    fought = [Battle("x", "y", "a", str(n)) for n in range(30)]
    table = strengths_of(fought, bootstraps=50)
    assert table == strengths_of([Battle("y", "x", "b", one.item) for one in fought], bootstraps=50)
    assert 1000 < table.strengths[0].rating < 2000
    assert sum(one.rating for one in table.strengths) == pytest.approx(2000)


@pytest.mark.parametrize(("n", "sure"), [(1, False), (2, False), (30, True)])
def test_few_battles_that_all_say_the_same_leave_open_who_is_better(n: int, sure: bool) -> None:
    better, worse = strengths_of([Battle("x", "y", "a", str(item)) for item in range(n)], bootstraps=1000).strengths
    assert (better.low > 1000, worse.high < 1000) == (sure, sure)
    assert better.low < better.rating < better.high


def test_intervals_over_few_items_hold_the_strength_in_about_95_of_100_draws() -> None:
    rng, truth, held = np.random.default_rng(3), 1000 + 200 * np.log10(0.7 / 0.3), 0
    for _ in range(300):
        fought = [Battle("x", "y", "a" if rng.random() < 0.7 else "b", str(n)) for n in range(15)]
        found = next(one for one in strengths_of(fought, bootstraps=200).strengths if one.version == "x")
        held += found.low <= truth <= found.high
    assert 0.90 <= held / 300 <= 0.99


def test_what_is_inconclusive_counts_for_nobody() -> None:
    fought = [Battle("x", "y", "a", "1"), Battle("x", "y", "inconclusive", "2")]
    table = strengths_of(fought, bootstraps=20)
    assert (table.battles, table.inconclusive) == (1, 1)
    assert strengths_of(fought[1:]).strengths == ()
    apart = strengths_of([Battle("x", "y", "a", "1"), Battle("v", "w", "b", "1")], bootstraps=20)
    assert not apart.connected
