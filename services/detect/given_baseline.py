"""A baseline that was learned of a file, given to a route that has none yet. Pure."""

from __future__ import annotations

from dataclasses import replace

from schemas.change import Change
from services.detect.identities import OBSERVED_AT, pinned_change
from services.detect.state import VECTORS, DetectState
from services.intake.core import Intake
from services.wording import replays as words


def why_not(before: DetectState, learned: DetectState) -> str | None:
    """Why a route cannot be given the baseline of `learned`; None when it can."""
    pinned = learned.pinned
    assert pinned is not None
    if before.pinned is not None:
        return words.has_baseline(before.route)
    answered = {who for who in before.known.seen if "+" not in who}
    if answered and pinned.identity not in answered:
        names = [before.known.models[who].requested for who in sorted(answered) if who in before.known.models]
        return words.other_model(before.route, pinned.model.requested, names)
    for name, held in sorted(before.versions.items()):
        if name in pinned.versions and pinned.versions[name] != held.version:
            what = "the vectors" if name == VECTORS else name
            return words.other_scorer(what, pinned.versions[name] or "none", held.version or "none")
    return None


def give_baseline(before: DetectState, learned: DetectState) -> DetectState:
    """The route held against the baseline of `learned` from its next exchange on; what it learned so far is dropped.

    Its own exchanges, positions and models stay as they are: only what it is held against is new.
    """
    pinned = learned.pinned
    assert pinned is not None
    versions = {name: replace(one, since=0, ts=0.0, rival=None, run=0) for name, one in learned.versions.items()}
    known = replace(
        before.known,
        seen={pinned.identity: OBSERVED_AT, **before.known.seen},
        models={pinned.identity: pinned.model, **before.known.models},
    )
    return replace(
        before,
        pinned=replace(pinned, event_index=max(before.intake.count - 1, 0), given=True),
        candidates={},
        accepting=None,
        relearning=None,
        versions={**versions, **before.versions},
        known=known,
        untold=True,
    )


def introduce(state: DetectState, intake: Intake) -> tuple[DetectState, tuple[Change, ...]]:
    """With its first exchange the route tells of the baseline that it was given."""
    if not state.untold or state.pinned is None or not len(intake.rows):
        return state, ()
    pinned = replace(state.pinned, ts=float(intake.rows.ts[0]), event_index=int(intake.rows.index[0]))
    return replace(state, pinned=pinned, untold=False), (pinned_change(state.route, None, pinned),)
