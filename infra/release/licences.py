"""Whose work Keelwatch installs, and under which licence: `make licences`, by what the locks pin and is installed.

Exit code 1 if a distribution names no licence or no author that can be reached, and `unclear.toml` does not say why it
is there all the same; or if `unclear.toml` excuses what is clear or not there.
"""

from __future__ import annotations

import re
import sys
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from email.message import Message
from importlib.metadata import PackageNotFoundError, metadata
from pathlib import Path
from typing import Final

HERE: Final = Path(__file__).resolve().parent
LOCKS: Final = HERE.parents[1] / "requirements"
TIERS: Final = ("core", "sentence-transformers", "torch-cpu")  # what a user installs; torch is torch-cpu with CUDA
_PIN: Final = re.compile(r"^([A-Za-z0-9._-]+)==(\S+)", re.MULTILINE)
_LONGEST: Final = 80  # of a licence's name; more is its text
_NOBODY: Final = re.compile(r"@(?:[\w.-]*\.)?(?:example\.(?:com|org|net)|noreply\.[\w.]+|users\.noreply\.[\w.]+)\b")


@dataclass(frozen=True, slots=True)
class Origin:
    """A distribution with the licence and the author that it names, None where it names none."""

    name: str
    version: str
    licence: str | None
    author: str | None

    @property
    def clear(self) -> bool:
        """Whether both are known."""
        return self.licence is not None and self.author is not None


def origin_of(name: str, version: str, told: Message) -> Origin:
    """What the metadata of a distribution tell."""
    return Origin(name, version, _licence(told), _author(told))


def _licence(told: Message) -> str | None:
    """The expression, the classifiers, or a field that is a name and not a text."""
    if expression := told.get("License-Expression"):
        return str(expression)
    classified = [line.split(" :: ")[-1] for line in told.get_all("Classifier", []) if line.startswith("License ::")]
    if classified:
        return " and ".join(classified)
    name = str(told.get("License") or "").strip()
    return name if 0 < len(name) <= _LONGEST and "copyright" not in name.lower() else None


def _author(told: Message) -> str | None:
    """Who can be reached: somebody with an address that is one, or with a page of the project."""
    fields = ("Author", "Author-email", "Maintainer", "Maintainer-email")
    named = ", ".join(str(told.get(field)) for field in fields if told.get(field))
    paged = told.get("Home-page") is not None or bool(told.get_all("Project-URL"))
    return named if named and (paged or "@" in _NOBODY.sub("", named)) else None


def installed(tiers: tuple[str, ...] = TIERS) -> list[Origin]:
    """What the locks of `tiers` pin and this environment has; what is for other systems alone is not here."""
    found: dict[str, Origin] = {}
    for tier in tiers:
        for name, version in _PIN.findall((LOCKS / f"{tier}.lock").read_text(encoding="utf-8")):
            try:
                found[name] = origin_of(name, version, metadata(name))
            except PackageNotFoundError:
                continue
    return sorted(found.values(), key=lambda one: one.name)


def complaints(origins: list[Origin], excused: Mapping[str, str]) -> list[str]:
    """What is neither clear nor excused, and excuses that nothing needs."""
    unclear = {one.name: one for one in origins if not one.clear}
    lacking = [
        f"{one.name} {one.version}: names no {'licence' if one.licence is None else 'author that can be reached'}; "
        "replace it, or say in infra/release/unclear.toml why it stays"
        for one in unclear.values()
        if one.name not in excused
    ]
    needless = [
        f"{name}: is clear or not installed; remove it from unclear.toml" for name in excused if name not in unclear
    ]
    return lacking + needless


def excuses() -> dict[str, str]:
    """Why a distribution is there that does not say itself whose it is."""
    read: dict[str, str] = tomllib.loads((HERE / "unclear.toml").read_text(encoding="utf-8"))
    return read


def main() -> int:
    """Print the list, then what is wrong with it."""
    origins, excused = installed(), excuses()
    for one in origins:
        why = f"  [{excused[one.name]}]" if one.name in excused else ""
        print(f"{one.name} {one.version}: {one.licence or 'not named'}; {one.author or 'not named'}{why}")
    wrong = complaints(origins, excused)
    print(*wrong, sep="\n", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
