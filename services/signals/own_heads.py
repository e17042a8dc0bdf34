"""Signals that score by a deployment's own head, which its monitor file names under `heads`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass, replace
from typing import Any, Final, Protocol, runtime_checkable

from services.signals import SIGNALS
from services.signals.heads.head import MOST_BYTES, HeadError, HeadInputs, Heads, load_heads
from services.signals.protocol import ScoredText, Signal

NOT_REFITTED: Final = frozenset({"hazard"})
"""Heads of many labels: a file of `true` and `false` says nothing of them."""


@runtime_checkable
class HeadedSignal(Protocol):
    """A signal that a head decides."""

    own: Heads | None

    def given(self, text: ScoredText) -> HeadInputs | None:
        """What its head reads of an exchange; None where there is nothing to read."""


def headed() -> Mapping[str, HeadedSignal]:
    """The signals whose head can be refitted, by name."""
    found = {signal.spec.name: signal for signal in SIGNALS if isinstance(signal, HeadedSignal)}
    return {name: signal for name, signal in found.items() if name not in NOT_REFITTED}


def read_heads(path: str, signal: str | None = None) -> Heads:
    """The heads of a file.

    Raises:
        HeadError: if it cannot be read, holds none, or holds those of another signal than `signal`.
    """
    try:
        with open(path, "rb") as file:
            heads = load_heads(file.read(MOST_BYTES + 1))
    except OSError as error:
        raise HeadError(f"cannot be read: {error.strerror or 'unknown error'}") from error
    if signal is not None and heads.signal != signal:
        raise HeadError(f"is a head of {heads.signal}, not of {signal}")
    if heads.signal not in headed():
        raise HeadError(f"is a head of {heads.signal}, which scores by none of a deployment's own")
    return heads


def with_heads(signals: Sequence[Signal], heads: Mapping[str, Heads]) -> tuple[Signal, ...]:
    """The signals, those in `heads` scoring by them, and those that ask these as well; each with another version."""
    own = {one.spec.name: _changed(one, {"own": heads[one.spec.name]}) for one in signals if one.spec.name in heads}
    first = [own.get(one.spec.name, one) for one in signals]
    by_name = {one.spec.name: one for one in first}
    return tuple(_asking(one, by_name) for one in first)


def _asking(signal: Signal, by_name: Mapping[str, Signal]) -> Signal:
    """A signal that asks others, asking those of `by_name`."""
    if not is_dataclass(signal):
        return signal
    asked = {one.name: getattr(signal, one.name) for one in fields(signal)}
    changes = {
        name: by_name[other.spec.name]
        for name, other in asked.items()
        if hasattr(other, "spec") and by_name.get(other.spec.name, other) != other
    }
    return _changed(signal, changes) if changes else signal


def _changed(signal: Any, changes: Mapping[str, Any]) -> Signal:
    changed: Signal = replace(signal, version="", **changes)
    return changed
