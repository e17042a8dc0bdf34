"""The whole flow on a file: the same answer however it is cut, repeated, split into routes or recorded."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.decision import Decision
from services.demo.support_bot import ROUTE, STARTS
from services.record.recorder import Recorder
from services.replay.report import report, to_text
from services.replay.runner import ReplayRunner
from services.score.blocks import rows_of
from services.score.score_lines import block_lines, parse_line
from services.store import incidents
from services.store.engine import open_database
from tests.replay.conftest import POLICY

CHANGE = 500


def run(tools, items, decisions=(), batch=128):
    replay = ReplayRunner(tools, decisions, batch)
    for item in items:
        replay.feed(item)
    return replay.finish()


def found(tools, items, **how):
    return report(run(tools, items, **how), lambda route: POLICY)


def decide(kind, index, **more):
    return Decision(
        kind=kind, route=ROUTE, actor="ana", reason="seen", ts=STARTS + timedelta(seconds=86.4 * index), **more
    )


@pytest.fixture(scope="module")
def whole(tools, story):
    return found(tools, story)


def test_a_silent_update_is_one_incident_blamed_on_the_model(whole):
    (incident,) = whole["incidents"]
    assert incident["verdict"] == "model"
    assert incident["severity"] == "critical"
    assert set(incident["signals"]) == {"refusal", "secret_leak"}
    assert CHANGE <= incident["opened_event_index"] < CHANGE + 100
    route = whole["routes"][ROUTE]
    assert (route["status"], route["learned"], route["of"]) == ("firing", 300, 300)
    assert [spot["signal"] for spot in route["blind"]] == ["system_prompt_leak"]
    refusals = [one for one in whole["alerts"] if one["signal"] == "refusal"]
    assert refusals[0]["direction"] == "down"
    assert refusals[0]["effect"]["after"] < refusals[0]["effect"]["before"]
    assert refusals[0]["effect"]["high"] < 0


def test_the_json_has_the_shape_of_the_contract(whole):
    assert set(whole) == {"events", "dead", "duplicates", "routes", "alerts", "incidents"}
    alert = {"route", "family", "signal", "slice", "direction", "fingerprint", "identities", "status", "event_index"}
    assert alert | {"ts", "effect", "evidence"} <= set(whole["alerts"][0])
    assert set(whole["alerts"][0]["effect"]) == {"name", "before", "after", "low", "high", "unit"}
    assert set(whole["alerts"][0]["evidence"]) == {"log_e", "threshold", "n", "baseline"}
    incident = {"id", "route", "state", "opened_event_index", "verdict", "severity", "families", "signals"}
    assert incident | {"identities", "exemplars", "timeline"} <= set(whole["incidents"][0])


def test_twice_gives_the_same_bytes(tools, story, whole):
    assert to_text(found(tools, story)) == to_text(whole)


@pytest.mark.parametrize("batch", [1, 7, 64, 500])
def test_batches_of_any_size_give_the_same_answer(tools, story, whole, batch):
    again = found(tools, story, batch=batch)
    assert [one["event_index"] for one in again["alerts"]] == [one["event_index"] for one in whole["alerts"]]
    assert to_text(again) == to_text(whole)


@settings(max_examples=5)
@given(prefix=st.integers(1, 750))
def test_any_prefix_fed_again_changes_nothing_but_the_count_of_duplicates(tools, story, whole, prefix):
    again = found(tools, [*story, *story[:prefix]])
    assert again.pop("duplicates") == prefix
    assert to_text(again) == to_text({name: value for name, value in whole.items() if name != "duplicates"})


def test_score_lines_replay_like_the_exchanges_they_came_from(tools, story, whole):
    blocks = tools.score(story).blocks
    lines = [json.dumps(line) for block in blocks for line in block_lines(block, vectors=True)]
    again = found(tools, [parse_line(line) for line in lines])
    assert to_text(again) == to_text(whole)
    assert [row.id for block in blocks for row in rows_of(block)] == [one.exchange.id for one in story]


def test_routes_do_not_touch_each_other(tools, story, whole):
    def moved(item):
        exchange = item.exchange.model_copy(update={"route": "other/prod", "id": f"o-{item.exchange.id}"})
        position = item.position.model_copy(update={"partition": 1})
        return type(item)(exchange, position, item.flags)

    both = [one for item in story for one in (item, moved(item))]
    again = found(tools, both)
    for route in (ROUTE, "other/prod"):
        mine = [one["event_index"] for one in again["alerts"] if one["route"] == route]
        assert mine == [one["event_index"] for one in whole["alerts"]]
    assert len(again["incidents"]) == 2


def test_decisions_apply_before_the_first_exchange_at_their_time(tools, story):
    resolve = decide("resolve", 700)
    again = found(tools, story, decisions=[resolve])
    timeline = again["incidents"][0]["timeline"]
    decided = [one["ts"] for one in timeline if one["kind"] == "resolved" and one["actor"] == "ana"]
    assert decided == [resolve.model_dump(mode="json")["ts"]]
    resolved = [one for one in again["alerts"] if one["status"] == "resolved"]
    assert {one["event_index"] for one in resolved} <= {699, 700}


def test_what_was_muted_is_shown(tools, story, whole):
    assert whole["routes"][ROUTE]["muted"] == []
    decided = decide("false_alarm", 600)
    again = found(tools, story, decisions=[decided])
    firing = {one["fingerprint"] for one in again["alerts"] if one["event_index"] < 600}
    muted = again["routes"][ROUTE]["muted"]
    assert {one["fingerprint"] for one in muted} <= firing
    assert {(one["kind"], one["actor"], one["reason"]) for one in muted} == {("false_alarm", "ana", "seen")}
    assert all(one["since"] == decided.model_dump(mode="json")["ts"] < one["until"] for one in muted)


def test_a_field_that_changes_all_the_time_is_shown(tools, story, whole):
    assert whole["routes"][ROUTE]["volatile"] == []
    dated = []
    for number, item in enumerate(story[:30]):
        model = item.exchange.model.model_copy(update={"system_prompt_sha256": f"{number:064x}"})
        dated.append(replace(item, exchange=item.exchange.model_copy(update={"model": model})))
    assert found(tools, dated)["routes"][ROUTE]["volatile"] == ["system_prompt_sha256"]


def test_accepting_the_new_behaviour_makes_it_the_baseline_and_is_quiet(tools, story):
    decided = [decide("accept_baseline", 560)]
    longer = traffic_after(story)
    again = found(tools, longer, decisions=decided)
    assert again["routes"][ROUTE]["status"] == "firing"  # the leaked key stays: no baseline makes it all right
    pinned = [one for one in again["incidents"][0]["timeline"] if "what is normal" in one["text"]]
    assert pinned
    late = [one for one in again["alerts"] if one["event_index"] > 900 and one["family"] != "events"]
    assert late == []


def traffic_after(story):
    """The story, and then the new model's exchanges once more under new ids and positions."""
    extra = []
    for index, item in enumerate([*story[CHANGE:], *story[CHANGE:]], start=len(story)):
        changes = {"id": f"more-{index}", "ts": STARTS + timedelta(seconds=86.4 * index)}
        clean = str(item.exchange.response).split("\n\nHere is a key")[0]
        exchange = item.exchange.model_copy(update={**changes, "response": clean})
        extra.append(replace(item, exchange=exchange, position=item.position.model_copy(update={"offset": index})))
    return [*story, *extra]


def test_the_database_holds_what_the_replay_reports(tools, story, whole, tmp_path):
    url = f"sqlite:///{tmp_path / 'replay.db'}"
    database = open_database(url)
    recorder = Recorder(database, lambda route: POLICY)
    run(replace(tools, record=recorder.apply), story)
    stored = database.query(incidents.find)
    database.close()
    expected = [{k: v for k, v in one.items() if k != "timeline"} for one in whole["incidents"]]
    seen = [one.model_dump(mode="json", exclude={"schema_version", "timeline"}) for one in stored]
    assert seen == expected
    assert len(stored[0].timeline) == len(whole["incidents"][0]["timeline"])
