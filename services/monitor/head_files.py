"""Files of heads that a deployment fitted itself: what `heads` of the monitor file names."""

from __future__ import annotations

from pathlib import Path

from services.signals.heads.head import MOST_BYTES, HeadError, Heads, load_heads
from services.signals.own_heads import headed


def read_heads(path: str, signal: str | None = None) -> Heads:
    """The heads of a file.

    Raises:
        HeadError: if it cannot be read, holds none, or holds those of another signal than `signal`.
    """
    try:
        with Path(path).open("rb") as file:
            heads = load_heads(file.read(MOST_BYTES + 1))
    except OSError as error:
        raise HeadError(f"cannot be read: {error.strerror or 'unknown error'}") from error
    if signal is not None and heads.signal != signal:
        raise HeadError(f"is a head of {heads.signal}, not of {signal}")
    if heads.signal not in headed():
        raise HeadError(f"is a head of {heads.signal}, which scores by none of a deployment's own")
    return heads
