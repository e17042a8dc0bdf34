"""Which judges were held against labels, and passed: a file of the data directory, by the version of the judge."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from services.errors import InputError
from services.judge.agreement import Agreement
from services.settings import private_folder

CHECKS_FILE: Final = "judge-checks.json"


@dataclass(frozen=True, slots=True)
class JudgeChecks:
    """What `judge check` found, the newest of each version: another model, question or prompt is another version."""

    path: Path

    @classmethod
    def of(cls, data_dir: Path) -> JudgeChecks:
        """Those of a data directory."""
        return cls(data_dir / CHECKS_FILE)

    def passed(self, signal: str, version: str) -> bool:
        """Whether a judge of this version may be used; no when nothing is known, or what is kept cannot be read."""
        try:
            return self._read().get(signal, {}).get(version, {}).get("passed") is True
        except (OSError, ValueError, AttributeError):
            return False

    def found(self, signal: str, version: str) -> Agreement | None:
        """What the check of this version counted; None when nothing is known, or what is kept cannot be read."""
        try:
            return Agreement(**self._read().get(signal, {})[version]["counts"])
        except (OSError, ValueError, AttributeError, KeyError, TypeError):
            return None

    def keep(self, signal: str, version: str, found: Agreement, now: datetime) -> None:
        """Note what a check found.

        Raises:
            InputError: if it cannot be written.
        """
        try:
            private_folder(self.path.parent)
            try:
                kept = self._read()
            except ValueError:
                kept = {}
            kept.setdefault(signal, {})[version] = {**found.told, "at": now.isoformat()}
            fresh = self.path.with_name(f"{self.path.name}.new")
            fresh.write_text(json.dumps(kept, sort_keys=True, indent=1) + "\n", encoding="utf-8")
            fresh.replace(self.path)
        except OSError as error:
            raise InputError(f"{self.path}: {error.strerror}; name a folder that can be written") from None

    def _read(self) -> dict[str, Any]:
        try:
            kept = json.loads(self.path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return {}
        if not isinstance(kept, dict):
            raise ValueError("holds no checks")
        return kept
