"""A route's profile: the label that its stored runs yield for one identity, and that anybody can compute again. Pure.

The same runs, the same facts and the same monitor file give the same label, byte for byte but for `made`. What is not
known is said, and never reads as safe: without a complete run of exactly this identity there is no label.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any, Final, Literal
from urllib.parse import urlsplit

from pydantic import Field

from schemas.base import NonNegative, Part, Timestamp, canonical
from schemas.change import Change
from schemas.decision import Decision
from schemas.evaluation import OWN_TRAFFIC, EarlyStop, HazardComparison, Outcome, RunOrigin
from schemas.identity import Model
from services.evaluate.comparison import compare
from services.evaluate.profile import ProfileRate, profile_of
from services.evaluate.result import RunResult, served_models
from services.evaluate.run_seal import answers_sha256
from services.evaluate.scorer_rubrics import ScorerRubric, rubrics_of, scorer_of
from services.evaluate.suite import BENIGN, DISALLOWED, POOLED
from services.evaluate.untested import AskedKinds, UntestedPart, Wanted, asked_kinds, shown_changes, untested
from services.wording import evaluations, nouns, numbers
from services.wording import profiles as words

_DIGITS: Final = 6
_MOST_CHANGES: Final = 5
ContradictionKind = Literal[
    "open_incident",
    "newer_identity",
    "changed_since",
    "incomplete_run",
    "newer_suite",
    "other_system_prompt",
    "other_target",
    "other_scorers",
]
MadeBy = Literal["service", "command", "import"]


class LabelRate(Part):
    """Events of one measure and hazard (`all` is every hazard); rates and intervals in percent, fewer are better."""

    hazard: str
    measure: str
    items: NonNegative = Field(description="Items that were asked: of a run that stopped early fewer than it has.")
    n: NonNegative = Field(description="Items that could be scored. What could not is unknown, never safe.")
    events: NonNegative
    rate: float | None = Field(description="Null where no item could be scored.")
    low: float | None = Field(description="Wilson's 95% interval; of a run that stopped early, one that holds then.")
    high: float | None
    correction: Literal["corrected", "exact", "not_measured", "impossible"] = Field(
        description="Whether the scorer's errors are taken out; else why not: `exact` makes none, of `not_measured` "
        "they are not known, and `impossible` is a scorer that tells too little."
    )
    true_rate: float | None = Field(description="The rate once the errors of its scorer are taken out (Rogan-Gladen).")
    true_low: float | None = Field(description="95% interval of that, over items and over labelled answers.")
    true_high: float | None
    shows: float | None = Field(description="Smallest change, in points, that so many items show with 80%; null: none.")


class SuiteLabel(Part):
    """What the newest complete run of one suite says of the identity, and exactly how it was asked."""

    suite: str
    suite_version: str
    suite_sha256: str
    margin: float = Field(description="Largest change, in points, that counts as none.")
    run: str = Field(description="Id of the run.")
    made_by: MadeBy = Field(
        description="`service` asked of itself; by `command` a person did, of any endpoint; an `import` was made and "
        "judged by another tool."
    )
    origin: RunOrigin | None = Field(description="Of an import: which tool made it, and whose verdicts these are.")
    answers_sha256: str = Field(description="Over all its answers: the export of the run holds the same.")
    started: Timestamp
    ts: Timestamp = Field(description="When it ended.")
    items: NonNegative
    asked: NonNegative = Field(description="Items that it asked: fewer than `items` where it stopped early.")
    scored: NonNegative = Field(description="Items of which an answer could be scored.")
    answers: NonNegative
    stopped: EarlyStop | None
    api: str
    host: str = Field(description="Of the endpoint that was asked.")
    requested: str
    served: tuple[str, ...] = Field(description="The models that say that they answered.")
    system_fingerprints: tuple[str, ...]
    system_prompt_sha256: str | None
    settings: Mapping[str, Any]
    seed: int | None
    headers: Mapping[str, str] = Field(description="Sent with each question; `env:NAME` for what is not told.")
    query: Mapping[str, str]
    packages: Mapping[str, str]
    commit: str | None
    scorers: tuple[ScorerRubric, ...] = Field(description="What counts as an event, by what, and how surely.")
    measures: tuple[LabelRate, ...]


class Contradiction(Part):
    """Something that says that the label may not hold."""

    kind: ContradictionKind
    text: str
    ts: Timestamp | None = None
    ref: str | None = Field(default=None, description="Id of the incident, change, run or identity.")


class VersionDelta(Part):
    """The label's run of a suite held against the run of the identity before: changes in points, hazard by hazard."""

    suite: str
    identity: str
    name: str
    run: str
    made_by: MadeBy = Field(description="Who had that run asked, as of `suites`.")
    origin: RunOrigin | None = Field(description="Of an import: which tool made it, and whose verdicts these are.")
    ts: Timestamp
    overall: Outcome
    reason: str
    hazards: tuple[HazardComparison, ...]


class LabelMade(Part):
    """When a label was made, and how old its runs were then. No part of its hash."""

    ts: Timestamp
    age_seconds: Mapping[str, float] = Field(description="By id of the run, since it ended.")


class RouteProfile(Part):
    """The label of a model on a route: what its runs showed, what they did not test, what speaks against it."""

    schema_version: Literal[1] = 1
    kind: Literal["profile"] = "profile"
    route: str
    identity: str | None = Field(description="Of whom it is; null when no exchange is stored.")
    name: str | None = Field(description="What its model is called.")
    model: Model | None
    label: Literal["known", "not known"] = Field(
        description="`not known` when no complete run of exactly this identity is stored."
    )
    reason: str | None = Field(description="Why it is not known.")
    says: str = Field(description="The label in one sentence.")
    contradictions: tuple[Contradiction, ...] = Field(description="What says that it may no longer hold.")
    suites: tuple[SuiteLabel, ...]
    own_traffic: SuiteLabel | None = Field(description="The same of what the route's users asked, asked again.")
    previous: tuple[VersionDelta, ...] = Field(description="Against the identity before, suite by suite.")
    asked: AskedKinds
    not_tested: tuple[UntestedPart, ...]
    recompute: tuple[str, ...] = Field(description="Commands that compute every figure anew.")
    made: LabelMade
    sha256: str = Field(description="Over the canonical JSON of all but `made` and this.")


@dataclass(frozen=True, slots=True)
class EarlierRun:
    """A run that a label's run is held against, and `across` what the two may differ in, since it is what changed.

    `by_hand`: a person made it by command.
    """

    run: RunResult
    across: tuple[str, ...] = ()
    by_hand: bool = False


@dataclass(frozen=True, slots=True)
class AskedNow:
    """What the monitor file says is asked now: host of the endpoint, model, API, generation settings."""

    host: str
    model: str
    api: str
    settings: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ProfileSources:
    """What a label is made of, as it is stored.

    Attributes:
        identity: of whom. models: every identity of the route. latest: who answered its newest exchange.
        runs: of each suite the newest complete run of exactly this identity. earlier: of an identity before, by suite.
        failed: later runs of those suites that are not complete: (id, suite, status, reason, ended).
        incidents: that are open: (id, headline, opened). changes: of the route, after the oldest run ended.
        suites: what lies here under the name of a run's suite, built in or named by the monitor file: (version,
            sha256). target: that is asked now; None where none is. wanted: by the monitor file.
        by_hand: ids of the runs that a person made by command. own: suites that are nobody's but the monitor file's.
        scorers: versions that would score answers here now, by name.
        asked_before: another identity whose runs are stored, where this one has none.
    """

    route: str
    identity: str | None
    models: Mapping[str, Model] = field(default_factory=dict)
    latest: str | None = None
    runs: Sequence[RunResult] = ()
    earlier: Mapping[str, EarlierRun] = field(default_factory=dict)
    failed: Sequence[tuple[str, str, str, str | None, datetime]] = ()
    incidents: Sequence[tuple[str, str, datetime]] = ()
    changes: Sequence[Change | Decision] = ()
    suites: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    wanted: Wanted = field(default_factory=lambda: Wanted({}))
    asked_before: str | None = None
    target: AskedNow | None = None
    by_hand: Collection[str] = ()
    own: Collection[str] = ()
    scorers: Mapping[str, str] = field(default_factory=dict)


def profile_label(sources: ProfileSources, now: datetime) -> RouteProfile:
    """The label of one identity of a route."""
    labels = tuple(suite_label(run, run.id in sources.by_hand) for run in sources.runs)
    kinds = asked_kinds(sources.runs)
    reason = _unknown(sources)
    name = None if sources.identity is None else nouns.model_of(sources.identity, sources.models)
    found = RouteProfile(
        route=sources.route,
        identity=sources.identity,
        name=name,
        model=None if sources.identity is None else sources.models.get(sources.identity),
        label="known" if reason is None else "not known",
        reason=reason,
        says=words.unknown(sources.route, reason) if reason else _says(labels, name or "", sources.route),
        contradictions=tuple(_contradictions(sources)),
        suites=tuple(one for one in labels if one.suite != OWN_TRAFFIC),
        own_traffic=next((one for one in labels if one.suite == OWN_TRAFFIC), None),
        previous=tuple(_previous(sources)),
        asked=kinds,
        not_tested=untested(sources.runs, kinds, sources.wanted),
        recompute=tuple(
            words.compute_again(run.id, run.suite.name if run.suite.name in sources.own else None)
            for run in sources.runs
        ),
        made=LabelMade(ts=now, age_seconds={run.id: (now - run.ended).total_seconds() for run in sources.runs}),
        sha256="",
    )
    return found.model_copy(update={"sha256": label_sha256(label_object(found))})


def label_object(label: RouteProfile) -> dict[str, Any]:
    """The label as JSON; numbers with six decimals."""
    told: dict[str, Any] = _rounded(label.model_dump(mode="json"))
    return told


def label_sha256(told: Mapping[str, Any]) -> str:
    """The hash by which a label is cited: over what it says, not over when it was made."""
    return hashlib.sha256(canonical({k: v for k, v in told.items() if k not in ("made", "sha256")})).hexdigest()


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return round(value, _DIGITS) + 0.0
    if isinstance(value, dict):
        return {key: _rounded(one) for key, one in value.items()}
    return [_rounded(one) for one in value] if isinstance(value, list | tuple) else value


def host_of(url: str) -> str:
    """The endpoint as it may be told: without who asks."""
    return urlsplit(url).netloc.rpartition("@")[2] or url


def suite_label(run: RunResult, by_hand: bool = False) -> SuiteLabel:
    """What one run says, how it was asked, and by whom."""
    events, shown, target = run.events, shown_changes(run), run.target
    return SuiteLabel(
        suite=run.suite.name,
        suite_version=run.suite.version,
        suite_sha256=run.suite.sha256,
        margin=run.suite.margin,
        run=run.id,
        made_by=_made_by(run, by_hand),
        origin=run.origin,
        answers_sha256=answers_sha256(run),
        started=run.started,
        ts=run.ended,
        items=len(run.suite.items),
        asked=len(run.asked),
        scored=sum(event is not None for event in events.values()),
        answers=len(run.answers),
        stopped=run.stopped,
        api=target.api,
        host=host_of(target.url),
        requested=target.model,
        served=served_models(run.answers),
        system_fingerprints=tuple(sorted({one.system_fingerprint for one in run.answers if one.system_fingerprint})),
        system_prompt_sha256=target.system_prompt_sha256,
        settings=run.settings,
        seed=run.seed,
        headers=target.headers,
        query=target.query,
        packages=run.packages,
        commit=run.commit,
        scorers=rubrics_of(run),
        measures=tuple(_rate(one, shown) for one in profile_of(run)),
    )


def _made_by(run: RunResult, by_hand: bool) -> MadeBy:
    return "import" if run.origin else "command" if by_hand else "service"


def _rate(one: ProfileRate, shown: Mapping[tuple[str, str], float | None]) -> LabelRate:
    return LabelRate(**asdict(one), shows=shown.get((one.measure, one.hazard)))


def _unknown(sources: ProfileSources) -> str | None:
    """Why the label is not known; None when it is."""
    if sources.runs:
        return None
    if sources.identity is None:
        return evaluations.NOBODY_ANSWERED
    if sources.identity not in sources.models and sources.identity != sources.latest:
        return words.NOT_STORED
    if sources.asked_before is None:
        return evaluations.NEVER_ASKED
    names = (nouns.model_of(one, sources.models) for one in (sources.asked_before, sources.identity))
    return f"{evaluations.NEVER_ASKED}: {words.another_answered(*names)}"


def _says(labels: Sequence[SuiteLabel], name: str, route: str) -> str:
    """Both sides of the suite that asked most disallowed requests, else of the largest one."""
    best = max(labels, key=lambda one: (_pooled(one, DISALLOWED), one.suite != OWN_TRAFFIC, one.scored))
    found = [
        words.side(one.measure, one.events, one.n, one.low, one.high)
        for measure in (DISALLOWED, BENIGN)
        for one in best.measures
        if one.hazard == POOLED and one.measure == measure and one.n
    ]
    return words.known(name, route, found, best.suite, best.ts, words.made_by(best.made_by, best.origin))


def _pooled(label: SuiteLabel, measure: str) -> int:
    return sum(one.n for one in label.measures if one.measure == measure and one.hazard == POOLED)


def _previous(sources: ProfileSources) -> Iterator[VersionDelta]:
    for run in sources.runs:
        found = sources.earlier.get(run.suite.name)
        if found is not None:
            before = found.run
            compared = compare(before, run, found.across)
            yield VersionDelta(
                suite=run.suite.name,
                identity=before.identity,
                name=nouns.model_of(before.identity, sources.models),
                run=before.id,
                made_by=_made_by(before, found.by_hand),
                origin=before.origin,
                ts=before.ended,
                overall=compared.overall,
                reason=compared.reason,
                hazards=compared.hazards,
            )


def _contradictions(sources: ProfileSources) -> Iterator[Contradiction]:
    """What says that the label may not hold, the gravest first."""
    for id, headline, opened in sources.incidents:
        yield Contradiction(kind="open_incident", text=words.open_incident(headline), ts=opened, ref=id)
    if not sources.runs:
        return
    if sources.latest is not None and sources.latest != sources.identity:
        since = next((one.ts for one in sources.changes if isinstance(one, Change) and _to(one, sources.latest)), None)
        text = words.newer_identity(nouns.model_of(sources.latest, sources.models), since)
        yield Contradiction(kind="newer_identity", text=text, ts=since, ref=sources.latest)
    for change in sources.changes[-_MOST_CHANGES:]:
        yield Contradiction(kind="changed_since", text=_change_text(change), ts=change.ts, ref=change.id)
    for id, suite, status, reason, ended in sources.failed:
        text = words.incomplete_since(suite, status, reason)
        yield Contradiction(kind="incomplete_run", text=text, ts=ended, ref=id)
    yield from _other_conditions(sources)
    yield from _other_scorers(sources)


def _to(change: Change, identity: str | None) -> bool:
    return change.kind == "observed" and change.to_identity == identity


def _change_text(change: Change | Decision) -> str:
    if isinstance(change, Decision):
        return words.changed_since("announced", change.reason or numbers.UNKNOWN)
    if change.kind == "provider":
        return words.moved_since(change.reason)
    return words.changed_since(change.kind, change.reason)


def _other_conditions(sources: ProfileSources) -> Iterator[Contradiction]:
    """Runs that asked otherwise than the route does now: another endpoint, another prompt, other questions."""
    model = None if sources.identity is None else sources.models.get(sources.identity)
    for run in sources.runs:
        name, here = run.suite.name, sources.suites.get(run.suite.name)
        if here is not None and here[1] != run.suite.sha256:
            text = words.newer_suite(name, run.suite.version, here[0])
            yield Contradiction(kind="newer_suite", text=text, ref=run.id)
        live = None if model is None else model.system_prompt_sha256
        if live is not None and live != run.target.system_prompt_sha256:
            yield Contradiction(kind="other_system_prompt", text=words.other_prompt(name), ref=run.id)
        others = _other_target(run, sources.target)
        if others:
            yield Contradiction(kind="other_target", text=words.other_target(name, others), ref=run.id)


def _other_scorers(sources: ProfileSources) -> Iterator[Contradiction]:
    """Runs that others judged than would here now, or than judged the run of the model before.

    Those of another tool are held against that run alone: its scorers are none of ours.
    """
    for run in sources.runs:
        name, found = run.suite.name, sources.earlier.get(run.suite.name)
        used = {scorer_of(item.measure) for item in run.suite.items}
        moved = [] if run.origin else [one for one in _moved(run.scorers, sources.scorers) if one[0] in used]
        if moved:
            yield Contradiction(kind="other_scorers", text=words.other_scorers(name, moved), ref=run.id)
        if found is not None and (moved := _moved(found.run.scorers, run.scorers)):
            whom = nouns.model_of(found.run.identity, sources.models)
            text = words.scored_otherwise(name, whom, moved)
            yield Contradiction(kind="other_scorers", text=text, ref=found.run.id)


def _moved(was: Mapping[str, str], now: Mapping[str, str]) -> list[tuple[str, str | None, str | None]]:
    """Scorers whose versions differ: name, and both."""
    return [(one, was.get(one), now.get(one)) for one in sorted({*was, *now}) if was.get(one) != now.get(one)]


def _other_target(run: RunResult, now: AskedNow | None) -> list[str]:
    """In what a run was asked otherwise than the monitor file says now."""
    if now is None:
        return []
    pairs = {
        "endpoint": (host_of(run.target.url), now.host),
        "model": (run.target.model, now.model),
        "API": (run.target.api, now.api),
        "settings": (canonical(dict(run.settings)), canonical(dict(now.settings))),
    }
    return [name for name, (asked, here) in pairs.items() if asked != here]
