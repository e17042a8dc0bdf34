"""What a command costs before it does anything, and what is asked without any: help, version, completion."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib

import pytest

from services.cli.app import Commands
from tests.support.source import ROOT

HEAVY = ("numpy", "scipy", "openvino", "sqlalchemy", "fastapi", "uvicorn", "aiohttp", "torch", "hyperscan")
HELP = "from services.cli.app import app; app(['--help'], standalone_mode=False)"
UP = "import services.cli.up; from services import wiring; wiring.load_monitor"


def _modules(program: str) -> set[str]:
    """Top-level modules of a fresh process after `program`."""
    program += "\nimport sys; sys.stderr.write(' '.join({name.split('.')[0] for name in sys.modules}))"
    command = [sys.executable, "-c", program]
    return set(subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stderr.split())


def _completed(words: str) -> list[str]:
    asked = {"COMP_WORDS": words, "COMP_CWORD": str(words.count(" ")), "_KEELWATCH_COMPLETE": "complete_bash"}
    command = [sys.executable, "-c", "import sys; sys.argv[0] = 'keelwatch'; from services.cli import main; main()"]
    run = subprocess.run(command, cwd=ROOT, env=os.environ | asked, capture_output=True, text=True, check=True)
    return run.stdout.split()


@pytest.mark.parametrize("command", Commands.later, ids=lambda one: one.name)
def test_help_says_of_a_command_what_the_command_says_of_itself(command):
    own = re.split(r"\n\n|\f", command.load().help)[0].replace("\n", " ")
    assert own == command.help


def test_help_imports_no_command():
    assert _modules(HELP) & {*HEAVY, "pydantic", "yaml", "aiokafka"} == set()


def test_the_supervisor_of_up_holds_nothing_that_only_its_worker_needs():
    assert _modules(UP) & set(HEAVY) == set()


def test_the_version_is_the_projects(keelwatch):
    version = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    assert keelwatch("--version") == (0, f"keelwatch {version}\n", "")


def test_a_shell_is_told_commands_and_options():
    assert _completed("keelwatch wor") == ["worker"]
    assert _completed("keelwatch eval c") == ["compare"]
    assert _completed("keelwatch up --brok") == ["--broker-port"]


def test_another_model_without_the_extra_is_one_line_that_names_it(keelwatch, monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "torch", None)  # as where it is not installed
    monkeypatch.delitem(sys.modules, "services.score.embed.sentence_transformer", raising=False)
    monkeypatch.setenv("KEELWATCH_EMBEDDER", "sentence-transformers:some-model")
    (tmp_path / "one.jsonl").write_text("")
    code, out, said = keelwatch("score", tmp_path / "one.jsonl", "--out", "-", "--vectors")
    assert (code, out, said.count("\n")) == (2, "", 1)
    assert "needs torch" in said
    assert "keelwatch[sentence-transformers]" in said
