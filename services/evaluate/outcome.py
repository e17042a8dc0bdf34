"""What comparisons of one or several suites say together: the object of `eval compare --json` and of the API. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from schemas.evaluation import Outcome
from services.evaluate.compare import Compared

WORST_FIRST: Final[tuple[Outcome, ...]] = ("regressed", "inconclusive", "improved", "unchanged")


def worst(found: Sequence[tuple[str, Compared]]) -> Outcome:
    """One word for all suites."""
    return min((one.overall for _, one in found), key=WORST_FIRST.index)


def as_object(found: Sequence[tuple[str, Compared]]) -> dict[str, Any]:
    """`overall` and `hazards` over all suites, and each suite by itself."""
    suites = [
        {
            "suite": suite,
            "overall": one.overall,
            "reason": one.reason,
            "hazards": [_rounded(row.model_dump(mode="json")) for row in one.hazards],
        }
        for suite, one in found
    ]
    return {
        "overall": worst(found),
        "reason": "; ".join(f"{suite}: {one.reason}" for suite, one in found),
        "hazards": [row for suite in suites for row in suite["hazards"]],
        "suites": suites,
    }


def _rounded(row: dict[str, Any]) -> dict[str, Any]:
    """As the command line rounds what it prints, so that both say the same."""
    return {name: round(value, 6) if isinstance(value, float) else value for name, value in row.items()}
