"""`keelwatch doctor`: what is wrong with this installation, each cause with its remedy."""

from __future__ import annotations

import asyncio
from typing import Final

import typer
from rich.text import Text

from services import bootstrap
from services.cli.output import OUT, STDOUT, JsonOption, write_json
from services.doctor.core import Finding
from services.doctor.examine import examine
from services.settings import Settings, load_settings

_STYLES: Final = {"ok": "green", "warning": "yellow", "wrong": "bold red", "skipped": "dim"}


def doctor(json_to: JsonOption = None) -> None:
    """Look at broker, topics, clocks, disk, database, embedder and monitor file: exit code 1 if something is wrong.

    To compare clocks a topic is made on the broker and deleted again; nothing else is changed anywhere.
    """
    settings = load_settings()
    findings = asyncio.run(examine(settings, lambda: _embed(settings)))
    if json_to != STDOUT:
        for finding in findings:
            _show(finding)
    write_json([_as_json(finding) for finding in findings], json_to)
    if any(finding.state == "wrong" for finding in findings):
        raise typer.Exit(1)


def _embed(settings: Settings) -> object:
    return bootstrap.embedder(settings).embed(["How are you?"])


def _show(finding: Finding) -> None:
    line = Text(f"{finding.state:8}", style=_STYLES[finding.state])
    line.append(f" {finding.check:9} {finding.message}", style="default")
    OUT.print(line, soft_wrap=True)
    if finding.remedy:
        OUT.print(f"{'':18} -> {finding.remedy}", markup=False, soft_wrap=True)


def _as_json(finding: Finding) -> dict[str, str]:
    return {name: getattr(finding, name) for name in ("check", "state", "cause", "message", "remedy")}
