"""The fenced blocks of README and the documentation: what they hold, and whether they are run."""

from __future__ import annotations

import re
from dataclasses import dataclass

from tests.support.source import ROOT

DOCUMENTS = ("README.md", "CONTRIBUTING.md", *(f"docs/{path.name}" for path in sorted((ROOT / "docs").glob("*.md"))))
COMMANDS = {"console", "python", "bash", "sh", "shell"}
PLAIN = {"text", "json", "yaml", "toml", "java", "go"}
_BLOCK = re.compile(
    r"(?:^<!-- not run: (?P<why>[^>]+) -->\n)?"
    r"^(?P<fence>`{3,})(?P<language>\S*)(?P<more>[^\n]*)\n(?P<text>.*?)^(?P=fence)$",
    re.MULTILINE | re.DOTALL,
)


@dataclass(frozen=True)
class Block:
    """A fenced block: its language, its title, its text, and why it is not run."""

    language: str
    title: str
    text: str
    why: str | None

    def steps(self) -> list[tuple[str, str]]:
        """Each command after its prompt `$ `, and what is shown below it."""
        parts = re.split(r"^\$ ", self.text, flags=re.MULTILINE)
        assert not parts[0].strip(), f"starts without a prompt: {parts[0]}"
        return [(line, told) for line, _, told in (part.partition("\n") for part in parts[1:])]


def blocks(document: str) -> list[Block]:
    """Every fenced block of a document, in order."""
    text = (ROOT / document).read_text(encoding="utf-8")
    return [
        Block(found["language"], found["more"].strip().removeprefix('title="').removesuffix('"'), found["text"], why)
        for found in _BLOCK.finditer(text)
        for why in [found["why"]]
    ]
