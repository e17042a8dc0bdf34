"""What `publish` leaves of a file: the lines that were not acknowledged, as a file that can be published again."""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Iterable, Iterator
from itertools import count
from pathlib import Path
from typing import Final

from services.cli.output import OWNER_ONLY, check_writable
from services.errors import InputError
from services.ingest.jsonl import copy_lines
from services.wording import receipts

_MOST_SPANS: Final = 1_000

Stamp = tuple[int, int, int]


def stamp(file: Path) -> Stamp:
    """What a file has else when it is another one, or has other lines."""
    found = file.stat()
    return found.st_ino, found.st_size, found.st_mtime_ns


def check_left(file: Path, left: str | None) -> None:
    """Before anything is sent: whether the file that an option names can be written, and is not what is published.

    Raises:
        InputError: if it cannot, or is.
    """
    check_writable(left, "--left")
    if left is not None and Path(left).exists() and Path(left).samefile(file):
        raise InputError(f"--left {left}: is the file that is published; name another one")


def keep(file: Path, before: Stamp, which: Callable[[int], bool], left: str | None) -> str:
    """Write the lines of `file` whose numbers are wanted to `left`, else beside it; returns what to tell of it.

    A file that is there already is left alone unless it was named: it may hold lines that nobody has sent again yet.
    Where no file can be made, or `file` is not what was published any more, the numbers of the lines are told.
    """
    if stamp(file) != before:
        return receipts.not_kept(f"{file} was changed meanwhile", _spans(file, which))
    try:
        descriptor, place = _opened(file, left)
        with os.fdopen(descriptor, "wb") as out:
            n = copy_lines(file, which, out)
    except OSError as error:
        return receipts.not_kept(f"{error.filename or left or file.parent}: {error.strerror}", _spans(file, which))
    return receipts.kept_to_send_again(n, str(place), f"keelwatch publish {shlex.quote(str(place))}")


def _opened(file: Path, left: str | None) -> tuple[int, Path]:
    if left is not None:
        return os.open(left, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, OWNER_ONLY), Path(left)
    for i in count(1):
        place = file.with_name(f"{file.stem}.left{'' if i == 1 else f'-{i}'}{file.suffix}")
        try:
            return os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, OWNER_ONLY), place
        except FileExistsError:
            continue
    raise AssertionError("numbers have no end")


def _spans(file: Path, which: Callable[[int], bool]) -> str:
    """Numbers of the lines, as `3, 5-90`."""
    with file.open("rb") as opened:
        wanted = (number for number, line in enumerate(opened, start=1) if line.strip() and which(number))
        spans = list(_runs(wanted))
    more = "" if len(spans) <= _MOST_SPANS else f" and {len(spans) - _MOST_SPANS:,} more pieces"
    return ", ".join(str(a) if a == b else f"{a}-{b}" for a, b in spans[:_MOST_SPANS]) + more


def _runs(numbers: Iterable[int]) -> Iterator[tuple[int, int]]:
    first = last = -1
    for number in numbers:
        if number == last + 1 and first > 0:
            last = number
            continue
        if first > 0:
            yield first, last
        first = last = number
    if first > 0:
        yield first, last
