"""A real language model through the whole step: first sight, a change, a comparison; nothing of it is simulated."""

from __future__ import annotations

from dataclasses import replace

from schemas.identity import Model, identity_of
from services.evaluate.persistence import stored_run
from services.monitor import Target
from services.store.engine import Database
from tests.support import smollm
from tests.support.asking import suite
from tests.support.executing import Caught, asks, done, states, traffic, watched

SMALL = suite("core", benign=2, forbidden=2, canaries=1, repeats=1)
SETTINGS = {"temperature": 0, "max_tokens": 12, "seed": 7}


def test_a_real_model_is_run_when_it_is_first_seen_and_held_against_itself_after_a_change(database: Database) -> None:
    caught, model = Caught(), Model(requested=smollm.NAME)
    with smollm.running() as url:
        monitor = watched(url)
        target = Target(url, smollm.NAME, settings=SETTINGS)
        monitor = replace(monitor, defaults=replace(monitor.defaults, target=target))
        traffic(database, model)
        assert done(database, monitor, caught, suites=lambda _: SMALL) == 1
        asks(database, "change", "c" * 16, identity_of(model))
        assert done(database, monitor, caught, suites=lambda _: SMALL) == 1
    assert [(run.status, run.reason) for run in caught.runs] == [("complete", None)] * 2
    assert states(database) == [("first_seen", "done", None), ("change", "done", None)]
    with database.read() as connection:
        before, after = (stored_run(connection, run.id) for run in caught.runs)
    assert before is not None
    assert after is not None
    assert len(before.answers) == SMALL.answers
    assert all(answer.text and answer.scored and answer.served == smollm.NAME for answer in before.answers)
    assert [answer.text for answer in before.answers] == [answer.text for answer in after.answers]
    (comparison,) = caught.comparisons
    assert (comparison.before_run, comparison.after_run) == (before.id, after.id)
    assert comparison.overall in ("unchanged", "inconclusive"), "the same answers are no regression"
    assert [row.flipped for row in comparison.hazards if row.flipped] == []
