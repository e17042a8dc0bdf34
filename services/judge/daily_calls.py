"""How many calls were made today, in a file of the data directory: a restart begins no new day."""

from __future__ import annotations

import fcntl
import json
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, Final

from services.settings import private_folder

LOG: Final = logging.getLogger("keelwatch.judge")
CALLS_FILE: Final = "judge-calls.json"


@dataclass(frozen=True, slots=True)
class DailyCalls:
    """The calls of one data directory, of all processes that share it.

    Calls are counted before they are made: a crash costs some, and never makes more than were allowed.
    """

    path: Path

    @classmethod
    def of(cls, data_dir: Path) -> DailyCalls:
        """Those of a data directory."""
        return cls(data_dir / CALLS_FILE)

    def take(self, name: str, wanted: int, most: int, today: date) -> int:
        """How many of `wanted` calls of `name` may be made today, of `most`; they count as made.

        None may where the file cannot be read or written: a stop that forgets is none. A day that lies before the
        one that was counted last is not begun anew.
        """
        if wanted <= 0:
            return 0
        try:
            private_folder(self.path.parent)
            with _locked(self.path):
                kept = _read(self.path)
                day, made = kept.get(name, ["", 0])
                made = made if day >= today.isoformat() else 0
                granted = max(min(wanted, most - made), 0)
                kept[name] = [max(day, today.isoformat()), made + granted]
                _write(self.path, kept)
        except (OSError, ValueError, TypeError) as error:
            LOG.warning("the judge of %s is not asked: %s cannot be used (%s)", name, self.path, type(error).__name__)
            return 0
        return granted

    def give_back(self, name: str, unused: int, day: date) -> None:
        """Calls of `name` that were granted on this day and are not made: others may make them, on that day alone."""
        if unused <= 0:
            return
        try:
            with _locked(self.path):
                kept = _read(self.path)
                counted, made = kept[name]
                if counted == day.isoformat():
                    kept[name] = [counted, max(made - unused, 0)]
                    _write(self.path, kept)
        except (OSError, ValueError, TypeError, KeyError) as error:  # they stay counted, which asks too little
            LOG.warning("calls of %s stay counted: %s cannot be used (%s)", name, self.path, type(error).__name__)


def _read(path: Path) -> dict[str, Any]:
    try:
        kept = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    for day, made in kept.values():
        if not (isinstance(day, str) and isinstance(made, int)):
            raise ValueError("holds no counts")
    return dict(kept)


def _write(path: Path, kept: dict[str, Any]) -> None:
    fresh = path.with_name(f"{path.name}.new")
    fresh.write_text(json.dumps(kept, sort_keys=True) + "\n", encoding="utf-8")
    fresh.replace(path)


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Of several processes one counts at a time."""
    descriptor = os.open(path.with_name(f"{path.name}.lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
