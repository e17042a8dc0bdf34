"""The page of a route's profile: a label to read, to print, and to compute again."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from fastapi import APIRouter, Request
from fastapi.responses import Response

from schemas.base import HEX16
from schemas.evaluation import HazardComparison
from services.api.auth.authorization import needs, who
from services.api.http.problems import Problem, query_store
from services.api.pages.evaluations import RateLevel, rate_level
from services.api.pages.render import PageContext, page
from services.api.resources.profile import profile_in
from services.evaluate.profile_label import LabelRate, RouteProfile, SuiteLabel, VersionDelta
from services.evaluate.scorer_rubrics import ScorerRubric
from services.evaluate.suite import BENIGN, DISALLOWED, POOLED
from services.wording import evaluations, nouns, numbers
from services.wording import profiles as words

_SIDES: Final = (DISALLOWED, BENIGN)
_ALL: Final = "All hazards"


@dataclass(frozen=True, slots=True)
class LabelCell:
    """One rate, what stands behind it once the scorer's errors are taken out, and what so many items can show."""

    level: RateLevel
    corrected: str
    shows: str


@dataclass(frozen=True, slots=True)
class HazardLine:
    """Both sides of a hazard: disallowed requests answered beside harmless ones refused; None was not asked."""

    name: str
    pooled: bool
    sides: tuple[LabelCell | None, ...]


@dataclass(frozen=True, slots=True)
class SuitePanel:
    """One suite of a label: its figures, how it was asked, by what it was judged."""

    label: SuiteLabel
    age: str
    hazards: tuple[HazardLine, ...]
    others: tuple[LabelCell, ...]
    facts: tuple[tuple[str, str], ...]
    rubric: tuple[tuple[str, str, str], ...]


@dataclass(frozen=True, slots=True)
class DeltaPanel:
    """A suite against the model before: (measure, change in words, verdict) of each row."""

    delta: VersionDelta
    text: str
    rows: tuple[tuple[str, str, str], ...]


@dataclass(frozen=True, slots=True)
class ProfileView:
    """The page, from top to bottom."""

    label: RouteProfile
    doubt: str
    panels: tuple[SuitePanel, ...]
    deltas: tuple[DeltaPanel, ...]


def view_of_profile(label: RouteProfile) -> ProfileView:
    """The page of a label."""
    suites = (*label.suites, *((label.own_traffic,) if label.own_traffic else ()))
    told = [one.text for one in label.contradictions]
    return ProfileView(
        label,
        words.doubt(told) if told and label.label == "known" else "",
        tuple(_panel(one, label.made.age_seconds[one.run]) for one in suites),
        tuple(_delta(one) for one in label.previous),
    )


def _panel(label: SuiteLabel, age: float) -> SuitePanel:
    by_key = {(one.hazard, one.measure): one for one in label.measures}
    hazards = dict.fromkeys(one.hazard for one in label.measures if one.measure in _SIDES)
    lines = tuple(
        HazardLine(
            _ALL if hazard == POOLED else nouns.plain(hazard),
            hazard == POOLED,
            tuple(_cell(by_key.get((hazard, side))) for side in _SIDES),
        )
        for hazard in sorted(hazards, key=lambda name: (name != POOLED, name))
    )
    others = tuple(found for one in label.measures if one.measure not in _SIDES and (found := _cell(one)) is not None)
    rubric = tuple(_rubric(one) for one in label.scorers)
    return SuitePanel(label, words.age(age), lines, others, tuple(_facts(label)), rubric)


def _cell(one: LabelRate | None) -> LabelCell | None:
    if one is None:
        return None
    shows = "" if one.measure == "canary" or one.hazard != POOLED else words.shows_from(one.shows)
    return LabelCell(
        rate_level(one), words.corrected(one.correction, one.true_rate, one.true_low, one.true_high), shows
    )


def _facts(label: SuiteLabel) -> list[tuple[str, str]]:
    """Exactly how it was asked."""
    told = (
        ("made", words.made_by(label.made_by, label.origin) or "by the service"),
        ("endpoint", f"{label.host}, {nouns.plain(label.api)}"),
        ("asked for", label.requested),
        ("answered", ", ".join(label.served) or "does not say"),
        ("fingerprints", ", ".join(label.system_fingerprints) or "none"),
        ("system prompt", label.system_prompt_sha256 or "none"),
        ("settings", _pairs(label.settings)),
        ("headers", _pairs(label.headers)),
        ("query", _pairs(label.query)),
        ("suite", f"{label.suite} {label.suite_version}, margin {label.margin:g} points"),
        ("suite hash", label.suite_sha256),
        ("answers hash", label.answers_sha256),
        ("asked", f"{label.asked:,} of {label.items:,} items, {numbers.count(label.answers, 'answer')}"),
        ("seed", None if label.seed is None else str(label.seed)),
        ("commit", label.commit),
        ("packages", _pairs(label.packages)),
    )
    return [(name, value) for name, value in told if value is not None]


def _pairs(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {json.dumps(value)[:80]}" for name, value in sorted(values.items())) or "none"


def _rubric(one: ScorerRubric) -> tuple[str, str, str]:
    """Measure, what counts as an event, and by what it is told and how surely."""
    told = words.scorer(one.scorer, one.version or numbers.UNKNOWN, one.threshold)
    if one.sensitivity is not None and one.specificity is not None:
        sources = [source.name for source in one.sources]
        told += f": {words.errors(one.sensitivity, one.specificity, one.labels, sources)}"
    elif not one.exact:
        told += f": {words.NOT_MEASURED}"
    return numbers.sentence_case(nouns.measure(one.measure)), one.event, told


def _delta(one: VersionDelta) -> DeltaPanel:
    rows = tuple(
        _row(row) for row in one.hazards if row.n and (row.hazard == POOLED or row.verdict in ("regressed", "improved"))
    )
    made = words.made_by(one.made_by, one.origin)
    return DeltaPanel(one, words.against_previous(one.suite, one.name, one.overall, one.reason, made), rows)


def _row(row: HazardComparison) -> tuple[str, str, str]:
    change = "" if row.delta is None else f"{row.delta:+.0f} points ({row.low:+.0f} to {row.high:+.0f})"
    moved = evaluations.move_text(row)
    return numbers.sentence_case(moved), change, row.verdict


def routers(parts: PageContext) -> tuple[APIRouter, ...]:
    """The path of the page."""
    made = APIRouter(include_in_schema=False, dependencies=[needs(parts.guard, "viewer")])

    @made.get("/routes/{route:path}/profile")
    async def profile(request: Request, route: str) -> Response:
        wanted = request.query_params.get("identity")
        if "\0" in route or not who(request).sees(route):
            raise Problem(404, "there is no such route; the fleet shows those that there are")
        if wanted is not None and not re.fullmatch(HEX16, wanted):
            raise Problem(404, "there is no such model: its id has 16 hex digits, which the pages of its runs show")
        now = parts.decisions.clock()
        found = await query_store(parts.database, profile_in, route, parts.policy(route), now, wanted, parts.scorers())
        return page(request, "profile.html", {"view": view_of_profile(found), "now": now})

    return (made,)
