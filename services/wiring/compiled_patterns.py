"""Compiled patterns in a folder of the user's cache: a start is some seconds of a processor shorter with them.

Nothing depends on the folder: what is missing, damaged or somebody else's is compiled again, and it may be deleted at
any time.
"""

from __future__ import annotations

import hashlib
import os
import threading
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_DIGEST_BYTES: Final = 32
_MOST_FILES: Final = 64


@dataclass(frozen=True, slots=True)
class PatternFolder:
    """One file for each set of patterns, behind its SHA-256; at most 64, of which the oldest goes."""

    folder: Path

    def load(self, name: str) -> bytes | None:
        """What the file holds; None where it is missing, damaged, or not the user's own."""
        with suppress(OSError):
            path = self.folder / name
            raw = path.read_bytes() if path.stat().st_uid == os.getuid() else b""
            digest, compiled = raw[:_DIGEST_BYTES], raw[_DIGEST_BYTES:]
            if compiled and hashlib.sha256(compiled).digest() == digest:
                return compiled
        return None

    def keep(self, name: str, compiled: bytes) -> None:
        """Put the file in its place at once, whole; where that cannot be, nothing is kept."""
        partial = self.folder / f"{name}.{os.getpid()}.{threading.get_ident()}"
        with suppress(OSError):
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            try:
                partial.write_bytes(hashlib.sha256(compiled).digest() + compiled)
                partial.replace(self.folder / name)
            finally:
                partial.unlink(missing_ok=True)
            for old in sorted(self.folder.iterdir(), key=lambda file: file.stat().st_mtime)[:-_MOST_FILES]:
                old.unlink(missing_ok=True)
