"""Replays, budgets and drills on exchanges that were scored before: from a file of score lines, or from a database."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from detectors import registered
from services.monitor import Monitor, load
from services.record.recorder import Recorder
from services.replay.runner import ReplayDependencies, ReplayRunner
from services.score.blocks import rows_of
from services.score.core import ScoredBatch
from services.score.score_lines import block_lines
from services.store.engine import open_database
from services.stream.stateful import DetectStateStore, RouteState
from tests.support.blocks import ROUTE, Row, block

MONITOR = "defaults: {baseline: {size: 300, min_size: 100, per_hour: 1000}}\n"
SHY = "defaults: {baseline: {size: 300, min_size: 100, per_hour: 1000}, floors: {refusal: 0.5}}\n"


def exchanges(n: int, seed: int, *, first: int = 0, rate: float = 0.2, step: float = 864.0) -> list[Row]:
    chance = np.random.default_rng(seed)
    return [
        Row(f"e{i}", i, i * step, signals={"refusal": bool(chance.random() < rate)}, prompt=i % 97)
        for i in range(first, first + n)
    ]


def write_scores(path: Path, rows: list[Row]) -> Path:
    blocks = (block(rows[start : start + 100]) for start in range(0, len(rows), 100))
    path.write_text("".join(json.dumps(line) + "\n" for one in blocks for line in block_lines(one, vectors=True)))
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("scores")
    (made / "current.yaml").write_text(MONITOR)
    (made / "shy.yaml").write_text(SHY)
    write_scores(made / "clean.jsonl", exchanges(600, 1))
    write_scores(made / "moved.jsonl", [*exchanges(500, 1), *exchanges(200, 2, first=500, rate=0.95)])
    return made


def database_of(path: Path, rows: list[Row], monitor: Monitor) -> str:
    """What the stream would have stored of these exchanges."""
    url = f"sqlite:///{path}"
    database = open_database(url)
    runner = ReplayRunner(
        ReplayDependencies(
            lambda _: ScoredBatch(), registered(), monitor.policy, Recorder(database, monitor.policy).apply
        )
    )
    for start in range(0, len(rows), 100):
        for row in rows_of(block(rows[start : start + 100])):
            runner.feed(row)
    seen = runner.finish()
    with database.write() as connection:
        for route, flow in seen.flows.items():
            DetectStateStore(registered()).save(connection, route, RouteState(flow.detect))
    database.close()
    return url


def test_another_monitor_file_loses_a_page(keelwatch, folder):
    words = ("replay", "--from-scores", folder / "moved.jsonl", "--config", folder / "shy.yaml")
    code, said, err = keelwatch(*words, "--against", folder / "current.yaml", "--json", "-")
    assert (code, err) == (0, "")
    found = json.loads(said)
    assert (found["exchanges"], len(found["gained"]), len(found["kept"])) == (700, 0, 0)
    (before,) = found["current"]
    assert 500 <= before["event_index"] < 540
    if found["moved"]:  # the wide floor hears of it later, where it hears of it at all
        assert found["moved"][0]["after"]["event_index"] > before["event_index"]
    else:
        assert found["lost"] == [before]
    code, said, _ = keelwatch(*words, "--against", folder / "current.yaml")
    assert code == 0
    assert "instead of 1 in 700 exchanges" in said


def test_the_same_monitor_file_changes_nothing(keelwatch, folder):
    words = ("replay", "--from-scores", folder / "moved.jsonl", "--config", folder / "current.yaml")
    code, said, _ = keelwatch(*words, "--against", folder / "current.yaml")
    assert code == 0
    assert "1 page instead of 1 in 700 exchanges: none gained, lost or moved" in said


def test_a_signal_in_shadow_is_shown_and_calls_nobody(keelwatch, folder):
    (folder / "shadow.yaml").write_text(MONITOR.replace("}}", "}, shadow_signals: [refusal]}"))
    words = ("replay", "--from-scores", folder / "moved.jsonl", "--config", folder / "shadow.yaml")
    code, said, _ = keelwatch(*words, "--json", "-")
    found = json.loads(said)
    assert (code, found["pages"]) == (0, [])
    assert [alert["shadow"] for alert in found["alerts"] if alert["signal"] == "refusal"] == [True]
    assert "In shadow, nobody was told: " in keelwatch(*words)[1]
    code, said, _ = keelwatch(*words, "--against", folder / "current.yaml")
    assert "no page instead of 1" in said


def test_pages_before_since_are_left_out(keelwatch, folder):
    words = ("replay", "--from-scores", folder / "moved.jsonl", "--config", folder / "current.yaml", "--json", "-")
    assert len(json.loads(keelwatch(*words)[1])["pages"]) == 1
    assert json.loads(keelwatch(*words, "--since", "2026-02-01")[1])["pages"] == []


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--from-scores", "no/such"), "no/such: "),
        (("--from-scores", "{empty}"), "holds no score line"),
        (("--from-scores", "{exchanges}"), "line 1: is no score line; `keelwatch score"),
        (("--since", "2026-01-01"), "FILE: missing"),
        (("--from-scores", "{clean}", "--since", "yesterday"), "--since yesterday: must be ISO 8601"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(keelwatch, folder, tmp_path, words, told):
    (tmp_path / "empty").write_text("")
    (tmp_path / "exchanges").write_text('{"route": "a/b", "prompt": "x", "response": "y", "model": "m"}\n')
    files = {"empty": tmp_path / "empty", "exchanges": tmp_path / "exchanges", "clean": folder / "clean.jsonl"}
    code, said, err = keelwatch("replay", *(word.format(**files) for word in words))
    assert (code, said) == (2, "")
    assert told in err
    assert len(err.strip().splitlines()) == 1


def test_a_drill_is_seen_and_the_same_seed_gives_the_same(keelwatch, folder):
    words = ("drill", ROUTE, "--from-scores", folder / "clean.jsonl", "--config", folder / "current.yaml")
    same = ("--shift", "refusal=+60pp", "--draws", "5", "--exchanges", "300")
    code, said, err = keelwatch(*words, *same, "--json", "-")
    assert (code, err) == (0, "")
    found = json.loads(said)
    assert found["rate_after"] - found["rate_before"] == pytest.approx(0.6)
    assert 3 <= found["seen"]["median"] <= found["seen"]["p90"] <= 300
    assert found["paged"]["median"] >= found["seen"]["median"]
    assert keelwatch(*words, *same, "--json", "-")[1] == said
    assert keelwatch(*words, *same, "--seed", "2", "--json", "-")[1] != said
    code, said, _ = keelwatch(*words, *same)
    assert "would be seen after about" in said
    assert "at today's traffic" in said


def test_a_drill_that_is_too_small_says_what_would_be_seen(keelwatch, folder):
    words = ("drill", ROUTE, "--from-scores", folder / "clean.jsonl", "--config", folder / "current.yaml")
    small = ("--shift", "refusal=+10pp", "--draws", "3", "--exchanges", "60", "--json", "-")
    code, said, _ = keelwatch(*words, *small)
    assert code == 1
    found = json.loads(said)
    assert found["seen"]["p90"] is None
    assert found["larger"]["shift"] in {"refusal=+20pp", "refusal=+40pp", "refusal=+80pp"}


@pytest.mark.parametrize(
    ("shift", "told"),
    [
        ("refusal", "write SIGNAL=+POINTSpp"),
        ("refusal=-10%", "write SIGNAL=+POINTSpp"),
        ("refusal=-60pp", "cannot move so far"),
        ("kindness=-6pp", "have no such yes-or-no signal; they have refusal, length"),
    ],
)
def test_a_shift_that_cannot_be_is_refused(keelwatch, folder, shift, told):
    words = ("drill", ROUTE, "--from-scores", folder / "clean.jsonl", "--config", folder / "current.yaml")
    code, _, err = keelwatch(*words, "--shift", shift)
    assert code == 2
    assert told in err


def test_a_stored_route_is_replayed_drilled_and_budgeted(keelwatch, folder, tmp_path):
    rows = exchanges(600, 1)
    url = database_of(tmp_path / "kw.db", rows, load(folder / "current.yaml"))
    words = ("--config", folder / "current.yaml", "--database", url, "--json", "-")
    code, said, err = keelwatch("replay", "--from-scores", ROUTE, *words)
    assert (code, err) == (0, "")
    assert json.loads(said)["events"] == 600
    same = ("--from-scores", folder / "clean.jsonl", "--config", folder / "current.yaml", "--json", "-")
    assert json.loads(keelwatch("replay", *same)[1])["routes"] == json.loads(said)["routes"]

    few = ("--draws", "3", "--exchanges", "200")
    code, said, _ = keelwatch("drill", ROUTE, "--shift", "refusal=+60pp", *few, *words)
    assert code == 0
    assert json.loads(said)["seen"]["p90"] < 200

    code, said, _ = keelwatch("budget", ROUTE, "--exchanges", "600", *words)
    found = json.loads(said)
    assert code == 0
    assert found["false_pages_per_month"] == 1
    assert found["replayed"]["exchanges"] == 300
    assert found["replayed"]["alarms"] == 0
    drawn = found["drawn"]
    assert drawn["exchanges"] == 600
    assert drawn["allowed"] == pytest.approx(0.6, rel=0.02)
    assert drawn["share_of_allowed"]["low"] <= drawn["share_of_allowed"]["measured"]
    code, said, _ = keelwatch("budget", ROUTE, "--exchanges", "600", *words[:-2])
    assert "set to about one false alarm a month" in said


def test_a_route_without_a_baseline_or_unknown_is_refused_with_the_remedy(keelwatch, folder, tmp_path):
    url = database_of(tmp_path / "kw.db", exchanges(50, 1), load(folder / "current.yaml"))
    words = ("--config", folder / "current.yaml", "--database", url)
    for command in (("budget", ROUTE), ("drill", ROUTE, "--shift", "refusal=+5pp")):
        code, _, err = keelwatch(*command, *words)
        assert code == 2
        assert "50 of 300 exchanges are learned" in err
        code, _, err = keelwatch(command[0], "other/prod", *command[2:], *words)
        assert code == 2
        assert "`keelwatch route list` names its routes" in err
