"""`eval arena` with a judge that is a process: both orders, strengths, battles written and read again, calls."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from unittest.mock import ANY

from schemas.base import hash16
from services.evaluate.arena import read_battles
from services.evaluate.result import RunResult
from services.evaluate.run_seal import exported_run
from tests.support import scripted_judge
from tests.support.results import answer, result, suite_of

Run = Callable[..., tuple[int, str, str]]
SUITE = suite_of(harmful=3, benign=3, canaries=0)


def version(name: str, words: int) -> RunResult:
    """A run of a model of this name whose answers have so many words."""
    told = tuple(answer(item.id, text=" ".join(["word"] * words)) for item in SUITE.items)
    made = result(SUITE, answers=told, id=hash16([name]))
    return made.model_copy(update={"target": made.target.model_copy(update={"model": name})})


def test_three_versions_are_judged_in_both_orders_by_a_process(keelwatch: Run, tmp_path: Path) -> None:
    paths = []
    for name, words in (("short", 2), ("long", 9), ("middle", 5)):
        paths.append(tmp_path / f"{name}.json")
        paths[-1].write_text(json.dumps(exported_run(version(name, words))), encoding="utf-8")
    with scripted_judge.running() as url:
        asked = {"question": "Is it?", "endpoint": url, "model": scripted_judge.MODEL, "daily_calls": 40}
        config = {"allow_hosts": ["127.0.0.1"], "signals": {"better": {"judge": asked}}}
        (tmp_path / "keelwatch.yaml").write_text(json.dumps(config), encoding="utf-8")
        given = ("eval", "arena", *paths, "--judge", "better", "--config", tmp_path / "keelwatch.yaml")
        nowhere = keelwatch(*given, "--write", tmp_path / "gone" / "battles.jsonl")
        assert (nowhere[0], "--write" in nowhere[2]) == (2, True), (
            "before the judge is asked: 36 of 40 calls come after"
        )
        code, out, err = keelwatch(*given, "--write", tmp_path / "battles.jsonl", "--json", tmp_path / "table.json")
        assert (code, err) == (0, "")
        again = keelwatch(*given)
    assert again[0] == 2, "36 of the day's 40 calls are made"
    assert "judge custom.better: 36 calls are needed, 4 are left today" in again[2]
    table = json.loads((tmp_path / "table.json").read_text())
    assert [one["version"] for one in table["strengths"]] == ["long", "middle", "short"]
    assert [(one["wins"], one["losses"], one["ties"]) for one in table["strengths"]] == [
        (12, 0, 0),
        (6, 6, 0),
        (0, 12, 0),
    ]
    assert (table["battles"], table["inconclusive"], table["connected"]) == (18, 0, True)
    assert json.loads((tmp_path / "data" / "judge-calls.json").read_text()) == {"custom.better": [ANY, 36]}, (
        "counted as any call of it"
    )
    battles = read_battles((tmp_path / "battles.jsonl").read_text(), "battles.jsonl")
    assert len(battles) == 18
    assert keelwatch("eval", "arena", "--battles", tmp_path / "battles.jsonl")[1] == out
