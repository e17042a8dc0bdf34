"""What benchmarks of detectors stand on: how streams are drawn, and when a detector is said to have fired."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from detectors.model_shift import ModelShift
from detectors.protocol import Baseline, Rows
from tests.benchmarks import alarms
from tests.benchmarks.detector_tables import BEGIN, END, render, write_page
from tests.benchmarks.recorded_updates import BEFORE, Answers, draw, floors, of_change

PROMPTS = 120
ROOT = Path(__file__).resolve().parents[2]


@cache
def _answers() -> Answers:
    """120 prompts in six bunches, asked of two versions; the new one writes and refuses differently."""
    chance = np.random.default_rng(3)
    centres = chance.normal(size=(6, 384))
    prompt = centres[np.arange(PROMPTS) % 6] + 0.5 * chance.normal(size=(PROMPTS, 384))

    def rows(shift: float) -> Rows:
        response = prompt + chance.normal(size=(PROMPTS, 384)) + shift
        style = chance.normal(size=(PROMPTS, 30)) + 3 * shift
        vectors = [(one / np.linalg.norm(one, axis=1, keepdims=True)).astype(np.float16) for one in (prompt, response)]
        yes = np.ones(PROMPTS, dtype=np.bool_)
        at = np.arange(PROMPTS)
        refused = (chance.random(PROMPTS) < 0.3 + shift).astype(np.float64)
        signals = dict.fromkeys(floors(), refused)
        return Rows(
            at, at.astype(float), vectors[0], vectors[1], style.astype(np.float16), yes, yes, signals, {},
            tuple(map(str, at)),
        )  # fmt: skip

    numbers = np.arange(PROMPTS)
    return Answers(rows(0.0), rows(0.5), numbers, numbers)


def _prompts(rows: Rows) -> set[bytes]:
    return {row.tobytes() for row in rows.prompt}


def test_fresh_streams_share_no_prompt_with_the_baseline_and_repeat_nothing() -> None:
    drawn = draw(_answers(), 0, "fresh", 200, 1000)
    for name, stream in drawn.streams.items():
        assert not _prompts(stream) & _prompts(drawn.baseline), name
    clean = drawn.streams["clean"]
    assert len(_prompts(clean)) == len(clean) == PROMPTS // 2


def test_a_population_is_drawn_with_replacement_and_every_condition_is_there() -> None:
    drawn = draw(_answers(), 0, "population", 200, 1000)
    assert {"clean", "topics", "daily", "ar1", "update", "narrowing"} == set(drawn.streams)
    assert len(drawn.streams["clean"]) == 1000
    assert of_change(drawn.streams["update"]) == BEFORE
    assert len(_prompts(drawn.streams["topics"])) < len(_prompts(drawn.streams["clean"])) / 2


def test_a_daily_cycle_changes_the_mix_and_brings_it_back() -> None:
    stream = draw(_answers(), 0, "population", 200, 1000).streams["daily"]
    vectors = stream.prompt.astype(np.float64)
    night, day, next_night = (vectors[at : at + 100].mean(axis=0) for at in (0, 250, 500))
    assert np.linalg.norm(night - day) > 2 * np.linalg.norm(night - next_night)


@pytest.mark.parametrize("enough", [None, BEFORE])
def test_several_thresholds_in_one_pass_fire_as_each_would_alone(enough: int | None) -> None:
    drawn = draw(_answers(), 1, "population", 400, 600)
    detector, arls = ModelShift(), (5.0, 30.0, 1000.0)
    fitted = detector.fit(Baseline(drawn.baseline, floors(), arls[0]))
    stream = drawn.streams["update"]
    together = alarms.firings(detector, {arl: alarms.at_arl(fitted, arl) for arl in arls}, stream, enough)
    assert all(together.values()), "nothing fired: the test would hold of any detector"
    for arl in arls:
        own = detector.fit(Baseline(drawn.baseline, floors(), arl))
        assert alarms.firings(detector, {arl: own}, stream, enough)[arl] == together[arl]


@pytest.mark.parametrize("name", ["model_shift", "rate_shift", "user_shift"])
def test_what_a_detector_learns_depends_on_the_arl_in_nothing_else(name: str) -> None:
    baseline = draw(_answers(), 1, "population", 400, 10).baseline
    detector = alarms.DETECTORS[name]()
    low, high = (detector.fit(Baseline(baseline, floors(), arl)) for arl in (10.0, 1e6))
    assert repr(alarms.at_arl(low, 1e6)) == repr(high) != repr(low)


def test_dummies_fire_always_and_never() -> None:
    drawn = draw(_answers(), 0, "population", 200, 50)
    for name, count in (("always", 50), ("never", 0)):
        assert alarms.measured(name, drawn, (1000.0,), ("clean",))["1000.0"]["alarms"]["clean"] == count


def test_an_interval_of_no_alarm_is_not_zero() -> None:
    assert alarms.poisson(0, 10_000) == (0.0, 0.0, pytest.approx(3.689, abs=0.001))
    assert alarms.poisson(10, 10_000) == (10.0, pytest.approx(4.795, abs=0.001), pytest.approx(18.39, abs=0.01))


def test_where_no_threshold_fires_as_often_as_wanted_the_rate_reached_is_told() -> None:
    points = [(0, 10_000, 90.0), (4, 10_000, 30.0)]
    assert alarms.at_rate(points, 10.0) == (30.0, 4.0)
    assert alarms.at_rate(points, 1.0)[1] == 1.0


def test_a_peer_whose_window_refills_is_not_counted_twice() -> None:
    scores = np.full(300, 0.5)
    scores[[20, 21, 22, 120, 210]] = 2.0
    own = alarms.of_peer("u", "someone 50 score", [scores], change=200)[0]
    assert own["alarms"]["clean"] == [2, 21 + 50 + 29]
    assert own["delays"] == [11]


def test_the_page_shows_the_figures_that_were_kept() -> None:
    """To write it anew: make bench-detectors BENCH_ARGS="--render tests/benchmarks/detector_figures.json"."""
    figures = json.loads((ROOT / "tests/benchmarks/detector_figures.json").read_text(encoding="utf-8"))
    page = (ROOT / "docs/detector-figures.md").read_text(encoding="utf-8")
    assert page.partition(BEGIN)[2].partition(END)[0].strip() == render(figures).strip()


def test_a_page_without_the_marks_is_refused_and_one_with_them_keeps_its_rest(tmp_path: Path) -> None:
    figures = {
        "protocol": {"seeds": 1, "rows": 1, "peer_seeds": 0, "peers_installed": False},
        "rates": {}, "safety": {}, "ours": [], "peers": [], "power": [],
    }  # fmt: skip
    page = tmp_path / "page.md"
    page.write_text("before\n")
    with pytest.raises(ValueError, match="needs the lines"):
        write_page(figures, page)
    page.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    write_page(figures, page)
    assert page.read_text() == f"before\n{BEGIN}\n\n{render(figures)}\n\n{END}\nafter\n"
