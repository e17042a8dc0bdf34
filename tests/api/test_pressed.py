"""Every button, pressed twice, at once by two, too late, on an old page, without the right: one transition."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import pytest

from services.api.auth.csrf import FORM_COOKIE
from services.notify.buttons import BUTTONS
from services.store import incidents
from services.wording import decisions as words
from services.wording.decisions import OFFERED
from services.wording.numbers import moment
from tests.support.api import NOW, asked, later, recorded
from tests.support.outline import outline
from tests.support.pressing import HTML, InSlack, OnPage, OverRest, Person, World, at_once, world
from tests.support.principals import as_
from tests.support.records import alert, comparison, decision

EVERY = [(OnPage, kind) for kind in OFFERED] + [(OverRest, kind) for kind in OFFERED]
EVERY += [(InSlack, button.kind) for button in BUTTONS]
Surface = Callable[..., Person]
NAMES = {OnPage: "page", OverRest: "rest", InSlack: "slack"}
IDS = [f"{NAMES[where]}-{kind}" for where, kind in EVERY]


@pytest.fixture
def there(new_url: Callable[[], str]) -> Iterator[World]:
    """One open incident."""
    with world(new_url()) as made:
        recorded(made.database, alert("firing", 300))
        yield made


def both(there: World, where: Surface) -> tuple[Person, Person]:
    """Mara and Theo, each at a process of their own, who have looked at the incident."""
    one, two = there.seats
    return where(one, there.incident(), "mara"), where(two, there.incident(), "theo")


def who_did(there: World) -> str:
    """How the one decision that was written is told of: its actor."""
    [made] = there.written()
    return made.actor


@pytest.mark.parametrize(("where", "kind"), EVERY, ids=IDS)
def test_two_at_once_and_again_and_again_are_one_transition(there: World, where: Surface, kind: str) -> None:
    if kind == "end_silence":
        recorded(there.database, decision("silence", ts=later(-1), expires=later(9)))
    mara, theo = both(there, where)
    said = at_once(lambda: mara.press(kind), lambda: theo.press(kind))
    assert sorted(one.taken for one in said) == [False, True]
    first, second = (mara, theo) if said[0].taken else (theo, mara)
    refused = next(one.words for one in said if not one.taken)
    assert who_did(there).startswith(first.name)
    assert first.name in refused
    assert moment(NOW) in refused

    for seat in there.seats:
        seat.api.decisions.clock = lambda: later(0.02)
    for one in (first, second):  # while it is on its way
        again = one.press(kind)
        assert not again.taken
        assert first.name in again.words
    assert [one.kind for one in there.carry()] == [kind]
    for one in (first, second):  # on pages and messages that show the incident as it was before it took effect
        again = one.press(kind)
        assert not again.taken
        assert first.name in again.words or "meanwhile" in again.words or "already" in again.words
    assert len(there.written()) == 1
    entry = there.told()[-1]
    assert len(there.told()) == (2 if kind == "end_silence" else 1)
    assert (entry.actor, entry.ref) == (who_did(there), there.written()[0].id)
    assert there.carry() == []


@pytest.mark.parametrize(("where", "kind"), EVERY, ids=IDS)
def test_after_it_was_resolved_nothing_is_changed_and_it_says_by_whom(there: World, where: Surface, kind: str) -> None:
    late = where(there.seats[1], there.incident(), "theo")
    recorded(there.database, decision("resolve", ts=later(-1), incident=there.incident().id))
    said = late.press(kind)
    assert not said.taken
    assert "resolved already" in said.words
    assert where is InSlack or words.already("resolved", "mara", later(-1)) in said.words
    assert there.written() == []
    assert len(there.told()) == 1


def test_two_buttons_at_once_on_pages_are_one_transition(there: World) -> None:
    mara, theo = both(there, OnPage)
    said = at_once(lambda: mara.press("snooze"), lambda: theo.press("resolve"))
    assert sorted(one.taken for one in said) == [False, True]
    assert len(there.written()) == 1
    refused = next(one.words for one in said if not one.taken)
    assert "since this page was opened" in refused or "ended the incident already" in refused
    there.carry()
    assert len(there.told()) == 1


def test_an_old_page_is_told_what_happened_since_and_the_new_one_decides(there: World) -> None:
    theo = OnPage(there.seats[1], there.incident(), "theo")
    recorded(there.database, decision("acknowledge", ts=later(-1), incident=there.incident().id))
    said = theo.press("resolve")
    assert not said.taken
    told = words.since_opened([words.happened(there.incident().timeline[-1])])
    assert f"Nothing was changed: {told}" in said.words
    assert there.written() == []
    assert OnPage(there.seats[1], there.incident(), "theo").press("resolve").taken


def test_an_old_page_does_not_call_a_worse_alert_a_false_alarm(there: World) -> None:
    theo = OnPage(there.seats[1], there.incident(), "theo")
    recorded(there.database, alert("firing", 310, severity="critical", signal="pii_leak"))
    said = theo.press("false_alarm")
    assert not said.taken
    assert words.since_opened([words.happened(there.incident().timeline[-1])]) in said.words
    assert there.written() == []


def test_what_does_not_matter_makes_no_page_old(there: World) -> None:
    theo = OnPage(there.seats[1], there.incident(), "theo")
    recorded(there.database, comparison("unchanged", 18))
    recorded(there.database, alert("firing", 310, signal="pii_leak"))
    assert theo.press("acknowledge").taken


def test_a_page_stays_new_while_its_own_decision_takes_effect(there: World) -> None:
    assert OnPage(there.seats[0], there.incident(), "mara").press("acknowledge").taken
    theo = OnPage(there.seats[1], there.incident(), "theo")  # the page that says that it is on its way
    there.carry()
    assert theo.press("resolve").taken


@pytest.mark.parametrize("seen", ["", "x", "9" * 5000, "2.x", "-1.0", "²." + "0" * 16, "\0"])
def test_a_forged_version_is_an_old_page(there: World, seen: str) -> None:
    theo = OnPage(there.seats[0], there.incident(), "theo")
    theo.fields["seen"] = seen
    said = theo.press("resolve")
    assert not said.taken
    assert "since this page was opened" in said.words
    assert there.written() == []


def test_who_may_only_look_is_shown_no_button_and_is_refused_politely(new_url: Callable[[], str]) -> None:
    with world(new_url(), guard=as_("viewer", name="eyes")) as there:
        recorded(there.database, alert("firing", 300))
        api, id = there.seats[0].app, there.incident().id
        shown = asked(api, "GET", f"/incidents/{id}", headers=HTML)
        assert shown.status_code == 200
        assert 'action="/incidents/' not in shown.text
        assert "Your key may look, and not decide" in shown.text
        for kind in OFFERED:
            fields = {"token": "A" * 43, "kind": kind, "actor": "theo", "reason": "x"}
            headers = {**HTML, "cookie": f"{FORM_COOKIE}={'A' * 43}"}
            answer = asked(api, "POST", f"/incidents/{id}/decisions", data=fields, headers=headers)
            assert (answer.status_code, answer.headers["content-type"]) == (403, "text/html; charset=utf-8")
            assert "the key eyes has the role viewer" in outline(answer.text).text
            body = {"kind": kind, "route": there.incident().route, "incident": id, "actor": "theo", "reason": "x"}
            told = asked(api, "POST", "/v1/decisions", json=body)
            assert (told.status_code, told.headers["content-type"]) == (403, "application/problem+json")
        assert there.written() == []


def test_a_key_decides_under_its_own_name_and_on_its_own_routes(new_url: Callable[[], str]) -> None:
    with world(new_url(), guard=as_("operator", "support-bot/*", name="on call")) as there:
        recorded(there.database, alert("firing", 300), alert("firing", 300, route="other/bot"))
        api, read = there.seats[0].app, there.database
        [mine], [foreign] = (read.query(incidents.find, route) for route in ("support-bot/prod", "other/bot"))
        assert "Decided as on call" in outline(asked(api, "GET", f"/incidents/{mine.id}", headers=HTML).text).text
        assert OnPage(there.seats[0], mine, "somebody else").press("resolve").taken
        assert [one.actor for one in there.written()] == ["on call"]
        headers = {**HTML, "cookie": f"{FORM_COOKIE}={'A' * 43}"}
        fields = {"token": "A" * 43, "kind": "resolve", "reason": "x"}
        for id in (foreign.id, "0" * 16):
            answers = [
                asked(api, "GET", f"/incidents/{id}", headers=HTML),
                asked(api, "POST", f"/incidents/{id}/decisions", data=fields, headers=headers),
            ]
            assert {answer.status_code for answer in answers} == {404}
        assert len(there.written()) == 1


def test_comments_are_taken_on_old_pages_too_each_once(there: World) -> None:
    mara, theo = both(there, OnPage)
    assert mara.press("comment").taken
    assert mara.press("comment").taken, "at the same time it is the same one"
    assert len(there.written()) == 1
    for seat in there.seats:
        seat.api.decisions.clock = lambda: later(0.02)
    again = mara.press("comment")
    assert (again.taken, "mara has written the same already" in again.words) == (False, True)
    assert theo.press("comment").taken
    there.carry()
    assert theo.press("acknowledge").taken is False, "what was written meanwhile is to be read first"
    assert [entry.kind for entry in there.told()] == ["decision", "decision"]


def test_a_comment_is_offered_and_taken_by_button_after_it_was_resolved(there: World) -> None:
    recorded(there.database, decision("resolve", ts=later(-1), incident=there.incident().id))
    shown = asked(there.seats[0].app, "GET", f"/incidents/{there.incident().id}", headers=HTML).text
    assert re.findall(r'<button name="kind" value="(\w+)"', shown) == ["comment"]
    assert "there is nothing to decide" in outline(shown).text
    assert OnPage(there.seats[0], there.incident(), "mara").press("comment").taken
    there.carry()
    assert (there.incident().state, there.told()[-1].text) == ("resolved", "Comment by mara: seen")


def test_a_comment_names_the_incident_that_it_is_about(there: World) -> None:
    body = {"kind": "comment", "route": there.incident().route, "actor": "mara", "reason": "x"}
    answer = asked(there.seats[0].app, "POST", "/v1/decisions", json=body)
    assert (answer.status_code, [one["field"] for one in answer.json()["errors"]]) == (422, ["incident"])
