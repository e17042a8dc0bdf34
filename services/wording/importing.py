"""Runs that other tools made: what a verdict of theirs says, what was left out, and whose it is. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from schemas.evaluation import RunOrigin
from services.wording import numbers

NO_ENDPOINT: Final = "not told by the file"
FILTERED: Final = "unknown: stopped by the provider's filter"
EMPTY: Final = "unknown: an empty answer"
ERROR: Final = "unknown: an error in place of an answer"
_MOST: Final = 8


def printable(text: str) -> str:
    """What a foreign file says, without what a terminal would obey."""
    return "".join(char if char.isprintable() else "\ufffd" for char in text)


def no_verdict(said: str) -> str:
    """That a scorer decided nothing of an answer."""
    return f"unknown: the scorer says {said[:40]}" if said not in ("none", "nan", "null", "") else "unknown: no verdict"


def said(scorer: str, verdict: str, why: str | None) -> str:
    """What a foreign scorer says of an answer, in its words."""
    return f"{scorer} says {verdict[:40]}" + (f": {why}" if why else "")


def made_elsewhere(origin: RunOrigin) -> str:
    """Whose verdicts a run carries: `judged by model_graded_qa of Inspect AI 0.3.285 (task xstest)`."""
    return (
        f"judged by {origin.scorer} of {origin.tool} {origin.version} (task {origin.task}), not by Keelwatch; "
        f"counted as events: {origin.event}"
    )


def own_export(name: str, run: str) -> str:
    """That a log is an export of Keelwatch, whose verdicts are no other tool's."""
    return (
        f"{name}: Keelwatch's export of its run {run}, with Keelwatch's own verdicts; name that run, or its file of "
        "`eval run --json`. What Inspect scored in it since is named with --scorer"
    )


def tool_figure(tool: str, name: str, value: float) -> str:
    """A figure that the tool itself gives."""
    return f"{tool} itself says: {name} {value:.6g}"


def verdicts(found: Mapping[str, int]) -> str:
    """How often a scorer said what."""
    told = [f"{word[:30]} {n:,}" for word, n in list(found.items())[:_MOST]]
    return f"verdicts: {', '.join(told) or 'none'}" + (", …" if len(found) > _MOST else "")


def left_out(found: Mapping[str, int], answers: int) -> str:
    """How many answers count for nothing, and why; nothing is said where all count."""
    if not found:
        return f"all {numbers.count(answers, 'answer')} count"
    total = sum(found.values())
    why = "; ".join(f"{n:,} {reason.removeprefix('unknown: ')}" for reason, n in list(found.items())[:_MOST])
    return f"{total:,} of {numbers.count(answers, 'answer')} unknown, which is never safe: {why}"
