"""Where suites lie: built-in ones by name, others as a folder."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from services.errors import InputError
from services.evaluate.suite import Suite
from services.evaluate.suite_parser import HEAD, ITEMS, parse_suite
from services.monitor import MonitorProblem

BUILT_IN: Final = Path(__file__).parent / "suites"
MAX_BYTES: Final = 16 * 1024 * 1024


def suite_names() -> tuple[str, ...]:
    """The built-in suites, sorted."""
    return tuple(sorted(folder.name for folder in BUILT_IN.iterdir() if (folder / HEAD).is_file()))


def load_suite(name_or_folder: str) -> Suite:
    """The built-in suite of this name, else the one in this folder.

    Raises:
        InputError: if there is none, or it has a mistake; every one is named with file, line, field and remedy.
    """
    suite, problems = examine_suite(name_or_folder)
    if suite is None:
        raise InputError("\n".join(str(problem) for problem in problems))
    return suite


def examine_suite(name_or_folder: str) -> tuple[Suite | None, tuple[MonitorProblem, ...]]:
    """The suite, None when it cannot be used, and everything that is wrong with it.

    Raises:
        InputError: if there is no such suite, or a file of it cannot be read.
    """
    folder = _folder(name_or_folder)
    return parse_suite(name_or_folder, _text(folder / HEAD), _text(folder / ITEMS))


def _folder(name_or_folder: str) -> Path:
    names = suite_names()
    if name_or_folder in names:
        return BUILT_IN / name_or_folder
    folder = Path(name_or_folder)
    if not folder.is_dir():
        raise InputError(
            f"suite {name_or_folder}: no built-in suite ({', '.join(names)}) and no folder with {HEAD} and {ITEMS}"
        )
    return folder


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}; a suite is {HEAD} and {ITEMS}") from None
    if len(raw) > MAX_BYTES:
        raise InputError(f"{path}: larger than {MAX_BYTES // 2**20} MiB; this is no suite")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise InputError(f"{path}:{line}: not UTF-8; save the file as UTF-8") from None
