"""Stages for what people decide about alerts (resolve, false alarm, accept as baseline), and how long it holds."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from schemas.change import Change
from schemas.decision import Decision, DecisionKind
from services.alert.group import meant
from services.alert.resolution import resolved
from services.alert.severity import EVENTS
from services.alert.state import AlertState, Mute
from services.alert.turn import Turn
from services.alert.word import Word
from services.incident.belonging import NOT_OF_A_BASELINE

_SAID: Final[dict[DecisionKind, str]] = {
    "resolve": "resolved",
    "false_alarm": "called a false alarm",
    "accept_baseline": "accepted as the new baseline",
}
_GROWN: Final = 2.0


def decide(turn: Turn) -> Turn:
    """`resolve`, `false_alarm` and `accept_baseline` resolve what they are about, and mute it."""
    decision = turn.item
    if not isinstance(decision, Decision) or decision.kind not in _SAID:
        return turn
    state = turn.state
    about = _about(state, decision)
    mutes = {name: _mute(state, decision, name) for name in about if _fires(state, name)}
    wanted = {name: mute for name, mute in mutes.items() if not _is_over(state, mute)}
    streams = {key: replace(s, fires=None) if s.fires in about else s for key, s in state.streams.items()}
    turn = replace(turn, state=replace(state, mutes={**state.mutes, **wanted}, streams=streams))
    return resolved(turn, about, decision.ts, f"{_SAID[decision.kind]} by {decision.actor}: {decision.reason}")


def begin_baseline(turn: Turn) -> Turn:
    """A pinned baseline ends the mutes that waited for it, and the alerts against the one that it replaces."""
    change = turn.item
    if not isinstance(change, Change) or change.kind != "pinned":
        return turn
    state = turn.state
    streams = {
        key: replace(s, fires=None) if _is_void(state, s.fires, s.baseline, change) else s
        for key, s in state.streams.items()
    }
    void = [name for name, a in state.active.items() if _is_void(state, name, a.sent.evidence.baseline, change)]
    mutes = {n: m for n, m in state.mutes.items() if m.kind != "accept_baseline" or m.baseline == change.baseline}
    turn = replace(turn, state=replace(state, baseline=change.baseline, streams=streams, mutes=mutes))
    return resolved(turn, void, change.ts, "a new baseline was pinned")


def lift_mutes(turn: Turn) -> Turn:
    """A mute ends when the effect was once inside the floor, doubled, or 30 days passed.

    An event that people resolved is over: the next one is another event, and is heard.
    """
    word = turn.word
    if word is None or not turn.state.mutes:
        return turn
    calm = {name: _calmed(turn.state, mute, word) for name, mute in turn.state.mutes.items()}
    mutes = {name: mute for name, mute in calm.items() if mute.waits and not _ends(mute, word)}
    return replace(turn, state=replace(turn.state, mutes=mutes))


def _about(state: AlertState, decision: Decision) -> tuple[str, ...]:
    names = meant(state, decision)
    if decision.kind != "accept_baseline":
        return names
    return tuple(name for name in names if state.families.get(name) not in NOT_OF_A_BASELINE)


def _fires(state: AlertState, fingerprint: str) -> bool:
    """Whether it fires, heard or muted: what is quiet needs no mute."""
    return any(stream.fires == fingerprint for stream in state.streams.values())


def _mute(state: AlertState, decision: Decision, fingerprint: str) -> Mute:
    firing = {key: stream for key, stream in state.streams.items() if stream.fires == fingerprint}
    active = state.active.get(fingerprint)
    return Mute(
        fingerprint=fingerprint,
        kind=decision.kind,
        actor=decision.actor,
        reason=decision.reason,
        since=decision.ts,
        waits=tuple(sorted(firing)),
        size=max((stream.size for stream in firing.values() if stream.size is not None), default=None),
        baseline=state.baseline if active is None else active.sent.evidence.baseline,
        exemplar=next((stream.exemplar for _, stream in sorted(firing.items(), reverse=True)), None),
    )


def _is_over(state: AlertState, mute: Mute) -> bool:
    """Whether the accepted baseline was pinned before the decision arrived here."""
    pinned = None not in (state.baseline, mute.baseline) and state.baseline != mute.baseline
    return mute.kind == "accept_baseline" and pinned


def _is_void(state: AlertState, fingerprint: str | None, baseline: str | None, change: Change) -> bool:
    family = state.families.get(fingerprint or "")
    return family is not None and family not in NOT_OF_A_BASELINE and baseline != change.baseline


def _calmed(state: AlertState, mute: Mute, word: Word) -> Mute:
    """The mute without the stream of `word`, if its effect is inside the floor or it just ceased to fire unheard."""
    stream = state.streams.get(word.key)
    ceased = word.calms and stream is not None and stream.fires == mute.fingerprint
    if not (word.inside or ceased):
        return mute
    return replace(mute, waits=tuple(key for key in mute.waits if key != word.key))


def _ends(mute: Mute, word: Word) -> bool:
    """Whether `word` ends the mute although its effect was not inside the floor."""
    if word.alert.ts >= mute.until:
        return True
    if word.status != "firing" or word.alert.fingerprint != mute.fingerprint:
        return False
    if mute.kind == "resolve" and word.alert.family == EVENTS and word.alert.exemplars[-1:] != (mute.exemplar,):
        return True
    baseline = word.alert.evidence.baseline
    if mute.kind == "accept_baseline" and None not in (baseline, mute.baseline) and baseline != mute.baseline:
        return True
    return bool(mute.size) and word.size is not None and word.size >= _GROWN * (mute.size or 0.0)
