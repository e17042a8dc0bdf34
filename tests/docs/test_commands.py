"""Every command that README and the documentation show is run here, or says beside it why it is not.

A fenced block of `console` is run, line by line, in a folder of its own, and must print what stands below each line
(`...` stands for anything). A block after `<!-- not run: reason -->` is not run; the reason names who runs it.
"""

from __future__ import annotations

import doctest
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from schemas.exchange import Exchange
from services import monitor
from tests.support.documents import COMMANDS, DOCUMENTS, PLAIN, Block, blocks
from tests.support.source import ROOT

_LIKE = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


def to_run(document: str) -> list[Block]:
    return [block for block in blocks(document) if block.language in COMMANDS and block.why is None]


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_block_has_a_language_and_every_reason_is_one(document: str) -> None:
    found = blocks(document)
    assert [block.text for block in found if block.language not in COMMANDS | PLAIN] == []
    assert [block.why for block in found if block.why is not None and len(block.why.split()) < 3] == []
    said = re.findall("^<!-- not run:", (ROOT / document).read_text(encoding="utf-8"), re.MULTILINE)
    assert len(said) == sum(block.why is not None for block in found), "a reason stands before something else"
    named = {path for block in found for path in re.findall(r"tests/[\w/.]+\w", block.why or "")}
    assert [path for path in sorted(named) if not (ROOT / path).exists()] == []


@pytest.mark.parametrize("document", DOCUMENTS)
def test_commands_stand_in_blocks_that_are_run(document: str) -> None:
    """A command in a block of another language would be run by nobody."""
    hidden = [
        line
        for block in blocks(document)
        if block.language in PLAIN
        for line in block.text.split("\n")
        if re.match(r"(\$ )?(keelwatch|make|docker-compose|curl) [a-z-]", line)
    ]
    assert hidden == []


@pytest.mark.processes
@pytest.mark.embedding
@pytest.mark.parametrize("document", [document for document in DOCUMENTS if to_run(document)])
def test_what_a_document_tells_to_type_does_what_it_shows(document: str, tmp_path: Path) -> None:
    environment = _environment(tmp_path)
    for block in to_run(document):
        assert block.language == "console", f"{block.language} is not run: mark it"
        for line, told in block.steps():
            assert shutil.which("openssl") or "openssl" not in line, "needs openssl"
            done = subprocess.run(
                ["/bin/sh", "-c", line],
                cwd=tmp_path / "here",
                env=environment,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                check=False,
            )
            assert done.returncode == 0, f"{line}: exit code {done.returncode}: {done.stdout[-2000:]}"
            as_shown = not told or doctest.OutputChecker().check_output(told, done.stdout, _LIKE)
            assert as_shown, f"{line} printed\n{done.stdout}"


def _environment(folder: Path) -> dict[str, str]:
    """`keelwatch` and `python` are those of this run; the data folder is `data`, in the folder where commands run."""
    here, programs = folder / "here", folder / "bin"
    here.mkdir()
    programs.mkdir()
    for name, words in (("python", ""), ("keelwatch", " -m services.cli")):
        path = programs / name
        path.write_text(f'#!/bin/sh\nexec "{sys.executable}"{words} "$@"\n', encoding="utf-8")
        path.chmod(0o755)
    kept = {name: value for name, value in os.environ.items() if not name.startswith("KEELWATCH_")}
    own = {
        "PATH": f"{programs}:{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "KEELWATCH_DATA_DIR": str(here / "data"),
    }
    return {**kept, **own, "OMP_NUM_THREADS": "1", "COLUMNS": "120"}


@pytest.mark.parametrize("document", DOCUMENTS)
def test_exchanges_and_monitor_files_that_are_shown_can_be_used(document: str, tmp_path: Path) -> None:
    for block in blocks(document):
        if block.title == "exchange":
            assert Exchange.decode(block.text.encode()).route
        elif block.language == "yaml":
            (tmp_path / "keelwatch.yaml").write_text(block.text, encoding="utf-8")
            assert monitor.check(tmp_path / "keelwatch.yaml") == ()


def test_the_example_has_no_mistake() -> None:
    found = monitor.check(ROOT / "infra" / "keelwatch.example.yaml")
    assert [problem for problem in found if problem.severity == "error"] == []
