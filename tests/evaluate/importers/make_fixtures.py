"""Make the files of other tools anew, by these tools: `python -m tests.evaluate.importers.make_fixtures [TOOL...]`.

Each tool gets an environment of its own below --work, with the version that stands here; its maker writes files and, as
`expected.json`, the figures that the tool itself gave. Tests need none of that: what was made lies in `fixtures`.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
FIXTURES = HERE / "fixtures"
PINNED: dict[str, tuple[str, ...]] = {
    "inspect": ("inspect-ai==0.3.285",),
    "garak": ("torch==2.13.0", "garak==0.17.1"),
    "promptfoo": ("promptfoo@0.121.20",),
    "lm_eval": ("torch==2.13.0", "lm-eval==0.4.13"),
    "helm": ("torch==2.13.0", "crfm-helm==0.5.16"),
    "pyrit": ("pyrit==1.1.0",),
}


def environment(tool: str, work: Path) -> list[str]:
    """The words that begin a command of the tool's own environment, which is made where it is not there."""
    if tool == "promptfoo":
        folder = work / "npm-promptfoo"
        if not folder.exists():
            folder.mkdir(parents=True)
            subprocess.run(["npm", "install", "--no-audit", "--no-fund", *PINNED[tool]], cwd=folder, check=True)
        return [sys.executable]
    folder = work / f"venv-{tool}"
    if not folder.exists():
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
        subprocess.run([str(folder / "bin" / "pip"), "install", "-q", *PINNED[tool]], check=True)
    return [str(folder / "bin" / "python")]


def make(tool: str, work: Path) -> None:
    """The files of one tool, in place of those that were there."""
    python, out = environment(tool, work), work / tool
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir()
    for path in (HERE / "makers").glob("*"):
        if path.is_file():
            shutil.copy(path, work / path.name)
    more = [str(work / "npm-promptfoo" / "node_modules")] if tool == "promptfoo" else []
    told = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    subprocess.run([*python, str(work / f"make_{tool}.py"), str(out), *more], cwd=work, env=told, check=True)
    shutil.rmtree(FIXTURES / tool, ignore_errors=True)
    shutil.copytree(out, FIXTURES / tool)


def main() -> None:
    parser = argparse.ArgumentParser(description="Make the files of other tools anew.")
    parser.add_argument("tools", nargs="*", default=list(PINNED), metavar="TOOL")
    parser.add_argument("--work", type=Path, default=Path(tempfile.gettempdir()) / "keelwatch-fixtures")
    given = parser.parse_args()
    given.work.mkdir(parents=True, exist_ok=True)
    for tool in given.tools:
        if tool not in PINNED:
            parser.error(f"{tool}: must be one of {', '.join(PINNED)}")
        make(tool, given.work)


if __name__ == "__main__":
    main()
