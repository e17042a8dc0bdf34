"""What people install: a wheel of its own that holds the client alone, and an npm package of one file."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from hatchling.builders.wheel import WheelBuilder

from tests.support.source import ROOT, imports, modules

SDK = ROOT / "sdk"
CLIENT = "sdk/keelwatch_client"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    folder = tmp_path_factory.mktemp("wheel")
    [built] = WheelBuilder(str(SDK)).build(directory=str(folder), versions=["standard"])
    return zipfile.ZipFile(built)


def test_the_wheel_installs_the_client_and_nothing_else(wheel: zipfile.ZipFile) -> None:
    tops = {name.partition("/")[0] for name in wheel.namelist()}
    assert tops == {"keelwatch_client", "keelwatch_client-0.1.0.dist-info"}
    own = {path.name for path in (SDK / "keelwatch_client").iterdir() if path.suffix in (".py", ".typed")}
    assert {name.rpartition("/")[2] for name in wheel.namelist() if name.startswith("keelwatch_client/")} == own


def test_the_wheel_says_what_it_needs_and_under_which_licence(wheel: zipfile.ZipFile) -> None:
    told = wheel.read("keelwatch_client-0.1.0.dist-info/METADATA").decode()
    assert "Requires-Python: >=3.10" in told
    needs = [line for line in told.split("\n") if line.startswith("Requires-Dist")]
    assert needs == ["Requires-Dist: aiokafka>=0.12; extra == 'kafka'"]
    assert "License-Expression: Apache-2.0" in told
    assert wheel.read("keelwatch_client-0.1.0.dist-info/licenses/LICENSE") == (ROOT / "LICENSE").read_bytes()


def test_an_installed_wheel_works_by_itself(wheel: zipfile.ZipFile, tmp_path: Path) -> None:
    wheel.extractall(tmp_path)
    script = "import keelwatch_client as k; p = k.Publisher('http://127.0.0.1:9', route='a/b', exit_seconds=0)"
    script += "; p.publish({'prompt': 'p', 'response': 'r', 'model': {'requested': 'm'}}); print(p.stats().published)"
    command = [sys.executable, "-S", "-W", "error", "-c", script]
    done = subprocess.run(command, cwd=tmp_path, env={}, capture_output=True, text=True, check=True)
    assert done.stdout == "1\n"


def test_the_npm_package_is_one_file_with_its_types() -> None:
    folder = SDK / "javascript"
    package = json.loads((folder / "package.json").read_text(encoding="utf-8"))
    assert package["name"] == "keelwatch-client"
    assert not {"dependencies", "devDependencies", "scripts.install"} & set(package)
    assert set(package["files"]) == {path.name for path in folder.iterdir()} - {"package.json"}
    assert [name for name in package["files"] if name.endswith(".js")] == [Path(package["main"]).name]
    assert "import " not in (folder / package["main"]).read_text(encoding="utf-8").partition("export")[0]
    assert (folder / "LICENSE").read_bytes() == (ROOT / "LICENSE").read_bytes()
    assert (folder / package["main"]).read_text(encoding="utf-8").count("\n") <= 500


def test_both_clients_have_one_version() -> None:
    package = json.loads((SDK / "javascript" / "package.json").read_text(encoding="utf-8"))
    assert f'version = "{package["version"]}"' in (SDK / "pyproject.toml").read_text(encoding="utf-8")


def test_the_client_imports_the_standard_library_alone() -> None:
    """Beside the libraries that an adapter is for: who has them installed is whom it serves."""
    foreign = {
        module.path.name: found
        for module in modules(CLIENT)
        if (
            found := {name.partition(".")[0] for name in imports(module)}
            - sys.stdlib_module_names
            - {"keelwatch_client"}
        )
    }
    assert foreign == {
        "kafka_transport.py": {"aiokafka"},
        "litellm_callback.py": {"litellm"},
        "langchain_callback.py": {"langchain_core"},
    }


def test_the_client_is_written_for_python_3_10() -> None:
    for module in modules(CLIENT):
        ast.parse(module.text, feature_version=(3, 10))


def test_every_public_name_of_the_client_has_a_docstring() -> None:
    bare = [
        f"{module.relative}:{node.lineno} {node.name}"
        for module in modules(CLIENT)
        for scope in (module.tree, *(node for node in module.tree.body if isinstance(node, ast.ClassDef)))
        if not getattr(scope, "name", "").startswith("_")
        for node in scope.body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
        and not node.name.startswith("_")
        and not ast.get_docstring(node)
    ]
    assert bare == []
