"""First sight of identities and fingerprints, and suspicion of a change under the same name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from schemas.base import moment
from schemas.change import Change, Pinning, change_id
from schemas.identity import identity_of
from services.detect.readings import StreamFinding
from services.detect.run_detectors import drop_streams, fires, rename_streams
from services.detect.second_reference import renamed
from services.detect.state import Candidates, DetectState, Pinned
from services.detect.traffic_shares import (
    ShareNews,
    begin_following,
    count_exchange,
    renamed_shares,
    share_of_identity,
    without_identity,
)
from services.intake.core import Intake
from services.intake.volatile_fields import MOST_IDENTITIES, without_volatile
from services.specs import family_of
from services.wording import changed_again as again_words
from services.wording import traffic_shares as share_words
from services.wording.nouns import model_name

OBSERVED_AT: Final = 5
_SUSPICION_SECONDS: Final = 86_400.0


def observe_identity(state: DetectState, intake: Intake, row: int) -> tuple[DetectState, tuple[Change, ...]]:
    """Take in who answered one row: a new identity or fingerprint is a change at its 5th exchange after learning.

    A call that failed, and for which nobody is known who might have answered it, tells nothing of who answers.
    """
    if intake.unserved[row]:
        return state, ()
    identity = intake.identity[row]
    fingerprint = intake.fingerprint[row]
    known = state.known
    changes: list[Change] = []
    state, moved = _count_share(state, intake, row)
    changes += moved
    seen = dict(known.seen)
    keys = [identity] if fingerprint is None else [identity, f"{identity}+{fingerprint}"]
    for key in keys:
        count = seen.get(key, 0) + 1
        if count > OBSERVED_AT:
            continue
        seen[key] = count
        if count == OBSERVED_AT and state.pinned is not None:
            observed = _observed(state.pinned, state.route, intake, row, fingerprint if key != identity else None)
            if key == identity and observed:
                state, observed = _with_share(state, observed, identity)
            changes += observed
    models = known.models if identity in known.models else {**known.models, identity: intake.models[identity]}
    return replace(state, known=replace(known, seen=seen, models=models)), tuple(changes)


def _observed(pinned: Pinned, route: str, intake: Intake, row: int, fingerprint: str | None) -> list[Change]:
    identity = intake.identity[row]
    if fingerprint is None and identity == pinned.identity:
        return []
    to = identity if fingerprint is None else f"{identity}+{fingerprint}"
    what = "identity" if fingerprint is None else "fingerprint"
    return [
        Change(
            id=change_id(route, "observed", pinned.identity, to, pinned.id),
            kind="observed",
            route=route,
            from_identity=pinned.identity,
            to_identity=identity,
            model=intake.models[identity],
            fingerprint=fingerprint,
            baseline=pinned.id,
            ts=moment(float(intake.rows.ts[row])),
            event_index=int(intake.rows.index[row]),
            reason=f"the {OBSERVED_AT}th exchange of this {what}",
        )
    ]


def _count_share(state: DetectState, intake: Intake, row: int) -> tuple[DetectState, list[Change]]:
    """Take in who answered a row, and say what became of the shares of those that began to answer."""
    pinned = state.pinned
    if pinned is None:
        return state, []
    index, who = int(intake.rows.index[row]), intake.identity[row]
    new = who != pinned.identity and state.known.seen.get(who, 0) < OBSERVED_AT
    shares, news = count_exchange(state.shares, pinned.id, who, index, new)
    told = [_share_change(state, one, float(intake.rows.ts[row]), index) for one in news]
    return replace(state, shares=shares), told


def _share_change(state: DetectState, news: ShareNews, ts: float, index: int) -> Change:
    pinned = state.pinned
    assert pinned is not None
    model, table = state.known.models.get(news.identity), _named(state, news.shares)
    return Change(
        id=change_id(state.route, "share", pinned.identity, f"{news.identity}@{index}", pinned.id),
        kind="share",
        route=state.route,
        from_identity=pinned.identity,
        to_identity=news.identity,
        model=model,
        baseline=pinned.id,
        ts=moment(ts),
        event_index=index,
        reason=share_words.share_moved(model_name(model), news.stage, news.share, table, news.n),
        share=news.share,
        of=news.change,
    )


def _with_share(state: DetectState, changes: list[Change], identity: str) -> tuple[DetectState, list[Change]]:
    """The change of a new identity with the share that it answers, which is followed from here on."""
    [change] = changes
    table, n = share_of_identity(state.shares, identity)
    share = dict(table).get(identity, 1.0)
    state = replace(state, shares=begin_following(state.shares, identity, change.id))
    if share == 1.0:
        return state, changes
    reason = f"{change.reason}; {share_words.served_by(_named(state, table), n)}"
    return state, [change.model_copy(update={"reason": reason, "share": share})]


def _named(state: DetectState, table: Sequence[tuple[str, float]]) -> list[tuple[str, float]]:
    return [(model_name(state.known.models.get(who)), share) for who, share in table]


def suspected_change(
    state: DetectState, intake: Intake, row: int, identity: str | None, detector: str
) -> tuple[DetectState, tuple[Change, ...]]:
    """Behaviour of the baseline's own identity moved: a suspected change, one within 24 h."""
    pinned = state.pinned
    if pinned is None or identity != pinned.identity:
        return state, ()
    ts, event_index = float(intake.rows.ts[row]), int(intake.rows.index[row])
    before = state.known.suspected.get(identity)
    if before is not None and ts - before < _SUSPICION_SECONDS:
        return state, ()
    # A later suspicion of the same identity is another change: with the id of the first it would count as a repeat.
    to = identity if before is None else f"{identity}@{event_index}"
    change = Change(
        id=change_id(state.route, "suspected", identity, to, pinned.id),
        kind="suspected",
        route=state.route,
        from_identity=identity,
        to_identity=identity,
        model=pinned.model,
        baseline=pinned.id,
        ts=moment(ts),
        event_index=event_index,
        reason=f"{family_of(detector).noun} moved while the model kept its name",
    )
    known = replace(state.known, suspected={**state.known.suspected, identity: ts})
    return replace(state, known=known), (change,)


def suspected_again(state: DetectState, intake: Intake, found: StreamFinding) -> tuple[DetectState, tuple[Change, ...]]:
    """Behaviour of an identity changed once more while an alarm stands: a suspected change of its own.

    Unless a change was suspected since its second reference was complete: then the baseline's streams saw this one.
    """
    pinned, identity, held = state.pinned, found.identity, found.again
    if pinned is None or identity is None or held is None or identity not in state.known.models:
        return state, ()
    ts, event_index = float(intake.rows.ts[found.row]), int(intake.rows.index[found.row])
    before = state.known.suspected.get(identity)
    if before is not None and before >= held.fitted:
        return state, ()
    change = Change(
        id=change_id(state.route, "suspected", identity, f"{identity}@{event_index}", held.id),
        kind="suspected",
        route=state.route,
        from_identity=identity,
        to_identity=identity,
        model=state.known.models[identity],
        baseline=pinned.id,
        ts=moment(ts),
        event_index=event_index,
        reason=again_words.suspected(family_of(found.detector).noun, held.n, held.after),
    )
    known = replace(state.known, suspected={**state.known.suspected, identity: ts})
    return replace(state, known=known), (change,)


def pinned_change(route: str, before: Pinned | None, now: Pinned, limits: str = "") -> Change:
    """The change that says a baseline was pinned; `limits` is what a trial one cannot see."""
    origin = None if before is None else before.identity
    return Change(
        id=change_id(route, "pinned", origin, now.identity, now.id),
        kind="pinned",
        route=route,
        from_identity=origin,
        to_identity=now.identity,
        model=now.model,
        baseline=now.id,
        pinning=Pinning(
            n=now.n,
            streams=now.streams,
            arl=now.arl,
            rates=now.rates,
            trial=now.trial,
            examples=_example_ids(now),
        ),
        ts=moment(now.ts),
        event_index=now.event_index,
        reason=f"{now.n:,} exchanges; {now.streams} streams, one false alarm in {now.arl:,.0f} exchanges each{limits}",
    )


def _example_ids(pinned: Pinned) -> tuple[str, ...]:
    return () if pinned.examples is None else pinned.examples.ids


def merge_identities(state: DetectState, fields: tuple[str, ...]) -> DetectState:
    """A field turned out volatile: identities that differed in it alone are one from here on."""
    known = state.known
    names = {who: identity_of(model, fields) for who, model in known.models.items()}
    seen: dict[str, int] = {}
    for key, count in known.seen.items():
        who, plus, fingerprint = key.partition("+")
        new = names.get(who, who) + plus + fingerprint
        seen[new] = max(count, seen.get(new, 0))
    pinned = state.pinned
    if pinned is not None:
        pinned = replace(pinned, identity=names[pinned.identity], model=without_volatile(pinned.model, fields))
    candidates: dict[str, Candidates] = {}
    for who in sorted(state.candidates, key=lambda who: -state.candidates[who].n):
        candidates.setdefault(names.get(who, who), state.candidates[who])
    usual = None if pinned is None else pinned.identity
    models = {names[who]: without_volatile(model, fields) for who, model in known.models.items()}
    return replace(
        state,
        known=replace(known, seen=seen, models=models),
        candidates=candidates,
        pinned=pinned,
        accepting=None if state.accepting is None else names.get(state.accepting, state.accepting),
        watch=rename_streams(state.watch, names, first=None if state.pinned is None else state.pinned.identity),
        second=renamed(state.second, names),
        shares=renamed_shares(state.shares, names, usual),
    )


def forget_identity(state: DetectState, who: str) -> DetectState:
    """An identity that is idle while others are many leaves: what is known of it, its rows and its evidence.

    The baseline's stays, and what is about to become one. One that fires stays too, as long as those are few: its
    alert must not outlive what it was made of.
    """
    pinned = None if state.pinned is None else state.pinned.identity
    if who in (pinned, state.accepting, state.watch.suspect):
        return state
    known = state.known
    if fires(state.watch, who) and len(known.models) <= 2 * MOST_IDENTITIES:
        return state
    return replace(
        state,
        known=replace(
            known,
            seen={key: n for key, n in known.seen.items() if key.partition("+")[0] != who},
            models={one: model for one, model in known.models.items() if one != who},
            suspected={one: ts for one, ts in known.suspected.items() if one != who},
        ),
        candidates={one: kept for one, kept in state.candidates.items() if one != who},
        watch=drop_streams(state.watch, who),
        second={one: kept for one, kept in state.second.items() if one != who},
        shares=without_identity(state.shares, who),
    )
