"""What is asked of `services.wiring` by name is there: it is loaded when it is needed, so types do not say."""

from __future__ import annotations

import ast

from services import wiring
from tests.support.source import Module, modules


def _asked(module: Module) -> set[str]:
    """The names that a file takes of the package as a whole; modules below it are imported in full."""
    return {
        node.attr
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "wiring"
    }


def test_every_name_that_is_asked_of_wiring_is_one_of_its_own() -> None:
    placed = {name for names in wiring._PLACES.values() for name in names}
    assert placed == set(wiring.__all__)
    asked = {name: module.relative for module in modules("services") for name in _asked(module)}
    assert len(asked) > 10, "somebody asks"
    assert {name: path for name, path in asked.items() if name not in placed} == {}
