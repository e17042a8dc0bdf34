"""Where an exchange came from: the key of the fence."""

from __future__ import annotations

from schemas.base import NonNegative, Part


class Position(Part):
    """An exchange's own place in its source, never that of a record made from it.

    For a file: cluster `file`, topic the first 12 hex of the file's sha256, partition 0, offset the line from 1.
    """

    cluster: str
    topic: str
    partition: NonNegative
    offset: NonNegative

    @property
    def source(self) -> str:
        """The partition as one string: the key under which a fence keeps its offset."""
        return f"{self.cluster}/{self.topic}/{self.partition}"
