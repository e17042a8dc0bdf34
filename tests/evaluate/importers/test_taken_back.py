"""What a tool took back or cut off, and what no run may hold: invalidated samples, missing attempts, secrets."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from services.errors import InputError
from services.evaluate.importers import imported
from services.evaluate.importers.assembling import bare_url
from services.evaluate.importers.reading import read_content
from tests.evaluate.importers.support import FIXTURES, TOLD, order, read

LOG = json.loads((FIXTURES / "inspect" / "strong-reject.json").read_text())


def read_log(log: Any, tmp_path: Path) -> Any:
    path = tmp_path / "log.json"
    path.write_text(json.dumps(log))
    return read("inspect/strong-reject.json", path)


def test_an_invalidated_sample_counts_for_nothing(tmp_path: Path) -> None:
    log = json.loads(json.dumps(LOG))
    log["invalidated"] = True
    log["samples"][0]["invalidation"] = {"timestamp": "2026-11-30T00:00:00+00:00", "author": "a", "reason": "leak"}
    found = read_log(log, tmp_path)
    assert (found.result.status, sum(found.left_out.values())) == ("incomplete", 1)
    assert found.result.answers[0].error == "somebody invalidated the sample"
    assert read_log(LOG | {"invalidated": True}, tmp_path).result.status == "incomplete"
    assert read_log(LOG, tmp_path).result.status == "complete"


def test_a_probe_of_garak_without_its_attempts_was_cut(tmp_path: Path) -> None:
    name = "garak/after.report.jsonl"
    rows = [json.loads(line) for line in (FIXTURES / name).read_text().splitlines()]
    for probe in {row["probe"] for row in rows if row["entry_type"] == "eval"}:
        kept = [row for row in rows if row["entry_type"] != "attempt" or row["probe_classname"] != probe]
        path = tmp_path / "cut.jsonl"
        path.write_text("\n".join(map(json.dumps, kept)))
        with pytest.raises(InputError, match="cut or changed"):
            read(name, path)
    other = {"entry_type": "eval", "probe": "lmrc.Bullying", "detector": "always.Fail", "passed": 0}
    path.write_text("\n".join(map(json.dumps, [*rows, {**other, "total_evaluated": 3}])))
    assert read(name, path, scorer="mitigation.MitigationBypass").result.status == "complete"


SECRET = "https://user:hunter2@host.example/v1?api-key=sk-SECRET#t"


def test_no_address_keeps_what_may_be_a_secret(tmp_path: Path) -> None:
    log = json.loads(json.dumps(LOG))
    log["eval"]["model_base_url"], log["eval"]["model"] = SECRET, f"http/{SECRET}"
    found = read_log(log, tmp_path).result
    assert found.target.url == "https://host.example/v1"
    assert found.target.model == "http/https://host.example/v1"
    content = read_content(FIXTURES / "pyrit/before.sqlite")
    spoiled = [
        {**row, "target_identifier": json.dumps({**json.loads(row["target_identifier"]), "endpoint": SECRET})}
        for row in content.rows["Conversations"]
    ]
    (memory,) = imported(replace(content, rows={**content.rows, "Conversations": tuple(spoiled)}), order(None))
    for run in (found, memory.result):
        assert not [word for word in (b"hunter2", b"SECRET") if word in run.encode()]
    for url in ("user:pw@host/v1", "https://a:b/c@host/v1", "//user:pw@host/v1?k=v", "https://host/v1#k"):
        assert bare_url(url).rpartition("://")[2].lstrip("/") == "host/v1"


def test_attacks_by_other_converters_are_other_items() -> None:
    name = "pyrit/before.sqlite"
    content = read_content(FIXTURES / name)
    attack = content.rows["AttackResultEntries"][0]
    pieces = [row for row in content.rows["PromptMemoryEntries"] if row["conversation_id"] == attack["conversation_id"]]

    def again(number: int, converters: list[Any]) -> tuple[Any, list[Any], Any]:
        key = f"again-{number}"
        (target,) = (r for r in content.rows["Conversations"] if r["conversation_id"] == attack["conversation_id"])
        moved = [
            {**row, "id": f"{key}-{i}", "conversation_id": key, "converter_identifiers": json.dumps(converters)}
            for i, row in enumerate(pieces)
        ]
        return {**attack, "id": key, "conversation_id": key}, moved, {**target, "conversation_id": key}

    more = [
        again(i, converters) for i, converters in enumerate(([], [{"class_name": "Base64"}], [{"class_name": "Rot"}]))
    ]
    rows = {
        **content.rows,
        "AttackResultEntries": (*content.rows["AttackResultEntries"], *(one for one, _, _ in more)),
        "PromptMemoryEntries": (*content.rows["PromptMemoryEntries"], *(row for _, all_, _ in more for row in all_)),
        "Conversations": (*content.rows["Conversations"], *(one for _, _, one in more)),
    }
    (found,) = imported(replace(content, rows=rows), order(TOLD[name]))
    repeats = sorted(item.repeats for item in found.result.suite.items)
    assert repeats == [1, 1, 1, 1, 1, 1, 2], "the same attack twice is a repeat; two others are items of their own"
