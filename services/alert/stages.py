"""The stages of the alert path, in their order: each takes a context and returns it, and does one thing.

What people decide about alerts (resolve, false alarm, accept as baseline) and how alerts resolve are stages too.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime
from typing import Final

from schemas.alert import Alert, rank
from schemas.change import Change
from schemas.decision import Decision, DecisionKind
from schemas.evaluation import Comparison
from schemas.exchange import RESERVED_ROUTE_PREFIX
from schemas.reading import Reading
from services.alert.grouping import add_to_groups, fingerprints_of_decision
from services.alert.state import (
    KEPT_REPEATS,
    Active,
    AlertState,
    AlertStream,
    Mute,
    StageContext,
    StreamObservation,
    alert_id,
    observe_comparison,
    observe_reading,
)
from services.specs import family_of
from services.wording import decisions as words
from services.wording.ceilings import BELOW_AGAIN

_IDLE_STREAMS: Final = 512


def drop_repeats(turn: StageContext) -> StageContext:
    """What was taken in before is not new: readings by their place in the stream, the rest by id."""
    item, state = turn.item, turn.state
    once = isinstance(item, Reading) and item.again is not None  # no stream keeps its place
    if once or isinstance(item, Decision | Comparison) or (isinstance(item, Change) and item.kind == "pinned"):
        assert item is not None
        if item.id in state.seen:
            return replace(turn, item=None)
        return replace(turn, state=replace(state, seen=(*state.seen, item.id)[-KEPT_REPEATS:]))
    return turn


def keep_place(turn: StageContext) -> StageContext:
    """Remember the route's last event index: what has no exchange of its own borrows it."""
    if not isinstance(turn.item, Reading | Change):
        return turn
    event_index = max(turn.state.event_index, turn.item.event_index)
    return replace(turn, state=replace(turn.state, event_index=event_index))


def observe(turn: StageContext) -> StageContext:
    """Readings and comparisons become words on a stream; learning and blind ones say nothing of an effect."""
    word = _observation(turn)
    if word is None or word.status not in ("firing", "quiet") or _is_old(turn.state.streams.get(word.key), word):
        return turn
    if turn.shadows(word.alert.signal) and not turn.state.route.startswith(RESERVED_ROUTE_PREFIX):
        word = replace(word, alert=word.alert.model_copy(update={"shadow": True}))
    return replace(turn, word=word)


def follow_stream(turn: StageContext) -> StageContext:
    """Remember what the stream said. One that never fired needs no memory; blind leaves a firing one firing."""
    word, state = turn.word, turn.state
    if word is None:
        return turn
    before = state.streams.get(word.key)
    if before is None and word.status != "firing":
        return turn
    families = state.families
    if word.status == "firing":
        families = {**families, word.alert.fingerprint: word.alert.family}
    streams = _bounded({**state.streams, word.key: _followed(before, word)})
    return replace(turn, state=replace(state, streams=streams, families=families))


def resolve(turn: StageContext) -> StageContext:
    """An alert resolves when no identity's stream fires for it any more."""
    word, state = turn.word, turn.state
    if word is None:
        return turn
    firing = {stream.fires for stream in state.streams.values()}
    for name in sorted(name for name in state.active if name not in firing):
        turn = resolve_alerts(turn, [name], word.alert.ts, _why_over(state.active[name], word))
    return turn


def _why_over(active: Active, word: StreamObservation) -> str:
    """Only a rate that is held against the same normal as before has moved back to it."""
    if word.status == "firing":
        return words.OTHER_WAY
    if active.sent.evidence.baseline != word.alert.evidence.baseline:
        return words.NEW_BASELINE
    if family_of(active.sent.family).kind == "ceiling":
        return BELOW_AGAIN
    return word.alert.reason or words.BACK_TO_NORMAL


def fire(turn: StageContext) -> StageContext:
    """An alert fires when the first identity's stream fires for it, unless people muted it."""
    word, state = turn.word, turn.state
    if word is None or word.status != "firing":
        return turn
    name = word.alert.fingerprint
    if name in state.mutes or name in state.active:
        return turn
    return _sent(turn, word.alert, word.alert.identities)


def escalate(turn: StageContext) -> StageContext:
    """A firing alert is sent again when it rose, or its questions became clear; another identity joins it unheard.

    One in shadow is sent again when it leaves it. One that people know of stays as they know it when its signal is put
    into shadow.
    """
    word, state = turn.word, turn.state
    if word is None or word.status != "firing" or word.alert.fingerprint not in state.active:
        return turn
    active = state.active[word.alert.fingerprint]
    identities = tuple(dict.fromkeys((*active.identities, *word.alert.identities)))
    risen = rank(word.alert.severity) > rank(active.sent.severity)
    clearer = _is_clearer(word.alert, active.sent)
    if ((risen or clearer) and word.alert.shadow <= active.sent.shadow) or word.alert.shadow < active.sent.shadow:
        known = active.sent.questions
        told = {
            "identities": identities,
            "severity": active.sent.severity if clearer and not risen else word.alert.severity,
            "questions": word.alert.questions if clearer or known is None else known,
        }
        return _sent(turn, word.alert.model_copy(update=told), identities)
    joined = {**state.active, word.alert.fingerprint: replace(active, identities=identities)}
    return replace(turn, state=replace(state, active=joined))


def _is_clearer(now: Alert, sent: Alert) -> bool:
    """Whether it became clear what the questions are. The first clear word stands: each further look may err anew."""
    if sent.questions is None:
        return now.questions == "other"
    return sent.questions == "few" and now.questions not in (None, "few")


def change_again(turn: StageContext) -> StageContext:
    """That behaviour changed again is told of the alert that stands; of what is muted, or over, it tells nothing."""
    reading, active = turn.item, turn.state.active
    if not isinstance(reading, Reading) or reading.again is None:
        return turn
    carriers = [one for one in active.values() if _carries(one, reading)]
    if not carriers:
        return turn
    sent = min(carriers, key=lambda one: _nearness(one.sent, reading)).sent
    event_index, ts = max(reading.event_index, sent.event_index), max(reading.ts, sent.ts)
    told = {
        "id": alert_id(sent.fingerprint, "firing", sent.severity, event_index, ts, reading.again.reference),
        "event_index": event_index,
        "ts": ts,
        "source": reading.source,
        "exemplars": reading.exemplars,
        "counterparts": (),
        "again": reading.again,
    }
    return replace(turn, alerts=(*turn.alerts, sent.model_copy(update=told)))


def _carries(active: Active, reading: Reading) -> bool:
    family = family_of(active.sent.family)
    model = family.blames == "model" and family.kind in ("shift", "rate")
    return model and reading.identity in active.identities


def _nearness(sent: Alert, reading: Reading) -> tuple[bool, int, int, str]:
    """The alert of the stream itself before others, then the gravest, then the oldest."""
    other = (sent.family, sent.signal, sent.slice) != (reading.detector, reading.signal, reading.slice)
    return other, -rank(sent.severity), sent.event_index, sent.fingerprint


def track_groups(turn: StageContext) -> StageContext:
    """Remember which alerts are of one incident."""
    groups = turn.state.groups
    for alert in turn.alerts:
        groups = groups if alert.shadow else add_to_groups(groups, alert)
    return replace(turn, state=replace(turn.state, groups=groups))


def _observation(turn: StageContext) -> StreamObservation | None:
    if isinstance(turn.item, Reading):
        return observe_reading(turn.item) if turn.item.again is None else None
    if isinstance(turn.item, Comparison):
        return observe_comparison(turn.item, turn.state.event_index, turn.state.baseline)
    return None


def _is_old(before: AlertStream | None, word: StreamObservation) -> bool:
    """Whether the word was taken in before. A later time lets a lower index pass: a route may start anew."""
    if before is None or word.alert.event_index > before.event_index or word.alert.ts > before.ts:
        return False
    return word.alert.event_index < before.event_index or word.id in before.ids


def _followed(before: AlertStream | None, word: StreamObservation) -> AlertStream:
    alert = word.alert
    same = before is not None and before.event_index == alert.event_index
    fires = alert.fingerprint if word.status == "firing" else None
    size, exemplar = word.size, alert.exemplars[-1] if alert.exemplars else None
    if before is not None and word.status != "firing":
        fires, size, exemplar = (None if word.calms else before.fires), before.size, before.exemplar
    return AlertStream(
        event_index=alert.event_index,
        ts=alert.ts if before is None else max(before.ts, alert.ts),
        ids=(*before.ids, word.id) if before is not None and same else (word.id,),
        fires=fires,
        baseline=alert.evidence.baseline,
        size=size,
        exemplar=exemplar,
    )


def _bounded(streams: dict[str, AlertStream]) -> dict[str, AlertStream]:
    """All that fire, and the last idle ones: identities come and go, memory stays small."""
    idle = [key for key, stream in streams.items() if stream.fires is None]
    if len(idle) <= _IDLE_STREAMS:
        return streams
    oldest = min(idle, key=lambda key: (streams[key].ts, key))
    return {key: stream for key, stream in streams.items() if key != oldest}


def _sent(turn: StageContext, alert: Alert, identities: tuple[str, ...]) -> StageContext:
    active: dict[str, Active] = {**turn.state.active, alert.fingerprint: Active(alert, identities)}
    state: AlertState = replace(turn.state, active=active)
    return replace(turn, state=state, alerts=(*turn.alerts, alert))


_RESOLVING: Final[frozenset[DecisionKind]] = frozenset({"resolve", "false_alarm", "accept_baseline"})
_GROWN: Final = 2.0


def apply_decision(turn: StageContext) -> StageContext:
    """`resolve`, `false_alarm` and `accept_baseline` resolve what they are about, and mute it."""
    decision = turn.item
    if not isinstance(decision, Decision) or decision.kind not in _RESOLVING:
        return turn
    state = turn.state
    about = _about(state, decision)
    mutes = {name: _mute(state, decision, name) for name in about if _fires(state, name)}
    wanted = {name: mute for name, mute in mutes.items() if not _is_over(state, mute)}
    streams = {key: replace(s, fires=None) if s.fires in about else s for key, s in state.streams.items()}
    turn = replace(turn, state=replace(state, mutes={**state.mutes, **wanted}, streams=streams))
    return resolve_alerts(turn, about, decision.ts, words.decision_text(decision))


def unmute(turn: StageContext) -> StageContext:
    """`unmute` ends mutes: what fires is heard with its next word. What was accepted is no mute, and stays."""
    decision, state = turn.item, turn.state
    if not isinstance(decision, Decision) or decision.kind != "unmute":
        return turn
    left = {n: m for n, m in state.mutes.items() if m.is_accepted or decision.fingerprint not in (None, n)}
    return replace(turn, state=replace(state, mutes=left))


def begin_baseline(turn: StageContext) -> StageContext:
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
    reason = _why_new(state)
    turn = replace(turn, state=replace(state, baseline=change.baseline, streams=streams, mutes=mutes))
    return resolve_alerts(turn, void, change.ts, reason)


def _why_new(state: AlertState) -> str:
    """Who accepted what was just pinned, where that is known here."""
    accepted = [mute for mute in state.mutes.values() if mute.kind == "accept_baseline"]
    newest = max(accepted, key=lambda mute: mute.since, default=None)
    return words.NEW_BASELINE if newest is None else words.ended(newest.kind, newest.actor, newest.reason)


def lift_mutes(turn: StageContext) -> StageContext:
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
    names = fingerprints_of_decision(state, decision)
    if decision.kind != "accept_baseline":
        return names
    return tuple(name for name in names if name not in state.families or family_of(state.families[name]).of_baseline)


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
    return family is not None and family_of(family).of_baseline and baseline != change.baseline


def _calmed(state: AlertState, mute: Mute, word: StreamObservation) -> Mute:
    """The mute without the stream of `word`, if its effect is inside the floor or it just ceased to fire unheard."""
    stream = state.streams.get(word.key)
    ceased = word.calms and stream is not None and stream.fires == mute.fingerprint
    if not (word.inside or ceased):
        return mute
    return replace(mute, waits=tuple(key for key in mute.waits if key != word.key))


def _ends(mute: Mute, word: StreamObservation) -> bool:
    """Whether `word` ends the mute although its effect was not inside the floor."""
    if word.alert.ts >= mute.until:
        return True
    if word.status != "firing" or word.alert.fingerprint != mute.fingerprint:
        return False
    event = family_of(word.alert.family).kind == "event"
    if mute.kind == "resolve" and event and word.alert.exemplars[-1:] != (mute.exemplar,):
        return True
    baseline = word.alert.evidence.baseline
    if mute.kind == "accept_baseline" and None not in (baseline, mute.baseline) and baseline != mute.baseline:
        return True
    return bool(mute.size) and word.size is not None and word.size >= _GROWN * (mute.size or 0.0)


def resolve_alerts(turn: StageContext, fingerprints: Iterable[str], ts: datetime, reason: str) -> StageContext:
    """The firing alerts among `fingerprints` resolve at `ts`, or at their own time where that is later.

    A person's clock may be behind the route's: an alert must not resolve before it fired. What a word resolves
    carries its exchange and its effect, what a person resolves the last ones known.
    """
    state = turn.state
    ended = [name for name in sorted(fingerprints) if name in state.active]
    event_index = state.event_index if turn.word is None else turn.word.alert.event_index
    made = tuple(_resolution(state.active[name], event_index, ts, reason) for name in ended)
    if turn.word is not None and turn.word.status == "quiet":
        now = turn.word.alert
        made = tuple(a.model_copy(update={"effect": now.effect, "evidence": now.evidence}) for a in made)
    active = {name: active for name, active in state.active.items() if name not in ended}
    return replace(turn, state=replace(state, active=active), alerts=turn.alerts + made)


def _resolution(active: Active, event_index: int, ts: datetime, reason: str) -> Alert:
    sent = active.sent
    event_index, ts = max(event_index, sent.event_index), max(ts, sent.ts)
    changed = {
        "id": alert_id(sent.fingerprint, "resolved", sent.severity, event_index, ts),
        "status": "resolved",
        "identities": active.identities,
        "event_index": event_index,
        "ts": ts,
        "reason": reason,
    }
    return sent.model_copy(update=changed)
