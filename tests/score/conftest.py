"""The embedder of the default tier, made once, and real sentences with hostile ones among them."""

from __future__ import annotations

import json
from itertools import islice
from pathlib import Path

import pytest

from services.score.embed.openvino import OpenVinoEmbedder

HOSTILE = (
    "",
    "   \n\t ",
    "日本語のテキスト、絵文字 🙂 と العربية",
    "lone \ud800 surrogate and NUL \0",
    "[PAD] [CLS] [SEP] [MASK] [UNK]",
    "x" * 40_000,
    "word " * 20_000,
    "e\u0301" * 500,
    "\u202e\u200b\ufeff",
)


@pytest.fixture(scope="session")
def embedder() -> OpenVinoEmbedder:
    return OpenVinoEmbedder(threads=1)


@pytest.fixture(scope="session")
def sentences(data_dir: Path) -> list[str]:
    """Texts of all lengths: 40 prompts, 12 responses, and the hostile ones."""
    with (data_dir / "xstest.jsonl").open(encoding="utf-8") as lines:
        rows = [json.loads(line) for line in islice(lines, 40)]
    return [*(row["prompt"] for row in rows), *(row["response"] for row in rows[:12]), *HOSTILE]
