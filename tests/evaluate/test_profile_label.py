"""A profile says what runs showed, what they did not test and what speaks against it, and is the same each time."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import jsonschema_rs
import pytest

from schemas.base import canonical, hash16
from schemas.change import Change
from schemas.evaluation import OWN_TRAFFIC, EarlyStop, RunOrigin
from schemas.identity import Model, identity_of
from services.api.pages.profile import view_of_profile
from services.evaluate.comparison import compare
from services.evaluate.profile import profile_of
from services.evaluate.profile_label import (
    AskedNow,
    EarlierRun,
    ProfileSources,
    label_object,
    label_sha256,
    profile_label,
)
from services.evaluate.profile_schema import FILE, profile_schema
from services.evaluate.result import RunResult
from services.evaluate.run_seal import answers_sha256
from services.evaluate.scorer_rubrics import rubrics_of
from services.evaluate.suite import BENIGN, DISALLOWED, MEASURES
from services.evaluate.suite_library import load_suite
from services.evaluate.untested import AILUMINATE, UntestedPart, Wanted, asked_kinds, shown_changes, untested
from services.signals.harmful_compliance import KNOWN_HARMFUL
from services.wording import evaluations, profiles
from tests.support.exported import HELP, asked_run, part_of
from tests.support.results import ROUTE, TIME, item, result, suite_of, worse

NOW = TIME + timedelta(days=12)
WHO = Model(requested="m")
NEXT = Model(requested="m", served="m-2")
NAMES = {identity_of(WHO): WHO, identity_of(NEXT): NEXT}
RUN = result(suite_of(), worse("harmful", 3))
SOURCES = ProfileSources(ROUTE, identity_of(WHO), NAMES, identity_of(WHO), (RUN,), scorers=RUN.scorers)

ASKED_NOW = AskedNow("api.example.com", RUN.target.model, RUN.target.api, RUN.settings)


def kinds(sources: ProfileSources) -> list[str]:
    return [one.kind for one in profile_label(sources, NOW).contradictions]


def parts(*runs: RunResult, wanted: Wanted | None = None) -> dict[str, list[UntestedPart]]:
    found: dict[str, list[UntestedPart]] = {}
    for one in untested(runs, asked_kinds(runs), wanted or Wanted({})):
        found.setdefault(one.kind, []).append(one)
    return found


def test_its_figures_are_the_runs_and_it_says_exactly_how_they_were_asked() -> None:
    label = profile_label(SOURCES, NOW)
    [suite] = label.suites
    assert (label.label, label.reason, label.own_traffic) == ("known", None, None)
    assert [(one.measure, one.hazard, one.n, one.events, one.rate, one.true_rate) for one in suite.measures] == [
        (one.measure, one.hazard, one.n, one.events, one.rate, one.true_rate) for one in profile_of(RUN)
    ]
    assert (suite.suite_sha256, suite.run, suite.answers_sha256) == (RUN.suite.sha256, RUN.id, answers_sha256(RUN))
    assert (suite.host, suite.requested, suite.settings) == ("api.example.com", "m", {"temperature": 0})
    assert "did what 3 of 20 disallowed requests asked" in label.says
    assert label.recompute == (f"keelwatch verify run {RUN.id}",)
    own = profile_label(replace(SOURCES, own={RUN.suite.name}), NOW)
    assert own.recompute == (f"keelwatch verify run {RUN.id} --suite {RUN.suite.name}",)
    assert label.made.age_seconds == {RUN.id: 12 * 86_400}


def test_it_is_the_same_bytes_but_for_when_it_was_made_and_its_hash_is_of_what_it_says() -> None:
    one, other = (label_object(profile_label(SOURCES, NOW + timedelta(hours=hours))) for hours in (0, 30))
    assert one["made"] != other["made"]
    assert canonical({**one, "made": None}) == canonical({**other, "made": None})
    assert one["sha256"] == label_sha256(one)
    moved = label_object(profile_label(replace(SOURCES, runs=(result(suite_of(), worse("harmful", 4)),)), NOW))
    assert moved["sha256"] != one["sha256"]


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"identity": None}, evaluations.NOBODY_ANSWERED),
        ({"identity": identity_of(NEXT), "latest": identity_of(NEXT)}, evaluations.NEVER_ASKED),
        ({"identity": identity_of(NEXT), "asked_before": identity_of(WHO)}, "m was asked, and m-2 answers now"),
        ({"identity": hash16("nobody")}, "no exchange of this model is stored"),
    ],
)
def test_without_a_complete_run_of_exactly_this_identity_it_is_not_known_and_says_why(fields: Any, why: str) -> None:
    label = profile_label(replace(SOURCES, runs=(), **fields), NOW)
    assert (label.label, label.suites) == ("not known", ())
    assert why in (label.reason or "")
    assert label.says.startswith(f"Not known how safe {ROUTE} is: ")
    assert {one.kind for one in label.not_tested} >= {"ailuminate", "measures", "own_traffic", "coverage"}


def test_what_speaks_against_it_is_named() -> None:
    change = Change(
        id=hash16("change"),
        kind="observed",
        route=ROUTE,
        to=identity_of(NEXT),
        model=NEXT,
        ts=TIME + timedelta(days=1),
        event_index=7,
        reason="the served model changed",
    )
    cases: dict[str, dict[str, Any]] = {
        "open_incident": {"incidents": [(hash16("i"), "The refusal rate fell", TIME)]},
        "newer_identity": {"latest": identity_of(NEXT)},
        "changed_since": {"changes": [change]},
        "incomplete_run": {"failed": [(hash16("f"), "made", "failed", "502", NOW)]},
        "newer_suite": {"suites": {"made": ("2", "ab" * 32)}},
        "other_scorers": {"scorers": {**RUN.scorers, "refusal": "2"}},
        "other_target": {"target": replace(ASKED_NOW, settings={"temperature": 1})},
        "other_system_prompt": {"models": {identity_of(WHO): WHO.model_copy(update={"system_prompt_sha256": "cd"})}},
    }
    assert kinds(replace(SOURCES, target=ASKED_NOW)) == []
    for kind, fields in cases.items():
        assert kinds(replace(SOURCES, **fields)) == [kind]
    both = profile_label(replace(SOURCES, latest=identity_of(NEXT), changes=[change]), NOW)
    assert both.contradictions[0].ts == change.ts
    assert "m-2" in both.contradictions[0].text


@pytest.mark.parametrize(
    ("fields", "names"),
    [
        ({"host": "other.example.com"}, "endpoint"),
        ({"model": "m-9", "api": "messages"}, "model and API"),
        ({"settings": {"temperature": 0, "top_p": 1}}, "settings"),
    ],
)
def test_what_the_monitor_file_asks_otherwise_now_is_named(fields: Any, names: str) -> None:
    [one] = profile_label(replace(SOURCES, target=replace(ASKED_NOW, **fields)), NOW).contradictions
    assert one.text == f"made was asked with another {names} than the monitor file names now"


def test_scorers_of_other_versions_than_here_now_or_than_of_the_model_before_are_named() -> None:
    moved = replace(SOURCES, scorers={"refusal": "2", "leak": "1", "form": "9"})
    [one] = profile_label(moved, NOW).contradictions
    assert one.text == "made was not scored by what would score it here now: refusal 1, now 2", "form judges none of it"
    judged = replace(SOURCES, scorers={**RUN.scorers, "harmful_compliance": "judge strict 3"})
    [one] = profile_label(judged, NOW).contradictions
    assert "harmful compliance none, now judge strict 3" in one.text
    before = result(suite_of(), identity=identity_of(NEXT), id=hash16("before"), scorers={"refusal": "0", "leak": "1"})
    [one] = profile_label(replace(SOURCES, earlier={"made": EarlierRun(before)}), NOW).contradictions
    assert (one.kind, one.ref) == ("other_scorers", before.id)
    assert one.text == "made of m-2, against which it is held, was scored by others: refusal 0, here 1"
    origin = RunOrigin(tool="Inspect", version="1", task="t", scorer="graded", event="e", sha256="ab" * 32)
    elsewhere = RUN.model_copy(update={"origin": origin, "scorers": {"Inspect: graded": "1"}})
    assert profile_label(replace(SOURCES, runs=(elsewhere,)), NOW).contradictions == (), "ours would not score it"


def test_it_says_whether_a_person_or_another_tool_made_a_run() -> None:
    origin = RunOrigin(tool="Inspect\x1b", version="1", task="t", scorer="graded", event="e", sha256="ab" * 32)
    elsewhere = RUN.model_copy(update={"origin": origin})
    for run, by_hand, made_by, says in (
        (RUN, (), "service", None),
        (RUN, (RUN.id,), "command", "run by hand"),
        (elsewhere, (RUN.id,), "import", "judged by graded of Inspect\N{REPLACEMENT CHARACTER}, not by Keelwatch"),
    ):
        label = profile_label(replace(SOURCES, runs=(run,), by_hand=by_hand), NOW)
        [suite] = label.suites
        assert (suite.made_by, suite.origin) == (made_by, run.origin)
        assert label.says.endswith(f"; {says})" if says else " UTC)")
        assert dict(view_of_profile(label).panels[0].facts)["made"] == (says or "by the service")


def test_it_is_held_against_the_identity_before_hazard_by_hazard() -> None:
    before = result(suite_of(), identity=identity_of(NEXT), id=hash16("before"))
    worst = result(suite_of(), worse("harmful", 12))
    sources = replace(SOURCES, runs=(worst,), earlier={"made": EarlierRun(before)})
    [delta] = profile_label(sources, NOW).previous
    assert (delta.made_by, delta.origin) == ("service", None)
    by_hand = replace(sources, earlier={"made": EarlierRun(before, by_hand=True)})
    assert [one.made_by for one in profile_label(by_hand, NOW).previous] == ["command"]
    [panel] = view_of_profile(profile_label(by_hand, NOW)).deltas
    assert panel.text.startswith("Against m-2, suite made, run by hand: ")
    assert (delta.overall, delta.run, delta.name) == ("regressed", before.id, "m-2")
    assert delta.hazards == compare(before, worst).hazards


def test_own_questions_are_told_apart() -> None:
    own = result(suite_of(name=OWN_TRAFFIC), id=hash16("own"))
    label = profile_label(replace(SOURCES, runs=(RUN, own)), NOW)
    assert [one.suite for one in label.suites] == ["made"]
    assert label.own_traffic is not None
    assert label.own_traffic.run == own.id
    [part] = [one for one in label.not_tested if one.kind == "own_traffic"]
    assert part.n == len(own.suite.items)


def test_hazards_of_ailuminate_without_a_scored_item_are_named_on_each_side() -> None:
    titles = {code: title for code, (title, _) in AILUMINATE.items()}
    items = (item("a", DISALLOWED, "hate"), item("b", DISALLOWED, "vcr"), item("c", BENIGN, "privacy"))
    made = replace(suite_of(), items=items)
    run = result(made, {"b": [None]})
    by_side = {one.measure: set(one.names) for one in parts(run)["ailuminate"]}
    assert by_side[DISALLOWED] == set(titles.values()) - {titles["hte"]}, "what was not scored does not count"
    assert by_side[BENIGN] == set(titles.values()) - {titles["prv"]}
    assert "ailuminate" not in parts(result(load_suite("core-wide")))


def test_kinds_of_questions_are_counted_from_what_was_sent() -> None:
    plain = parts(RUN)
    assert {"turns", "tools", "planted", "modalities", "languages", "own_traffic", "coverage"} <= plain.keys()
    [missing] = plain["measures"]
    assert set(missing.names) == set(MEASURES) - {DISALLOWED, BENIGN, "canary", "newly_answered", "newly_declined"}
    whole = asked_run(part_of("core", 150), {"over_refusal": HELP})
    found = parts(whole)
    assert not {"turns", "tools", "planted", "measures"} & found.keys()
    counted = asked_kinds((whole,))
    assert counted.items == len(whole.suite.items)
    assert sum(counted.languages.values()) == counted.items
    assert {"en", "de", "hi"} <= set(counted.languages)
    assert all(n for n in (counted.several_turns, counted.tools, counted.planted, counted.system_prompt))


def test_the_share_that_users_ask_beside_the_suites_is_not_tested() -> None:
    told = {
        share: [one.text for one in untested((), asked_kinds(()), Wanted({}, coverage=share)) if one.kind == "coverage"]
        for share in (None, 0.62, 1.0)
    }
    assert told[None] == [profiles.NOT_COVERED]
    assert told[0.62] == ["38.0% of what users ask resembles no question of the suites that are run"]
    assert told[1.0] == []


def test_items_without_a_result_suites_that_were_not_asked_and_runs_that_stopped_are_named() -> None:
    errored = result(suite_of(), {"harmful-1": [None], "harmful-2": [None]})
    [part] = parts(errored)["unscored"]
    assert (part.measure, part.n) == (DISALLOWED, 2)
    [suite] = parts(RUN, wanted=Wanted({"core": "it has no complete run of this model"}))["suite"]
    assert suite.names == ("core",)
    kept = tuple(one for one in RUN.answers if not one.item.startswith("benign"))
    stopped = RUN.model_copy(
        update={
            "answers": kept,
            "against": hash16("x"),
            "stopped": EarlyStop(rule="regressed", asked=len(kept), of=len(RUN.suite.items)),
        }
    )
    [left] = parts(stopped)["not_asked"]
    assert left.n == 20


def test_what_rows_can_show_is_what_a_comparison_of_the_run_says() -> None:
    core = asked_run(part_of("core", 60), {"over_refusal": HELP})
    for run in (RUN, core):
        shown = shown_changes(run)
        for row in compare(run, run).hazards:
            if row.measure != "canary" and row.n:
                assert shown[row.measure, row.hazard] == pytest.approx(row.mde), row
    few = parts(RUN)["too_few"]
    assert {one.measure for one in few} == {DISALLOWED, BENIGN}
    assert all(one.shows is None or one.shows > 25 for one in few)


def test_what_counts_and_who_judges_is_told_with_threshold_and_errors() -> None:
    rubric = {one.measure: one for one in rubrics_of(asked_run(part_of("core", 1), {}))}
    harmful, refused, canary = (rubric[name] for name in (DISALLOWED, BENIGN, "canary"))
    assert harmful.threshold == KNOWN_HARMFUL
    assert refused.threshold is not None
    assert 0 < refused.threshold < 1
    assert harmful.sensitivity is not None
    assert harmful.labels == sum(one.events + one.others for one in harmful.sources)
    assert (canary.exact, canary.threshold, canary.sensitivity) == (True, None, None)
    old = {one.measure: one for one in rubrics_of(RUN)}
    assert (old[BENIGN].version, old[BENIGN].threshold, old[BENIGN].sensitivity) == ("1", None, None)
    assert old[DISALLOWED].version is None


def test_the_published_schema_is_the_codes_and_holds_for_every_label() -> None:
    assert json.loads(FILE.read_text(encoding="utf-8")) == profile_schema(), (
        "run `python -m services.evaluate.profile_schema`"
    )
    holds = jsonschema_rs.validator_for(profile_schema())
    own = result(suite_of(name=OWN_TRAFFIC), id=hash16("own"))
    before = EarlierRun(result(suite_of(), identity=identity_of(NEXT), id=hash16("before")))
    for sources in (
        SOURCES,
        replace(SOURCES, runs=()),
        replace(SOURCES, identity=None, runs=()),
        replace(SOURCES, runs=(RUN, own), earlier={"made": before}, latest=identity_of(NEXT)),
        replace(SOURCES, runs=(asked_run(part_of("core", 2), {}),)),
    ):
        told = label_object(profile_label(sources, NOW))
        holds.validate(told)
        for broken in ({**told, "label": "safe"}, {**told, "schema_version": 2}, {**told, "more": 1}):
            assert not holds.is_valid(broken)
