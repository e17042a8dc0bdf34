"""`keelwatch signal` and `judge`: what people see of their signals before they go live."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from services.cli import main
from tests.support.own_signals import JudgeServer, about_tea, judging, reply

FILE = """\
signals:
  rivals: {keywords: [Acme, Globex Corp], title: Competitors named, floor: 0.02}
  orders: {pattern: "ORD-[0-9]{4,8}", value: count}
  disclaimer: {must_contain: [no financial advice]}
"""
LINES: list[Any] = [
    {
        "route": "a/b",
        "model": {"requested": "m"},
        "prompt": "p",
        "id": "one",
        "response": "Ask erika.mustermann@web.de at ACME\x1b[31m about ORD-12345 and ORD-99999",
    },
    {"source": "s", "model": "m", "version": "1", "prompt": "p", "response": "no financial advice", "labels": {}},
    {"route": "a/b", "model": {"requested": "m"}, "prompt": "p", "response": {"content": None, "error": "x"}},
]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("KEELWATCH_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.delenv("KEELWATCH_CONFIG", raising=False)
    (tmp_path / "k.yaml").write_text(FILE, encoding="utf-8")
    lines = [*map(json.dumps, LINES), "broken"]
    (tmp_path / "f.jsonl").write_text("\n".join(lines), encoding="utf-8")
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


def test_it_counts_hits_and_shows_them_masked(folder, capsys, monkeypatch) -> None:
    code, out, _ = run(capsys, monkeypatch, "signal", "test", "f.jsonl", "--config", "k.yaml")
    assert code == 0
    assert "3 exchanges, and 1 line without one" in out
    assert "custom.rivals  one: Ask <email> at [ACME]\u00b7[31m about" in out
    assert "1.00 in each" in out
    assert "1 no answer" in out
    assert "erika" not in out
    assert "\x1b" not in out


def test_its_json_has_all_of_it(folder, capsys, monkeypatch) -> None:
    code, out, _ = run(capsys, monkeypatch, "signal", "test", "f.jsonl", "--config", "k.yaml", "--json", "-")
    told = json.loads(out)
    assert code == 0
    assert (told["exchanges"], told["dead"]) == (3, 1)
    rivals, orders, disclaimer = told["signals"]
    assert (rivals["scored"], rivals["hits"], rivals["share"], rivals["mean"]) == (2, 1, 0.5, None)
    assert (orders["hits"], orders["share"], orders["mean"]) == (1, None, 1.0)
    assert rivals["unscored"] == {"no_response": 1}
    assert rivals["examples"] == [
        {
            "id": "one",
            "reason": None,
            "before": "Ask <email> at ",
            "match": "ACME",
            "after": "\u00b7[31m about ORD-12345 and ORD-99999",
        }
    ]
    assert disclaimer["examples"][0]["reason"] == "missing: no financial advice"


def test_one_signal_is_shown_alone_also_a_built_in_one(folder, capsys, monkeypatch) -> None:
    for name, full in (("rivals", "custom.rivals"), ("custom.orders", "custom.orders"), ("pii_leak", "pii_leak")):
        args = ("signal", "test", "f.jsonl", "--config", "k.yaml", "--signal", name, "--json", "-", "--examples", "0")
        code, out, _ = run(capsys, monkeypatch, *args)
        assert code == 0
        (only,) = json.loads(out)["signals"]
        assert (only["signal"], only["examples"]) == (full, [])


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("signal", "test", "nope.jsonl", "--config", "k.yaml"), "nope.jsonl: No such file or directory"),
        (("signal", "test", "nope.jsonl"), "nope.jsonl: No such file or directory"),
        (("signal", "test", ".", "--config", "k.yaml"), "Is a directory"),
        (("signal", "test", "k.yaml", "--config", "k.yaml"), "k.yaml: holds no exchange: line 1: not JSON"),
        (("signal", "test", "empty", "--config", "k.yaml"), "empty: holds no exchange: is empty"),
        (("signal", "test", "scores", "--config", "k.yaml"), "holds scores, not texts"),
        (("signal", "test", "f.jsonl"), "the monitor file defines no signals"),
        (
            ("signal", "test", "f.jsonl", "--config", "k.yaml", "--signal", "rival"),
            "no such signal; did you mean rivals?",
        ),
        (("judge", "check", "f.jsonl", "--config", "k.yaml", "--signal", "rivals"), "asks no judge"),
    ],
)
def test_what_cannot_be_tried_is_one_line(folder, capsys, monkeypatch, words, said) -> None:
    (folder / "empty").write_text("\n")
    (folder / "scores").write_text('{"signals": {}}\n')
    code, out, err = run(capsys, monkeypatch, *words)
    assert code == 2
    assert out == ""
    assert said in err
    assert err.count("\n") == 1


def test_the_list_names_what_is_measured(folder, capsys, monkeypatch) -> None:
    code, out, _ = run(capsys, monkeypatch, "signal", "list", "--config", "k.yaml", "--json", "-")
    rows = {row["signal"]: row for row in json.loads(out)}
    assert code == 0
    assert rows["custom.rivals"]["floor"] == 0.02
    assert rows["custom.orders"]["floor"] is None
    assert rows["custom.orders"]["kind"] == "pattern"
    _, out, _ = run(capsys, monkeypatch, "signal", "list", "--config", "k.yaml")
    assert "custom.disclaimer" in out
    assert "not watched" in out


def labelled(folder: Path, server: JudgeServer, n: int = 24) -> None:
    judge = {"question": "Is it about tea?", "endpoint": server.url, "model": server.model}
    watched = {"allow_hosts": ["127.0.0.1"], "signals": {"tea": {"judge": judge}}}
    (folder / "j.yaml").write_text(json.dumps(watched), encoding="utf-8")
    rows = [
        {"model": "m", "version": "1", "prompt": "p", "response": "tea" if i % 2 else "milk", "labels": {"tea": i % 2}}
        for i in range(n)
    ]
    rows.append({"model": "m", "version": "1", "prompt": "p", "response": "tea"})
    (folder / "l.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")


def test_a_judge_that_agrees_may_be_used_and_one_that_does_not_may_not(folder, capsys, monkeypatch) -> None:
    words = ("judge", "check", "l.jsonl", "--config", "j.yaml", "--signal", "tea")
    with judging() as server:
        labelled(folder, server)
        server.say = about_tea
        code, out, err = run(capsys, monkeypatch, *words)
        assert code == 0, err
        assert "custom.tea: judge-2026-01-01 may be used" in out
        assert "kappa): 1.00" in out
        kept = json.loads((folder / "data" / "judge-checks.json").read_text())
        (version,) = kept["custom.tea"]
        assert kept["custom.tea"][version]["passed"] is True
        assert len(server.seen) == 24

        server.say = lambda mark, data: reply(mark, "yes")
        code, out, _ = run(capsys, monkeypatch, *words, "--json", "-")
        told = json.loads(out)
        assert code == 1
        assert (told["n"], told["kappa"], told["passed"], told["why_not"]) == (24, 0.0, False, "kappa")
        assert told["false_positives"]["share"] == 1.0

        server.say = lambda mark, data: "hm"
        code, out, _ = run(capsys, monkeypatch, *words)
        assert code == 1
        assert "24 the judge did not say yes or no" in out
        assert "is not used: it says nothing of more than 20%" in out

        labelled(folder, server, n=8)
        code, out, _ = run(capsys, monkeypatch, *words)
        assert code == 1
        assert "label at least 10 exchanges of either kind" in out


def test_a_file_without_labels_is_told_so(folder, capsys, monkeypatch) -> None:
    with judging() as server:
        labelled(folder, server)
        code, _, err = run(capsys, monkeypatch, "judge", "check", "f.jsonl", "--config", "j.yaml", "--signal", "tea")
        assert (code, server.seen) == (2, [])
        assert "no line has a label; write label, or labels.tea" in err
