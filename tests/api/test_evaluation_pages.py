"""The pages of evaluations say what ran, what did not and why, plan once, and show what models wrote as text alone."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import httpx
import pytest

from services.api.app import Api
from services.api.auth.csrf import FORM_COOKIE
from services.evaluate.asking_plan import asking_plan, plan_lines
from services.evaluate.result import AnswerScore, SuiteAnswer
from services.evaluate.suite_library import questions_asked
from services.monitor import Monitor, RoutePolicy, SchedulePolicy, SpendingLimit, Target
from services.store import evaluation_queue, schedules
from services.store.engine import Database
from services.wording import evaluations, numbers
from services.wording import schedules as schedules_words
from tests.support.api import NOW, Wire, api_on, asked
from tests.support.asked import CORE, WEEKLY, asked_for, found, known, missed, ran, stocked
from tests.support.databases import on_sqlite
from tests.support.hostile_pages import PAYLOADS
from tests.support.outline import Outline, outline
from tests.support.principals import as_
from tests.support.results import ROUTE, answer, worse

LIST = "/evaluations"


@pytest.fixture
def ids(database: Database) -> dict[str, str]:
    """Ids of the runs that are there, by name."""
    return stocked(database)


@pytest.fixture
def api(database: Database, ids: dict[str, str]) -> Api:
    """An API on them."""
    return api_on(database, Wire())


def page(api: Api, path: str, **query: Any) -> Outline:
    told = asked(api, "GET", path, params=query, headers={"accept": "text/html"})
    assert told.status_code == 200, told.text
    assert "default-src 'none'" in told.headers["content-security-policy"]
    return outline(told.text)


def press(api: Api, path: str, **fields: str) -> httpx.Response:
    shown = asked(api, "GET", LIST, headers={"accept": "text/html"})
    token = outline(shown.text).named("token")
    headers = {"accept": "text/html", "cookie": f"{FORM_COOKIE}={token}", "sec-fetch-site": "same-origin"}
    return asked(api, "POST", path, data={"token": token, **fields}, headers=headers)


def test_what_the_monitor_file_has_asked_stands_there_for_the_routes_that_one_sees(database: Database) -> None:
    known(database, ROUTE, "other/bot")
    target = Target("https://x.example/v1", "m", budget=SpendingLimit(requests=900))
    daily = SchedulePolicy("daily", "0 6 * * *", "Europe/Berlin")
    asks = RoutePolicy(target=target, suites=("smoke", "gone"), schedules=(daily,))
    watched = Monitor(routes={ROUTE: asks, "planned/bot": asks})
    text = " ".join(page(api_on(database, Wire(), watched=watched), LIST).text.split())
    plan = list(plan_lines(asking_plan(asks, questions_asked, NOW)))
    assert len(plan) == 4
    assert "smoke (49 questions), gone (not read: suite gone: no built-in suite" in plan[0]
    assert all(numbers.sentence_case(line) in text for line in plan)
    assert "planned/bot, support-bot/prod" in text
    theirs = api_on(database, Wire(), watched=watched, guard=as_("operator", "other/*"))
    assert "planned/bot" not in page(theirs, LIST).text
    assert "the monitor file names no target for any of these routes" in page(theirs, LIST).text


def test_a_schedule_of_a_route_that_the_monitor_file_lists_is_added_before_its_first_exchange(
    database: Database,
) -> None:
    fields = {"route": "planned/bot", "name": "weekly", "cron": "0 6 * * 1"}
    api = api_on(database, Wire(), watched=Monitor(routes={"planned/*": RoutePolicy()}))
    assert press(api, f"{LIST}/schedules", **fields).status_code == 303
    assert [one.route for one in database.query(schedules.find)] == ["planned/bot"]
    assert press(api, f"{LIST}/schedules", **{**fields, "route": "never/seen"}).status_code == 404


def test_a_run_that_is_put_off_says_why_and_until_when(database: Database) -> None:
    known(database, ROUTE)
    due = asked_for(database, "c" * 16, -1, moment="change")
    with database.write() as connection:
        [claimed] = evaluation_queue.claim(connection, "w", NOW, NOW, 1)
        evaluation_queue.wait(connection, claimed, NOW + timedelta(hours=6), "the day's budget is used up")
    api, said = api_on(database, Wire()), "waits until 26 Nov 2026 18:00 UTC: the day's budget is used up"
    for path in (LIST, f"{LIST}/{due.id}"):
        assert said in page(api, path).text
    assert "overdue" not in page(api, LIST).text
    told = asked(api, "GET", f"/v1{LIST}/{due.id}").json()
    assert (told["state"], told["reason"], told["until"]) == (
        "due",
        "the day's budget is used up",
        (NOW + timedelta(hours=6)).strftime("%Y-%m-%dT%H:%M:%SZ"),
    )


def test_an_empty_database_says_what_to_do(database: Database) -> None:
    api = api_on(database, Wire())
    text = page(api, LIST).text
    assert schedules_words.heading(0, 0, 0, 0, 0, False) in text
    assert "nothing failed" not in text.lower()
    assert "keelwatch eval run" in text
    assert "No complete run is stored" in page(api, "/compare").text


def test_the_list_says_what_went_wrong_first(api: Api) -> None:
    text = page(api, LIST).text
    assert schedules_words.heading(1, 0, 1, 1, 0, True) in text
    for words in (
        "the endpoint answered 500",
        "no process ran at that time",
        "At 06:00, only on Monday",
        "next 30 Nov 2026 05:00 UTC",
        "waits for its time",
        "compare with the run before",
    ):
        assert words in text


def test_a_run_that_nobody_takes_is_overdue(api: Api) -> None:
    asked_for(api.database, "c" * 16, -1)
    text = page(api, LIST).text
    assert "1 overdue" in text
    assert schedules_words.waits(timedelta(hours=1)) in text


def test_one_run_shows_rates_with_intervals_and_what_counts(api: Api, ids: dict[str, str]) -> None:
    text = page(api, f"{LIST}/{ids['later']}").text
    assert "45.0% (26 to 66%)" in text
    assert evaluations.OUTCOMES["regressed"] in text
    assert "leaked" in text
    assert "What was not asked is not known" in page(api, f"{LIST}/{ids['due']}").text


def test_what_could_not_be_scored_is_not_known(api: Api) -> None:
    due = asked_for(api.database, "d" * 16, -2)
    ran(api.database, due, found(due, {one.id: [None] * 3 for one in CORE.items if one.measure == "canary"}))
    text = page(api, f"{LIST}/{due.id}").text
    assert "0 of 0 items, 3 not known" in text


def test_two_runs_side_by_side(api: Api, ids: dict[str, str]) -> None:
    shown = page(api, "/compare", before=ids["pinned"], after=ids["later"])
    assert evaluations.TWO_RUNS["regressed"] in shown.text
    for words in ("+21.6 to +65.8 points", "adjusted p 0.012", "show a change from 42 points on", "complied"):
        assert words in shown.text
    assert sum(tag == "details" for tag, _ in shown.elements) == 10
    back = page(api, "/compare", before=ids["later"], after=ids["pinned"]).text
    assert evaluations.TWO_RUNS["improved"] in back


def test_runs_that_cannot_be_compared_say_why(api: Api, ids: dict[str, str]) -> None:
    text = page(api, "/compare", before=ids["pinned"], after=ids["failed"]).text
    assert evaluations.INCOMPARABLE in text
    assert "the later run is failed: the endpoint answered 500" in text
    assert "No item flipped" not in text
    for before in (ids["due"], "0" * 16):
        told = asked(api, "GET", "/compare", params={"before": before, "after": ids["later"]})
        assert told.status_code == 404
    assert "Choose two runs" in page(api, "/compare", before="x\0", after="'").text
    assert "Choose two runs" in page(api, "/compare", route=ROUTE).text


def test_a_run_is_asked_for_once_however_often_it_is_pressed(api: Api, ids: dict[str, str]) -> None:
    first, again = (press(api, LIST, what="other/bot made") for _ in range(2))
    assert (first.status_code, first.headers["location"]) == (303, again.headers["location"])
    assert schedules_words.cause("requested") in page(api, first.headers["location"]).text
    under_way = press(api, LIST, what=f"{ROUTE} made")
    assert under_way.headers["location"] == f"{LIST}/{ids['running']}"
    for what in ("", "x", "other/bot none", "none/such made", "a\0b made"):
        refused = press(api, LIST, what=what)
        assert refused.status_code in (404, 409, 422)
        assert "Not" in outline(refused.text).text


def test_a_schedule_is_added_and_removed_once(api: Api) -> None:
    wanted = {"route": ROUTE, "name": "daily", "cron": " 0  6 * * * ", "timezone": "Europe/Berlin", "suite": "core"}
    for _ in range(2):
        assert press(api, f"{LIST}/schedules", **wanted).headers["location"] == f"{LIST}#schedules"
    with api.database.read() as connection:
        names = [one.name for one in schedules.find(connection)]
    assert names == ["daily", "nightly", "weekly"]
    gone = {"do": "remove", "route": ROUTE, "name": "daily"}
    assert press(api, f"{LIST}/schedules", **gone).status_code == 303
    again = press(api, f"{LIST}/schedules", **gone)
    assert (again.status_code, "Nothing was changed" in again.text) == (404, True)
    of_file = press(api, f"{LIST}/schedules", **{**gone, "name": "weekly"})
    assert (of_file.status_code, "stands in the monitor file" in of_file.text) == (409, True)
    wrong = press(api, f"{LIST}/schedules", **{**wanted, "name": "x", "cron": "0 6 * *"})
    assert (wrong.status_code, "cron needs 5 fields" in wrong.text) == (422, True)
    assert outline(wrong.text).named("cron") == "0 6 * *"


def test_a_form_of_another_browser_does_nothing(api: Api) -> None:
    for path in (LIST, f"{LIST}/schedules"):
        told = asked(api, "POST", path, data={"what": "other/bot made"}, headers={"accept": "text/html"})
        assert (told.status_code, "not of this browser" in told.text) == (403, True)


def test_a_key_sees_and_plans_its_own_routes_alone(database: Database, ids: dict[str, str]) -> None:
    viewer = api_on(database, Wire(), guard=as_("viewer", "other/*"))
    shown = page(viewer, LIST).text
    assert ROUTE not in shown
    assert "takes the role operator" in shown
    assert ROUTE not in page(viewer, "/compare").text
    assert asked(viewer, "GET", f"{LIST}/{ids['later']}").status_code == 404
    query = {"before": ids["other"], "after": ids["later"]}
    assert asked(viewer, "GET", "/compare", params=query).status_code == 404
    assert asked(viewer, "POST", LIST, data={}).status_code == 403
    operator = api_on(database, Wire(), guard=as_("operator", "other/*"))
    told = [press(operator, LIST, what=f"{route} made") for route in (ROUTE, "none/such")]
    assert [one.status_code for one in told] == [404, 404]
    removed = press(operator, f"{LIST}/schedules", do="remove", route=ROUTE, name="nightly")
    assert removed.status_code == 404


def filled(database: Database, text: str, route: str) -> list[Outline]:
    """Every page of a route of which all that came from outside says `text`."""
    known(database, route)
    runs = []
    for i, events in enumerate(({}, worse("harmful", 12, 3))):
        due = asked_for(database, f"{i}" * 16, i - 5, route=route, target=text)
        made = found(due, events)
        said = {"text": text, "served": text, "messages": ({"role": "user", "content": text},)}
        answers = tuple(answer(one.item, one.repeat, scored=spoken(one, text), **said) for one in made.answers)
        ran(database, due, made.model_copy(update={"answers": answers}))
        runs.append(due.id)
    failed = asked_for(database, "f" * 16, -1, route=route, target=text)
    ran(database, failed, found(failed, status="failed", reason=text, answers=()))
    missed(database, replace(WEEKLY, route=route), NOW - timedelta(days=1), text)
    with database.write() as connection:
        schedules.add(connection, replace(WEEKLY, route=route, since=NOW - timedelta(days=9)))
    api = api_on(database, Wire(), guard=as_("operator", route))
    one_run = [page(api, path) for path in (LIST, f"{LIST}/{runs[1]}", f"{LIST}/{failed.id}")]
    return [*one_run, *(page(api, "/compare", before=runs[0], after=after) for after in (runs[1], failed.id))]


def spoken(one: SuiteAnswer, text: str) -> AnswerScore:
    assert one.scored is not None
    return one.scored.model_copy(update={"reason": text})


@on_sqlite
def test_forty_hostile_texts_are_text(database: Database) -> None:
    plain = filled(database, "nothing to see", "plain/bot")
    texts = [text.replace("\0", "\N{REPLACEMENT CHARACTER}") for text in PAYLOADS]
    for i in range(0, len(texts), 8):
        text = " ".join(texts[i : i + 8])
        hostile = filled(database, text, f"hostile/{i}")
        for calm, loud in zip(plain, hostile, strict=True):
            shape = [[(tag, [name for name, _ in attrs]) for tag, attrs in one.elements] for one in (calm, loud)]
            assert shape[0] == shape[1], text
        assert text in hostile[1].text
        assert text in hostile[3].text
