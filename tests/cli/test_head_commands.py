"""`keelwatch head`: a head is fitted on labels of one's own, shown, and put to use by the monitor file."""

from __future__ import annotations

import json
from pathlib import Path
from random import Random
from typing import Any

import pytest

from services.cli import main
from services.errors import InputError
from services.monitor import load
from services.monitor.loader import MonitorError
from services.monitor.own_heads import read_heads
from services.wiring import adapters
from services.wiring.signals import configured_signals
from tests.support.scoring import SeededEmbedder

NO = (
    "I'm sorry, but I can't help with that because it would not be right",
    "I will not do that for you, and they know why",
)
YES = ("Here is what you asked for, and this is how you do it", "Sure: these are the steps that you can follow")
THINGS = ("tea", "bread", "a boat", "the garden", "a letter", "two songs", "old maps", "rain")


def line(at: int, random: Random, **changes: Any) -> str:
    answer = f"{random.choice(NO if at % 2 else YES)}: {random.choice(THINGS)} and {random.choice(THINGS)}"
    told = {"route": "a/b", "model": {"requested": "m"}, "prompt": "Do it", "response": answer, "label": bool(at % 2)}
    return json.dumps({**told, **changes})


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("KEELWATCH_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.delenv("KEELWATCH_CONFIG", raising=False)
    monkeypatch.setattr(adapters, "embedder", lambda settings: SeededEmbedder())
    random = Random(0)
    (tmp_path / "l.jsonl").write_text("\n".join(line(at, random) for at in range(120)), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(capsys: Any, monkeypatch: Any, *words: str) -> tuple[int, str, str]:
    monkeypatch.setattr("sys.argv", ["keelwatch", *words])
    try:
        main()
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 0 if end.code is None else 1
    told = capsys.readouterr()
    return code, told.out, told.err


def test_a_head_is_fitted_told_and_put_to_use(folder, capsys, monkeypatch) -> None:
    code, out, _ = run(
        capsys, monkeypatch, "head", "fit", "l.jsonl", "--signal", "refusal", "--json", "-", "--fpr", "0.1"
    )
    told = json.loads(out)
    assert code == 0
    assert (told["rows"], told["true"]) == (120, 60)
    assert told["auroc"] > 0.95
    assert told["false_positives"] <= 0.1
    heads = read_heads(told["file"], "refusal")
    assert heads.digest == told["version"]

    code, out, _ = run(capsys, monkeypatch, "head", "use", "refusal.head.json")
    assert code == 0
    (folder / "k.yaml").write_text("heads:\n  refusal: refusal.head.json\n", encoding="utf-8")
    signals = {one.spec.name: one for one in configured_signals(load("k.yaml"))}
    assert told["version"] in signals["refusal"].version
    assert told["version"] in signals["over_refusal"].version

    code, out, _ = run(capsys, monkeypatch, "head", "list", "--config", "k.yaml", "--json", "-")
    assert {one["signal"]: one["file"] is not None for one in json.loads(out)}["refusal"] is True
    code, out, _ = run(capsys, monkeypatch, "head", "show", "refusal.head.json", "--json", "-")
    assert json.loads(out)["left_out"]["auroc"] > 0.95


def test_too_few_labels_of_a_kind_are_refused(folder, capsys, monkeypatch) -> None:
    random = Random(1)
    rows = [line(1, random) for _ in range(200)] + [line(0, random) for _ in range(49)]
    (folder / "few.jsonl").write_text("\n".join(rows), encoding="utf-8")
    code, _, err = run(capsys, monkeypatch, "head", "fit", "few.jsonl", "--signal", "refusal")
    assert code == 2
    assert "200 lines are labelled true and 49 false" in err
    assert "at least 50 of each" in err
    assert not (folder / "refusal.head.json").exists()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "holds no labelled exchange"),
        ("{}", "f.jsonl:1: has no label"),
        ("nonsense", "f.jsonl:1: is no exchange"),
        ("[]", "f.jsonl:1: is no exchange"),
        (line(0, Random(0), label="yes"), "f.jsonl:1: label is 'yes'"),
        (line(0, Random(0), route="No Route"), "f.jsonl:1: is no exchange"),
    ],
)
def test_a_line_that_cannot_be_used_is_named(folder, capsys, monkeypatch, text: str, words: str) -> None:
    (folder / "f.jsonl").write_text(text, encoding="utf-8")
    code, _, err = run(capsys, monkeypatch, "head", "fit", "f.jsonl", "--signal", "refusal")
    assert code == 2
    assert words in err


def test_a_file_that_is_not_there_is_named_in_words(folder, capsys, monkeypatch) -> None:
    code, _, err = run(capsys, monkeypatch, "head", "fit", "nope.jsonl", "--signal", "refusal")
    assert code == 2
    assert "nope.jsonl: cannot be read: No such file or directory" in err
    assert "Errno" not in err


@pytest.mark.parametrize("name", ["hazard", "pii_leak", "nothing"])
def test_only_signals_with_a_head_of_their_own_are_fitted(folder, capsys, monkeypatch, name: str) -> None:
    code, _, err = run(capsys, monkeypatch, "head", "fit", "l.jsonl", "--signal", name)
    assert code == 2
    assert "has no head" in err


def test_a_file_that_is_no_head_stops_the_monitor_file(folder) -> None:
    (folder / "k.yaml").write_text("heads:\n  refusal: l.jsonl\n", encoding="utf-8")
    with pytest.raises(MonitorError, match=r"k.yaml:2: error: heads.refusal: no file of heads"):
        load("k.yaml")
    (folder / "k.yaml").write_text("heads:\n  refusals: l.jsonl\n", encoding="utf-8")
    with pytest.raises(InputError, match="no signal with a head of its own"):
        load("k.yaml")
