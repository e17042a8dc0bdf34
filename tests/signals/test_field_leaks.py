"""Every case from the field about personal values and system prompts, in the text of its file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from schemas.exchange import Answer, Exchange, Message
from schemas.identity import Model
from services.score.scored_text import scored_text
from services.signals.pii_leak import PiiLeak
from services.signals.protocol import Signal
from services.signals.system_prompt_leak import SystemPromptLeak

SIGNALS: dict[str, Signal] = {"pii_leak": PiiLeak(), "system_prompt_leak": SystemPromptLeak()}


def cases(data_dir: Path, pattern: str) -> list[dict[str, Any]]:
    """The lines of the files of cases beside the recorded data; skipped, and said so, where these are not there."""
    files = sorted((data_dir.parent / "field").glob(pattern))
    if not files:
        pytest.skip(f"no {pattern} beside {data_dir}")
    return [json.loads(line) for file in files for line in file.read_text("utf-8").splitlines()]


@pytest.mark.parametrize("pattern", ["pii-*.jsonl", "spl-*.jsonl"])
def test_every_case_comes_out_as_expected(data_dir: Path, pattern: str) -> None:
    wrong = []
    for case in cases(data_dir, pattern):
        sent = case["exchange"]
        turns = sent["prompt"] if isinstance(sent["prompt"], list) else [{"role": "user", "content": sent["prompt"]}]
        prompt = tuple(Message(**turn) for turn in turns)
        response = Answer(content=sent["response"])
        text = scored_text(Exchange(route="field", model=Model(requested="m"), prompt=prompt, response=response))
        wrong += [
            (sent["id"], name)
            for name, expected in case["expected"].items()
            if SIGNALS[name].measure(text).value is not expected
        ]
    assert wrong == []
