"""After an erasure nothing of the subject is left in the database, and everything else is as it was."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sqlalchemy import select

from detectors import DETECTORS
from detectors.protocol import Baseline
from detectors.stats.near_repeats import UsualPrompts
from schemas.base import Record
from schemas.change import Change
from schemas.dead_letter import DeadLetter
from schemas.decision import Decision
from schemas.position import Position
from schemas.sample import Sample
from schemas.score import ScoreBlock
from services.detect import refit
from services.detect.core import step
from services.detect.serialization import Artefacts
from services.detect.state import DetectionPlan
from services.flow import RouteFlow, advance
from services.monitor import BaselinePolicy, RoutePolicy
from services.record.recorder import Recorder
from services.store import baselines, decisions, incidents, journal, samples, scores, secret_keys
from services.store.audit_check import check
from services.store.codec import pack, unpack
from services.store.decisions import DecisionFilter
from services.store.engine import Conflict, Database, open_database
from services.store.erasure import ERASED, Subject
from services.store.tables import all_metadata
from services.stream.letter_keys import ensure
from services.stream.letter_seal import opened, sealed
from services.stream.stateful import AlertStateStore, DetectStateStore, RouteState
from services.wiring.erasure import ErasureReport, erase
from tests.support.blocks import ROUTE, START, Row, blocks

SIZE = 150
POLICY = RoutePolicy(baseline=BaselinePolicy(size=SIZE, min_size=100), floors={"refusal": 0.02, "secret_leak": 0.0})
PLAN = DetectionPlan(DETECTORS, POLICY)
ERIKA, OTHER = "erika-7731-mustermann", "somebody-else-442"
TEXT = "my sister lives at 14 Harbour Lane and will not come back"
NOW = START + timedelta(days=400)
EVERY = 10


def policy(route: str) -> RoutePolicy:
    return POLICY


def traffic() -> list[ScoreBlock]:
    """Every tenth exchange is Erika's: in the baseline, after it, and among those of which a secret leaked."""
    chance = np.random.default_rng(5)
    rows = [
        Row(
            f"exchange-{i:05d}",
            i,
            i * 86.4,
            signals={"refusal": bool(chance.random() < (0.1 if i < 200 else 0.8)), "secret_leak": i in (210, 217)},
            prompt=i % 97,
            shift=0.0 if i < 200 else 0.6,
        )
        for i in range(400)
    ]
    return [_named(one) for one in blocks(rows, 23)]


def is_hers(id: str) -> bool:
    return int(id.rpartition("-")[2]) % EVERY == 0


def _named(block: ScoreBlock) -> ScoreBlock:
    who = tuple(ERIKA if is_hers(id) else OTHER for id in block.id)
    talk = tuple(f"talk-{int(id[-5:]) // EVERY:04d}" for id in block.id)
    return block.model_copy(update={"user": who, "conversation": talk})


def remeasured(since: int) -> list[ScoreBlock]:
    """The traffic, whose refusals another version measures from exchange `since` on."""
    chance = np.random.default_rng(6)
    versions = [{"refusal": "1", "secret_leak": "1"}, {"refusal": "2", "secret_leak": "1"}]
    rows = [
        Row(
            f"exchange-{i:05d}",
            i,
            i * 86.4,
            signals={"refusal": bool(chance.random() < (0.1 if i < since else 0.5)), "secret_leak": False},
            prompt=i % 97,
            versions=versions[i >= since],
        )
        for i in range(500)
    ]
    return [_named(one) for one in blocks(rows, 23)]


def sample(block: ScoreBlock, i: int) -> Sample:
    place = Position(cluster="c", topic="t", partition=0, offset=block.offset[i])
    return Sample(
        id=block.id[i],
        route=ROUTE,
        source=place,
        ts=block.ts[i],
        identity=block.identity[i],
        user=block.user[i],
        conversation=block.conversation[i],
        prompt=TEXT if is_hers(block.id[i]) else "what are your opening hours",
        response="we are open all day",
        why="kept",
    )


def played(given: Sequence[ScoreBlock]) -> tuple[RouteFlow, list[list[Record]]]:
    """The whole flow over the traffic: where it ends, and what each block gives to record."""
    flow, made = RouteFlow.start(ROUTE), []
    for block in given:
        flow, out = advance(PLAN, flow, block)
        kept = [sample(block, i) for i in range(len(block.id))]
        made.append([block, *kept, *out.readings, *out.changes, *out.alerts])
    return flow, made


@cache
def usual() -> tuple[RouteFlow, list[list[Record]]]:
    """That of the traffic, which most tests begin with."""
    return played(traffic())


def told(database: Database, given: list[ScoreBlock] | None = None) -> RouteFlow:
    """The whole flow over the traffic, recorded, with the states of detect and alert saved as workers save them."""
    recorder = Recorder(database, policy)
    flow, made = usual() if given is None else played(given)
    for records in made:
        recorder.apply(records)
    with database.write() as connection:
        DetectStateStore(DETECTORS).save(connection, ROUTE, RouteState(flow.detect))
        AlertStateStore().save(connection, ROUTE, RouteState(flow.alert))
    return flow


def erased(database: Database, **subject: str) -> ErasureReport:
    ((kind, name),) = subject.items()
    return erase(database, policy, Subject(kind, (name,)), NOW)


def everything(database: Database) -> bytes:
    """Every value of every table, as bytes."""
    found = []
    with database.read() as connection:
        for table in all_metadata().sorted_tables:
            for row in connection.execute(select(*table.columns)):
                found += [one if isinstance(one, bytes) else repr(one).encode() for one in row]
    return b"\n".join(found)


def hers() -> list[bytes]:
    return [ERIKA.encode(), TEXT.encode(), *(f"exchange-{i:05d}".encode() for i in range(0, 400, EVERY))]


def test_nothing_of_a_user_is_left_and_the_chain_holds(database: Database) -> None:
    told(database)
    before = everything(database)
    assert [one for one in hers() if one not in before] == []
    [incident] = database.query(incidents.find, ROUTE)
    assert any(is_hers(id) for id in incident.exemplars)
    report = erased(database, user=ERIKA)
    assert report.exchanges == 400 // EVERY
    for thing in ("samples", "score_rows", "readings", "journal", "states", "incidents"):
        assert report.rows[thing] > 0, (thing, report)
    after = everything(database)
    assert [one for one in hers() if one in after] == []
    assert OTHER.encode() in after
    [again] = database.query(incidents.find, ROUTE)
    assert (again.id, again.state, again.headline, len(again.timeline)) == (
        incident.id,
        incident.state,
        incident.headline,
        len(incident.timeline),
    )
    assert again.exemplars == tuple(id for id in incident.exemplars if not is_hers(id))
    assert database.query(check, None).problems == ()
    assert erased(database, user=ERIKA).exchanges == 0


def test_its_baseline_is_learned_again_without_it_and_a_worker_goes_on(database: Database) -> None:
    flow = told(database)
    pinned = flow.detect.pinned
    assert pinned is not None
    report = erased(database, user=ERIKA)
    assert (report.refitted, report.not_refitted) == ([pinned.id], [])
    with database.read() as connection:
        blob = baselines.load(connection, pinned.id)
        state = DetectStateStore(DETECTORS).load(connection, ROUTE).now
    assert blob is not None
    made = unpack(Artefacts, blob, [*(one.artefact_type for one in DETECTORS), UsualPrompts]).made
    assert pack(Artefacts(made)) != pack(Artefacts(pinned.artefacts))
    assert state.pinned is not None
    assert (state.pinned.id, state.pinned.n, pack(state.intake)) == (pinned.id, pinned.n, pack(flow.detect.intake))
    rows = [Row(f"exchange-{i:05d}", i, i * 86.4, prompt=i % 97, shift=0.6) for i in range(401, 521)]
    after, said = RouteFlow(state, flow.alert), []
    for block in blocks(rows, 60):
        after, made_of = advance(PLAN, after, block)
        said += [one.detector for one in made_of.readings if one.status == "firing"]
    assert after.detect.intake.count == flow.detect.intake.count + 120
    assert "model_shift" in said, "what moved before is found again against the new one"


def test_a_baseline_is_learned_as_if_what_is_erased_had_never_been_in_it(database: Database) -> None:
    """The rows that stand in the database are the very ones that were learned from."""
    told(database)
    learned: list[Baseline] = []

    class Spy:
        spec, learns, artefact_type, state_type = DETECTORS[0].spec, True, object, object

        def fit(self, baseline: Baseline) -> Any:
            learned.append(baseline)
            return DETECTORS[0].fit(baseline)

    with database.read() as connection:
        state = DetectStateStore(DETECTORS).load(connection, ROUTE).now
        assert state.pinned is not None
        stored = scores.learnable(connection, ROUTE, state.pinned.identity, state.pinned.event_index)
    rows = refit.rows_of(stored, ())
    found = refit.baseline_rows(ROUTE, state.pinned, rows, np.zeros(len(rows), bool), POLICY.baseline)
    assert found is not None
    assert len(found) == SIZE
    again = refit.refitted(DetectionPlan((Spy(),), POLICY), state, found)  # type: ignore[arg-type]
    assert again.pinned is not None
    name = DETECTORS[0].spec.name
    assert pack(Artefacts({name: again.pinned.artefacts[name]})) == pack(
        Artefacts({name: state.pinned.artefacts[name]})
    )
    assert learned[0].arl == state.pinned.arl


def test_a_baseline_whose_exchanges_are_not_all_stored_is_named(database: Database) -> None:
    flow = told(database)
    with database.write() as connection:
        rows = all_metadata().tables["score_rows"]
        connection.execute(rows.delete().where(rows.c.event_index < 3))
    report = erased(database, user=ERIKA)
    assert flow.detect.pinned is not None
    assert (report.refitted, report.not_refitted) == ([], [flow.detect.pinned.id])


def test_candidates_of_a_route_that_learns_are_left_out(database: Database) -> None:
    flow = told(database, traffic()[:4])
    n = sum(kept.n for kept in flow.detect.candidates.values())
    report = erased(database, user=ERIKA)
    with database.read() as connection:
        state = DetectStateStore(DETECTORS).load(connection, ROUTE).now
    assert report.rows["candidates"] == 10
    assert sum(kept.n for kept in state.candidates.values()) == n - 10
    assert [one for one in hers() if one in everything(database)] == []


def test_a_conversation_or_one_exchange_goes_alone(database: Database) -> None:
    told(database)
    assert erased(database, conversation="talk-0007").exchanges == EVERY
    assert erased(database, id="exchange-00123").exchanges == 1
    after = everything(database)
    assert b"talk-0007" not in after
    assert b"exchange-00123" not in after
    assert b"exchange-00124" in after
    assert b"talk-0008" in after


def test_a_dry_run_changes_nothing(database: Database) -> None:
    told(database)
    before = everything(database)
    report = erase(database, policy, Subject("user", (ERIKA,)), NOW, dry=True)
    assert report.exchanges == 400 // EVERY
    assert everything(database) == before


def test_what_was_under_way_is_kept_out_and_what_comes_later_is_not(database: Database) -> None:
    given = traffic()
    told(database, given[:10])
    erased(database, user=ERIKA)
    recorder = Recorder(database, policy)
    recorder.apply([given[10], *(sample(given[10], i) for i in range(len(given[10].id)))])
    after = everything(database)
    assert [one for one in hers() if one in after] == []
    later = given[11].model_copy(update={"ts": tuple(NOW + timedelta(seconds=i + 1) for i in range(23))})
    recorder.apply([later, *(sample(later, i) for i in range(len(later.id)))])
    assert ERIKA.encode() in everything(database)


def test_a_worker_that_holds_a_state_of_before_must_load_it_again(database: Database) -> None:
    flow = told(database)
    with database.read() as connection:
        held = DetectStateStore(DETECTORS).load(connection, ROUTE)
    erased(database, user=ERIKA)
    with pytest.raises(Conflict), database.write() as connection:
        DetectStateStore(DETECTORS).save(connection, ROUTE, RouteState(flow.detect, held.saved, held.version))


def test_no_file_of_the_database_holds_any_of_it(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    database = open_database(f"sqlite:///{tmp_path / 'kw.db'}", heads=tmp_path)
    told(database)
    caplog.set_level(0)

    def held() -> list[bytes]:
        return [one for one in hers() for file in tmp_path.iterdir() if one in file.read_bytes()]

    assert held()
    erased(database, user=ERIKA)
    assert held() == []
    assert not [one for one in hers() if one.decode() in caplog.text]
    assert database.query(journal.verify_chain, ROUTE) == ()
    assert database.query(samples.by_id, ROUTE, ["exchange-00001"])
    database.close()


def test_what_was_learned_anew_of_it_is_learned_once_more(database: Database) -> None:
    given = remeasured(200)
    flow = told(database, given)
    assert flow.detect.pinned is not None
    [anew] = flow.detect.pinned.relearned
    before = flow.detect.pinned.artefacts["rate_shift"]
    report = erased(database, user=ERIKA)
    assert anew.id in report.discarded
    with database.read() as connection:
        assert baselines.load(connection, anew.id) is None
        state = DetectStateStore(DETECTORS).load(connection, ROUTE).now
    assert state.pinned is not None
    assert (state.pinned.id, state.pinned.relearned) == (flow.detect.pinned.id, ())
    assert not np.array_equal(state.pinned.artefacts["rate_shift"].prompts.mean, before.prompts.mean)
    after = everything(database)
    assert [one for one in hers() if one in after] == []
    more = [
        Row(
            f"later-{i}",
            i,
            i * 86.4,
            prompt=i % 97,
            signals={"refusal": i % 2 == 0, "secret_leak": False},
            versions={"refusal": "2", "secret_leak": "1"},
        )
        for i in range(500, 700)
    ]
    for block in blocks(more):
        state, out = step(PLAN, state, [block])
        assert [one for one in out.readings if one.status == "firing"] == []
    assert state.pinned is not None
    assert state.pinned.relearned[0].versions == {"refusal": "2"}


def test_what_is_being_learned_anew_is_left_without_it(database: Database) -> None:
    flow = told(database, remeasured(400))
    assert flow.detect.relearning is not None
    n = flow.detect.relearning.candidates.n
    erased(database, user=ERIKA)
    with database.read() as connection:
        state = DetectStateStore(DETECTORS).load(connection, ROUTE).now
    assert state.relearning is not None
    assert 0 < state.relearning.candidates.n < n
    after = everything(database)
    assert [one for one in hers() if one in after] == []


def test_stored_rows_are_learned_again_as_one_version_measured_them(database: Database) -> None:
    """Stored rows hold what both versions said."""
    flow = told(database, remeasured(20))
    pinned = flow.detect.pinned
    assert pinned is not None
    assert "refusal" not in pinned.versions  # it held from row 69 on, which leaves too few
    with database.read() as connection:
        stored = scores.learnable(connection, ROUTE, pinned.identity, pinned.event_index)
        by = scores.scorers(connection, {row["scorer"] for row in stored})
    versions = {**pinned.versions, "refusal": "2"}
    rows = refit.measured_by(refit.rows_of(stored, ()), [by[row["scorer"]] for row in stored], versions)
    assert len(rows) == SIZE
    assert len(refit.measured_by(rows, [by[row["scorer"]] for row in stored], {"response_vec": "other/f32"})) == 0
    assert np.isnan(rows.signals["refusal"]).sum() == 20
    assert not np.isnan(rows.signals["secret_leak"]).any()
    assert erased(database, user=ERIKA).refitted == [pinned.id]


def test_dead_letters_of_all_are_unreadable_after_it_unless_they_are_to_stay(database: Database) -> None:
    """Nobody knows of whom one is, and the topic keeps them: what opens them goes."""
    days = [NOW.date() - timedelta(days=n) for n in range(3)]
    keys = ensure(database, days, NOW)
    place = Position(cluster="c", topic="t", partition=0, offset=1)
    raw = f'{{"user": "{ERIKA}", "prompt": 5}}'.encode()
    kept = [sealed(DeadLetter.of(raw, "score", "prompt: must be text", place), keys[day]) for day in days]

    def readable() -> int:
        private = database.query(secret_keys.find, secret_keys.DEAD_LETTERS)
        return sum(opened(one, private).raw != "" for one in kept)

    subject = Subject("user", (ERIKA,))
    assert readable() == 3
    assert erase(database, policy, subject, NOW, dry=True).rows["secret_keys"] == 3
    assert "secret_keys" not in erase(database, policy, subject, NOW, letters=False).rows
    assert readable() == 3
    assert erased(database, user=ERIKA).rows["secret_keys"] == 3
    assert readable() == 0
    assert ensure(database, days, NOW) != keys, "what is sealed from now on has another key"
    assert readable() == 0


def test_a_baseline_of_a_file_is_named_and_stays(database: Database) -> None:
    flow = told(database)
    assert flow.detect.pinned is not None
    given = replace(flow.detect, pinned=replace(flow.detect.pinned, given=True))
    with database.write() as connection:
        store = DetectStateStore(DETECTORS)
        kept = store.load(connection, ROUTE)
        store.save(connection, ROUTE, RouteState(given, kept.saved, kept.version))
    report = erased(database, user=ERIKA)
    assert (report.of_files, report.refitted, report.not_refitted) == ([flow.detect.pinned.id], [], [])


def test_a_baseline_and_a_decision_stay_listed_without_what_was_erased_of_them(database: Database) -> None:
    flow = told(database)
    assert flow.detect.pinned is not None
    pinned = flow.detect.pinned.id
    with database.read() as connection:
        (change,) = [
            one for one in journal.facts(connection, ROUTE) if isinstance(one, Change) and one.kind == "pinned"
        ]
    assert change.pinning is not None
    named = change.model_copy(update={"pinning": change.pinning.model_copy(update={"examples": ("exchange-00010",)})})
    said = Decision(kind="acknowledge", route=ROUTE, incident="1" * 16, actor=ERIKA, reason="seen", ts=START)
    with database.write() as connection:
        seq = next(seq for seq, one in journal.numbered_facts(connection, ROUTE).items() if one == change)
        journal.erase(connection, ROUTE, seq, NOW, named)
        journal.append(connection, ROUTE, [said])
    for _ in range(2):
        erased(database, user=ERIKA)
        with database.read() as connection:
            listed = baselines.pinnings(connection, [ROUTE], None, 10)
            assert [(one.id, one.baseline) for one in listed] == [(change.id, pinned)]
            assert listed[0].pinning is not None
            assert listed[0].pinning.examples == ()
            assert baselines.pinning_of(connection, pinned) == listed[0]
            assert baselines.current_pinnings(connection, [ROUTE]) == {ROUTE: listed[0]}
            changes = journal.changes(connection, [ROUTE], ["pinned"], None, 10)
            assert [one.id for one in changes] == [change.id]
            within = journal.facts_within(connection, ROUTE, ["decision"], None, None)
            (decision,) = decisions.page(connection, DecisionFilter(), None, 10)
            assert (decision.id, decision.decision.actor) == (said.id, ERASED)
            assert [one.actor for one in within if isinstance(one, Decision)] == [ERASED]
