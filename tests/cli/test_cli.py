"""What a person sees: files in, JSON out, one clear line and exit code 2 for bad input."""

from __future__ import annotations

import json

import pytest

from services.demo.support_bot import ROUTE, Script, traffic
from services.evaluate.suite_library import load_suite
from tests.support.corpus import CORPUS, with_neighbours

MONITOR = "defaults: {baseline: {size: 300, min_size: 100}}\n"


@pytest.fixture(scope="module")
def story(tmp_path_factory):
    folder = tmp_path_factory.mktemp("story")
    exchanges = traffic(Script(before=400, after=150, leak=0.05), seed=3)
    file = folder / "story.jsonl"
    file.write_text("".join(one.model_dump_json(exclude_none=True) + "\n" for one in exchanges))
    (folder / "keelwatch.yaml").write_text(MONITOR)
    return file


@pytest.mark.embedding
def test_replay_into_a_database_and_list_what_it_holds(keelwatch, story, tmp_path):
    url, out = f"sqlite:///{tmp_path / 'kw.db'}", tmp_path / "out.json"
    config = story.parent / "keelwatch.yaml"
    code, said, _ = keelwatch("replay", story, "--config", config, "--database", url, "--json", out)
    assert code == 0
    assert "verdict: model" in said
    found = json.loads(out.read_text())
    assert (found["events"], found["dead"]) == (550, 0)

    code, said, _ = keelwatch("incident", "list", "--database", url, "--json", "-")
    listed = json.loads(said)
    assert [one["id"] for one in listed] == [one["id"] for one in found["incidents"]]
    assert set(found["incidents"][0]) == set(listed[0])

    code, said, _ = keelwatch("incident", "list", "--database", url)
    assert listed[0]["id"] in said

    code, said, _ = keelwatch("incident", "show", listed[0]["id"], "--database", url)
    assert code == 0
    assert listed[0]["headline"].split()[0] in said

    code, said, _ = keelwatch("baseline", "show", "--database", url, "--json", "-")
    (pinned,) = json.loads(said)
    assert (pinned["route"], pinned["pinning"]["n"]) == (ROUTE, 300)
    code, said, _ = keelwatch("baseline", "show", ROUTE, "--database", url)
    assert "300" in said


@pytest.mark.embedding
def test_json_on_stdout_is_json_alone(keelwatch, story):
    code, said, _ = keelwatch("replay", story, "--json", "-")
    assert code == 0
    route = json.loads(said)["routes"][ROUTE]
    assert (route["status"], route["learned"], route["of"]) == ("firing", 550, 1000)


@pytest.mark.embedding
def test_a_decision_on_an_incident_that_never_was_is_told(keelwatch, story, tmp_path):
    decided = tmp_path / "decisions.jsonl"
    made = {"kind": "acknowledge", "route": ROUTE, "incident": "0" * 16, "actor": "ana", "reason": "seen"}
    decided.write_text(json.dumps({**made, "ts": "2026-03-02T09:00:00Z"}) + "\n")
    code, _, err = keelwatch("replay", story, "--decisions", decided, "--json", "-")
    assert code == 0
    assert err == f"warning: acknowledge by ana at 2026-03-02T09:00:00Z: {ROUTE} has no incident {'0' * 16}\n"


@pytest.mark.embedding
def test_score_writes_a_line_an_exchange_that_replays_the_same(keelwatch, story, tmp_path):
    config = story.parent / "keelwatch.yaml"
    scores, plain = tmp_path / "scores.jsonl", tmp_path / "plain.jsonl"
    assert keelwatch("score", story, "--out", scores, "--vectors")[0] == 0
    assert keelwatch("score", story, "--out", plain)[0] == 0
    lines = [json.loads(line) for line in plain.read_text().splitlines()]
    assert [line["id"] for line in lines] == [f"demo-{i}" for i in range(550)]
    keys = {"id", "route", "ts", "identity", "model", "conversation", "tags", "flags", "signals"}
    assert keys <= set(lines[0])
    assert set(lines[0]["signals"]["refusal"]) == {"value", "probability", "status", "reason", "version"}
    _, first, _ = keelwatch("replay", story, "--config", config, "--json", "-")
    _, again, _ = keelwatch("replay", scores, "--config", config, "--json", "-")
    assert first == again


@pytest.mark.embedding
def test_the_corpus_of_broken_lines_replays_with_neighbours_unharmed(keelwatch, tmp_path):
    file, out, scores = tmp_path / "corpus.jsonl", tmp_path / "out.json", tmp_path / "scores.jsonl"
    file.write_bytes(with_neighbours())
    code, _, _ = keelwatch("replay", file, "--json", out)
    assert code == 0
    found = json.loads(out.read_text())
    dead = sum(not case.scored for case in CORPUS)
    assert found["dead"] >= dead
    assert found["events"] + found["dead"] + found["duplicates"] == 2 * len(CORPUS) + 1
    assert keelwatch("score", file, "--out", scores)[0] == 0
    ids = [json.loads(line)["id"] for line in scores.read_text().splitlines()]
    assert sum(id.startswith("neighbour-") for id in ids) == len(CORPUS) + 1


@pytest.mark.embedding
def test_convert_then_replay_of_recorded_answers(keelwatch, data_dir, tmp_path):
    out = tmp_path / "traffic.jsonl"
    recorded = data_dir / "llmdrift_sensitiveq.jsonl"
    words = ("convert", "--from", "recorded", recorded, "--model", "gpt-4@0314", "--model", "gpt-4@0613")
    code, _, _ = keelwatch(*words, "--route", "a/b", "--draw", "30,20", "--seed", 1, "--out", out)
    assert code == 0
    assert len(out.read_text().splitlines()) == 50
    code, said, _ = keelwatch("replay", out, "--json", "-")
    assert json.loads(said)["routes"]["a/b"]["learned"] == 50


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["replay", "absent.jsonl"], "absent.jsonl"),
        (["replay", "."], "is a folder"),
        (["replay"], "FILE"),
        (["score", "absent.jsonl", "--out", "-"], "absent.jsonl"),
        (["incident", "list", "--database", "sqlite:///absent/kw.db"], "the folder absent"),
        (["incident", "list", "--database", "mysql://x"], "sqlite:///"),
        (["check-config", "absent.yaml"], "absent.yaml"),
        (["check-config"], "KEELWATCH_CONFIG"),
        (["convert", "absent.jsonl", "--from", "recorded"], "--model"),
        (["replay", __file__, "--config", "absent.yaml"], "absent.yaml"),
        pytest.param(["replay", __file__, "--decisions", "absent.jsonl"], "--decisions", marks=pytest.mark.embedding),
        (["frobnicate"], "frobnicate"),
    ],
)
def test_bad_input_is_one_clear_line_and_exit_code_2(keelwatch, monkeypatch, tmp_path, words, told):
    monkeypatch.chdir(tmp_path)
    code, out, err = keelwatch(*words)
    assert code == 2
    assert told in err + out
    assert "Traceback" not in err + out


@pytest.mark.embedding
def test_a_bad_decision_names_line_and_field(keelwatch, story, tmp_path):
    decisions = tmp_path / "decisions.jsonl"
    decisions.write_text('{"kind": "resolve", "route": "a/b", "actor": "ana", "reason": "x", "ts": 5}\n')
    code, _, err = keelwatch("replay", story, "--decisions", decisions)
    assert code == 2
    assert "line 1: ts" in err


def test_a_bad_monitor_file_names_the_line(keelwatch, story, tmp_path):
    config = tmp_path / "keelwatch.yaml"
    config.write_text("defaults:\n  baseline: {sise: 300}\n")
    code, _, err = keelwatch("replay", story, "--config", config)
    assert code == 2
    assert ":2:" in err
    assert "size" in err
    code, out, _ = keelwatch("check-config", config)
    assert code == 2
    assert ":2:" in out
    config.write_text(MONITOR)
    assert keelwatch("check-config", config)[0] == 0


def test_an_unknown_embedder_is_named(keelwatch, story, monkeypatch):
    monkeypatch.setenv("KEELWATCH_EMBEDDER", "word2vec")
    code, _, err = keelwatch("replay", story)
    assert code == 2
    assert "word2vec" in err


def test_check_config_says_what_will_be_asked_when(keelwatch, tmp_path) -> None:
    config = tmp_path / "keelwatch.yaml"
    config.write_text(
        "routes:\n"
        "  bot:\n"
        "    target: {url: 'https://x.example/v1', model: m, budget: {requests: 2000, tokens: 90000}}\n"
        "    schedules: [{name: weekly, cron: '0 6 * * 1', timezone: Europe/Berlin}]\n"
        "    after_change: [0m, 24h]\n"
        "    reask: {}\n"
        "  other: {suites: [smoke]}\n"
        "  mute: {target: {url: 'https://x.example/v1', model: m}, suites: []}\n",
        encoding="utf-8",
    )
    code, out, _ = keelwatch("check-config", config)
    told = " ".join(out.split())
    assert code == 0
    n = load_suite("core").answers
    assert f"bot: asks core ({n} questions) when the route is first seen, when a new normal is set, and after" in told
    assert "after a change at once and after 1 day" in told
    assert "bot: schedule weekly: At 06:00, only on Monday (Europe/Berlin); next Mon " in told
    assert "bot: asks at most 200 of its users' own questions" in told
    assert f"bot: about {n / 7:.0f} calls a day by schedules, {n + 200} calls for a new normal" in told
    assert "bot: each run ends at 2,000 requests or 90,000 tokens" in told
    assert "mute: asks no suite" in told
    assert "other:" not in told
