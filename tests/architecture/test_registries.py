"""A signal or a detector is one file, one entry in one tuple, and known wherever people look."""

from __future__ import annotations

import ast

from detectors import DETECTORS
from services.monitor.schema import MONITORED_SIGNALS as MONITORED
from services.monitor.schema import PLANNED_SIGNALS
from services.signals import SIGNALS
from tests.support.source import ROOT, modules


def _files(package: str, method: str) -> set[str]:
    """Modules directly in a package with a class that has this method and a body for it, by file name."""
    return {
        module.path.stem
        for module in modules(package.replace(".", "/"))
        if module.path.parent == ROOT / package.replace(".", "/") and module.path.stem != "protocol"
        for node in module.tree.body
        if isinstance(node, ast.ClassDef)
        if any(isinstance(item, ast.FunctionDef) and item.name == method for item in node.body)
    }


def test_every_detector_file_is_registered_under_its_name() -> None:
    assert _files("detectors", "fit") == {detector.name for detector in DETECTORS}


def test_every_signal_file_is_registered_under_its_name() -> None:
    assert _files("services.signals", "measure") == {signal.name for signal in SIGNALS}


def test_every_signal_may_stand_in_a_monitor_file_and_has_a_card() -> None:
    names = {signal.name for signal in SIGNALS}
    assert names == MONITORED
    assert not names & PLANNED_SIGNALS
    assert names <= {card.stem for card in (ROOT / "infra" / "models").glob("*.md")}
