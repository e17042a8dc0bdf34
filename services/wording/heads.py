"""What `keelwatch head` says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def too_few(true: int, false: int, least: int) -> str:
    """Why nothing is fitted."""
    return (
        f"{true} lines are labelled true and {false} false; a head needs at least {least} of each: "
        "label more exchanges, or watch the signal as it is"
    )


def bad_line(path: str, number: int, reason: str) -> str:
    """Which line of a labelled file cannot be used."""
    return f"{path}:{number}: {reason}; each line is an exchange with `label: true` or `label: false`"


def unreadable_labels(path: str, reason: str) -> str:
    """A labelled file that cannot be opened."""
    return f"{path}: cannot be read: {reason}; give a file of exchanges with `label: true` or `label: false`"


def no_labels(path: str) -> str:
    """A file without a line."""
    return f"{path}: holds no labelled exchange"


def unmeasured(count: int, signal: str) -> str:
    """Lines that hold nothing to read."""
    return f"{count} lines hold nothing that {signal} reads, and were left out"


def fitted(signal: str, rows: int, true: int) -> str:
    """What was fitted on what."""
    return f"{signal}: fitted on {rows} labelled exchanges, {true} of them true"


def judged(before: float, after: float, calibration: float, folds: int) -> str:
    """How good it is on labels that it had not seen, beside the head that ships."""
    return (
        f"on labels left out in turn ({folds} folds): AUROC {after:.3f} (the shipped head: {before:.3f}), "
        f"calibration error {calibration:.3f}"
    )


def threshold(probability: float, asked: float, reached: float, recall: float) -> str:
    """From which probability on it is true, and what that costs."""
    return (
        f"true from probability {probability:.4f} on: false positives {reached:.1%} (asked: at most {asked:.1%}), "
        f"recall {recall:.1%}"
    )


def written(path: str, digest: str) -> str:
    """Where the head went."""
    return f"written to {path}, version {digest}"


def use(signal: str, path: str) -> str:
    """How it is put to use: in the monitor file, which people review."""
    return (
        "to score with it, put this into the monitor file and restart the workers:\n"
        f"heads:\n  {signal}: {path}\n"
        f"{signal} gets another version by that: what was learned of it is learned anew, all else keeps watching"
    )


def wrong_signal(signal: str, known: str) -> str:
    """A signal that has no head."""
    return f"{signal} has no head; one of {known}"


def unreadable(path: str, reason: str) -> str:
    """A file that holds no head."""
    return f"{path}: {reason}; write it with `keelwatch head fit`"


def of_another(path: str, found: str, wanted: str) -> str:
    """A head of another signal."""
    return f"{path} is a head of {found}, not of {wanted}"


def labels_of(facts: Mapping[str, Any]) -> str:
    """The sets of a head in one line."""
    sets = facts.get("sets", {})
    told = [f"{name} ({one.get('licence', 'own')}, {one.get('rows', 0)} rows)" for name, one in sorted(sets.items())]
    return ", ".join(told)
