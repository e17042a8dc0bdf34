"""What a check of the audit log found, in words: on the command line, and as the headline of its incident. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final

from services.wording.numbers import count, moment

BROKEN: Final = "Records of Keelwatch are not as they were written"
_THINGS: Final[Mapping[str, str]] = {
    "incidents": "incident",
    "decisions_outbox": "decision",
    "routes": "route",
    "journal": "the journal of route",
    "evaluations": "the request for evaluation",
    "runs": "run",
    "schedules": "schedule",
    "api_keys": "API key",
    "silences": "silence",
    "dead_letter_replays": "the replay of dead letters",
}
_ROWS: Final[Mapping[str, str]] = {
    "changed": "was changed after it was written",
    "removed": "is gone, and nothing says that it was removed",
    "added": "was written by something else than Keelwatch",
    "altered": "had been changed by something else when Keelwatch wrote it again",
    "act": "was changed in the audit log",
    "unreadable": "cannot be read any more",
}


def problem(fault: str, thing: str, key: Sequence[str], words: str) -> str:
    """One thing that is not as it was written."""
    if fault == "entry":
        return f"entry {key[0]} of the audit log was changed, moved or is missing"
    if fault == "cut":
        return f"the audit log is cut off: entry {key[0]}, which is kept outside the database, is not there any more"
    if fault == "rewritten":
        return f"the audit log was made anew: entry {key[0]} is another one than the one kept outside the database"
    named = " ".join((_THINGS.get(thing, thing), *key))
    return f"{named}: {words}" if fault == "journal" else f"{named} {_ROWS.get(fault, fault)}"


def broken(problems: Sequence[str]) -> str:
    """The headline: the first thing, and how many more there are."""
    more = f", and {count(len(problems) - 1, 'more finding')}" if len(problems) > 1 else ""
    return f"{BROKEN}: {problems[0]}{more}"


def whole(rows: int, journals: int, entries: int, begun: datetime | None) -> str:
    """That nothing was found, and since when anything could be."""
    since = "" if begun is None else f"; what stood there before {moment(begun)} was taken as it was"
    told = f"{count(rows, 'record')} and {count(journals, 'journal')} are as they were written"
    return f"{told} (the audit log has {entries:,} entries{since})"


def no_head(path: str) -> str:
    """That a log which was cut off or made anew would not show."""
    return (
        f"no head is kept in {path}: that the log was cut off or made anew would not show; run this where a worker runs"
    )


def head(seq: int, path: str) -> str:
    """What stands outside the database."""
    return f"entry {seq:,}, which is kept in {path}, is in the log"


def replaced_on_purpose(path: str) -> str:
    """What to do when the database was replaced by a person."""
    return f"if you replaced or restored the database on purpose, delete {path}: the next start keeps a new head there"
