"""What sdk/README.md shows can be typed: blocks of Python that need no other library are run against a server."""

from __future__ import annotations

import ast
from typing import Any

import pytest

from keelwatch_client.buffer import DropReason
from tests.support.documents import Block, blocks
from tests.support.exchange_taker import taker
from tests.support.source import ROOT

README = "sdk/README.md"
PYTHON = [block for block in blocks(README) if block.language == "python"]
FOREIGN = {"openai", "litellm", "langchain_openai"}


def imported(block: Block) -> set[str]:
    tree = ast.parse(block.text)
    found = [node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)]
    return {
        (node.module or "").partition(".")[0] if isinstance(node, ast.ImportFrom) else node.names[0].name
        for node in found
    }


@pytest.mark.parametrize("block", [block for block in PYTHON if not imported(block) & FOREIGN])
def test_a_block_of_python_runs(block: Block, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    with taker() as server:
        monkeypatch.setenv("KEELWATCH_API_URL", server.url)
        monkeypatch.delenv("KEELWATCH_API_KEY", raising=False)
        names: dict[str, Any] = {}
        exec(compile(block.text, README, "exec"), names)
        assert names["publisher"].flush(20)
        assert names["publisher"].close(20)
        assert len(server.taken) == block.text.count("publisher.flush()")


def test_every_name_that_a_block_takes_from_the_client_is_there() -> None:
    taken = [node for block in PYTHON for node in ast.walk(ast.parse(block.text)) if isinstance(node, ast.ImportFrom)]
    own = [node for node in taken if (node.module or "").startswith("keelwatch_client")]
    assert len(own) >= len(PYTHON)
    for node in own:
        module = __import__(node.module or "", fromlist=["x"])
        assert [alias.name for alias in node.names if not hasattr(module, alias.name)] == []


def test_every_reason_of_a_drop_is_explained() -> None:
    text = (ROOT / README).read_text(encoding="utf-8")
    told = text.partition("| reason |")[2].partition("\n\n")[0]
    assert {reason for reason in DropReason.__args__ if f"`{reason}`" not in told} == set()
