"""What a step keeps of its routes is bounded in bytes, and nothing unsaved leaves."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from services.stream.route_memory import RouteMemory, weight_of


@dataclass(frozen=True)
class State:
    rows: np.ndarray
    ids: tuple[str, ...] = ()
    named: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Kept:
    now: State
    is_dirty: bool = True


def state(size: int) -> State:
    return State(np.zeros(size, np.uint8))


def test_a_state_weighs_what_its_arrays_and_texts_take() -> None:
    assert 1_000_000 < weight_of(state(1_000_000)) < 1_010_000
    ids = tuple(f"an id of some length {n:06d}" for n in range(10_000))
    assert 700_000 < weight_of(State(np.zeros(0), ids)) < 1_000_000
    assert 100_000 < weight_of(State(np.zeros(0), named={str(n): float(n) for n in range(1_000)})) < 300_000


def test_the_longest_unused_of_what_is_saved_leave_and_nothing_unsaved_does() -> None:
    memory: RouteMemory[Kept] = RouteMemory(most_bytes=3_000_000, most_routes=100)
    memory.use({name: Kept(state(1_000_000)) for name in "abcde"})
    memory.use({"a": Kept(state(1_000_000))})
    assert memory.is_crowded
    assert 1_000_000 < memory.heaviest < 1_010_000
    assert memory.saved({}) == 0
    assert [name for name, _ in memory.items()] == list("bcdea")
    assert memory.saved({name: Kept(state(1_000_000), is_dirty=False) for name in "acde"}) == 3
    assert [name for name, _ in memory.items()] == ["b", "a"]
    assert not memory.is_crowded
    memory.use({"b": Kept(state(10))})
    assert 1_000_000 < memory.weight < 1_010_000
    memory.clear()
    assert (memory.weight, memory.heaviest, "b" in memory) == (0, 0, False)


def test_there_is_a_most_number_of_routes_too() -> None:
    memory: RouteMemory[Kept] = RouteMemory(most_routes=10)
    memory.use({str(n): Kept(state(1)) for n in range(50)})
    assert memory.is_crowded
    memory.saved({str(n): Kept(state(1), is_dirty=False) for n in range(50)})
    assert [name for name, _ in memory.items()] == [str(n) for n in range(40, 50)]
