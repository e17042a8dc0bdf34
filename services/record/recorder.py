"""Applies batches of records to the database: effect, fence and outbox in one transaction."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Final

from sqlalchemy import Connection

from schemas.base import Record, moment
from schemas.change import Change
from schemas.dead_letter import DeadLetter
from schemas.decision import Decision
from schemas.fact import Fact
from schemas.identity import Model
from schemas.incident import Incident
from schemas.reading import Reading
from schemas.sample import Sample, SampleBlock
from schemas.score import ScoreBlock
from services.failpoints import reach
from services.incident.fold import fold, folded, resumed, tick
from services.incident.state import RouteIncidents
from services.intake.core import IntakeState
from services.intake.core import step as take_in
from services.monitor import RoutePolicy
from services.ports import Clock
from services.record.core import (
    Additions,
    additions,
    came_in,
    outbox_row,
    overdue,
    rollup_rows,
    scorer_id,
    standing,
    unheard,
)
from services.record.memory import IDENTITIES, FoldedJournal, Memories, NamedTexts, RecordedRoute, SavedIntake
from services.store import (
    arrivals,
    baselines,
    dead_letters,
    deliveries,
    erasure,
    fleet,
    incidents,
    ingest_counts,
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
from services.store.ingest_counts import IngestCounts, Place
from services.store.routes import RouteHead
from services.store.samples import Holders, TextTurnover
from services.store.tables import today

STEP: Final = "record"
PRUNED_EVERY: Final = 128
"""Score rows of an identity: so many may come before those that are too many are looked for again."""
_SHED_EVERY: Final = 4 * 1024 * 1024
"""After so many bytes of text that came, what all routes hold is measured again."""


@dataclass(slots=True)
class _Batch:
    """A batch by kind, and what applying it has touched so far."""

    blocks: list[ScoreBlock] = field(default_factory=list)
    samples: list[Sample] = field(default_factory=list)
    readings: list[Reading] = field(default_factory=list)
    dead: list[DeadLetter] = field(default_factory=list)
    facts: dict[str, list[Fact]] = field(default_factory=dict)
    heads: dict[str, RouteHead] = field(default_factory=dict)
    memory: dict[str, RecordedRoute] = field(default_factory=dict)
    erased: erasure.ErasedTest | None = None
    clocks: set[str] = field(default_factory=set)
    changed: set[str] = field(default_factory=set)
    written: set[str] = field(default_factory=set)
    unresolved: frozenset[str] = frozenset()
    scorers: frozenset[str] = frozenset()
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
        self._memories = Memories()
        self._scorers: frozenset[str] = frozenset()
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
            self._memories.forget()
            applied = self._database.transact(lambda connection: self._apply(connection, records))
        self._memories.keep(applied.memory)
        self._scorers = applied.scorers
        self._ring_bytes = applied.ring_bytes

    def _apply(self, connection: Connection, records: Sequence[Record]) -> _Batch:
        batch = _by_kind(records)
        batch.heads = routes.lock(connection, batch.routes())
        batch.memory = {route: self._memories.of(route) for route in batch.heads}
        if batch.blocks or batch.samples:
            batch.erased = erasure.still_erased(connection)
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
        places: dict[str, tuple[str, int]] = {}
        states: dict[str, IntakeState] = {}
        counts: dict[Place, IngestCounts] = {}
        for route, blocks in _by_route(batch.blocks).items():
            before = batch.memory[route].saved or _loaded(connection, route)
            batch.memory[route].saved, states[route] = before, before.state
            models: dict[str, Model] = {}
            for block in blocks:
                states[route], intake = take_in(states[route], block, self._policy(route).slices)
                parts.append(additions(block, intake))
                for place, told in came_in(block, intake.source_rows).items():
                    counts.setdefault(place, IngestCounts()).add(told)
                if len(intake.source_rows):
                    places[route] = (block.topic, block.partition[-1])
                models |= intake.models
                self._tick()
            _note_identities(connection, route, batch.memory[route], models)
        _save(connection, batch, states)
        self._note_times(connection, batch, places)
        made_by = {scorer_id(block.scorer): block.scorer for block in batch.blocks}
        scores.add_scorers(connection, {id: one for id, one in made_by.items() if id not in self._scorers})
        batch.scorers = self._scorers | made_by.keys()
        rows = [row for part in parts for row in part.rows if not _is_erased(row, batch.erased)]
        scores.add(connection, rows)
        for row in rows:
            known = batch.memory[row["route"]].rows
            known[row["identity"]] = known.get(row["identity"], PRUNED_EVERY) + 1
        rollups.add(connection, rollup_rows([part.sums for part in parts]))
        ingest_counts.add(connection, counts, locked=True)  # the routes are this process's until the commit

    def _note_times(self, connection: Connection, batch: _Batch, places: Mapping[str, tuple[str, int]]) -> None:
        """Where the clocks of the routes stand now, and that exchanges of these have come."""
        now = self._clock()
        known = {route: one for route in places if (one := batch.memory[route].arrival) is not None}
        for route, arrival in arrivals.note(connection, places, now, known).items():
            batch.memory[route].arrival = arrival
        moved = places.keys() | batch.clocks
        for route in moved:
            saved, head = batch.memory[route].saved, batch.heads[route]
            clock = moment(saved.state.clock) if saved and saved.state.clock is not None else head.clock
            batch.heads[route] = replace(head, clock=clock, arrived=now if route in places else head.arrived)
        routes.set_times(connection, {route: batch.heads[route] for route in moved})

    def _take_the_rest(self, connection: Connection, batch: _Batch) -> None:
        readings.add(connection, batch.readings)
        dead_letters.add(connection, batch.dead)
        for route, facts in batch.facts.items():
            fleet.note_pins(connection, [fact for fact in facts if isinstance(fact, Change)])
            if journal.append(connection, route, facts):
                batch.changed.add(route)
                seq, hash_ = routes.head(connection, route)
                batch.heads[route] = replace(batch.heads[route], seq=seq, hash=hash_)
            self._tick()

    def _derive(self, connection: Connection, batch: _Batch) -> None:
        """Incidents and notifications again, of routes with new facts or whose clock may have run a timer out."""
        concerned = batch.clocks | {one.route for one in batch.samples}
        batch.unresolved = incidents.unresolved(connection, concerned)
        moved = {route: clock for route in batch.clocks if (clock := batch.heads[route].clock) is not None}
        waiting = incidents.await_time(connection, moved, min(moved.values())) if moved else frozenset()
        for route in sorted(batch.changed | waiting):
            one = _fold(connection, route, batch)
            stands = one.written if one is batch.memory[route].folded else None  # no fact came: on from what is written
            state = tick(stands or one.checkpoint.state, batch.heads[route].clock)
            if state is not one.written:
                _write(connection, route, state, one.false_alarms, batch.heads[route].clock)
                batch.written.add(route)
            batch.memory[route].folded = replace(one, written=state)
            self._tick()

    def _keep_texts(self, connection: Connection, batch: _Batch) -> None:
        """Texts that came, and what of those that are stored stays with an incident, a baseline or a reading."""
        new = [one for one in batch.samples if not _is_erased(vars(one), batch.erased)]
        concerned = sorted(batch.written | {one.route for one in new})
        unresolved = incidents.unresolved(connection, concerned) if batch.written else batch.unresolved
        holders: dict[str, Holders] = {}
        for route in concerned:
            memory, known = batch.memory[route], batch.memory[route].named
            memory.named = named = _named_in(connection, route, batch)
            learns = named.holders.baseline is None or route in unresolved
            holders[route] = replace(named.holders, learns=learns)
            if route in batch.written and (known is None or known.holders != named.holders or not learns):
                samples.hold(connection, route, holders[route])
                memory.texts = TextTurnover()
        came = samples.add(connection, new, holders, {route: batch.memory[route].texts for route in concerned})
        for reading in batch.readings:
            if reading.status == "firing" and reading.exemplars:
                samples.name(connection, reading.route, filter(None, (*reading.exemplars, *reading.counterparts)))
        batch.ring_bytes = self._ring_bytes + came
        if batch.ring_bytes > _SHED_EVERY:
            samples.shed(connection)
            batch.ring_bytes = 0


def _loaded(connection: Connection, route: str) -> SavedIntake:
    found = step_states.load(connection, STEP, route)
    if found is None:
        return SavedIntake(0, b"", IntakeState.start(route))
    return SavedIntake(*found, unpack(IntakeState, found[1]))


def _save(connection: Connection, batch: _Batch, states: Mapping[str, IntakeState]) -> None:
    """The intake states of these routes, where they changed; nobody may have saved one in between."""
    changed: dict[str, tuple[int, bytes]] = {}
    for route, state in states.items():
        before, blob = batch.memory[route].saved, pack(state)
        assert before is not None
        if blob == before.blob:
            step_states.confirm(connection, STEP, route, before.version)
            continue
        changed[route] = (before.version, blob)
        if state.clock is not None and state.clock != before.state.clock:
            batch.clocks.add(route)
    for route, version in step_states.save_all(connection, STEP, changed).items():
        batch.memory[route].saved = SavedIntake(version, changed[route][1], states[route])


def _note_identities(connection: Connection, route: str, memory: RecordedRoute, models: Mapping[str, Model]) -> None:
    """What stands behind the identities of a route, and the day on which they answered last: once a day."""
    day = today()
    new = {identity: model for identity, model in models.items() if not memory.is_noted(identity, day)}
    if new:
        routes.add_identities(connection, route, new)
        memory.note(frozenset(new), day)


def _named_in(connection: Connection, route: str, batch: _Batch) -> NamedTexts:
    """Whose texts stay, by the journal as it stands; read anew where it has grown."""
    head, known = batch.heads[route].hash, batch.memory[route].named
    if known is not None and known.head == head and route not in batch.written:
        return known
    state = one.written if route in batch.written and (one := batch.memory[route].folded) else None
    told = incidents.find(connection, route) if state is None else state.incidents
    pinned = baselines.current_pinnings(connection, [route]).get(route)
    by_incident = {id: incident.id for incident in told for id in named_by(incident)}
    examples = frozenset(() if pinned is None or pinned.pinning is None else pinned.pinning.examples)
    baseline = None if pinned is None else pinned.baseline
    return NamedTexts(head, Holders(True, baseline, examples, by_incident))


def _fold(connection: Connection, route: str, batch: _Batch) -> FoldedJournal:
    """What the route's journal says: what is new there on top of what was folded before, where that can be."""
    known = batch.memory[route].folded
    seq, head = batch.heads[route].seq, batch.heads[route].hash
    if known is not None and known.head == head:
        return known
    if known is not None:
        new = journal.facts_after(connection, route, known.seq, known.head)
        checkpoint = None if new is None else resumed(known.checkpoint, new)
        if new is not None and checkpoint is not None:
            false_alarms = known.false_alarms | _false_alarms(new)
            return replace(known, seq=seq, head=head, checkpoint=checkpoint, false_alarms=false_alarms)
    facts = journal.facts(connection, route)
    return FoldedJournal(seq, head, folded(route, facts), frozenset(_false_alarms(facts)))


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
    clock = routes.clock(connection, route)
    _write(connection, route, fold(route, facts, clock), _false_alarms(facts), clock)


def _write(
    connection: Connection, route: str, state: RouteIncidents, false_alarms: Collection[str], clock: datetime | None
) -> None:
    incidents.replace(connection, route, state.incidents, false_alarms)
    silences.put(connection, route, state.silences)
    wanted = [outbox_row(one) for one in state.notifications]
    deliveries.reconcile(connection, route, wanted, standing(state), unheard(state), overdue(state, clock))


def _retain(connection: Connection, batch: _Batch) -> None:
    """Delete what a route has too many of; last, since incidents hold rows. What is too old goes by a timer."""
    for route, memory in batch.memory.items():
        crowded = [identity for identity, n in memory.rows.items() if n >= PRUNED_EVERY]
        if crowded:
            scores.prune(connection, route, crowded)
            memory.rows = {**memory.rows, **dict.fromkeys(crowded, 0)} if len(memory.rows) <= IDENTITIES else {}


def _by_kind(records: Iterable[Record]) -> _Batch:
    batch = _Batch()
    for record in records:
        if isinstance(record, ScoreBlock):
            batch.blocks.append(record)
        elif isinstance(record, SampleBlock):
            batch.samples += record.samples
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
