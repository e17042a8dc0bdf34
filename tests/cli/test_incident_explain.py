"""Why an incident fired, in words, as JSON and as a picture."""

from __future__ import annotations

import json
from xml.etree import ElementTree as Xml

import pytest

from services.monitor import load
from tests.cli.test_score_replays import MONITOR, database_of, exchanges
from tests.support.blocks import ROUTE


@pytest.fixture(scope="module")
def story(tmp_path_factory):
    folder = tmp_path_factory.mktemp("explain")
    (folder / "keelwatch.yaml").write_text(MONITOR)
    rows = [*exchanges(500, 1), *exchanges(200, 2, first=500, rate=0.95)]
    return database_of(folder / "kw.db", rows, load(folder / "keelwatch.yaml"))


def test_an_incident_is_explained(keelwatch, story, tmp_path):
    (incident,) = json.loads(keelwatch("incident", "list", "--database", story, "--json", "-")[1])
    words = ("incident", "explain", incident["id"], "--database", story)
    code, said, err = keelwatch(*words, "--chart", tmp_path / "e.svg")
    assert (code, err) == (0, "")
    assert f"The refusal rate of {ROUTE} rose" in said
    assert "Bets that the refusal rate had risen won: without a change they win as much at most once in" in said
    assert "For this to be a false alarm, one of these would have to be true:" in said
    assert "Chance alone: an accident of one in" in said
    assert "The 300 exchanges learned until" in said
    picture = Xml.fromstring((tmp_path / "e.svg").read_text())
    assert picture.tag.endswith("svg")
    assert any(element.tag.endswith("path") for element in picture.iter())

    code, said, _ = keelwatch(*words, "--json", "-")
    found = json.loads(said)
    assert found["incident"] == incident["id"]
    (line,) = [one for one in found["evidence"] if one["name"] == "refusal rate"]
    shares = [point["of_needed"] for point in line["points"]]
    assert min(shares) < 0.5
    assert max(shares) >= 1.0
    assert [point["ts"] for point in line["points"]] == sorted(point["ts"] for point in line["points"])


def test_an_incident_that_never_was_is_refused(keelwatch, story):
    code, _, err = keelwatch("incident", "explain", "0" * 16, "--database", story)
    assert code == 2
    assert "`keelwatch incident list` names them" in err


def test_a_postmortem_is_drafted(keelwatch, story, tmp_path):
    _, listed, _ = keelwatch("incident", "list", "--database", story, "--json", "-")
    id = json.loads(listed)[0]["id"]
    code, printed, _ = keelwatch("incident", "postmortem", id, "--database", story)
    assert (code, printed[:2], "## Timeline" in printed) == (0, "# ", True)
    code, out, _ = keelwatch("incident", "postmortem", id, "--database", story, "--out", tmp_path / "p.md")
    assert (code, out, (tmp_path / "p.md").read_text()) == (0, "", printed)
    code, _, err = keelwatch("incident", "postmortem", "0" * 16, "--database", story)
    assert (code, "incident list" in err) == (2, True)
