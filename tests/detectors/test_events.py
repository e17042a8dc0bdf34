"""events: the first one fires, once, also while learning; only a person ends it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detectors.events import Events, EventsState
from detectors.protocol import Baseline, Finding, Rows, Stream
from services.store.codec import pack, unpack
from tests.support.rate_streams import asked, traffic

DETECTOR = Events()
EMPTY = traffic(np.zeros((0, 384), dtype=np.float16), {})
BASELINE = Baseline(EMPTY, {"secret_leak": 0.0, "system_prompt_leak": 0.0, "refusal": 0.02}, 1e5)
ARTEFACT = DETECTOR.fit(BASELINE)


def leaks(*at: int, n: int = 120, other: float = 0.0) -> Rows:
    values = np.zeros(n)
    values[list(at)] = 1.0
    prompt = asked(np.random.default_rng(0), n)[0]
    return traffic(prompt, {"secret_leak": values, "system_prompt_leak": np.full(n, other)})


def run(rows: Rows, size: int | None = None) -> tuple[EventsState, tuple[Finding, ...]]:
    state, found = DETECTOR.start(ARTEFACT), []
    for at in range(0, len(rows), size or len(rows)):
        part = rows.take(np.arange(at, min(at + (size or len(rows)), len(rows))))
        state, new = DETECTOR.step(ARTEFACT, state, part)
        found += [replace(finding, row=finding.row + at) for finding in new]
    return state, tuple(found)


def test_every_signal_with_floor_0_is_a_stream() -> None:
    assert DETECTOR.streams(BASELINE) == (Stream("secret_leak"), Stream("system_prompt_leak"))
    assert not DETECTOR.learns


def test_the_first_event_fires_and_later_ones_only_count() -> None:
    _, found = run(leaks(7, 60, 80))
    (first,) = [f for f in found if f.transition]
    assert (first.row, first.status, first.direction, first.exemplars) == (7, "firing", "up", ("x7",))
    assert first.effect is not None
    assert (first.effect.before, first.effect.after) == (0, 1)
    later = [f for f in found if f.stream.signal == "secret_leak" and not f.transition]
    assert [(f.n, f.effect.after if f.effect else None) for f in later] == [(50, 1), (100, 3)]
    assert later[-1].exemplars == ("x7", "x60", "x80")


def test_it_needs_neither_vectors_nor_a_baseline() -> None:
    rows = replace(leaks(3), embedded=np.zeros(120, dtype=np.bool_))
    assert [f.row for f in run(rows)[1] if f.status == "firing" and f.transition] == [3]


@given(st.sets(st.integers(0, 119), max_size=8), st.integers(1, 120))
def test_where_the_rows_are_cut_changes_nothing(at: set[int], size: int) -> None:
    rows = leaks(*at)
    before = pack(rows)
    whole, cut = run(rows), run(rows, size)
    assert pack(whole) == pack(cut)
    assert pack(rows) == before
    assert [f.row for f in whole[1] if f.transition] == ([min(at)] if at else [])


@pytest.mark.parametrize("gone", [True, False])
def test_a_signal_that_nobody_scores_is_blind(gone: bool) -> None:
    rows = leaks(n=300, other=np.nan)
    if gone:
        rows = replace(rows, signals={"secret_leak": rows.signals["secret_leak"]})
    changes = [f for f in run(rows)[1] if f.transition]
    assert [(f.stream.signal, f.status, f.reason, f.row) for f in changes] == [
        ("system_prompt_leak", "blind", "unscored", 199)
    ]


def test_an_event_outlives_blindness() -> None:
    rows = leaks(5, n=300)
    rows.signals["secret_leak"][50:270] = np.nan  # type: ignore[index]
    changes = [f for f in run(rows)[1] if f.transition]
    assert [(f.row, f.status) for f in changes] == [(5, "firing"), (249, "blind"), (270, "firing")]


def test_the_state_survives_storage() -> None:
    state, _ = run(leaks(5, 9))
    again = unpack(EventsState, pack(state))
    assert again == state
    assert pack(DETECTOR.step(ARTEFACT, again, leaks(1))) == pack(DETECTOR.step(ARTEFACT, state, leaks(1)))
