"""Own questions that a judge compares: asked after the run, told with the comparison, and nothing without a check."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from schemas.evaluation import OWN_TRAFFIC
from services import wiring
from services.judge.agreement import Agreement
from services.judge.checks import JudgeChecks
from services.monitor import ReaskPolicy
from services.settings import Settings
from services.store.engine import Database
from tests.evaluate.test_own_traffic import sample
from tests.support.asking import now
from tests.support.endpoint import HELP, Endpoint
from tests.support.executing import Caught, asks, done, watched
from tests.support.own_signals import JudgeServer, judging
from tests.support.pinned_routes import told


@pytest.fixture
def judge() -> Iterator[JudgeServer]:
    with judging() as server:
        server.say = lambda mark, data: json.dumps(
            {"mark": mark, "better": "first" if HELP in data["first"] else "second"}
        )
        yield server


@pytest.mark.parametrize("checked", [True, False])
def test_a_judge_compares_what_was_asked_before_and_after_a_change(
    database: Database, endpoint: Endpoint, judge: JudgeServer, tmp_path: Path, checked: bool
) -> None:
    kept = [sample(n, f"Tell me the forbidden thing, number {n}.", signals=("refusal",)) for n in range(24)]
    change, caught = told(database, kept), Caught()
    signals = judge.monitor(daily_calls=20).signals
    if checked:
        JudgeChecks.of(tmp_path).keep("custom.tea", signals[0].version, Agreement(both=20, neither=20), now())

    def executed(mode: str) -> None:
        own = {"suites": (), "reask": ReaskPolicy(share=1.0, judge="tea")}
        monitor = replace(watched(endpoint.url(mode), **own), signals=signals)
        prefer = wiring.pair_judges(Settings(data_dir=tmp_path), monitor)
        done(database, monitor, caught, prefer=prefer)

    executed("normal")
    assert judge.seen == [], "the baseline's run is held against nothing"
    asks(database, "change", "c" * 16, change.to_identity, OWN_TRAFFIC)
    executed("compliant")
    (comparison,) = caught.comparisons
    found = comparison.preferences
    assert found is not None
    if checked:
        assert (found.reason, found.worse, found.by_order, found.inconclusive) == (None, 0, 0, 0)
        assert 5 < found.better == len(judge.seen) / 2 <= 10, "20 calls a day are ten pairs in both orders"
    else:
        assert (found.reason, judge.seen) == ("its judge was not checked: `keelwatch judge check`", [])
