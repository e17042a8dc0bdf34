"""What the steps hand to each other in one process, and what they ask of the world."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Protocol

from schemas.base import Record
from schemas.exchange import Exchange
from schemas.position import Position
from schemas.score import Flag

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Clock = Callable[[], datetime]
"""The time now, by the clock on the wall."""
Publish = Callable[[Sequence[Record]], Awaitable[None]]
"""Sends records to their topics, in order; returns once the broker has all of them."""


@dataclass(frozen=True, slots=True)
class Received:
    """One decoded exchange, `id` and `ts` filled in, with its own position and what was done to its text.

    `part` is its number, from 0, among those of the record at that position: a record of traces holds several.
    `format` is the one in which it came; `lacks` names what of an exchange it does not tell, where somebody asked.
    """

    exchange: Exchange
    position: Position
    flags: tuple[Flag, ...] = ()
    part: int = 0
    format: str = "native"
    lacks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class StepLag:
    """How far the processes of a step are behind on one of its topics.

    Attributes:
        records: not yet acknowledged; None when it is not known. workers: processes that read for the step.
    """

    step: str
    topic: str
    records: int | None
    workers: int


@dataclass(frozen=True, slots=True)
class PartitionSight:
    """What the broker says of a partition that a step reads."""

    step: str
    topic: str
    partition: int
    committed: int
    end: int


class Embedder(Protocol):
    """Turns texts into vectors; the same text gives the same bits whatever else is in the batch."""

    @property
    def engine(self) -> str:
        """Name and version of what computes, part of the scorer's version."""

    @property
    def precision(self) -> str:
        """Numeric precision of the computation, such as `f32` or `bf16`."""

    def embed(self, texts: Sequence[str]) -> NDArray[np.float16]:
        """(n, 384) unit vectors, one row a text."""
