"""What CONTRIBUTING.md says of a new signal (three files) and a new detector (two): done to the letter, in a copy."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from tests.support.source import ROOT

NEWCOMERS = Path(__file__).with_name("newcomers")
COPIED = ("schemas", "detectors", "services", "tests/architecture", "tests/support", "infra/models")
SHOUTS, REPEATS = "shouts/prod", "repeats/prod"
RAW = re.compile(".{0,60}(?:all.caps|parroting).{0,60}")
NOUN, DOES = "share of shouted answers", "gives one answer to everything"


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the copy says of two routes, once a signal and a detector were added to it."""
    copy = tmp_path_factory.mktemp("copy")
    for name in COPIED:
        shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
    _add(copy, "services/signals", "all_caps", "AllCaps", "SIGNALS")
    shutil.copy(NEWCOMERS / "all_caps.md", copy / "infra/models")
    _add(copy, "detectors", "parroting", "Parroting", "DETECTORS")
    environment = os.environ | {"PYTHONPATH": str(copy)}
    command = [sys.executable, "-m", "tests.architecture.newcomers.story"]
    run = subprocess.run(command, cwd=copy, env=environment, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    found: dict[str, Any] = json.loads(run.stdout)
    return found


def _add(copy: Path, package: str, name: str, made: str, registry: str) -> None:
    """The file itself, and its entry in the tuple."""
    shutil.copy(NEWCOMERS / f"{name}.py", copy / package)
    listed = copy / package / "__init__.py"
    text = listed.read_text(encoding="utf-8")
    with_import = re.sub(
        r"^(from typing .*\n)", rf"\1\nfrom {package.replace('/', '.')}.{name} import {made}", text, flags=re.M
    )
    with_entry, n = re.subn(rf"^({registry}: .*\(\n)", rf"\1    {made}(),\n", with_import, flags=re.M)
    assert n == 1
    listed.write_text(with_entry, encoding="utf-8")


class _Shown(HTMLParser):
    """The text of a page as it opens: of what is folded away, the summary alone."""

    def __init__(self) -> None:
        super().__init__()
        self.inside: list[str] = []
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attrs: object) -> None:
        if tag in ("details", "summary", "script", "style"):
            self.inside.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag in self.inside:
            self.inside.remove(tag)

    def handle_data(self, data: str) -> None:
        if self.inside in ([], ["details", "summary"]):
            self.text.append(data)


def _plain(page: str) -> str:
    parser = _Shown()
    parser.feed(page)
    return " ".join(" ".join(parser.text).split())


def test_the_fleet_says_both_in_the_words_of_their_specs(said: dict[str, Any]) -> None:
    fleet = _plain(said["fleet"])
    assert NOUN in fleet
    assert DOES in fleet
    assert RAW.findall(fleet) == []


def test_the_incidents_page_says_both_in_the_words_of_their_specs(said: dict[str, Any]) -> None:
    assert NOUN in _plain(said["incident"][SHOUTS])
    assert DOES in _plain(said["incident"][REPEATS])
    assert RAW.findall(" ".join(map(_plain, said["incident"].values()))) == []


def test_slack_says_both_in_the_words_of_their_specs(said: dict[str, Any]) -> None:
    assert NOUN in "\n".join(said["slack"][SHOUTS])
    assert DOES in "\n".join(said["slack"][REPEATS])
    assert RAW.findall(str(said["slack"])) == []


def test_severity_follows_the_specs(said: dict[str, Any]) -> None:
    assert said["severity"] == {SHOUTS: "error", REPEATS: "warning"}


def test_the_reference_has_a_row_of_each(said: dict[str, Any]) -> None:
    rows = said["reference"]
    assert rows["all_caps"] == [
        "all_caps",
        "signal",
        "Shouted answers",
        "is written in capitals",
        "pp",
        0.02,
        "warning",
        False,
    ]
    assert rows["parroting"][1:4] == ["shift", "Repeated answers", "whether one answer comes again and again"]
