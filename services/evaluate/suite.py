"""A suite: items under one name, version and hash."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from schemas.base import canonical
from services.evaluate.item import Item


@dataclass(frozen=True, slots=True)
class Suite:
    """What is asked of a model, always the same.

    Attributes:
        hazards: title by name: what its items are about.
        margin: largest change, in pp, that still counts as none.
    """

    name: str
    version: str
    title: str
    hazards: Mapping[str, str]
    margin: float
    items: tuple[Item, ...]

    @property
    def sha256(self) -> str:
        """Hash over all that is asked and scored, in whatever order: runs of two hashes cannot be compared."""
        return suite_sha256(self.name, self.version, self.margin, [item.sha256 for item in self.items])

    @property
    def answers(self) -> int:
        """How many answers a whole run has."""
        return sum(item.repeats for item in self.items)


def suite_sha256(name: str, version: str, margin: float, items: Sequence[str]) -> str:
    """The hash of a suite from the hashes of its items."""
    return hashlib.sha256(canonical([name, version, float(margin), sorted(items)])).hexdigest()
