"""The pages of exchanges: what the address asks for is shown, as a page and as a file, to whoever may see it."""

from __future__ import annotations

import csv
import html
import io
import json
import re
import threading
from datetime import timedelta
from urllib.parse import urlsplit

import httpx
import pytest

from schemas.sample import Sample, SampleCall, SampleMessage
from services.api.app import Api
from services.api.pages import exchanges as page_of_exchanges
from services.api.pages.exchanges import cell
from services.store import incidents, samples
from services.store.engine import Database
from services.wording import exchanges as words
from tests.support.api import Wire, api_on, asked, recorded
from tests.support.blocks import ROUTE, START, Row, block
from tests.support.crawl import HTML, Links
from tests.support.databases import on_sqlite
from tests.support.fuzz import PRINCIPALS, app_for
from tests.support.outline import outline
from tests.support.records import alert, place

pytestmark = on_sqlite
FORMULA = "=HYPERLINK(1)"


@pytest.fixture
def api(database: Database) -> Api:
    """Twelve exchanges of a route, of which the first refuses and has its text."""
    rows = [
        Row(
            f"odd/id {n}", n, seconds=n * 3600, signals={"refusal": n == 0, "pii_leak": None}, versions={"refusal": "7"}
        )
        for n in range(12)
    ]
    talk, user = ("talk & more",) * 12, (FORMULA, *(None,) * 11)
    recorded(database, block(rows).model_copy(update={"conversation": talk, "user": user}))
    more = {
        "messages": (
            SampleMessage(role="user", text="Hello <b>you</b>"),
            SampleMessage(role="user", text="Where is it?"),
        ),
        "tool_calls": (SampleCall(name="refund", arguments='{"n": 3}'),),
        "finish_reason": "stop",
        "signals": ("refusal",),
        "conversation": "talk & more",
    }
    with database.write() as connection:
        samples.add(connection, [kept_text(0).model_copy(update=more)])
    return api_on(database, Wire())


def kept_text(n: int, id: str = "") -> Sample:
    """The text of an exchange of hour `n`."""
    return Sample(
        id=id or f"odd/id {n}",
        route=ROUTE,
        source=place(n),
        ts=START + timedelta(hours=n),
        identity="0" * 16,
        prompt="Where is my order?",
        response=FORMULA,
        why="kept",
    )


def get(api: Api, path: str) -> httpx.Response:
    return asked(api, "GET", path, headers=HTML)


def shown(api: Api, path: str) -> str:
    answer = get(api, path)
    assert answer.status_code == 200, answer.text
    return " ".join(outline(answer.text).text.split())


def links(answer: httpx.Response) -> list[str]:
    found = Links()
    found.feed(answer.text)
    return found.to


def test_an_empty_database_says_what_to_do(database: Database) -> None:
    text = shown(api_on(database, Wire()), "/exchanges")
    assert "No exchange is stored" in text
    assert "POST /v1/exchanges" in text


def test_the_list_is_narrowed_by_its_address_and_leads_to_each_exchange(api: Api) -> None:
    answer = get(api, "/exchanges?signal=refusal&from=2026-01-01T00:00&to=2026-01-02")
    text = " ".join(outline(answer.text).text.split())
    assert "1 exchange like that" in text
    assert FORMULA in text
    assert words.link(ROUTE, "odd/id 0") in links(answer)
    assert "No exchange like that was found" in shown(api, "/exchanges?route=support-bot/other")
    assert outline(answer.text).named("from") == "2026-01-01T00:00"


def test_pages_follow_each_other_with_the_same_filters(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page_of_exchanges, "_PAGE", 5)
    seen, path = list[str](), "/exchanges?order=oldest&conversation=talk+%26+more"
    for _ in range(3):
        answer = get(api, path)
        there = links(answer)
        seen += [to for to in there if to.startswith("/exchanges/")]
        path = next((to for to in there if "cursor=" in to), "")
    assert seen == [words.link(ROUTE, f"odd/id {n}") for n in range(12)]
    assert path == ""


_REFUSED = {
    "from=yesterday": "from: write a time such as",
    "from=2026-01-02&to=2026-01-01": "from: must be before to",
    "value=true": "value: say of which signal",
    "signal=refusal&value=12": "value: must be true, false, unscored",
    "identity=gpt": "identity: must be 16 of",
    "flag=odd": "flag: choose one of sanitized",
    "order=size": "order: choose oldest",
    "cursor=bm9uZQ": "cursor: is none of ours",
    "cursor=MS5hIGI": "cursor: is none of ours",
    "from=0001-01-01T00:00%2B23:59": "from: must lie in the years from 2000",
}


def test_what_cannot_be_asked_for_is_said_beside_the_button_with_the_field_and_what_to_do(api: Api) -> None:
    for query, said in _REFUSED.items():
        answer = get(api, f"/exchanges?{query}")
        assert answer.status_code == 422, query
        assert said in outline(answer.text).text
        assert links(answer).count("/exchanges.csv") == 0


def test_an_exchange_shows_what_was_said_and_measured_and_leads_on(api: Api) -> None:
    answer = get(api, words.link(ROUTE, "odd/id 0"))
    text = " ".join(html.unescape(re.sub("<[^>]*>", " ", answer.text)).split())
    for said in (
        "Exchange of 00:00:00",
        "Found: refusals",
        "Hello <b>you</b>",
        f"answer {FORMULA}",
        'calls refund {"n": 3}',
        "ended stop",
        "Kept because of: refusals",
        "Refusals yes 7",
        words.NOT_MEASURED,
        "No incident names it",
    ):
        assert said in text, said
    there = links(answer)
    assert words.list_link(route=ROUTE, conversation="talk & more") in there
    for to in (one for one in there if urlsplit(one).path.startswith(("/exchanges", "/v1"))):
        assert asked(api, "GET", to).status_code == 200, to


def test_without_text_it_says_why_and_what_incidents_it_belongs_to(api: Api) -> None:
    recorded(api.database, alert("firing", 3, exemplars=("odd/id 1",), ts=START + timedelta(hours=3)))
    [incident] = api.database.query(incidents.find)
    named = shown(api, words.link(ROUTE, "odd/id 1"))
    assert "Its text is not kept. Of each route the last 500 exchanges of 24 hours have theirs" in named
    assert "shows it" in named
    after = get(api, words.link(ROUTE, "odd/id 5"))
    assert "open at that time" in after.text
    assert f"/incidents/{incident.id}" in links(after)
    leads = links(get(api, f"/incidents/{incident.id}"))
    assert words.link(ROUTE, "odd/id 1") in leads


def test_files_hold_what_the_list_holds_and_no_cell_is_a_formula(api: Api) -> None:
    lines = get(api, "/exchanges.jsonl?signal=refusal")
    [row] = [json.loads(line) for line in lines.text.splitlines()]
    assert (row["id"], row["user"], row["response"], row["found"]) == ("odd/id 0", FORMULA, FORMULA, ["refusal"])
    assert row["signals"]["pii_leak"]["status"] == "unscored"
    assert [cell(f"{first}1") for first in "=+-@\t\r\n"] == [f"'{first}1" for first in "=+-@\t\r\n"]
    assert [cell(-5), cell(-0.5)] == ["-5", "-0.5"]
    table = get(api, "/exchanges.csv")
    assert table.headers["content-disposition"] == 'attachment; filename="exchanges.csv"'
    rows = list(csv.DictReader(io.StringIO(table.text)))
    assert [row["id"] for row in rows] == [f"odd/id {n}" for n in reversed(range(12))]
    assert (rows[-1]["user"], rows[-1]["response"]) == (f"'{FORMULA}", f"'{FORMULA}")
    assert get(api, "/exchanges.csv?flag=odd").status_code == get(api, "/exchanges.csv?usr=ann").status_code == 422


def test_files_end_after_so_many(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page_of_exchanges, "MOST_EXPORTED", 7)
    monkeypatch.setattr(page_of_exchanges, "_PAGE_OF_FILE", 3)
    ids = [json.loads(line)["id"] for line in get(api, "/exchanges.jsonl?order=oldest").text.splitlines()]
    assert ids == [f"odd/id {n}" for n in range(7)]


def test_a_key_of_other_routes_finds_nothing(api: Api) -> None:
    scoped = app_for(api.database, PRINCIPALS["own routes"])
    seen = asked(scoped, "GET", "/exchanges", headers=HTML)
    assert "No exchange is stored" in outline(seen.text).text
    assert ROUTE not in seen.text
    assert asked(scoped, "GET", "/exchanges.jsonl").text == ""
    foreign = asked(scoped, "GET", words.link(ROUTE, "odd/id 0"), headers=HTML)
    nothing = asked(scoped, "GET", words.link("none/such", "odd/id 0"), headers=HTML)
    assert (foreign.status_code, foreign.text) == (nothing.status_code, nothing.text)
    assert foreign.status_code == 404


@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_a_piece_of_a_file_ends_by_bytes_and_is_made_beside_the_loop_that_answers(
    api: Api, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    made = list[tuple[int, int]]()
    encode = page_of_exchanges._ENCODERS[kind]

    def noted(rows: page_of_exchanges.Rows, first: bool) -> bytes:
        made.append((threading.get_ident(), len(rows)))
        return encode(rows, first)

    monkeypatch.setitem(page_of_exchanges._ENCODERS, kind, noted)
    with api.database.write() as connection:
        samples.add(connection, [kept_text(n) for n in range(1, 4)])
    monkeypatch.setattr(page_of_exchanges, "_BYTES_OF_FILE", 1)
    answer = get(api, f"/exchanges.{kind}?kept=1&order=oldest")
    assert [n for _thread, n in made] == [1, 1, 1, 1]
    assert threading.get_ident() not in {thread for thread, _n in made}
    monkeypatch.undo()
    assert answer.content == get(api, f"/exchanges.{kind}?kept=1&order=oldest").content


def test_the_link_to_more_is_taken_whatever_ids_are_of(api: Api) -> None:
    ids = ["\N{PILE OF POO}" * 512, "a\n%" + "é" * 500]
    with api.database.write() as connection:
        samples.add(connection, [kept_text(n, id) for n, id in enumerate(ids, 20)])
    pages, path = list[str](), "/exchanges?kept=1&order=oldest"
    for _ in range(3):
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(page_of_exchanges, "_PAGE", 1)
            answer = get(api, path)
        assert answer.status_code == 200, answer.text[:300]
        there = links(answer)
        pages += [to for to in there if to.startswith("/exchanges/")]
        path = next((to for to in there if "cursor=" in to), "")
        assert len(path) < 8_000, "proxies take no longer line"
    assert pages == [words.link(ROUTE, id) for id in ("odd/id 0", *ids)]
    assert path == ""


def test_links_to_a_conversation_and_a_user_stay_on_the_route(api: Api) -> None:
    rows = [Row("foreign", 0, seconds=90_000)]
    foreign = block(rows, "support-bot/other").model_copy(update={"conversation": ("talk & more",), "user": (FORMULA,)})
    recorded(api.database, foreign, alert("firing", 3, exemplars=("odd/id 0",), ts=START + timedelta(hours=3)))
    [incident] = api.database.query(incidents.find)
    link = words.list_link(route=ROUTE, conversation="talk & more")
    for path in ("/exchanges", words.link(ROUTE, "odd/id 0"), f"/routes/{ROUTE}", f"/incidents/{incident.id}"):
        assert link in links(get(api, path)), path
    assert words.list_link(route=ROUTE, user=FORMULA) in links(get(api, words.link(ROUTE, "odd/id 0")))
    assert "12 exchanges like that" in shown(api, link)
    assert link in links(get(api, words.list_link(conversation="talk & more")))
    assert link not in [one for one in links(get(api, link)) if one != link]


def test_no_link_leads_to_what_is_refused(database: Database) -> None:
    rows = [Row(f"e{n}", n, seconds=n) for n in range(2)]
    names = {"conversation": ("c" * 501, "d" * 500), "user": ("u" * 501, None)}
    recorded(database, block(rows).model_copy(update=names))
    api = api_on(database, Wire())
    there = links(get(api, "/exchanges"))
    assert words.list_link(route=ROUTE, conversation="d" * 500) in there
    there += links(get(api, words.link(ROUTE, "e0")))
    lists = {to for to in there if to.startswith("/exchanges")}
    assert all(get(api, to).status_code == 200 for to in lists)
    assert not any("conversation=c" in to for to in lists)


def test_what_is_too_long_is_refused_with_a_page(api: Api) -> None:
    for field, n in (("text", 201), ("cursor", 5_000), ("conversation", 501)):
        query = f"/exchanges?{field}={'a' * n}"
        answer = get(api, query)
        assert (answer.status_code, answer.headers["content-type"]) == (422, "text/html; charset=utf-8"), field
        assert f"{field}: " in outline(answer.text).text
        assert asked(api, "GET", query).headers["content-type"] == "application/problem+json"


def test_later_pages_do_not_count_as_the_first_ones(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page_of_exchanges, "_PAGE", 6)
    [more] = [to for to in links(get(api, "/exchanges")) if "cursor=" in to]
    assert "The last 6 exchanges" in shown(api, more)
    assert "like that" not in shown(api, more)
    monkeypatch.setattr(page_of_exchanges, "_PAGE", 3)
    assert "The next 3 exchanges" in shown(api, more)


def test_the_form_shows_every_filter_that_is_in_force(api: Api) -> None:
    unknown = get(api, f"/exchanges?route={ROUTE.upper()}&identity={'a' * 16}")
    assert f'value="{"a" * 16}" selected' in unknown.text
    answer = get(api, f"/exchanges?route=+{ROUTE.upper()}")
    assert '<select name="identity">' in answer.text


def test_a_filter_that_there_is_not_is_refused_with_a_page(api: Api) -> None:
    answer = get(api, "/exchanges?usr=ann")
    assert (answer.status_code, answer.headers["content-type"]) == (422, "text/html; charset=utf-8")
    assert "usr: is no parameter here" in outline(answer.text).text
