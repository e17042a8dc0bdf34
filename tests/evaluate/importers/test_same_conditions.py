"""Whatever changes how an item was asked or judged keeps two imports from being compared."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from services.evaluate.comparison import incomparable
from tests.evaluate.importers.support import FIXTURES, read


def apart(tmp_path: Path, name: str, *edits: Callable[[Any], None]) -> str | None:
    """Why copies of a file, edited one way and the other, are not compared."""
    runs = []
    for edit in edits:
        value = json.loads((FIXTURES / name).read_text())
        edit(value)
        path = tmp_path / "edited.json"
        path.write_text(json.dumps(value))
        runs.append(read(name, path).result)
    return incomparable(runs[0], runs[1])


def as_it_is(_: Any) -> None:
    """No edit."""


def system(*prompts: str) -> Callable[[Any], None]:
    def edit(log: Any) -> None:
        for i, sample in enumerate(log["samples"]):
            for turns in (sample["input"], sample["messages"]):
                turns[0]["content"] = prompts[i % len(prompts)]

    return edit


LOG = "inspect/strong-reject.json"


def test_system_prompts_of_single_items(tmp_path: Path) -> None:
    assert apart(tmp_path, LOG, as_it_is, as_it_is) is None
    own = system("Be kind.", "Be brief.")
    assert apart(tmp_path, LOG, own, own) is None
    assert apart(tmp_path, LOG, own, system("Refuse everything.", "Refuse.")) is not None
    assert apart(tmp_path, LOG, own, system("Be kind.")) is not None
    assert "system prompt" in str(apart(tmp_path, LOG, system("Be kind."), system("Be brief.")))
