"""The page of a route says how it stands, shows hostile text as text alone, and hides what a key does not see."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import get_args

import pytest

from schemas.change import Pinning
from schemas.score import Flag
from services.api.app import Api
from services.api.auth.authorization import Principal
from services.monitor import RoutePolicy
from services.monitor.loader import examine
from services.record.recorder import Recorder
from services.store import incidents
from services.store.engine import Database
from services.wording import incidents as incidents_words
from services.wording import nouns, routes
from services.wording.charts import evidence
from services.wording.numbers import sentence_case
from services.wording.timeline import change_mark
from tests.support.api import NOW, Wire, api_on, asked, recorded
from tests.support.blocks import Row, blocks
from tests.support.databases import on_sqlite
from tests.support.hostile_pages import PAYLOADS
from tests.support.outline import Outline, outline
from tests.support.records import BASELINE, IDENTITY, NEW, alert, change, decision, reading
from tests.support.route_life import LIFE, live, rows, sample

HTML = {"accept": "text/html"}
BLIND = f"{routes.WATCHED['blind']} {LIFE}"


def page(api: Api, path: str = f"/routes/{LIFE}") -> Outline:
    answer = asked(api, "GET", path, headers=HTML)
    assert answer.status_code == 200, answer.text
    return outline(answer.text)


def words(api: Api, path: str = f"/routes/{LIFE}") -> str:
    return " ".join(page(api, path).text.split())


def learned(database: Database, n: int) -> None:
    """One exchange at `NOW`, and the progress of learning."""
    seconds = (NOW - datetime.fromisoformat("2026-01-01T00:00:00Z")).total_seconds() - 60
    recorded(database, *blocks([Row("e0", 0, seconds, signals={"refusal": False})], 1, LIFE))
    said = reading("learning", n, route=LIFE, identity=None, detector="baseline", signal=None, effect=None, n=n)
    recorded(database, said)


def pin(database: Database) -> None:
    pinning = Pinning(n=1000, streams=4, arl=1e6, rates={"refusal": 0.2})
    recorded(database, change("pinned", 10, route=LIFE, to_identity=IDENTITY, baseline=BASELINE, pinning=pinning))


def test_it_tells_of_the_incident_rates_evidence_identities_and_slices(database: Database) -> None:
    live(database)
    api = api_on(database, Wire())
    [incident] = api.database.query(incidents.find, LIFE)
    text = words(api)
    for said in (
        "warning support-bot/prod open",
        incidents_words.title(incident),
        "Open the incident and decide",
        routes.not_monitored(routes.blind_spot("model_shift", None, "too few")),
        "Refusal rate 15.7% in this time · normally 20.0%",
        f"{routes.rate_of(324, 324, 0.1)} · 95% interval 12.2% to 20.1%",
        f"{sentence_case(nouns.signal_noun('secret_leak'))} not known in this time · normally not known",
        routes.rate_of(0, 0, None),
        change_mark(change("suspected", 10, model=NEW)),
        f"refusal rate {routes.STATUSES['firing']}",
        evidence(20.0, 13.1),
        f"18.8% to 2.1%, {routes.change(-20.4, -12.9, 'pp')}",
        "33.3% in this time, 120 exchanges first seen in the hour of 1 Jan 2026 02:00 UTC",
        "tags.locale=de180",
        "prompt de",
        "Learned by 1 Jan 2026 01:40 UTC",
    ):
        assert said in text, said
    assert f'href="/incidents/{incident.id}"' in asked(api, "GET", f"/routes/{LIFE}", headers=HTML).text


def test_what_is_not_monitored_of_an_exchange_stands_beside_it(database: Database) -> None:
    flagged = [replace(row, flags=("truncated", "not_monitored:image")) if row.id == "e359" else row for row in rows()]
    recorded(database, *blocks(flagged, 90, LIFE), *(sample(LIFE, i, "de") for i in (358, 359)))
    text = words(api_on(database, Wire()))
    assert text.count("scored in part, images not monitored") == 1


@pytest.mark.parametrize("flag", get_args(Flag))
def test_every_flag_has_words(flag: str) -> None:
    assert not {"_", ":"} & set(nouns.flags([flag]))


def test_the_rate_of_each_tool_is_a_row_of_its_own(database: Database) -> None:
    made = [
        replace(row, signals={"tool_loop": i % 4 == 0}, parts={"tool_loop": {"search": i % 4 == 0, "shell": False}})
        for i, row in enumerate(rows())
    ]
    sink = Recorder(database, lambda _: RoutePolicy(slices=("tool",)))
    for one in blocks(made, 90, LIFE):
        sink.apply([one])
    api = api_on(database, Wire())
    assert "tool=search360" in words(api)
    found = asked(api, "GET", f"/v1/routes/{LIFE}/safety").json()["rates"]
    rates = {(one["slice"], one["signal"]): (one["n"], one["rate"]) for one in found if one["identity"] is None}
    assert rates["tool=search", "tool_loop"] == (360, 0.25)
    assert rates["tool=shell", "tool_loop"] == (360, 0.0)
    told = asked(api, "GET", f"/v1/exchanges?route={LIFE}&limit=1").json()["items"][0]
    assert told["signals"]["tool_loop"]["parts"] == {"search": False, "shell": False}


def test_a_slice_and_a_time_can_be_chosen(database: Database) -> None:
    live(database)
    api = api_on(database, Wire())
    assert "Refusal rate 15.0%" in words(api, f"/routes/{LIFE}?slice=tags.locale%3Dde")
    assert "Refusal rate 16.7%" in words(api, f"/routes/{LIFE}?slice=tags.locale%3Den&hours=720")
    assert "1 Jan 2026 02:00 UTC to 1 Jan 2026 03:00 UTC: 120 exchanges" in words(api, f"/routes/{LIFE}?hours=1")
    assert "Refusal rate not known" in words(api, f"/routes/{LIFE}?slice=tags.locale%3Dnone")


@pytest.mark.parametrize(
    "query", ["hours=0", "hours=1e9", "hours=%00", "slice=%00", "slice=" + "x" * 5000, "slice=%ED%A0%80"]
)
def test_a_query_that_cannot_be_used_shows_the_usual_page(database: Database, query: str) -> None:
    live(database)
    assert "360 exchanges" in words(api_on(database, Wire()), f"/routes/{LIFE}?{query}")


def test_a_route_that_learns_says_how_far_and_is_not_called_watched(database: Database) -> None:
    learned(database, 350)
    text = words(api_on(database, Wire()))
    assert f"learning support-bot/prod {routes.learning(350, 1000)}" in text
    assert routes.UNTIL_LEARNED in text
    assert routes.NOTHING_FOUND not in text


def test_a_route_that_learns_says_why_it_takes_long_when_it_ends_and_what_is_sooner(database: Database) -> None:
    seconds = (NOW - datetime.fromisoformat("2026-01-01T00:00:00Z")).total_seconds() - 600
    none = {"identity": None, "signal": None, "effect": None}
    recorded(database, reading("learning", 0, route=LIFE, detector="baseline", n=1, hours=48 - 1 / 6, **none))
    made = [Row(f"f{i}", i, seconds + i, signals={"refusal": False}) for i in range(1, 100)]
    recorded(database, *blocks(made, 99, LIFE))
    text = words(api_on(database, Wire()))
    assert "About 594 an hour arrive, and about 84 an hour count: at most 84 of one clock hour" in text
    assert "At this rate it ends about 26 Nov 23:43 UTC" in text
    assert routes.trial_offer(300) in text

    trial = examine("defaults: {baseline: {trial: true}}", "keelwatch.yaml")[0]
    text = words(api_on(database, Wire(), watched=trial))
    assert "of 300 exchanges" in text
    assert "It goes as fast as exchanges arrive" in text
    assert routes.trial_offer(300) not in text


def test_a_route_that_is_quiet_is_watched_and_not_called_safe(database: Database) -> None:
    learned(database, 1000)
    pin(database)
    recorded(database, reading("quiet", 1100, route=LIFE))
    text = words(api_on(database, Wire()))
    assert f"{routes.WATCHED['watching']} support-bot/prod {routes.NOTHING_FOUND}" in text
    assert "safe" not in text.replace("Safety", "").replace("safety", "")


def test_what_cannot_be_seen_comes_before_quiet(database: Database) -> None:
    learned(database, 1000)
    pin(database)
    recorded(database, reading("quiet", 1100, route=LIFE))
    recorded(database, reading("blind", 1200, route=LIFE, signal="pii_leak", effect=None, reason="unscored"))
    text = words(api_on(database, Wire()))
    assert f"{BLIND} {routes.not_monitored(routes.blind_spot('rate_shift', 'pii_leak', 'unscored'))}" in text
    assert routes.NOTHING_FOUND not in text


def test_what_was_said_of_an_earlier_baseline_is_over(database: Database) -> None:
    learned(database, 1000)
    pin(database)
    recorded(database, reading("blind", 900, route=LIFE, effect=None, reason="too few", baseline="0" * 16))
    text = words(api_on(database, Wire()))
    assert routes.NOTHING_FOUND in text
    assert "too few" not in text


def test_a_silent_route_is_not_called_watched(database: Database) -> None:
    recorded(database, *blocks([Row("e0", 0, 0.0, signals={"refusal": False})], 1, LIFE))
    pin(database)
    recorded(database, reading("quiet", 1100, route=LIFE))
    text = words(api_on(database, Wire()))
    assert f"{BLIND} {routes.not_monitored('no exchange for 329 days')}" in text
    assert routes.NOTHING_FOUND not in text


def test_the_page_the_list_and_the_api_say_the_same_of_a_silent_route(database: Database) -> None:
    recorded(database, *blocks([Row("e0", 0, 0.0, signals={"refusal": False})], 1, LIFE))
    pin(database)
    api = api_on(database, Wire())
    told = asked(api, "GET", f"/v1/routes/{LIFE}").json()
    assert (told["state"], told["blind_spots"]) == ("blind", ["no exchange for 329 days"])
    assert [one["route"] for one in asked(api, "GET", "/v1/routes?state=blind").json()["items"]] == [LIFE]
    assert f"/routes/{LIFE}" in asked(api, "GET", "/?state=blind", headers=HTML).text
    assert routes.not_monitored("no exchange for 329 days") in words(api)


def test_a_route_without_exchanges_says_what_to_do(database: Database) -> None:
    recorded(database, alert("firing", 300, route="quiet/one"))
    [incident] = api_on(database, Wire()).database.query(incidents.find, "quiet/one")
    recorded(database, decision("resolve", route="quiet/one", incident=incident.id))
    text = words(api_on(database, Wire()), "/routes/quiet/one")
    assert routes.NO_EXCHANGE in text
    assert "POST /v1/exchanges" in text


def test_what_a_key_does_not_see_is_not_there(database: Database) -> None:
    live(database)

    async def guard(_request: object, _role: object) -> Principal:
        return Principal("k", "viewer", ("other/*",))

    api = api_on(database, Wire(), guard=guard)
    mine, none = (asked(api, "GET", f"/routes/{route}", headers=HTML) for route in (LIFE, "no/such"))
    assert (mine.status_code, mine.text.replace(LIFE, "")) == (404, none.text.replace("no/such", ""))
    assert asked(api, "GET", "/routes/x%00", headers=HTML).status_code == 404


@on_sqlite
def test_hostile_texts_are_text_alone(database: Database) -> None:
    """Locale, models, reasons, actors and texts say the payload: the elements are those of a harmless page."""
    api = api_on(database, Wire())
    live(database, "plain", "harmless")
    wanted = [tag for tag, _ in page(api, "/routes/plain").elements]
    for i, payload in enumerate(PAYLOADS):
        clean = payload.replace("\0", "\N{REPLACEMENT CHARACTER}")
        live(database, f"bot{i}", clean)
        found = page(api, f"/routes/bot{i}")
        assert [tag for tag, _ in found.elements] == wanted, payload
        names = {name for _, attrs in found.elements for name, _ in attrs}
        assert not {name for name in names if name.startswith("on") or name in ("style", "srcdoc")}, payload
        links = [value for _, attrs in found.elements for name, value in attrs if name in ("href", "src", "action")]
        assert all(link is not None and link.startswith("/") for link in links), payload
        assert found.text.count(clean) > 5, payload
