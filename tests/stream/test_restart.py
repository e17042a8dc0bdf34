"""The policy of restarts, as a pure function."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from services.stream.supervisor import GiveUp, Restart, RestartPolicy, decide_restart

POLICY = RestartPolicy(first=0.5, longest=30.0, healthy=60.0, most=10)


def _lives(*lives: tuple[int, float]) -> list[Restart | GiveUp]:
    failures, said = 0, []
    for code, ran in lives:
        said.append(decide_restart(POLICY, failures, code, ran))
        if isinstance(said[-1], GiveUp):
            break
        failures = said[-1].failures
    return said


def test_pauses_double_up_to_the_longest() -> None:
    said = _lives(*[(70, 1.0)] * 10)
    assert [one.after for one in said if isinstance(one, Restart)] == [0.5, 1, 2, 4, 8, 16, 30, 30, 30, 30]


def test_a_worker_that_never_gets_well_is_given_up() -> None:
    last = _lives(*[(70, 1.0)] * 20)[-1]
    assert isinstance(last, GiveUp)
    assert (last.code, last.why) == (
        1,
        "the worker ended with exit code 70, 11 times in a row, each within 60 s: given up",
    )


def test_a_worker_that_waits_in_vain_for_its_database_is_started_for_ever() -> None:
    said = _lives(*[(70, 121.0)] * 500)
    assert {one.after for one in said if isinstance(one, Restart)} == {0.5}
    assert len(said) == 500


def test_bad_input_is_not_tried_again() -> None:
    assert decide_restart(POLICY, 0, 2, 0.1) == GiveUp(2, "the worker cannot run like this")


def test_a_killed_worker_is_started_again_and_the_signal_is_told() -> None:
    assert decide_restart(POLICY, 0, -9, 1.0) == Restart(0.5, 1, "the worker was ended by signal 9")


@given(
    st.lists(
        st.tuples(st.integers(-64, 255).filter(lambda code: code != 2), st.floats(0, 200)), min_size=1, max_size=60
    )
)
def test_it_is_given_up_exactly_when_too_many_short_lives_follow_each_other(lives: list[tuple[int, float]]) -> None:
    said = _lives(*lives)
    for index, one in enumerate(said):
        short = 0
        while short <= index and lives[index - short][1] < POLICY.healthy:
            short += 1
        run = short + (short <= index)  # the healthy life before them has ended too
        assert isinstance(one, GiveUp) == (run > POLICY.most)
        if isinstance(one, Restart):
            assert 0 < one.after <= POLICY.longest
