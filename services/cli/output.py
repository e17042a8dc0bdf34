"""Where commands write: people read tables on stdout, progress and errors go to stderr, `--json` to a file.

What they write may hold what people wrote: a file that is new is its owner's alone, one that is there keeps its mode.
"""

from __future__ import annotations

import errno
import json
import os
import stat
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Annotated, Any, Final

import typer
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

from services.errors import InputError

_AS_WRITTEN: Final[dict[str, Any]] = {"highlight": False, "markup": False, "emoji": False}
"""What people wrote is text: neither its brackets nor its colons mean anything here."""
OUT: Final = Console(**_AS_WRITTEN)
ERR: Final = Console(stderr=True, **_AS_WRITTEN)
STDOUT: Final = "-"
OWNER_ONLY: Final = 0o600

JsonOption = Annotated[str | None, typer.Option("--json", metavar="OUT", help="Write JSON to this file; - is stdout.")]


def write_json(found: Any, to: str | None, *, exact: bool = False) -> None:
    """Write `found` as JSON where `--json` says; nothing without it. Numbers have six decimals unless `exact`.

    Raises:
        InputError: if the file cannot be written.
    """
    if to is None:
        return
    from services.replay.report import to_text  # noqa: PLC0415 -- brings all detectors, and few commands write JSON

    write_text(json.dumps(found, indent=2, ensure_ascii=False, allow_nan=False) + "\n" if exact else to_text(found), to)


def write_text(text: str, to: str, option: str = "--json") -> None:
    """Write exactly this text where an option says, `-` being stdout.

    Raises:
        InputError: if the file cannot be written.
    """
    with writing(to, option) as out:
        out.write(text)


def check_writable(path: str | Path | None, option: str) -> None:
    """Before anything is asked and paid: whether what comes of it can be written.

    Raises:
        InputError: if there is no folder for the file, or it may not be written.
    """
    if path is None or str(path) == STDOUT:
        return
    file = Path(path)
    if file.is_dir():
        why = errno.EISDIR
    elif not file.parent.is_dir():
        why = errno.ENOENT
    elif not os.access(file if file.exists() else file.parent, os.W_OK):
        why = errno.EACCES
    else:
        return
    raise InputError(f"{option} {path}: {os.strerror(why)}; name a file that can be written")


@contextmanager
def writing(path: str, option: str) -> Iterator[IO[str]]:
    """A text file to write lines into, `-` being stdout.

    Raises:
        InputError: if the file cannot be written.
    """
    if path == STDOUT:
        yield sys.stdout
        return
    try:
        with open(path, "w", encoding="utf-8", opener=_for_owner) as out:
            yield out
    except OSError as error:
        raise InputError(
            f"{option} {path}: {error.strerror}; name a file that can be written, or - for stdout"
        ) from None


def replace_file(path: Path, content: bytes, mode: int = OWNER_ONLY) -> None:
    """Put a whole new file in the place of one that may be there, whose mode it takes; `mode` is that of a new one.

    Raises:
        OSError: if it cannot be written; the one that was there is left.
    """
    beside = path.parent / f".{path.name[:100]}.new"
    try:
        beside.unlink(missing_ok=True)
        descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
        with os.fdopen(descriptor, "wb") as out:
            out.write(content)
            with suppress(FileNotFoundError):
                os.fchmod(descriptor, stat.S_IMODE(path.stat().st_mode))
        beside.replace(path)
    except BaseException:
        with suppress(OSError, ValueError):
            beside.unlink(missing_ok=True)
        raise


def _for_owner(path: str, flags: int) -> int:
    return os.open(path, flags, OWNER_ONLY)


@contextmanager
def progress(what: str, total: int) -> Iterator[Callable[[int], None]]:
    """A progress bar over `total` bytes on a terminal's stderr, silent elsewhere: tell it the bytes that were read."""
    columns = TextColumn("{task.description}", markup=False), BarColumn(), DownloadColumn(), TimeRemainingColumn()
    with Progress(*columns, console=ERR, disable=not ERR.is_terminal, transient=True) as bar:
        task = bar.add_task(what, total=total)
        yield lambda taken: bar.advance(task, taken)
