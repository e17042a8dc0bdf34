"""What an erasure did, in words. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from services.wording.numbers import count

_THINGS: Final[Mapping[str, str]] = {
    "samples": "texts of exchanges",
    "score_rows": "scored exchanges, with their vectors",
    "readings": "readings that named them",
    "journal": "facts that named them",
    "incidents": "incidents told again without them",
    "parked_records": "records that wait for `keelwatch route retry`",
    "states": "running states that named them",
    "candidates": "exchanges on their way into a baseline",
    "runs": "runs of suites",
    "run_answers": "answers of runs under way",
    "decisions_outbox": "decisions that named them",
    "outbox": "notifications that named them",
    "secret_keys": "keys of dead letters, one a day",
}
_FILES: Final = "Files that commands wrote (capture, score, replay --json) and backups are yours to delete."
_TOPICS: Final = (
    "Topics keep what was published for as long as their retention says; what still comes of it is left out."
)
_LETTERS: Final = (
    "Dead letters on topics, of everybody, cannot be read or sent again any more: nobody knows of whom one is. Those "
    "that an earlier version wrote are not sealed: they go with their topics' retention."
)
_KEPT_LETTERS: Final = "Dead letters stay readable until their topics' retention ends; some may be of this subject."
_POSTGRES: Final = (
    "PostgreSQL: run VACUUM FULL on these tables, or old row versions stay in their files until they are reused."
)


def thing(name: str) -> str:
    """Rows of a table, as people call them."""
    return _THINGS.get(name, name)


def heading(n: int, dry: bool) -> str:
    """How many exchanges it was about."""
    return f"{count(n, 'exchange')} {'would be' if dry else 'were' if n != 1 else 'was'} erased"


def baselines(refitted: int, discarded: int, not_refitted: int, of_files: int = 0, unread: int = 0) -> Iterator[str]:
    """What became of what was learned from them."""
    if refitted:
        yield f"{count(refitted, 'baseline')} learned again without them: what is held against it begins anew"
    if discarded:
        yield f"{count(discarded, 'earlier baseline')} deleted"
    if not_refitted:
        yield (
            f"{count(not_refitted, 'baseline')} could not be learned again: too few of its exchanges are stored. "
            "It holds means and directions, no text; accept a new baseline to be rid of it"
        )
    if of_files:
        yield (
            f"{count(of_files, 'baseline')} learned of a file that is not stored: if the file holds them, so does the "
            "baseline, as means and directions; accept a new one to be rid of it"
        )
    if unread:
        yield (
            f"the state of {count(unread, 'route')} cannot be read, so it is not known whether a baseline there was "
            "learned of a file; the step that reads it parks the route, and says why"
        )


def elsewhere(database: str, *, letters: bool = True) -> Iterator[str]:
    """What this command does not reach, and what became of dead `letters` (false: they were kept)."""
    yield _TOPICS
    yield _LETTERS if letters else _KEPT_LETTERS
    yield _FILES
    if database == "postgresql":
        yield _POSTGRES
