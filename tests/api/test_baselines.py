"""The pages of baselines and decisions: what is pinned and why, and a form that decides once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from schemas.base import hash16
from schemas.change import Pinning
from schemas.identity import Model
from schemas.reading import Reading
from services.alert.state import AlertState, Mute
from services.api.auth.csrf import FORM_COOKIE
from services.store import step_states
from services.store.codec import pack
from services.wording import routes
from services.wording.decisions import decided_at, since_opened
from tests.support.api import NOW, asked, later, recorded
from tests.support.hostile_pages import PAYLOADS
from tests.support.outline import Outline, outline
from tests.support.pressing import HTML, Said, Seat, World, at_once, world
from tests.support.principals import as_
from tests.support.records import IDENTITY, ROUTE, alert, change, decision, reading

PATH = f"/baselines/{ROUTE}"
KINDS = ("accept_baseline", "silence", "announce")


def learning(index: int, reason: str, route: str = ROUTE) -> Reading:
    """How far detect says that it has learned."""
    plain: dict[str, Any] = {"detector": "baseline", "signal": None, "identity": None, "direction": None}
    return reading("learning", index, route=route, reason=reason, n=index + 1, **plain)


def fill(made: World, text: str = "the new model is wanted", route: str = ROUTE) -> None:
    """Two baselines, of which a person accepted the second one, with decisions and a mute, all in the same words."""
    facts = Pinning(n=1000, streams=6, arl=180_180.0, rates={"refusal": 0.158})
    first = {"from_identity": None, "to_identity": IDENTITY, "model": Model(requested=text)}
    recorded(
        made.database,
        change("pinned", 100, id=hash16([route, 1]), route=route, pinning=facts, baseline=hash16([route]), **first),
        decision("accept_baseline", 10, route=route, reason=text, actor=text),
        change("pinned", 900, id=hash16([route, 2]), route=route, pinning=facts, hours=15, model=Model(requested=text)),
        decision("silence", 20, route=route, reason=text, actor=text, expires=later(3)),
        reading(
            "learning", 950, route=route, detector="baseline", signal=None, identity=None, direction=None, reason=text
        ),
    )
    mute = Mute("0" * 16, "false_alarm", text, text, NOW, ("a",))
    with made.database.write() as connection:
        step_states.save(connection, "alert", route, 0, pack(AlertState(route, mutes={"0" * 16: mute})))


@pytest.fixture
def there(new_url: Callable[[], str]) -> Iterator[World]:
    with world(new_url()) as made:
        yield made


def shown(where: Seat, path: str = PATH) -> Outline:
    answer = asked(where.app, "GET", path, headers=HTML)
    assert answer.status_code == 200, answer.text
    return outline(answer.text)


def words(found: Outline) -> str:
    return " ".join(found.text.split())


def sent(where: Seat, page: Outline, kind: str, name: str = "mara", **fields: Any) -> httpx.Response:
    token = page.named("token")
    data = {"token": token, "seen": page.named("seen"), "kind": kind, "actor": name, "reason": "planned", "hours": "4"}
    data |= {"requested": "gpt-5"} | fields
    headers = {**HTML, "cookie": f"{FORM_COOKIE}={token}"}
    return asked(where.app, "POST", f"{PATH}/decisions", data=data, headers=headers)


def press(where: Seat, page: Outline, kind: str, name: str) -> Said:
    answer = sent(where, page, kind, name)
    assert answer.status_code in (303, 409), answer.text
    return Said(answer.status_code == 303, words(outline(answer.text)))


def test_nothing_is_there_yet(there: World) -> None:
    assert "No exchange has arrived yet" in words(shown(there.seats[0], "/baselines"))
    recorded(there.database, learning(149, "learned 150 of 1000 exchanges"))
    for path in ("/baselines", PATH):
        told = words(shown(there.seats[0], path))
        assert routes.learning(150, 1000) in told
        assert "learning" in told
    assert 'value="accept_baseline"' not in asked(there.seats[0].app, "GET", PATH, headers=HTML).text
    refused = press(there.seats[0], shown(there.seats[0]), "accept_baseline", "mara")
    assert not refused.taken
    assert f"{ROUTE} has no baseline yet: it is still learning its first one" in refused.words


def test_the_page_says_of_whom_since_when_who_accepted_it_and_why(there: World) -> None:
    fill(there)
    listed, page = words(shown(there.seats[0], "/baselines")), words(shown(there.seats[0]))
    for said in (
        "since 25 Nov 2026 03:00 UTC",
        "Accepted as the new normal by the new model is wanted",
        "silenced",
    ):
        assert said in listed, said
        assert said in page, said
    for said in (
        "15.8% of its answers",
        "6 streams, each with one false alarm in 180,180 exchanges",
        routes.budget_set(1.0),
        "log evidence 12.1",
        "All alerts silenced until 26 Nov 2026 15:00 UTC",
        "One alert muted since 26 Nov 2026 12:00 UTC",
        "Learned from the first exchanges of the route",
    ):
        assert said in page, said


@pytest.mark.parametrize("kind", KINDS)
def test_two_at_once_and_again_and_again_are_one_decision(there: World, kind: str) -> None:
    fill(there)
    there.carry()
    for seat in there.seats:
        seat.api.decisions.clock = lambda: later(4)
    one, two = there.seats
    pages = shown(one), shown(two)
    said = at_once(lambda: press(one, pages[0], kind, "mara"), lambda: press(two, pages[1], kind, "theo"))
    assert sorted(one.taken for one in said) == [False, True]
    [made] = there.written()
    assert made.kind == kind
    refused = next(one.words for one in said if not one.taken)
    assert f"Nothing was changed: {made.actor} has decided the same already" in refused
    for seat in there.seats:
        seat.api.decisions.clock = lambda: later(4.02)
    again = press(two, shown(two), kind, "theo")
    assert not again.taken
    assert len(there.carry()) == 1
    again = press(two, pages[1], kind, "theo")
    assert not again.taken
    assert made.actor in again.words
    assert len(there.written()) == 1


def test_an_old_page_of_a_route_is_told_what_was_decided_since(there: World) -> None:
    fill(there)
    page = shown(there.seats[1])
    assert press(there.seats[0], shown(there.seats[0]), "announce", "mara").taken
    said = press(there.seats[1], page, "accept_baseline", "theo")
    assert not said.taken
    [made] = there.written()
    assert made.kind == "announce"
    assert since_opened([decided_at(made)]) in said.words
    assert press(there.seats[1], shown(there.seats[1]), "accept_baseline", "theo").taken


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"kind": "resolve"}, "decision: "),
        ({"actor": ""}, "your name: is missing"),
        ({"reason": " "}, "the reason: is missing"),
        ({"requested": ""}, "model: is missing"),
        ({"hours": "5", "kind": "silence"}, "time: "),
    ],
)
def test_a_field_that_cannot_be_used_is_named_and_the_rest_kept(
    there: World, change: dict[str, str], said: str
) -> None:
    fill(there)
    answer = sent(there.seats[0], shown(there.seats[0]), **{"kind": "announce", "served": "kept", **change})
    assert answer.status_code == 422
    assert said in words(outline(answer.text))
    assert outline(answer.text).named("served") == "kept"
    assert there.written() == []


def test_forms_of_others_decide_nothing(there: World) -> None:
    fill(there)
    assert sent(there.seats[0], shown(there.seats[0]), "silence", token="A" * 43).status_code == 403
    assert there.written() == []


@pytest.mark.parametrize(
    "path", ["/baselines/no/such", "/baselines/%00", "/baselines/UP", "/baselines/%ff", "/baselines/a%20b"]
)
def test_a_route_that_is_not_there_is_not_found(there: World, path: str) -> None:
    for method, where in (("GET", path), ("POST", f"{path}/decisions")):
        headers = {**HTML, "cookie": f"{FORM_COOKIE}={'A' * 43}"}
        data = {"data": {"token": "A" * 43}} if method == "POST" else {}
        assert asked(there.seats[0].app, method, where, headers=headers, **data).status_code == 404


def test_routes_page_by_name_and_are_looked_for(there: World) -> None:
    for i in range(53):
        recorded(there.database, alert("firing", 300, route=f"bot-{i:02d}/a"))
    first = asked(there.seats[0].app, "GET", "/baselines", headers=HTML).text
    assert "bot-49/a" in first
    assert "bot-50/a" not in first
    more = next(dict(attrs)["href"] for tag, attrs in outline(first).elements if dict(attrs).get("rel") == "next")
    assert "bot-52/a" in words(shown(there.seats[0], str(more)))
    found = words(shown(there.seats[0], "/baselines?route=OT-5"))
    assert ("bot-51/a" in found, "bot-49/a" in found) == (True, False)
    assert "No route is called like that" in words(shown(there.seats[0], "/baselines?route=nothing"))


def test_a_key_sees_and_decides_on_its_own_routes_alone(new_url: Callable[[], str]) -> None:
    with world(new_url(), guard=as_("operator", "other/*", name="night")) as there:
        fill(there)
        fill(there, "mine", "other/bot")
        app = there.seats[0].app
        listed = asked(app, "GET", "/baselines", headers=HTML).text
        assert (ROUTE in listed, "other/bot" in listed) == (False, True)
        for path in (PATH, "/baselines/no/such"):
            assert asked(app, "GET", path, headers=HTML).status_code == 404
            headers = {**HTML, "cookie": f"{FORM_COOKIE}={'A' * 43}"}
            data = {"token": "A" * 43, "kind": "silence", "reason": "x"}
            assert asked(app, "POST", f"{path}/decisions", data=data, headers=headers).status_code == 404
        assert there.written() == []
        assert "Decided as night" in words(shown(there.seats[0], "/baselines/other/bot"))


def test_who_may_only_look_is_shown_no_button(new_url: Callable[[], str]) -> None:
    with world(new_url(), guard=as_("viewer", name="eyes")) as there:
        fill(there)
        text = asked(there.seats[0].app, "GET", PATH, headers=HTML).text
        assert 'method="post"' not in text
        assert "Your key may look, and not decide" in text
        answer = asked(there.seats[0].app, "POST", f"{PATH}/decisions", data={"kind": "silence"}, headers=HTML)
        assert (answer.status_code, answer.headers["content-type"]) == (403, "text/html; charset=utf-8")


def test_hostile_texts_are_text_alone(there: World) -> None:
    plain = None
    for i, payload in enumerate(["harmless", *PAYLOADS]):
        clean = payload.replace("\0", "\N{REPLACEMENT CHARACTER}")
        fill(there, clean, f"bot{i}/a")
        found = shown(there.seats[0], f"/baselines/bot{i}/a")
        bones = [(tag, [name for name, _ in attrs]) for tag, attrs in found.elements]
        plain = plain or bones
        assert bones == plain, payload
        assert found.text.count(clean) >= 8, payload
