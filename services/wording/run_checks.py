"""What became of computing a run again: what differs, and what could not be computed. Pure."""

from __future__ import annotations

from typing import Final

from services.wording import nouns, numbers

FIGURES: Final = "every rate"
CONTRADICTS: Final = "the answers are not those to the items"
HASHES: Final = "whether an answer was altered that is scored as before"
NO_SEAL: Final = "the file holds no hashes of its answers; an export of this version of Keelwatch does"
NO_RAW: Final = "no raw answer of the endpoint is kept with them"
NO_ITEM: Final = "the items that they answer are not here"
NO_FIGURE: Final = "it follows from nothing that is stored"
COMPARISON: Final = "the comparison"
NO_AUDIT: Final = "whether the run is as it was written"
NOT_IN_LOG: Final = "the audit log has no entry of it"
BOTH_RUNS: Final = "this is a comparison: name its two runs with --before and --after (files, or ids of stored runs)"
NO_RUN_OF: Final = "holds no run of suite"


def suite_absent(name: str) -> str:
    """That the items' texts are not here."""
    return f"suite {name} is not here; name its folder with --suite"


def suite_differs(name: str, here: str) -> str:
    """That another version of a suite is here."""
    return f"suite {name} was asked, and version {here} is here; name the folder of the other one with --suite"


def version_absent(version: str | None, here: str | None) -> str:
    """That another version of a scorer is here."""
    asked = version or numbers.UNKNOWN
    return f"scored by version {asked}" + (f", and version {here} is here" if here else ", which was not measured here")


def items(n: int, of: int) -> str:
    """Items that could not be held against their suite."""
    return f"{n:,} of {of:,} items"


def texts(n: int, of: int) -> str:
    """Texts that could not be read again."""
    return f"the texts of {n:,} of {of:,} answers"


def scores(n: int, of: int, scorer: str | None) -> str:
    """Scores that were not computed again."""
    named = "" if scorer is None else f" by {nouns.plain(scorer)}"
    return f"the scores{named} of {n:,} of {of:,} answers"


def errors_of(measure: str) -> str:
    """How often a scorer is wrong, as a run states it."""
    return f"how often the scorer of {nouns.measure(measure)} is wrong"


def status(stated: str) -> str:
    """The status of a run that is not complete."""
    return f"why the run is {stated}"


def why_status(good: int, of: int) -> str:
    """What its answers say of it."""
    return f"{good:,} of {of:,} answers came; what stopped it is not in them"


def field_of(name: str) -> str:
    """A field that no computation gives."""
    return f"the field {name[:80]}"


def run_absent(id: str) -> str:
    """That a run is not stored any more."""
    return f"run {id} is not in this database any more"


def difference(item: str | None, field: str, stored: str, recomputed: str) -> str:
    """One thing that differs."""
    where = f"item {item[:100]}: " if item else ""
    return f"{where}{field}: stored {stored}, recomputed {recomputed}"


def not_recomputed(what: str, why: str) -> str:
    """One thing that could not be computed."""
    return f"not recomputed: {what}: {why}"


def summary(run: str, suite: str, outcome: str, answers: int, scored: int, figures: int, differing: int) -> str:
    """What became of one run, or of a comparison, which has no answers of its own."""
    anew = f"{scored:,} of {answers:,} answers scored anew, " if answers else ""
    told = f"{run} (suite {suite}): {anew}{figures:,} values compared"
    if outcome == "differs":
        return f"{told}: {numbers.count(differing, 'value')} differ" + ("s" if differing == 1 else "")
    return f"{told}: " + ("all equal" if outcome == "equal" else "equal as far as it could be computed")


def more(n: int) -> str:
    """How many more there are than are shown."""
    return f"and {n:,} more, all of them in --json"
