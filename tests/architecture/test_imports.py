"""Imports go one way, and what is imported is declared."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions

import pytest

from tests.support.source import PACKAGES, ROOT, imports, modules

LINT = "from importlinter.cli import lint_imports_command as main; main()"
ALLOWED = {"schemas": {"pydantic"}, "detectors": {"numpy", "scipy", "sklearn", "schemas"}}


def _third_party(*packages: str) -> set[str]:
    roots = {name.split(".")[0] for module in modules(*packages) for name in imports(module)}
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
    """A driver that a database URL names is imported by SQLAlchemy."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    declared = {_normal(re.split(r"[\[<>=~! ]", line)[0]) for line in project["dependencies"]}
    owners = packages_distributions()
    drivers = {name for module in modules() for name in re.findall(r"postgresql\+(\w+)", module.text)}
    used = {_normal(owner) for name in _third_party() | drivers for owner in owners.get(name, [name])}
    assert sorted(used - declared) == [], "imported, not declared"
    assert sorted(declared - used) == [], "declared, not imported"


def test_every_dependency_is_pinned_once() -> None:
    pins = [
        line for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").split("\n") if line[:1] not in ("", "#")
    ]
    assert [pin for pin in pins if not re.fullmatch(r"[\w.-]+==[\w.]+", pin)] == []  # no local builds, no addresses
    names = [_normal(pin.split("==")[0]) for pin in pins]
    assert len(names) == len(set(names))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = [*project["dependencies"], *project["optional-dependencies"]["dev"], "torch"]
    assert sorted({_normal(re.split(r"[\[<>=~! ]", line)[0]) for line in wanted} - set(names)) == []
