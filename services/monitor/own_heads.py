"""Heads that a deployment fitted itself, as `heads` of the monitor file names them.

Which signals may have one, how its file is read, and the signals as they score by it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from services.signals import SIGNALS
from services.signals.heads.head import MOST_BYTES, HeadError, HeadInputs, Heads, load_heads
from services.signals.protocol import ScoredText, Signal


@runtime_checkable
class HeadedSignal(Protocol):
    """A signal that a head decides."""

    own: Heads | None

    def given(self, text: ScoredText) -> HeadInputs | None:
        """What its head reads of an exchange; None where there is nothing to read."""


def headed() -> Mapping[str, HeadedSignal]:
    """The signals whose head can be refitted, by name: of categories a file of `true` and `false` says nothing."""
    return {one.spec.name: one for one in SIGNALS if isinstance(one, HeadedSignal) and not one.spec.category}


def read_heads(path: str, signal: str | None = None) -> Heads:
    """The heads of a file.

    Raises:
        HeadError: if it cannot be read, holds none, or holds those of another signal than `signal`, or of one that
            read something else when they were fitted.
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
    if heads.facts.get("reads", "") != reads_of(headed()[heads.signal]):
        raise HeadError(
            f"was fitted when {heads.signal} read other parts of a text; fit it anew with `keelwatch head fit`"
        )
    return heads


def reads_of(signal: Signal | HeadedSignal) -> str:
    """What a signal's head reads of a text, where that was once something else: a head of then reads this wrongly."""
    return str(getattr(signal, "reads", ""))


def with_heads(
    signals: Sequence[Signal], heads: Mapping[str, Heads], *, multilingual: bool = False
) -> tuple[Signal, ...]:
    """The signals, those in `heads` scoring by them, and those that ask these as well; each with another version.

    `multilingual` lets those that can ask the multilingual tier.
    """
    first = []
    for one in signals:
        changes: dict[str, Any] = {"own": heads[one.spec.name]} if one.spec.name in heads else {}
        if multilingual and hasattr(one, "multilingual"):
            changes["multilingual"] = True
        first.append(_changed(one, changes) if changes else one)
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
