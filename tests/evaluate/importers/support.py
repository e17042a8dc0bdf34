"""The files that other tools made, and what they are read with."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from services.evaluate.importers import imported
from services.evaluate.importers.assembling import ImportedRun, ImportOrder
from services.evaluate.importers.meanings import Meaning, parse_event
from services.evaluate.importers.reading import read_content

FIXTURES = Path(__file__).parent / "fixtures"
TOLD = {
    "inspect/before.eval": ("harmful_compliance", "C"),
    "inspect/after.eval": ("harmful_compliance", "C"),
    "inspect/epochs.eval": ("harmful_compliance", "C"),
    "inspect/faults.eval": ("harmful_compliance", "I"),
    "inspect/strong-reject.eval": None,
    "inspect/strong-reject.json": None,
    "garak/before.report.jsonl": None,
    "garak/after.report.jsonl": None,
    "garak/generations.report.jsonl": None,
    "garak/faults.report.jsonl": None,
    "promptfoo/before.json": ("harmful_compliance", "fail"),
    "promptfoo/after.json": ("harmful_compliance", "fail"),
    "promptfoo/faults.json": ("harmful_compliance", "fail"),
    "promptfoo/plain.json": ("over_refusal", "fail"),
    "lm_eval/before": ("harmful_compliance", "1"),
    "lm_eval/after": ("harmful_compliance", "1"),
    "lm_eval/faults": ("harmful_compliance", "1"),
    "helm/before": None,
    "helm/after": None,
    "helm/faults": None,
    "pyrit/before.sqlite": None,
    "pyrit/after.sqlite": None,
    "pyrit/faults.sqlite": None,
}
"""Every file and folder, and what a person must say of its verdicts: measure and event."""


def order(told: tuple[Any, str] | None, route: str = "imported") -> ImportOrder:
    """What a person says."""
    return ImportOrder(route, None if told is None else Meaning(told[0], parse_event(told[1])))


def read(name: str, path: Path | None = None, **more: Any) -> ImportedRun:
    """The one run of a file; of `path` instead, as that file is told."""
    (found,) = imported(read_content(path or FIXTURES / name), order(TOLD[name]), **more)
    return found


def expected(tool: str) -> Any:
    """The figures that the tool itself gave, as its maker wrote them down."""
    return json.loads((FIXTURES / tool / "expected.json").read_text())


def told_options(name: str) -> list[str]:
    """The same as `TOLD` for the command line."""
    told = TOLD[name]
    return [] if told is None else ["--measure", told[0], "--event", told[1]]
