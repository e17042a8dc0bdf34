"""Imports go one way, and what is imported is declared."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from functools import cache
from importlib.metadata import packages_distributions

import pytest

from tests.support.source import PACKAGES, ROOT, imports, modules

EXTRAS = {
    "sentence-transformers": "services/score/embed/sentence_transformer.py",
    "multilingual": "services/score/embed/multilingual.py",
    "mcp": "services/mcp/server.py",
}
OF_ANOTHER = {"services/score/rails/host.py", "services/evaluate/inspect_host.py"}
"""They run in environments that are not ours."""
LINT = "from importlinter.cli import lint_imports_command as main; main()"
ALLOWED = {"schemas": {"pydantic"}, "detectors": {"numpy", "scipy", "sklearn", "schemas"}}


def _third_party(*packages: str) -> set[str]:
    own = [module for module in modules(*packages) if module.relative not in OF_ANOTHER]
    roots = {name.split(".")[0] for module in own for name in imports(module)}
    return roots - set(sys.stdlib_module_names) - set(packages or PACKAGES)


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def test_import_linter_keeps_its_contracts() -> None:
    """Layers, independence of the steps, purity, and no cycle among siblings at any depth."""
    run = subprocess.run(
        [sys.executable, "-c", LINT, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stdout
    assert "No cycles among siblings, at any depth KEPT" in run.stdout


@pytest.mark.parametrize("package", ["schemas", "detectors"])
def test_pure_packages_need_only_what_the_design_allows(package: str) -> None:
    assert _third_party(package) <= ALLOWED[package]


def test_every_import_is_declared_and_every_dependency_is_imported() -> None:
    """A driver that a database URL names is imported by SQLAlchemy. An extra is what its one adapter imports."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    core = _names(project["dependencies"])
    extras = {name: _names(project["optional-dependencies"][name]) for name in EXTRAS}
    extra = set().union(*extras.values())
    drivers = {name for module in modules() for name in re.findall(r"postgresql\+(\w+)", module.text)}
    used = _owners(_third_party() | drivers)
    assert sorted(used - core - extra) == [], "imported, not declared"
    assert sorted((core | extra) - used) == [], "declared, not imported"
    for name, adapter in EXTRAS.items():
        own = [one.relative for one in modules() if _owners({n.split(".")[0] for n in imports(one)}) & extras[name]]
        assert own == [adapter]


def _names(requirements: list[str]) -> set[str]:
    return {_normal(re.split(r"[\[<>=~! ]", line)[0]) for line in requirements}


_installed = cache(packages_distributions)  # it reads the list of files of everything that is installed


def _owners(imported: set[str]) -> set[str]:
    """The distributions of top-level modules."""
    owners = _installed()
    return {_normal(owner) for name in imported for owner in owners.get(name, [name])}
