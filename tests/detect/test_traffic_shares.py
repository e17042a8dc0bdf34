"""A canary, or a snapshot behind a load balancer, is one change whose share is followed in words."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.rate_shift import RateShift
from schemas.change import Change
from schemas.identity import Model, identity_of
from services.detect.core import step
from services.detect.state import DetectionPlan, DetectState
from services.detect.traffic_shares import (
    SHARE_WINDOW,
    TOLD_FREELY,
    ShareNews,
    TrafficShares,
    begin_following,
    count_exchange,
)
from services.evaluate.triggers import due_runs
from services.monitor import BaselinePolicy, RoutePolicy, Target
from services.store.codec import pack, unpack
from services.wording.timeline import change_mark, change_text
from services.wording.traffic_shares import share_moved
from tests.support.blocks import ROUTE, Row, block

OLD, NEW = Model(requested="gpt-x", served="gpt-x-0613"), Model(requested="gpt-x", served="gpt-x-1106")
A, B = identity_of(OLD), identity_of(NEW)
SIZE = 100
POLICY = RoutePolicy(baseline=BaselinePolicy(size=SIZE, min_size=50), floors={})
PLAN = DetectionPlan((RateShift(),), POLICY)
TARGET = Target("https://x.example/v1", "gpt-x")


def traffic(*phases: tuple[int, float], seed: int = 1) -> list[Row]:
    """So many exchanges each, of which such a share is the new model's, at random."""
    chance, some = random.Random(seed), []
    for n, share in ((SIZE + 100, 0.0), *phases):
        for _ in range(n):
            i = len(some)
            model = NEW if chance.random() < share else OLD
            some.append(Row(f"e{i}", i, i * 864.0, model=model, prompt=i % 97))
    return some


def changes_of(some: list[Row], cut: int = 64, state: DetectState | None = None) -> tuple[DetectState, list[Change]]:
    state, found = state or DetectState.start(ROUTE), []
    for first in range(0, len(some), cut):
        state, out = step(PLAN, state, [block(some[first : first + cut])])
        found += [one for one in out.changes if one.kind in ("observed", "share")]
    return state, found


def followed(*phases: tuple[int, float], seed: int = 1) -> list[Change]:
    return changes_of(traffic(*phases, seed=seed))[1]


def simulated(*phases: tuple[int, float], seed: int = 1) -> list[ShareNews]:
    """What is told of the same traffic after the change itself, without the rest of detect."""
    chance, shares, found = random.Random(seed), TrafficShares(), []
    seen = index = 0
    for n, share in phases:
        for _ in range(n):
            who = B if chance.random() < share else A
            shares, news = count_exchange(shares, "base", who, index, who == B and seen < 5)
            found += news
            seen, index = seen + (who == B), index + 1
            if seen == 5 and who == B:
                shares = begin_following(shares, B, "c" * 16)
    return found


def test_a_canary_is_one_change_that_says_its_share() -> None:
    [change] = followed((600, 0.05))
    assert (change.kind, change.from_identity, change.to_identity) == ("observed", A, B)
    assert change.share == pytest.approx(0.05, abs=0.05)
    assert "; served by gpt-x-0613 9" in change.reason
    assert change_text(change).startswith("Another model answers ")
    assert change_text(change).endswith("of the exchanges: gpt-x-1106")


def test_snapshots_behind_a_load_balancer_are_one_change_however_often_they_alternate() -> None:
    told = [len(simulated((4_000, share), seed=seed)) for share in (0.5, 0.3) for seed in range(10)]
    assert max(told) <= 1, "a first share of few exchanges may be told once more, and then never"
    assert told.count(0) >= 10


def test_a_first_share_of_few_exchanges_is_held_against_nothing_that_chance_explains() -> None:
    news = [one.stage for p in (0.1, 0.33, 0.5, 0.67) for seed in range(25) for one in simulated((2_000, p), seed=seed)]
    assert news.count("moved") <= 1
    assert set(news) <= {"moved", "joined"}, "who answered the first five alone seemed to have taken over"
    moved = simulated((60, 0.1), (600, 0.95), seed=3)
    assert moved[0].stage == "moved", "what chance does not explain is told"


def test_a_canary_that_grows_is_followed_until_it_has_taken_over() -> None:
    found = followed((400, 0.05), (500, 0.3), (500, 0.7), (1_200, 1.0))
    first, *shares = found
    assert {one.kind for one in shares} == {"share"}
    assert {one.of for one in shares} == {first.id}
    assert [one.share for one in shares] == sorted(one.share or 0 for one in shares)
    assert shares[-1].share == 1.0
    assert shares[-1].reason.startswith("gpt-x-1106 has taken over: it alone answered the last ")
    assert shares[0].reason.startswith("gpt-x-1106 answers ")
    assert "served by gpt-x-0613 " in shares[0].reason
    assert change_text(shares[-1]) == shares[-1].reason
    assert change_mark(shares[-1]) == "gpt-x-1106 at 100.0%"
    assert len({one.id for one in found}) == len(found) <= 8


def test_a_canary_that_goes_back_is_rolled_back_and_may_return() -> None:
    found = followed((400, 0.1), (700, 0.0), (200, 0.1))
    assert [one.kind for one in found] == ["observed", "share", "share"]
    gone, back = found[1:]
    assert (gone.share, back.of) == (0.0, found[0].id)
    assert gone.reason.startswith("gpt-x-1106 is rolled back: it answered none of the last ")
    assert " again: served by " in back.reason


def test_who_answers_in_bursts_for_ever_is_told_of_a_few_times_and_ever_more_rarely() -> None:
    nights = [(900, 0.0), (100, 1.0)]
    news = simulated((30, 0.5), *nights * 60)
    assert TOLD_FREELY <= len(news) <= TOLD_FREELY + 7
    assert len(simulated((30, 0.5), *nights * 240)) <= len(news) + 2
    later = simulated((30, 0.5), *nights * 60, (40_000, 0.0))
    assert later[-1].stage == "rolled_back", "how it ends is told, if late"


def test_a_model_that_had_taken_over_and_is_rolled_back_is_not_said_to_return() -> None:
    found = followed((50, 0.5), (1_200, 1.0), (200, 0.0), (1_200, 0.0))
    texts = [one.reason for one in found if one.kind == "share"]
    assert not any(text.startswith("gpt-x-1106 answers 0.0%") for text in texts)
    back = next(text for text in texts if "again" in text)
    assert back.startswith("gpt-x-0613 answers again beside gpt-x-1106, which had taken over: served by gpt-x-0613 ")
    assert texts[-1].startswith("gpt-x-1106 is rolled back: ")


@pytest.mark.parametrize(("others", "begin"), [([], "another model"), (["a"], "a answers"), (["a", "b"], "a and b")])
def test_words_name_who_answers_again_beside_the_one_that_had_taken_over(others: list[str], begin: str) -> None:
    text = share_moved("new", "joined", 0.0, [(one, 1 / len(others)) for one in others], 50)
    assert text.startswith(begin)
    assert "new answers" not in text


def test_a_rare_canary_is_not_called_rolled_back_between_two_of_its_answers() -> None:
    assert [one.stage for seed in range(10) for one in simulated((8_000, 0.01), seed=seed)] == []


def test_a_model_that_takes_over_at_once_is_the_change_alone() -> None:
    [change] = followed((700, 1.0))
    assert (change.share, change.reason) == (None, "the 5th exchange of this identity")
    assert change_text(change) == "Another model answers now: gpt-x-1106"


def test_a_change_asks_for_runs_once_and_its_share_for_none() -> None:
    policy = replace(POLICY, target=TARGET, suites=("core",))
    found = followed((300, 0.1), (300, 0.9))
    assert len(found) > 1
    assert [len(due_runs(policy, one)) for one in found] == [1] + [0] * (len(found) - 1)


CANARY = traffic((200, 0.1), (300, 0.8), (300, 0.0))
WHOLE = changes_of(CANARY, 128)


@settings(max_examples=4)
@given(st.integers(5, 127))
def test_where_blocks_are_cut_changes_nothing(cut: int) -> None:
    state, found = changes_of(CANARY, cut)
    assert found == WHOLE[1]
    assert state.shares == WHOLE[0].shares


def test_what_is_kept_is_small_and_stored_and_taken_up_again() -> None:
    half = len(CANARY) // 2
    state, first = changes_of(CANARY[:half])
    again = unpack(TrafficShares, pack(state.shares))
    assert again == state.shares
    _, rest = changes_of(CANARY[half:], state=replace(state, shares=again))
    assert [*first, *rest] == WHOLE[1]
    assert sum(one.n for one in state.shares.blocks) <= SHARE_WINDOW + 50
    assert len(pack(state.shares)) < 3_000


def test_many_identities_that_each_answer_once_keep_no_more_than_64_blocks() -> None:
    shares = TrafficShares()
    for i in range(200):
        shares, _ = count_exchange(shares, "base", f"{i:016x}", i, True)
    assert len(shares.blocks) <= 64


def test_another_baseline_begins_anew() -> None:
    shares = TrafficShares()
    news: list[ShareNews] = []
    for i in range(400):
        shares, told = count_exchange(shares, "one", B if i % 2 else A, i, bool(i % 2))
        news += told
        if i == 20:
            shares = begin_following(shares, B, "c" * 16)
    assert news == []
    shares, _ = count_exchange(shares, "two", B, 400, False)
    assert shares == TrafficShares("two")
