"""Lists the public names of schemas and of what detectors share: `python -m tests.architecture.public_names`.

What one detector's own file defines is its own: a new detector needs no list.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from detectors import DETECTORS
from tests.support.source import Module, modules


def public_names() -> list[str]:
    """Every public name that a module of schemas defines, or one of detectors that holds no detector."""
    own = {f"detectors.{one.spec.name}" for one in DETECTORS}
    return sorted(
        f"{module.name}.{name}"
        for module in modules("schemas", "detectors")
        if module.name not in own and not any(part.startswith("_") for part in module.name.split("."))
        for name in _defined(module)
        if not name.startswith("_")
    )


def _defined(module: Module) -> Iterator[str]:
    for node in module.tree.body:
        if isinstance(node, (ast.ClassDef, ast.FunctionDef)):
            yield node.name
        elif isinstance(node, ast.Assign):
            yield from (target.id for target in node.targets if isinstance(target, ast.Name))
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            yield node.target.id


if __name__ == "__main__":
    print("\n".join(public_names()))
