"""The name of a process among its like, and its claim on it: two processes never go by one name."""

from __future__ import annotations

import fcntl
import os
import re
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from services.errors import InputError
from services.settings import private_folder

_KEPT: Final = "instance"
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


class InstanceInUse(InputError):  # noqa: N818 -- a state of the world, like FileExistsError's
    """Another process goes by this name."""


@contextmanager
def claim_instance(data_dir: Path, name: str | None, work: str) -> Iterator[str]:
    """This process's name while the block runs: `name`, else an id that is made once and kept in `data_dir`.

    The id belongs to one process at a time. A given `name` may be that of several which do different `work`, such as
    the steps of one machine. The claim is a lock on a file in `data_dir`, which the system takes away with the process.

    Raises:
        InstanceInUse: if another process has claimed the name there.
        InputError: if `data_dir` cannot be used, or what is kept there is no name.
    """
    try:
        private_folder(data_dir)
        lock = f"{_KEPT}.lock" if name is None else f"{_KEPT}-{name}-{work}.lock"
        with _locked(data_dir / lock, data_dir, name):
            yield name or _kept_id(data_dir / _KEPT)
    except OSError as error:
        if error.filename is None or not str(error.filename).startswith(str(data_dir)):
            raise
        raise InputError(
            f"KEELWATCH_DATA_DIR={data_dir}: {error.strerror}; name a folder that can be written"
        ) from None


@contextmanager
def _locked(path: Path, data_dir: Path, name: str | None) -> Iterator[None]:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise InstanceInUse(_in_use_text(data_dir, name)) from None
        yield
    finally:
        os.close(descriptor)


def _in_use_text(data_dir: Path, name: str | None) -> str:
    if name is None:
        return (
            f"another process uses the data directory {data_dir}: stop it, or give this one another "
            "KEELWATCH_DATA_DIR, or a name of its own by KEELWATCH_INSTANCE"
        )
    return f"another process does the same as KEELWATCH_INSTANCE={name} in {data_dir}: stop it, or name this one anew"


def _kept_id(path: Path) -> str:
    """The id in the file, made when there is none; whole or not there at all, also after a crash."""
    try:
        kept = path.read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        kept = f"kw-{uuid.uuid4().hex[:12]}"
        fresh = path.with_name(f"{path.name}.new")
        fresh.write_text(f"{kept}\n", encoding="utf-8")
        fresh.replace(path)
    if not _NAME.fullmatch(kept):
        raise InputError(f"{path}: holds no name of an instance; delete the file, and a new one is made")
    return kept
