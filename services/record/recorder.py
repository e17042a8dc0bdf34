"""Applies batches of records to the database: effect, fence and outbox in one transaction."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Final, TypeVar

from sqlalchemy import Connection

from schemas.base import Record, moment
from schemas.change import Change
from schemas.dead_letter import DeadLetter
from schemas.decision import Decision
from schemas.fact import Fact
from schemas.incident import Incident
from schemas.reading import Reading
from schemas.sample import Sample
from schemas.score import ScoreBlock
from services.failpoints import reach
from services.incident.fold import FoldCheckpoint, fold, folded, resumed, tick
from services.incident.state import RouteIncidents
from services.intake.core import IntakeState
from services.intake.core import step as take_in
from services.monitor import RoutePolicy
from services.ports import Clock
from services.record.core import Additions, additions, outbox_row, rollup_rows, scorer_id, standing, unheard
from services.store import (
    arrivals,
    baselines,
    dead_letters,
    deliveries,
    erasure,
    fleet,
    incidents,
    journal,
    readings,
    rollups,
    routes,
    samples,
    scores,
    silences,
    step_states,
)
from services.store.codec import pack, unpack
from services.store.engine import Conflict, Database
from services.store.samples import Holders

STEP: Final = "record"
_ROUTES_IN_MEMORY: Final = 256
_SHED_EVERY: Final = 4 * 1024 * 1024
"""After so many bytes of text that came, what all routes hold is measured again."""

V = TypeVar("V")


@dataclass(frozen=True, slots=True)
class _Saved:
    """A route's intake state as the database holds it."""

    version: int
    blob: bytes
    state: IntakeState


@dataclass(frozen=True, slots=True)
class _Folded:
    """What the journal of a route was folded into, up to entry `seq` of this hash.

    `written` is what of it stands in the database: where time alone changed nothing, nothing is written again.
    """

    seq: int
    head: str
    checkpoint: FoldCheckpoint
    false_alarms: frozenset[str]
    written: RouteIncidents | None = None


@dataclass(frozen=True, slots=True)
class _Named:
    """Whose texts stay, as the journal of a route says up to this head: with its baseline, and with its incidents."""

    head: str
    holders: Holders


@dataclass(slots=True)
class _Batch:
    """A batch by kind, and what applying it has touched so far."""

    blocks: list[ScoreBlock] = field(default_factory=list)
    samples: list[Sample] = field(default_factory=list)
    readings: list[Reading] = field(default_factory=list)
    dead: list[DeadLetter] = field(default_factory=list)
    facts: dict[str, list[Fact]] = field(default_factory=dict)
    saved: dict[str, _Saved] = field(default_factory=dict)
    identities: dict[str, set[str]] = field(default_factory=dict)
    clocks: set[str] = field(default_factory=set)
    changed: set[str] = field(default_factory=set)
    folded: dict[str, _Folded] = field(default_factory=dict)
    named: dict[str, _Named] = field(default_factory=dict)
    ring_bytes: int = 0

    def routes(self) -> set[str]:
        """Every route that the batch speaks of."""
        return {record.route for some in (self.blocks, self.samples, self.readings) for record in some} | set(
            self.facts
        )


class Recorder:
    """The record step. Applying the same records again, or topics in another order, changes nothing that is seen."""

    def __init__(
        self,
        database: Database,
        policy: Callable[[str], RoutePolicy],
        clock: Clock = lambda: datetime.now(UTC),
        tick: Callable[[], object] = lambda: None,
    ) -> None:
        """`policy` gives a route's part of the monitor file: its slices are counted in the rollups.

        `clock` is ours: when a route was last heard of. `tick` says that something of a batch is done.
        """
        self._clock = clock
        self._database = database
        self._tick = tick
        self._policy = policy
        self._known: OrderedDict[str, _Saved] = OrderedDict()
        self._folded: OrderedDict[str, _Folded] = OrderedDict()
        self._named: OrderedDict[str, _Named] = OrderedDict()
        self._ring_bytes = 0

    def apply(self, records: Sequence[Record]) -> None:
        """Take in records of any topic, all of them or, when something raises, none.

        Raises:
            TypeError: if a record is of no topic that this step reads.
            Conflict: if another process records the same route at the same time.
        """
        try:
            applied = self._database.transact(lambda connection: self._apply(connection, records))
        except Conflict:
            # What is in memory may be old: another process had the route in between. The database knows better, and
            # the routes stay locked from the load to the commit.
            self._known.clear()
            self._named.clear()
            applied = self._database.transact(lambda connection: self._apply(connection, records))
        for route, saved in applied.saved.items():
            _remember(self._known, route, saved)
        for route, one in applied.folded.items():
            _remember(self._folded, route, one)
        for route, named in applied.named.items():
            _remember(self._named, route, named)
        self._ring_bytes = applied.ring_bytes

    def _apply(self, connection: Connection, records: Sequence[Record]) -> _Batch:
        batch = _by_kind(records)
        routes.lock(connection, batch.routes())
        self._take_scores(connection, batch)
        self._take_the_rest(connection, batch)
        self._derive(connection, batch)
        self._keep_texts(connection, batch)
        _retain(connection, batch)
        reach("inside-record-transaction", STEP)
        return batch

    def _take_scores(self, connection: Connection, batch: _Batch) -> None:
        """Score rows, rollups and fence of the blocks, through the one core that counts exchanges."""
        parts: list[Additions] = []
        erased = erasure.still_erased(connection)
        places: dict[str, tuple[str, int]] = {}
        for route, blocks in _by_route(batch.blocks).items():
            before = self._load(connection, route)
            state = before.state
            for block in blocks:
                state, intake = take_in(state, block, self._policy(route).slices)
                parts.append(additions(block, intake))
                if len(intake.source_rows):
                    places[route] = (block.topic, block.partition[-1])
                routes.add_identities(connection, route, intake.models)
                batch.identities.setdefault(route, set()).update(intake.models)
                self._tick()
            self._save(connection, batch, before, state)
        arrivals.note(connection, places, self._clock())
        scores.add_scorers(connection, {scorer_id(block.scorer): block.scorer for block in batch.blocks})
        scores.add(connection, [row for part in parts for row in part.rows if not _is_erased(row, erased)])
        rollups.add(connection, rollup_rows(part.sums for part in parts))

    def _load(self, connection: Connection, route: str) -> _Saved:
        if route in self._known:
            return self._known[route]
        found = step_states.load(connection, STEP, route)
        if found is None:
            return _Saved(0, b"", IntakeState.start(route))
        return _Saved(*found, unpack(IntakeState, found[1]))

    def _save(self, connection: Connection, batch: _Batch, before: _Saved, state: IntakeState) -> None:
        blob = pack(state)
        if blob == before.blob:
            step_states.confirm(connection, STEP, state.route, before.version)
            return
        version = step_states.save(connection, STEP, state.route, before.version, blob)
        batch.saved[state.route] = _Saved(version, blob, state)
        if state.clock is not None and state.clock != before.state.clock:
            routes.set_clock(connection, state.route, moment(state.clock))
            batch.clocks.add(state.route)

    def _take_the_rest(self, connection: Connection, batch: _Batch) -> None:
        readings.add(connection, batch.readings)
        dead_letters.add(connection, batch.dead)
        for route, facts in batch.facts.items():
            fleet.note_pins(connection, [fact for fact in facts if isinstance(fact, Change)])
            if journal.append(connection, route, facts):
                batch.changed.add(route)
            self._tick()

    def _derive(self, connection: Connection, batch: _Batch) -> None:
        """Incidents and notifications again, of routes with new facts or whose clock may have run a timer out."""
        waiting = {route for route in batch.clocks if _awaits_time(connection, route)}
        for route in sorted(batch.changed | waiting):
            one = self._fold(connection, route)
            state = tick(one.checkpoint.state, routes.clock(connection, route))
            if state is not one.written:
                _write(connection, route, state, one.false_alarms)
            batch.folded[route] = replace(one, written=state)
            self._tick()

    def _keep_texts(self, connection: Connection, batch: _Batch) -> None:
        """Texts that came, and what of those that are stored stays with an incident, a baseline or a reading."""
        erased = erasure.still_erased(connection) if batch.samples else None
        new = [one for one in batch.samples if not _is_erased(vars(one), erased)]
        holders: dict[str, Holders] = {}
        for route in sorted(batch.changed | set(batch.folded) | {one.route for one in new}):
            named = self._named_in(connection, route, batch)
            batch.named[route] = named
            learns = named.holders.baseline is None or incidents.has_unresolved(connection, route)
            holders[route] = replace(named.holders, learns=learns)
            known = self._named.get(route)
            if route in batch.folded and (known is None or known.holders != named.holders or not learns):
                samples.hold(connection, route, holders[route])
        came = samples.add(connection, new, holders)
        for reading in batch.readings:
            if reading.status == "firing" and reading.exemplars:
                samples.name(connection, reading.route, filter(None, (*reading.exemplars, *reading.counterparts)))
        batch.ring_bytes = self._ring_bytes + came
        if batch.ring_bytes > _SHED_EVERY:
            samples.shed(connection)
            batch.ring_bytes = 0

    def _named_in(self, connection: Connection, route: str, batch: _Batch) -> _Named:
        """Whose texts stay, by the journal as it stands; read anew where it has grown."""
        _, head = routes.head(connection, route)
        known = self._named.get(route)
        if known is not None and known.head == head and route not in batch.folded:
            return known
        one = batch.folded.get(route)
        told = incidents.find(connection, route) if one is None or one.written is None else one.written.incidents
        pinned = baselines.current_pinnings(connection, [route]).get(route)
        by_incident = {id: incident.id for incident in told for id in named_by(incident)}
        examples = frozenset(() if pinned is None or pinned.pinning is None else pinned.pinning.examples)
        baseline = None if pinned is None else pinned.baseline
        return _Named(head, Holders(True, baseline, examples, by_incident))

    def _fold(self, connection: Connection, route: str) -> _Folded:
        """What the route's journal says: what is new there on top of what was folded before, where that can be."""
        seq, head = routes.head(connection, route)
        known = self._folded.get(route)
        if known is not None and known.head == head:
            return known
        if known is not None:
            new = journal.facts_after(connection, route, known.seq, known.head)
            checkpoint = None if new is None else resumed(known.checkpoint, new)
            if new is not None and checkpoint is not None:
                return replace(
                    known,
                    seq=seq,
                    head=head,
                    checkpoint=checkpoint,
                    false_alarms=known.false_alarms | _false_alarms(new),
                )
        facts = journal.facts(connection, route)
        return _Folded(seq, head, folded(route, facts), frozenset(_false_alarms(facts)))


def _awaits_time(connection: Connection, route: str) -> bool:
    clock = routes.clock(connection, route)
    return clock is not None and incidents.awaits_time(connection, route, clock)


def _is_erased(names: Mapping[str, Any], erased: erasure.ErasedTest | None) -> bool:
    """Whether it is of somebody who was erased after it, and was still under way."""
    if erased is None:
        return False
    return erased({kind: names[kind] for kind in ("user", "conversation", "id")}, names["ts"])


def named_by(incident: Incident) -> frozenset[str]:
    """The exchanges whose text stays with an incident: those that show it, and the baseline's nearest to them."""
    return frozenset((*incident.exemplars, *filter(None, incident.counterparts)))


def derive(connection: Connection, route: str, facts: Sequence[Fact]) -> None:
    """Make the route's incidents and notifications those of these facts, which are all that its journal holds."""
    _write(connection, route, fold(route, facts, routes.clock(connection, route)), _false_alarms(facts))


def _write(connection: Connection, route: str, state: RouteIncidents, false_alarms: Collection[str]) -> None:
    incidents.replace(connection, route, state.incidents, false_alarms)
    silences.put(connection, state.silences)
    wanted = [outbox_row(one) for one in state.notifications]
    deliveries.reconcile(connection, route, wanted, standing(state), unheard(state))


def _retain(connection: Connection, batch: _Batch) -> None:
    """Delete what a route has too many of; last, since incidents hold rows. What is too old goes by a timer."""
    for route, identities in batch.identities.items():
        scores.prune(connection, route, identities)


def _by_kind(records: Iterable[Record]) -> _Batch:
    batch = _Batch()
    for record in records:
        if isinstance(record, ScoreBlock):
            batch.blocks.append(record)
        elif isinstance(record, Sample):
            batch.samples.append(record)
        elif isinstance(record, Reading):
            batch.readings.append(record)
        elif isinstance(record, DeadLetter):
            batch.dead.append(record)
        elif isinstance(record, Fact):
            batch.facts.setdefault(record.route, []).append(record)
        else:
            raise TypeError(f"the record step reads no {type(record).__name__}")
    return batch


def _false_alarms(facts: Iterable[Fact]) -> set[str]:
    return {fact.id for fact in facts if isinstance(fact, Decision) and fact.kind == "false_alarm"}


def _by_route(blocks: Iterable[ScoreBlock]) -> dict[str, list[ScoreBlock]]:
    found: dict[str, list[ScoreBlock]] = {}
    for block in blocks:
        found.setdefault(block.route, []).append(block)
    return found


def _remember(memory: OrderedDict[str, V], route: str, value: V) -> None:
    """Put it in, newest last; the longest unused of too many goes."""
    memory[route] = value
    memory.move_to_end(route)
    while len(memory) > _ROUTES_IN_MEMORY:
        memory.popitem(last=False)
