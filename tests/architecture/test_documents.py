"""What the documents tell people to type exists."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from typing import Any

import pytest
import typer.main

from services.cli.app import app
from services.cli.lazy import Later
from tests.support.documents import DOCUMENTS, blocks
from tests.support.source import ROOT

LINKED = (*DOCUMENTS, "SECURITY.md", "CHANGELOG.md", "sdk/README.md", "infra/prometheus/README.md")
MOST_LINES = 90
README = ROOT / "README.md"
BEGIN, END = "<!-- output of make demo: begin -->\n", "<!-- output of make demo: end -->"


def _lines(document: str) -> Iterator[str]:
    """Commands in the blocks and sentences of a document, without prompt and leading assignments."""
    for block in blocks(document):
        if block.language == "console":
            for line, _ in block.steps():
                yield re.sub(r'^(export )?([A-Z_]+=("[^"]*"|\S+) )*', "", line.strip())
    text = re.sub(r"^```.*?^```$", "", (ROOT / document).read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    yield from re.findall(r"`((?:keelwatch|make) [a-z][^`]*)`", text)


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


def test_readme_is_one_screen_after_another_and_no_more() -> None:
    assert README.read_text(encoding="utf-8").count("\n") <= MOST_LINES


def test_readme_shows_what_the_demonstration_says() -> None:
    """As it was printed; what is left out is `[...]`. To record it anew: make demo"""
    shown = README.read_text(encoding="utf-8").partition(BEGIN)[2].partition(END)[0].strip().split("\n")
    assert (shown[0], shown[-1]) == ("```text", "```")
    assert shown[-3:-1] == ["verdict: model", "evaluation: regressed"]
    assert "[...]" in "\n".join(shown)


def test_every_make_target_is_described_and_phony() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    described = set(re.findall(r"^([a-z-]+):.*## ", makefile, re.MULTILINE))
    phony = set(re.findall(r"^\.PHONY: (.*)$", makefile, re.MULTILINE)[0].split()) - {"FORCE"}
    assert described == phony
