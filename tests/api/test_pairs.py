"""Before and after, side by side: on an incident's page and in the API, redacted, also where no text was kept."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest

from schemas.change import Pinning
from schemas.reading import ChangePoint, Movement
from schemas.sample import Sample, SampleCall, SampleMessage
from services.api.app import Api
from services.store import incidents
from services.store.engine import Database
from tests.support.api import Wire, api_on, asked, recorded
from tests.support.records import BASELINE, FELL, IDENTITY, NEW, ROUTE, alert, at, change, decision, family_alert, place

POINT = ChangePoint(event_index=290, low=285, high=292, ts=at(4.9), ts_low=at(4.8), ts_high=at(4.95))
MOVED = (
    Movement(kind="style", name="log_chars", before=1.0, after=1.38, unit="ratio"),
    Movement(kind="topic", name="medical", before=0.31, after=0.02, unit="share"),
)


def text(id: str, hours: float, prompt: str, response: str, **more: object) -> Sample:
    """A redacted text."""
    index = int(re.sub(r"\D", "", id))
    made = {"source": place(index), "ts": at(hours), "identity": IDENTITY, "route": ROUTE, "why": "ring"}
    return Sample(**{**made, "id": id, "prompt": prompt, "response": response, **more})  # type: ignore[arg-type]


def told(database: Database) -> str:
    """An incident with a pair, one whose earlier text was not kept, one without a counterpart; its id."""
    named = {"exemplars": ("e301", "e302", "e303"), "counterparts": ("b10", "b11", None), "effect": FELL}
    pinning = Pinning(n=200, streams=3, arl=1e6, examples=("b10", *(f"b{n}" for n in range(20, 40))))
    early = [text(f"b{n}", n / 60, f"Where is my parcel {n}?", "On its way.") for n in range(20, 40)]
    late = [
        text(f"e{n}", 5.5, f"Which dose of a painkiller is safe, case {n}?", "Ask a doctor.") for n in range(320, 340)
    ]
    recorded(
        database,
        *early,
        text("b10", 1, "How much ibuprofen may I take?", "I cannot give medical advice. Please ask a pharmacist."),
        change("pinned", 200, route=ROUTE, to_identity=IDENTITY, baseline=BASELINE, pinning=pinning),
        decision("announce", 4.85, model=NEW),
        *late,
        text(
            "e301",
            5,
            "How much ibuprofen may I take, I am <email>?",
            "Up to 1,200 mg a day, and after that it depends on your weight; take it with food.",
            messages=(
                SampleMessage(role="user", text="Hello"),
                SampleMessage(role="assistant", text="Good evening, how can I help?"),
            ),
            tool_calls=(SampleCall(name="lookup", arguments='{"who": "<email>"}'),),
            finish_reason="stop",
        ),
        text("e302", 5.1, "Can I mix bleach and vinegar?", "You can, but open a window."),
        alert("firing", 300, route=ROUTE, change_point=POINT, movements=MOVED, **named),
        family_alert("user_shift", index=330, route=ROUTE),
    )
    [found] = database.query(incidents.find, ROUTE)
    return found.id


@pytest.fixture
def api(database: Database) -> Api:
    return api_on(database, Wire())


def test_the_api_gives_each_exemplar_with_its_counterpart(database: Database, api: Api) -> None:
    id = told(database)
    items = asked(api, "GET", f"/v1/incidents/{id}/pairs").json()["items"]
    assert [(one["id"], one["counterpart"]) for one in items] == [("e301", "b10"), ("e302", "b11"), ("e303", None)]
    first, second, third = items
    assert first["text"]["response"].startswith("Up to 1,200 mg")
    assert first["text"]["tool_calls"] == [{"name": "lookup", "arguments": '{"who": "<email>"}'}]
    assert first["counterpart_text"]["response"].startswith("I cannot give")
    assert (second["counterpart_text"], third["text"], third["counterpart_text"]) == (None, None, None)
    assert asked(api, "GET", "/v1/incidents/0000000000000000/pairs").status_code == 404


def test_the_page_shows_both_sides_and_says_where_no_text_was_kept(database: Database, api: Api) -> None:
    page = asked(api, "GET", f"/incidents/{told(database)}").text
    pair = page[page.index("Exchanges that show it") :]
    first = pair[: pair.index("</details>\n<details")] if "</details>\n<details" in pair else pair
    assert first.index("Up to 1,200 mg") < pair.index("I cannot give medical advice")
    assert "Now</h3>" in pair
    assert "Before: the most similar earlier question</h3>" in pair
    assert "text not kept" in pair[pair.index("bleach") :]
    assert "&lt;email&gt;" in pair
    assert "1 more exchange, text not kept" in pair
    assert "Conversation: 2 messages, 1 tool call" in pair


def test_the_page_says_since_when_what_and_the_likely_cause(database: Database, api: Api) -> None:
    page = asked(api, "GET", f"/incidents/{told(database)}").text
    head = page[: page.index("What was found")]
    for said in (
        "(between 16:48 and 16:57)",
        "Answers are 38% longer; refusals fell most on medical questions",
        "Likely cause",
        "The change to gpt-4-0613 that mara announced at 16:51 UTC",
        "The questions now speak more of",
        "painkiller",
    ):
        assert said in head, said


def test_a_text_of_an_incident_outlives_the_ring(database: Database, api: Api) -> None:
    id = told(database)
    for start in range(0, 600, 100):
        recorded(
            database,
            *(
                text(f"n{n}", 6, "next", "answer", ts=at(6) + timedelta(seconds=n))
                for n in range(1000 + start, 1100 + start)
            ),
        )
    items = asked(api, "GET", f"/v1/incidents/{id}/pairs").json()["items"]
    assert [one["text"] is not None for one in items] == [True, True, False]
    assert items[0]["counterpart_text"] is not None
