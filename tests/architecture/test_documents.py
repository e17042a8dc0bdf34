"""What the documents tell people to type exists."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer.main

from schemas.exchange import Exchange
from services import monitor
from services.cli.app import app
from services.cli.lazy import Later
from tests.support.source import ROOT

DOCUMENTS = ("README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md")
LINKED = (*DOCUMENTS, "sdk/README.md")


def _lines(document: str) -> Iterator[str]:
    """Commands in the code blocks of a document, without prompt and leading assignments."""
    for block in re.findall(
        r"^```[a-z]*\n(.*?)^```", (ROOT / document).read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE
    ):
        for line in block.replace("\\\n", " ").split("\n"):
            yield re.sub(r'^(\$ )?([A-Z_]+=("[^"]*"|\S+) )*', "", line.strip())


def _commands(program: str) -> list[Any]:
    return [
        pytest.param(line, id=f"{document}: {line}")
        for document in DOCUMENTS
        for line in _lines(document)
        if line.startswith(f"{program} ")
    ]


@pytest.mark.parametrize("line", _commands("make"))
def test_make_target_exists(line: str) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    assert {word for word in shlex.split(line, comments=True)[1:] if "=" not in word and word[0] != "-"} <= targets


@pytest.mark.parametrize("line", _commands("keelwatch"))
def test_keelwatch_command_and_its_options_exist(line: str) -> None:
    command: Any = typer.main.get_command(app)
    words = shlex.split(line, comments=True)[1:]
    while words and hasattr(command, "commands"):
        assert words[0] in command.commands, f"no command {words[0]!r}"
        command = command.commands[words.pop(0)]
        command = command.load() if isinstance(command, Later) else command
    assert not hasattr(command, "commands"), "a group needs one of its commands"
    known = {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}
    assert {word.split("=")[0] for word in words if word.startswith("--")} - known <= {"--help"}


def test_readme_shows_commands_of_both() -> None:
    assert _commands("make")
    assert _commands("keelwatch")


@pytest.mark.parametrize("document", LINKED)
def test_links_within_the_repository_lead_somewhere(document: str) -> None:
    links = re.findall(r"\]\((?!https?://|#|mailto:)([^)#]+)", (ROOT / document).read_text(encoding="utf-8"))
    assert [link for link in links if not ((ROOT / document).parent / link).exists()] == []


def _blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL | re.M)


def test_readmes_monitor_file_has_no_problems(tmp_path: Path) -> None:
    [shown] = _blocks("yaml")
    (tmp_path / "keelwatch.yaml").write_text(shown, encoding="utf-8")
    assert monitor.check(tmp_path / "keelwatch.yaml") == ()
    example = monitor.check(ROOT / "infra" / "keelwatch.example.yaml")
    assert [problem for problem in example if problem.severity == "error"] == []


def test_readmes_exchange_is_one() -> None:
    [shown] = _blocks("json")
    assert Exchange.decode(shown.encode()).route == "support-bot/prod"


def test_every_make_target_is_described_and_phony() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    described = set(re.findall(r"^([a-z-]+):.*## ", makefile, re.MULTILINE))
    phony = set(re.findall(r"^\.PHONY: (.*)$", makefile, re.MULTILINE)[0].split()) - {"FORCE"}
    assert described == phony
