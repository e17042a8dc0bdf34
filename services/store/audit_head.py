"""The head of the audit log, kept in a file outside the database: what is cut off or made anew there shows here."""

from __future__ import annotations

import fcntl
import hashlib
import json
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from services.settings import private_folder

LOG = logging.getLogger("keelwatch.store")


@dataclass(frozen=True, slots=True)
class AuditHead:
    """The file of one database. It is read and written by every process of this data directory."""

    path: Path

    @classmethod
    def of(cls, folder: Path, database: str) -> AuditHead:
        """The head of the database at a URL without its password; databases that share a folder each have one."""
        return cls(folder / f"audit-head-{hashlib.sha256(database.encode()).hexdigest()[:8]}.json")

    def read(self) -> tuple[int, str] | None:
        """Number and hash of the newest entry that was seen; None when there is no such file.

        A file that holds something else names an entry that there never is: it is no head, and shows as such.
        """
        try:
            kept = json.loads(self.path.read_text(encoding="utf-8"))
            return int(kept["seq"]), str(kept["hash"])
        except FileNotFoundError:
            return None
        except (OSError, ValueError, TypeError, KeyError):
            return 0, "unreadable"

    def keep(self, seq: int, hash: str) -> None:
        """Note a newer head. What cannot be written is logged: the transaction it comes from is done, and good."""
        try:
            private_folder(self.path.parent)
            with _locked(self.path):
                before = self.read()
                if before is None or before[0] < seq:
                    fresh = self.path.with_name(f"{self.path.name}.new")
                    fresh.write_text(json.dumps({"seq": seq, "hash": hash}) + "\n", encoding="utf-8")
                    fresh.replace(self.path)
        except OSError as error:
            LOG.warning("the head of the audit log was not kept outside the database: %s", error)


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Of several processes one writes at a time: an older head must not replace a newer one."""
    descriptor = os.open(path.with_name(f"{path.name}.lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
