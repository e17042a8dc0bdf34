"""What is made from the code is complete, and stands on a page."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from detectors import DETECTORS
from docs import reference
from docs.hooks import taken_in
from schemas.exchange import Exchange
from schemas.topics import TOPICS
from services.settings import Settings
from services.signals import SIGNALS
from services.store.tables import Base
from tests.support.source import ROOT

PAGES = {path.name: path.read_text(encoding="utf-8") for path in sorted((ROOT / "docs").glob("*.md"))}


def test_every_reference_stands_on_one_page() -> None:
    used = [name for text in PAGES.values() for name in re.findall(r"<!-- reference: (\w+) -->", text)]
    assert sorted(used) == sorted(reference.REFERENCES)


@pytest.mark.parametrize("name", reference.REFERENCES)
def test_no_cell_of_a_table_is_broken(name: str) -> None:
    for block in re.findall(r"(?:^\|.*\|$\n?)+", reference.REFERENCES[name](), re.MULTILINE):
        assert len({len(re.findall(r"(?<!\\)\|", line)) for line in block.strip().split("\n")}) == 1, block
        assert "None" not in block


def test_every_signal_and_detector_is_listed_and_has_its_card() -> None:
    said = reference.signals() + reference.detectors()
    assert [one.spec.name for one in (*DETECTORS, *SIGNALS) if f"| `{one.spec.name}` |" not in said] == []
    assert [one.spec.name for one in SIGNALS if f"cards/{one.spec.name}.md" not in taken_in()] == []


def test_every_command_is_described() -> None:
    said = reference.cli()
    assert said.count("\n## ") + 1 >= 30
    for command in ("keelwatch replay", "keelwatch dead replay", "keelwatch eval compare", "keelwatch topics adopt"):
        assert f"## {command}\n" in said


def test_every_operation_of_the_api_is_described_with_its_role() -> None:
    said, described = reference.api(), reference.description()
    operations = [(method.upper(), path) for path, some in described["paths"].items() for method in some]
    assert len(operations) > 30
    assert [one for one in operations if f"#### {one[0]} {one[1]}\n" not in said] == []
    assert said.count("Needs the role `") == len(operations) - 1
    assert said.count("Needs no key: what it takes is signed") == 1, "what GitHub signs"


def test_every_record_that_the_description_names_is_in_it() -> None:
    described = reference.description()
    named = set(re.findall(r"#/components/schemas/(\w+)", str(described)))
    assert named <= set(described["components"]["schemas"])


def test_every_table_and_topic_says_how_long_it_keeps() -> None:
    said = reference.retention()
    assert [name for name in Base.metadata.tables if f"| table `{name}` |" not in said] == []
    assert [one.name for one in TOPICS if f"| topic `{one.name}` |" not in said] == []


def test_every_setting_says_what_it_is() -> None:
    assert [name for name, one in Settings.model_fields.items() if not one.description] == []


def test_every_field_of_an_exchange_is_told() -> None:
    assert [name for name in Exchange.model_fields if f"`{name}`" not in PAGES["publish.md"]] == []


def test_the_command_prints_a_reference_and_refuses_what_is_none() -> None:
    command = [sys.executable, "-m", "docs.reference"]
    done = subprocess.run([*command, "flow"], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == reference.flow()
    failed = subprocess.run([*command, "floow"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert failed.returncode == 1
    assert failed.stderr.startswith("floow: must be one of signals, ")
