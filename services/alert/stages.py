"""The stages of the alert path, in their order: each takes a turn and returns it, and does one thing."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from schemas.alert import Alert, rank
from schemas.change import Change
from schemas.decision import Decision
from schemas.evaluation import Comparison
from schemas.reading import Reading
from services.alert.group import sort_in
from services.alert.resolution import resolved
from services.alert.state import KEPT_REPEATS, Active, AlertState, Silence, Stream
from services.alert.turn import Turn
from services.alert.word import Word, of_comparison, of_reading

_RETURNED: Final = "effect back inside the floor"
_TURNED: Final = "it moves the other way now"
_IDLE_STREAMS: Final = 512


def drop_repeats(turn: Turn) -> Turn:
    """What was taken in before is not new: readings by their place in the stream, the rest by id."""
    item, state = turn.item, turn.state
    if isinstance(item, Decision | Comparison) or (isinstance(item, Change) and item.kind == "pinned"):
        if item.id in state.seen:
            return replace(turn, item=None)
        return replace(turn, state=replace(state, seen=(*state.seen, item.id)[-KEPT_REPEATS:]))
    return turn


def keep_place(turn: Turn) -> Turn:
    """Remember the route's last event index: what has no exchange of its own borrows it."""
    if not isinstance(turn.item, Reading | Change):
        return turn
    event_index = max(turn.state.event_index, turn.item.event_index)
    return replace(turn, state=replace(turn.state, event_index=event_index))


def hear(turn: Turn) -> Turn:
    """Readings and comparisons become words on a stream; learning and blind ones say nothing of an effect."""
    word = _word(turn)
    if word is None or word.status not in ("firing", "quiet") or _is_old(turn.state.streams.get(word.key), word):
        return turn
    return replace(turn, word=word)


def note_silence(turn: Turn) -> Turn:
    """A silence holds until it expires, 24 h when it does not say: none is for ever."""
    decision = turn.item
    if not isinstance(decision, Decision) or decision.kind != "silence":
        return turn
    made = Silence(decision.ts, decision.until, decision.actor, decision.reason, decision.fingerprint)
    kept = tuple(silence for silence in turn.state.silences if silence.expires > decision.ts)
    return replace(turn, state=replace(turn.state, silences=(*kept, made)))


def follow_stream(turn: Turn) -> Turn:
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


def resolve(turn: Turn) -> Turn:
    """An alert resolves when no identity's stream fires for it any more."""
    word, state = turn.word, turn.state
    if word is None:
        return turn
    firing = {stream.fires for stream in state.streams.values()}
    ended = [name for name in state.active if name not in firing]
    reason = _TURNED if word.status == "firing" else word.alert.reason or _RETURNED
    return resolved(turn, ended, word.alert.ts, reason)


def fire(turn: Turn) -> Turn:
    """An alert fires when the first identity's stream fires for it, unless people muted it."""
    word, state = turn.word, turn.state
    if word is None or word.status != "firing":
        return turn
    name = word.alert.fingerprint
    if name in state.mutes or name in state.active:
        return turn
    return _sent(turn, word.alert, word.alert.identities)


def escalate(turn: Turn) -> Turn:
    """A firing alert is sent again when its severity rose; another identity joins it unheard."""
    word, state = turn.word, turn.state
    if word is None or word.status != "firing" or word.alert.fingerprint not in state.active:
        return turn
    active = state.active[word.alert.fingerprint]
    identities = tuple(dict.fromkeys((*active.identities, *word.alert.identities)))
    if rank(word.alert.severity) > rank(active.sent.severity):
        return _sent(turn, word.alert.model_copy(update={"identities": identities}), identities)
    joined = {**state.active, word.alert.fingerprint: replace(active, identities=identities)}
    return replace(turn, state=replace(state, active=joined))


def mark_silenced(turn: Turn) -> Turn:
    """Silenced alerts are sent all the same, marked: an incident keeps them, nobody is called."""
    silences = turn.state.silences
    marked = tuple(
        alert.model_copy(update={"silenced": any(silence.covers(alert) for silence in silences)})
        for alert in turn.alerts
    )
    return replace(turn, alerts=marked)


def group(turn: Turn) -> Turn:
    """Remember which alerts are of one incident."""
    groups = turn.state.groups
    for alert in turn.alerts:
        groups = sort_in(groups, alert)
    return replace(turn, state=replace(turn.state, groups=groups))


def _word(turn: Turn) -> Word | None:
    if isinstance(turn.item, Reading):
        return of_reading(turn.item)
    if isinstance(turn.item, Comparison):
        return of_comparison(turn.item, turn.state.event_index, turn.state.baseline)
    return None


def _is_old(before: Stream | None, word: Word) -> bool:
    """Whether the word was taken in before. A later time lets a lower index pass: a route may start anew."""
    if before is None or word.alert.event_index > before.event_index or word.alert.ts > before.ts:
        return False
    return word.alert.event_index < before.event_index or word.id in before.ids


def _followed(before: Stream | None, word: Word) -> Stream:
    alert = word.alert
    same = before is not None and before.event_index == alert.event_index
    fires = alert.fingerprint if word.status == "firing" else None
    size, exemplar = word.size, alert.exemplars[-1] if alert.exemplars else None
    if before is not None and word.status != "firing":
        fires, size, exemplar = (None if word.calms else before.fires), before.size, before.exemplar
    return Stream(
        event_index=alert.event_index,
        ts=alert.ts if before is None else max(before.ts, alert.ts),
        ids=(*before.ids, word.id) if before is not None and same else (word.id,),
        fires=fires,
        baseline=alert.evidence.baseline,
        size=size,
        exemplar=exemplar,
    )


def _bounded(streams: dict[str, Stream]) -> dict[str, Stream]:
    """All that fire, and the last idle ones: identities come and go, memory stays small."""
    idle = [key for key, stream in streams.items() if stream.fires is None]
    if len(idle) <= _IDLE_STREAMS:
        return streams
    oldest = min(idle, key=lambda key: (streams[key].ts, key))
    return {key: stream for key, stream in streams.items() if key != oldest}


def _sent(turn: Turn, alert: Alert, identities: tuple[str, ...]) -> Turn:
    active: dict[str, Active] = {**turn.state.active, alert.fingerprint: Active(alert, identities)}
    state: AlertState = replace(turn.state, active=active)
    return replace(turn, state=state, alerts=(*turn.alerts, alert))
