"""The draft of a postmortem: what is known is written, and nothing in it is more than text."""

from __future__ import annotations

import re

import pytest

from schemas.sample import Sample
from services.api.app import Api
from services.store import incidents
from services.store.engine import Database
from services.wording.postmortem import TO_WRITE, escaped, fenced
from tests.api.test_pairs import text, told
from tests.support.access import bearer, key
from tests.support.api import Wire, api_on, asked, recorded
from tests.support.records import ROUTE, alert, decision

HOSTILE = (
    "```\n# Not ours\n![x](https://evil.example/a.png)",
    "````\n<script>alert(1)</script>",
    "| a | b |\n|---|---|\n[click](javascript:alert(1)) @here www.evil.example",
)


@pytest.fixture
def api(database: Database) -> Api:
    return api_on(database, Wire())


def test_a_draft_says_what_is_known_and_leaves_the_rest_to_people(database: Database, api: Api) -> None:
    id = told(database)
    recorded(database, decision("acknowledge", 6, incident=id, actor="mara"))
    answer = asked(api, "GET", f"/v1/incidents/{id}/postmortem")
    assert answer.headers["content-type"].startswith("text/markdown")
    assert f"postmortem-{id}.md" in answer.headers["content-disposition"]
    found = database.query(incidents.get, id)
    assert found is not None
    for entry in found.timeline:
        assert escaped(entry.text) in answer.text
    for heading, ask in TO_WRITE:
        assert f"## {heading}\n\n_{ask}_" in answer.text
    for part in ("| acknowledged after |", "| who changed |", "## What it rests on\n\n- ", "1,200 mg a day"):
        assert part in answer.text
    assert "I cannot give medical advice" in answer.text
    assert answer.text.count("Before: no text was kept.") == 1
    assert answer.text.count("### ") == 2, "of the third pair nothing was kept"


@pytest.mark.parametrize("said", HOSTILE)
def test_what_models_said_and_people_typed_stays_text(database: Database, api: Api, said: str) -> None:
    sample: Sample = text("e301", 5, said, said)
    recorded(database, sample, alert("firing", 300, route=ROUTE, exemplars=("e301",), counterparts=(None,)))
    [found] = database.query(incidents.find, ROUTE)
    recorded(database, decision("acknowledge", 6, incident=found.id, actor="mara", reason=said))
    draft = asked(api, "GET", f"/v1/incidents/{found.id}/postmortem").text
    assert draft.count(fenced(said)) == 2
    outside = re.sub(r"\\[^\n]", "", draft.replace(fenced(said), ""))  # without what is escaped
    for alive in ("https://", "www.", "<script", "![", "[click](", "\n# Not ours", "@here", "javascript:alert(1))"):
        assert alive not in outside
    assert escaped(said) in draft, "the reason of a decision is on the timeline"


@pytest.mark.parametrize("said", [*HOSTILE, "", "`", "```````", "a\n```\nb\n````"])
def test_a_fence_is_longer_than_what_is_within(said: str) -> None:
    first, *inside, last = fenced(said).split("\n")
    assert first == f"{last}text"
    assert "\n".join(inside) == said
    assert not any(re.match(rf" {{0,3}}{last}", line) for line in inside)


def test_another_route_has_none(database: Database, api: Api) -> None:
    id = told(database)
    foreign = bearer(key(database, "viewer", "other/*"))
    for one in (id, "0" * 16, "x"):
        assert asked(api, "GET", f"/v1/incidents/{one}/postmortem", headers=foreign).status_code == 404
