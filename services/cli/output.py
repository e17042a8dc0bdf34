"""Where commands write: people read tables on stdout, progress and errors go to stderr, `--json` to a file."""

from __future__ import annotations

import errno
import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Annotated, Any, Final

import typer
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

from services.errors import InputError

OUT: Final = Console(highlight=False)
ERR: Final = Console(stderr=True, highlight=False)
STDOUT: Final = "-"

JsonOption = Annotated[str | None, typer.Option("--json", metavar="OUT", help="Write JSON to this file; - is stdout.")]


def write_json(found: Any, to: str | None, *, exact: bool = False) -> None:
    """Write `found` as JSON where `--json` says; nothing without it. Numbers have six decimals unless `exact`.

    Raises:
        InputError: if the file cannot be written.
    """
    if to is None:
        return
    from services.replay.report import to_text  # noqa: PLC0415 -- brings all detectors, and few commands write JSON

    text = json.dumps(found, indent=2, ensure_ascii=False, allow_nan=False) + "\n" if exact else to_text(found)
    if to == STDOUT:
        sys.stdout.write(text)
        return
    try:
        Path(to).write_text(text, encoding="utf-8")
    except OSError as error:
        raise InputError(f"--json {to}: {error.strerror}; name a file that can be written, or - for stdout") from None


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
        with Path(path).open("w", encoding="utf-8") as out:
            yield out
    except OSError as error:
        raise InputError(f"{option} {path}: {error.strerror}; name a file that can be written") from None


@contextmanager
def progress(what: str, total: int) -> Iterator[Callable[[int], None]]:
    """A progress bar over `total` bytes on a terminal's stderr, silent elsewhere: tell it the bytes that were read."""
    columns = TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn()
    with Progress(*columns, console=ERR, disable=not ERR.is_terminal, transient=True) as bar:
        task = bar.add_task(what, total=total)
        yield lambda taken: bar.advance(task, taken)
