"""Names that others may import change on purpose only."""

from __future__ import annotations

import ast
from pathlib import Path

from tests.architecture.public_names import public_names
from tests.support.source import Function, modules

LISTED = Path(__file__).with_name("public_names.txt")


def test_public_names_are_the_listed_ones() -> None:
    """To change them: python -m tests.architecture.public_names > tests/architecture/public_names.txt"""
    listed, found = set(LISTED.read_text(encoding="utf-8").split()), set(public_names())
    assert sorted(found - listed) == [], "new names: list them if they are meant to be public"
    assert sorted(listed - found) == [], "names that others may use are gone"


def test_every_public_name_has_a_docstring() -> None:
    bare = [
        f"{module.relative}:{node.lineno} {node.name}"
        for module in modules()
        for scope in (module.tree, *(node for node in module.tree.body if isinstance(node, ast.ClassDef)))
        if not getattr(scope, "name", "").startswith("_")
        for node in scope.body
        if isinstance(node, Function | ast.ClassDef) and not node.name.startswith("_") and not ast.get_docstring(node)
    ]
    assert bare == []
    assert [module.relative for module in modules() if not ast.get_docstring(module.tree)] == []
