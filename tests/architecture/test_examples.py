"""What a docstring shows is what happens."""

from __future__ import annotations

import doctest
from importlib import import_module

import pytest

from tests.support.source import modules

SHOWN = [module.name for module in modules() if ">>> " in module.text]


@pytest.mark.parametrize("name", SHOWN)
def test_the_examples_of_a_module_hold(name: str) -> None:
    result = doctest.testmod(import_module(name))
    assert result.attempted
    assert result.failed == 0
