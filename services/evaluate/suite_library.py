"""Where suites lie: built-in ones by name, others as a folder, or as a file of prompts."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import Final

from services.errors import InputError
from services.evaluate.prompt_sets import ImportedSuite, import_prompts
from services.evaluate.prompt_sets.hazards import slug
from services.evaluate.prompt_sets.protocol import PromptOptions
from services.evaluate.suite import Suite
from services.evaluate.suite_parser import HEAD, ITEMS, parse_suite
from services.monitor import MonitorProblem

BUILT_IN: Final = Path(__file__).parent / "suites"
MAX_BYTES: Final = 16 * 1024 * 1024
MAX_PROMPT_BYTES: Final = 64 * 1024 * 1024
_HASH: Final = 12
_SHOWN: Final = 300


@dataclass(frozen=True, slots=True)
class SuiteHere:
    """Which suite lies somewhere: `sha256` is of its items, and another one asks other questions."""

    name: str
    version: str
    sha256: str
    questions: int


def suite_names() -> tuple[str, ...]:
    """The built-in suites, sorted."""
    return tuple(sorted(folder.name for folder in BUILT_IN.iterdir() if (folder / HEAD).is_file()))


def load_suite(name_or_folder: str) -> Suite:
    """The built-in suite of this name, else the one in this folder, else that of this file's prompts.

    Raises:
        InputError: if there is none, or it has a mistake; every one is named with file, line, field and remedy.
    """
    suite, problems = examine_suite(name_or_folder)
    if suite is None:
        raise InputError("\n".join(str(problem) for problem in problems))
    return suite


def suite_here(name_or_folder: str) -> SuiteHere | None:
    """What lies here under a name, in a folder or a file; None where this process cannot read it."""
    if name_or_folder in suite_names():
        return _built_in(name_or_folder)
    try:
        return _here(name_or_folder)
    except InputError:
        return None


def questions_asked(name_or_folder: str) -> int:
    """How many questions one run of a suite asks.

    Raises:
        InputError: as `load_suite`.
    """
    return (_built_in if name_or_folder in suite_names() else _here)(name_or_folder).questions


@cache
def _built_in(name: str) -> SuiteHere:
    """It stays the same while this process runs."""
    return _here(name)


def _here(name_or_folder: str) -> SuiteHere:
    suite = load_suite(name_or_folder)
    return SuiteHere(suite.name, suite.version, suite.sha256, suite.answers)


def examine_suite(name_or_folder: str) -> tuple[Suite | None, tuple[MonitorProblem, ...]]:
    """The suite, None when it cannot be used, and everything that is wrong with it.

    Raises:
        InputError: if there is no such suite, or a file of it cannot be read.
    """
    if name_or_folder not in suite_names() and _is(name_or_folder, Path.is_file):
        return suite_of_prompts(name_or_folder).suite, ()
    folder = _folder(name_or_folder)
    return _parsed(name_or_folder, _text(folder / HEAD), _text(folder / ITEMS))


_parsed = lru_cache(maxsize=4)(parse_suite)  # whoever lists suites, or pages of them, reads the same ones again


def suite_of_prompts(
    file: str, options: PromptOptions | None = None, name: str | None = None, version: str | None = None
) -> ImportedSuite:
    """The suite of a file of prompts, such as that of a public set; its version is the file's hash, else the given one.

    Raises:
        InputError: if the file cannot be read, or is none.
    """
    raw = _bytes(Path(file), MAX_PROMPT_BYTES, "name a file of prompts: CSV or JSON lines")
    version = version or f"file-{hashlib.sha256(raw).hexdigest()[:_HASH]}"
    stem = slug(Path(file).stem)
    return import_prompts(raw, file, options, name, version, fallback="" if stem in suite_names() else stem)


def _is(path: str, kind: Callable[[Path], bool]) -> bool:
    try:
        return kind(Path(path))
    except OSError:  # a name that is too long, a folder that may not be looked into
        return False


def _folder(name_or_folder: str) -> Path:
    names = suite_names()
    if name_or_folder in names:
        return BUILT_IN / name_or_folder
    folder = Path(name_or_folder)
    if not _is(name_or_folder, Path.is_dir):
        known = f"no built-in suite ({', '.join(names)}), no folder with {HEAD} and {ITEMS}, and no file of prompts"
        raise InputError(f"suite {name_or_folder[:_SHOWN]}: {known}")
    return folder


def _text(path: Path) -> str:
    raw = _bytes(path, MAX_BYTES, f"a suite is {HEAD} and {ITEMS}")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise InputError(f"{path}:{line}: not UTF-8; save the file as UTF-8") from None


def _bytes(path: Path, most: int, remedy: str) -> bytes:
    try:
        with path.open("rb") as file:
            raw = file.read(most + 1)
    except OSError as error:
        raise InputError(f"{str(path)[:_SHOWN]}: cannot be read: {error.strerror}; {remedy}") from None
    if len(raw) > most:
        raise InputError(f"{path}: larger than {most // 2**20} MiB; {remedy}")
    return raw
