"""Where an exchange came from: the key of the fence."""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import StringConstraints

from schemas.base import NonNegative, Part, Partition, Text

LONGEST_CLUSTER: Final = 200
LONGEST_TOPIC: Final = 249


# Kafka's own bound for topics; with both an id that is made of a place fits where ids are kept.
Cluster = Annotated[Text, StringConstraints(max_length=LONGEST_CLUSTER)]
TopicName = Annotated[Text, StringConstraints(max_length=LONGEST_TOPIC)]


class Position(Part):
    """An exchange's own place in its source, never that of a record made from it.

    For a file: cluster `file`, topic the first 12 hex of the file's sha256, partition 0, offset the line from 1.
    """

    cluster: Cluster
    topic: TopicName
    partition: Partition
    offset: NonNegative

    @property
    def source(self) -> str:
        """The partition as one string: the key under which a fence keeps its offset."""
        return f"{self.cluster}/{self.topic}/{self.partition}"
