"""Write the lock files of this folder from pyproject.toml: `make lock`, which runs this where uv is.

Versions that are locked stay while they satisfy pyproject.toml; `make lock UPGRADE=1` takes the newest ones. Every
entry has the hashes of all files of its release, so that one lock serves all systems and every Python.

PyTorch's CPU build for Linux is not on PyPI and has a version of its own: it is looked for where pip looks too
(PIP_FIND_LINKS, PIP_EXTRA_INDEX_URL). Files that are not seen there keep the hashes that were locked before.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

HERE: Final = Path(__file__).resolve().parent
PROJECT: Final = HERE.parent / "pyproject.toml"
EXTRA: Final = "sentence-transformers"
TONGUES: Final = "multilingual"
AGENTS: Final = "mcp"
_HEAD: Final = "# Written by `make lock`; installed with --no-deps --require-hashes. "
_PIN: Final = re.compile(r"^([A-Za-z0-9._-]+)==([^\s;\\]+)(?: ; ([^\\]+?))?(?: \\)?$")
_TORCH: Final = re.compile(r"torch$|triton$|nvidia-|cuda-")  # and what it brings for a GPU

Entries = Mapping[str, "Entry"]


@dataclass(frozen=True, slots=True)
class Entry:
    """One pinned distribution: where it is installed (a marker, or nothing) and the hashes of its files."""

    name: str
    version: str
    marker: str
    hashes: tuple[str, ...]

    def text(self) -> str:
        """As pip reads it."""
        pin = f"{self.name}=={self.version}" + (f" ; {self.marker}" if self.marker else "")
        return " \\\n".join([pin, *(f"    --hash=sha256:{one}" for one in self.hashes)]) + "\n"


def entries(text: str) -> dict[str, Entry]:
    """The entries of a lock file, by name. One name with several markers is one entry a marker."""
    found: dict[str, Entry] = {}
    for block in re.split(r"^(?=[A-Za-z0-9])", text, flags=re.MULTILINE):
        match = _PIN.match(block.split("\n")[0])
        if match:
            name, version, marker = match[1], match[2], match[3] or ""
            hashes = tuple(sorted(re.findall(r"sha256:([0-9a-f]{64})", block)))
            found[f"{name} ; {marker}" if name in found else name] = Entry(name, version, marker, hashes)
    return found


class Resolver:
    """uv, with what was locked before as what it prefers."""

    def __init__(self, folder: Path, upgrade: bool) -> None:
        self._folder = folder
        self._known = "" if upgrade else "".join(path.read_text() for path in sorted(HERE.glob("*.lock")))

    def resolve(self, *options: str, given: str = "", pins: Entries | None = None) -> dict[str, Entry]:
        """What `options` of `uv pip compile` ask for; `pins` are versions that it must not leave."""
        out = self._folder / "out.txt"
        out.write_text(re.sub(r"^-r .*$|^torch==\S*\+cpu(.*\\\n)*.*$", "", self._known, flags=re.MULTILINE))
        (self._folder / "given.in").write_text(given)
        pinned = (
            f"{one.name}=={one.version}{f' ; {one.marker}' if one.marker else ''}\n" for one in (pins or {}).values()
        )
        (self._folder / "pins.txt").write_text("".join(pinned))
        source = [str(self._folder / "given.in")] if given else [str(PROJECT)]
        command = ["uv", "pip", "compile", *source, *options, "--universal", "--python-version", _oldest_python()]
        written = ["--output-file", str(out), "--constraint", str(self._folder / "pins.txt"), "--generate-hashes"]
        one_version = ["--fork-strategy", "fewest"]  # for all Pythons and systems, where one will do
        subprocess.run(
            [*command, *written, *one_version, "--no-annotate", "--no-header", "--quiet"], cwd=HERE.parent, check=True
        )
        return entries(out.read_text())


def _oldest_python() -> str:
    [oldest] = re.findall(r">=([\d.]+)", tomllib.loads(PROJECT.read_text())["project"]["requires-python"])
    return str(oldest)


def _without(more: Entries, less: Entries) -> list[Entry]:
    """What `more` adds to `less`."""
    known = {(one.name, one.marker) for one in less.values()}
    return [one for one in more.values() if (one.name, one.marker) not in known]


def _cpu_torch(resolver: Resolver, torch: Entry) -> list[Entry]:
    """PyTorch without CUDA: a build of its own on Linux and Windows, PyPI's on macOS."""
    version, places = f"{torch.version}+cpu", []
    for option, name in (("--find-links", "PIP_FIND_LINKS"), ("--extra-index-url", "PIP_EXTRA_INDEX_URL")):
        for place in os.environ.get(name, "").split():
            places += [option, place]
    hashes: set[str] = set()
    if places:
        try:
            [seen] = resolver.resolve(*places, "--no-deps", given=f"torch=={version}\n").values()
            hashes.update(seen.hashes)
        except subprocess.CalledProcessError:
            print(f"torch {version} was not found where pip looks", file=sys.stderr)
    path = HERE / "torch-cpu.lock"
    if path.exists():
        hashes.update(h for one in entries(path.read_text()).values() if one.version == version for h in one.hashes)
    if not hashes:
        raise SystemExit(f"torch {version}: name a place that has it, PIP_FIND_LINKS or PIP_EXTRA_INDEX_URL")
    cpu = Entry("torch", version, "sys_platform != 'darwin'", tuple(sorted(hashes)))
    return [cpu, Entry("torch", torch.version, "sys_platform == 'darwin'", torch.hashes)]


def _write(name: str, what: str, found: Iterable[Entry], includes: Sequence[str] = ()) -> None:
    text = f"{_HEAD}{what}\n" + "".join(f"-r {one}\n" for one in includes)
    path = HERE / f"{name}.lock"
    path.write_text(text + "".join(one.text() for one in sorted(found, key=lambda one: (one.name, one.marker))))
    print(f"{path.name}: {len(entries(path.read_text()))} distributions")


def main(upgrade: bool) -> None:
    """Resolve everything together, then each tier within that."""
    project = tomllib.loads(PROJECT.read_text())
    with TemporaryDirectory() as folder:
        resolver = Resolver(Path(folder), upgrade)
        everything = resolver.resolve("--extra", EXTRA, "--extra", TONGUES, "--extra", AGENTS, "--extra", "dev")
        core = resolver.resolve(pins=everything)
        extra = resolver.resolve("--extra", EXTRA, pins=everything)
        tongues = resolver.resolve("--extra", TONGUES, pins=everything)
        agents = resolver.resolve("--extra", AGENTS, pins=everything)
        dev = resolver.resolve("--extra", "dev", pins=everything)
        build = resolver.resolve(given="\n".join([*project["build-system"]["requires"], "editables"]), pins=everything)
        cpu = _cpu_torch(resolver, extra["torch"])
        uv = resolver.resolve(given="uv\n")
        release = resolver.resolve(given="cyclonedx-bom\npip-audit\n")
    added = _without(extra, core)
    torch = [one for one in added if _TORCH.match(one.name)]
    _write("core", "What every command needs.", core.values())
    _write(EXTRA, "Core and the extra, but PyTorch.", [one for one in added if one not in torch], ["core.lock"])
    _write(TONGUES, "Core and the extra for other languages.", _without(tongues, core), ["core.lock"])
    _write(AGENTS, "Core and the extra for agents on call.", _without(agents, core), ["core.lock"])
    _write("torch", "PyTorch as PyPI has it: on Linux with CUDA.", torch)
    _write("torch-cpu", "PyTorch without CUDA, from PyTorch's own index.", cpu)
    _write("dev", "Core and what checks and tests need, but the extra.", _without(dev, core), ["core.lock"])
    _write("build", "What builds and installs Keelwatch itself.", build.values())
    _write("lock", "What writes these files.", uv.values())
    _write("release", "What looks at what is installed before a release.", release.values())


if __name__ == "__main__":
    main("--upgrade" in sys.argv[1:])
