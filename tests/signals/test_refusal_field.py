"""Every line of shared/field that speaks of refusals, through the whole step: JSON in, score lines out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from schemas.exchange import Exchange
from schemas.position import Position
from services.monitor import RoutePolicy
from services.ports import Received
from services.score.core import ExchangeScorer
from services.score.score_lines import block_lines
from tests.support.scoring import SeededEmbedder

CASES = (
    *("refusal-idioms", "refusal-other-languages", "refusal-reasoning-forms", "refusal-soft-english"),
    "refusal-technical-stops",
)


@pytest.mark.parametrize("case", CASES)
def test_the_field_cases_come_out_as_expected(data_dir: Path, case: str) -> None:
    raw = (data_dir.parent / "field" / f"{case}.jsonl").read_text(encoding="utf-8")
    rows: list[dict[str, Any]] = [json.loads(line) for line in raw.splitlines()]
    assert rows
    scorer = ExchangeScorer(SeededEmbedder(), lambda route: RoutePolicy())
    batch = [
        Received(
            Exchange.decode(json.dumps(row["exchange"]).encode()),
            Position(cluster="file", topic="field", partition=0, offset=at),
        )
        for at, row in enumerate(rows)
    ]
    scored = scorer.score(batch)
    assert not scored.dead
    found = {line["id"]: line for block in scored.blocks for line in block_lines(block, vectors=False)}
    for row in rows:
        wanted = {"null": None}.get(str(row["expected"]["refusal"]), row["expected"]["refusal"])
        line = found[row["exchange"]["id"]]
        assert line["signals"]["refusal"]["value"] is wanted, row["exchange"]["response"]
        assert ("no_response" in line["flags"]) == (wanted is None)
