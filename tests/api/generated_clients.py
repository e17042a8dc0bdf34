"""`make api-clients`: clients made by openapi-python-client and openapi-typescript from what `/openapi.json` says.

Not one warning, every module of the Python client can be imported, and the types of TypeScript are right. Both programs
live in an environment of their own under build/clients; nothing of them is installed beside Keelwatch.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

from docs.reference import description

_CONFIG = """package_name_override: made_client
content_type_overrides:
  application/x-ndjson: application/octet-stream
  application/x-protobuf: application/octet-stream
"""
_IMPORT = """
import importlib, pkgutil, made_client
names = [one.name for one in pkgutil.walk_packages(made_client.__path__, "made_client.")]
for name in names:
    importlib.import_module(name)
from made_client import AuthenticatedClient
from made_client.api.incidents import list_incidents
from made_client.models import IncidentPage, ProblemBody
asked = list_incidents._get_kwargs(limit=5)
assert (asked["method"], asked["url"], asked["params"]) == ("get", "/v1/incidents", {"limit": 5}), asked
page = IncidentPage.from_dict({"items": [], "next": None})
assert page.to_dict() == {"items": [], "next": None}
print(f"openapi-python-client: {len(names)} modules")
"""
_USE = """import type { components, operations, paths } from "./made";
export const page: components["schemas"]["IncidentPage"] = { items: [], next: null };
export const state: components["schemas"]["IncidentState"] = "open";
export type Asked = NonNullable<operations["listIncidents"]["parameters"]["query"]>;
export const asked: Asked = { since: "2026-11-24T12:00:00Z", limit: 5 };
export type Path = keyof paths;
export const path: Path = "/v1/exchanges";
// @ts-expect-error -- there is no such state
export const wrong: components["schemas"]["IncidentState"] = "gone";
"""


def main(folder: Path) -> None:
    """Make both from the description, and use them."""
    said = folder / "openapi.json"
    said.write_text(json.dumps(description()))
    _python(folder, said)
    _typescript(folder, said)


def _python(folder: Path, said: Path) -> None:
    programs = folder / "python" / "bin"
    (folder / "config.yaml").write_text(_CONFIG)
    made = folder / "made_client"
    shutil.rmtree(made, ignore_errors=True)
    options = ("--config", str(folder / "config.yaml"), "--meta", "none", "--output-path", str(made))
    _run(
        [str(programs / "openapi-python-client"), "generate", "--path", str(said), "--fail-on-warning", *options],
        folder,
    )
    _run([str(programs / "python"), "-c", _IMPORT], folder)


def _typescript(folder: Path, said: Path) -> None:
    programs = folder / "node_modules" / ".bin"
    (folder / "use.ts").write_text(_USE)
    _run(
        [str(programs / "openapi-typescript"), str(said), "--output", "made.ts", "--default-non-nullable", "false"],
        folder,
    )
    _run([str(programs / "tsc"), "--noEmit", "--strict", "--skipLibCheck", "use.ts"], folder)
    sys.stdout.write("openapi-typescript: types are right\n")


def _run(command: list[str], folder: Path) -> None:
    path = f"{folder / 'python' / 'bin'}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        command, cwd=folder, env=os.environ | {"PATH": path}, capture_output=True, text=True, check=False
    )
    if done.returncode:
        sys.exit(f"{' '.join(command)}\n{done.stdout[-6000:]}{done.stderr[-6000:]}")
    sys.stdout.write(done.stdout if "-c" in command else "")


if __name__ == "__main__":
    main(Path(sys.argv[1]).absolute())
