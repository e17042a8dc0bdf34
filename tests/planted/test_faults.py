"""Planted faults stay what they are: each has its place in the code of today, and changes what runs."""

from __future__ import annotations

import ast

import pytest

from tests.planted.faults import FAULTS, PlantedFault
from tests.planted.run import plant
from tests.support.source import ROOT


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_a_fault_has_its_place_and_changes_the_program(fault: PlantedFault, tmp_path) -> None:
    path = tmp_path / fault.path
    path.parent.mkdir(parents=True)
    before = (ROOT / fault.path).read_text(encoding="utf-8")
    path.write_text(before, encoding="utf-8")
    plant(fault, tmp_path)
    assert ast.dump(ast.parse(path.read_text(encoding="utf-8"))) != ast.dump(ast.parse(before))
    assert [first for first in fault.first if not (ROOT / first).exists()] == []


def test_there_are_enough_of_them_and_each_has_a_name() -> None:
    assert len({fault.name for fault in FAULTS}) == len(FAULTS) >= 12
