"""Files in: exchanges of another format, and a baseline with which a route begins."""

from __future__ import annotations

import json

import pytest

from detectors import registered
from schemas.identity import Model
from services import wiring
from services.detect.core import step
from services.detect.state import DetectionPlan
from services.monitor import Monitor, load
from services.score.score_lines import block_lines
from services.settings import Settings
from services.store.engine import open_database
from services.stream.stateful import DetectStateStore
from tests.cli.test_score_replays import MONITOR, exchanges
from tests.support.blocks import ROUTE, block

pytestmark = pytest.mark.embedding


@pytest.fixture(scope="module")
def scorer():
    return wiring.scorer(Settings(), Monitor()).version


@pytest.fixture(scope="module")
def folder(tmp_path_factory, scorer):
    made = tmp_path_factory.mktemp("build")
    (made / "keelwatch.yaml").write_text(MONITOR)
    write(made / "clean.jsonl", exchanges(400, 1), scorer)
    return made


def of_scorer(rows, scorer):
    return block(rows).model_copy(update={"scorer": scorer})


def write(path, rows, scorer):
    blocks = (of_scorer(rows[start : start + 100], scorer) for start in range(0, len(rows), 100))
    path.write_text("".join(json.dumps(line) + "\n" for one in blocks for line in block_lines(one, vectors=True)))


def test_a_route_begins_with_the_baseline_of_a_file(keelwatch, folder, tmp_path, scorer):
    url = f"sqlite:///{tmp_path / 'kw.db'}"
    words = ("baseline", "build", "--from", folder / "clean.jsonl", "--config", folder / "keelwatch.yaml")
    code, said, err = keelwatch(*words, "--database", url)
    assert (code, err) == (0, "")
    assert said.startswith(f"{ROUTE} is held against 300 exchanges of gpt-4 from its next exchange on")

    database = open_database(url)
    kept = database.query(lambda connection: DetectStateStore(registered()).load(connection, ROUTE).now)
    plan = DetectionPlan(registered(), load(folder / "keelwatch.yaml").policy(ROUTE))
    live = exchanges(150, 5, rate=0.95)
    state, output = step(plan, kept, [of_scorer(live[:50], scorer)])
    (told,) = output.changes[:1]
    assert (told.kind, told.event_index, told.ts.isoformat()) == ("pinned", 0, "2026-01-01T00:00:00+00:00")
    assert told.pinning is not None
    assert told.pinning.n == 300
    assert told.pinning.rates["refusal"] == pytest.approx(0.2, abs=0.08)
    state, output = step(plan, state, [of_scorer(live[50:], scorer)])
    assert not any(change.kind == "pinned" for change in output.changes)
    assert "firing" in {one.status for one in output.readings if one.signal == "refusal"} or state.watch.firing

    code, _, err = keelwatch(*words, "--database", url)
    assert code == 2
    assert "has a baseline already" in err


def test_a_route_that_learns_gives_up_what_it_learned(keelwatch, folder, tmp_path, scorer):
    url = f"sqlite:///{tmp_path / 'kw.db'}"
    plan = DetectionPlan(registered(), load(folder / "keelwatch.yaml").policy(ROUTE))
    store, database = DetectStateStore(registered()), open_database(url)
    kept = database.query(lambda connection: store.load(connection, ROUTE))
    state, _ = step(plan, kept.now, [of_scorer(exchanges(100, 7), scorer)])
    with database.write() as connection:
        store.save(connection, ROUTE, type(kept)(state))
    words = ("baseline", "build", "--from", folder / "clean.jsonl", "--config", folder / "keelwatch.yaml")
    assert keelwatch(*words, "--database", url)[0] == 0
    after = database.query(lambda connection: store.load(connection, ROUTE).now)
    assert (after.pinned.n, after.candidates, after.intake.count, after.untold) == (300, {}, 100, True)
    _, output = step(plan, after, [of_scorer(exchanges(20, 8, first=100), scorer)])
    assert [(one.kind, one.event_index) for one in output.changes] == [("pinned", 100)]


@pytest.mark.parametrize(
    ("rows", "words", "told"),
    [
        (exchanges(80, 1), (), "80 exchanges count towards a baseline, at least 100 are needed"),
        (
            [*exchanges(200, 1), *exchanges(200, 1, first=200)],
            ("two",),
            "holds exchanges of gpt-4 (200) and other (200)",
        ),
        (exchanges(400, 1), ("scorer",), "score the exchanges again with `keelwatch score --vectors`"),
    ],
)
def test_what_is_no_baseline_is_refused_with_the_remedy(keelwatch, folder, tmp_path, scorer, rows, words, told):
    if "two" in words:
        rows = [
            *rows[:200],
            *(
                type(row)(row.id, row.offset, row.seconds, Model(requested="other"), signals=row.signals)
                for row in rows[200:]
            ),
        ]
    write(tmp_path / "f.jsonl", rows, scorer.model_copy(update={"engine": "old"}) if "scorer" in words else scorer)
    code, said, err = keelwatch(
        "baseline", "build", "--from", tmp_path / "f.jsonl", "--config", folder / "keelwatch.yaml"
    )
    assert (code, said) == (2, "")
    assert told in err


def test_another_model_than_the_routes_is_refused(keelwatch, folder, tmp_path, scorer):
    url = f"sqlite:///{tmp_path / 'kw.db'}"
    plan = DetectionPlan(registered(), load(folder / "keelwatch.yaml").policy(ROUTE))
    store, database = DetectStateStore(registered()), open_database(url)
    kept = database.query(lambda connection: store.load(connection, ROUTE))
    others = [type(row)(row.id, row.offset, row.seconds, Model(requested="other")) for row in exchanges(20, 7)]
    state, _ = step(plan, kept.now, [of_scorer(others, scorer)])
    with database.write() as connection:
        store.save(connection, ROUTE, type(kept)(state))
    words = ("baseline", "build", "--from", folder / "clean.jsonl", "--config", folder / "keelwatch.yaml")
    code, _, err = keelwatch(*words, "--database", url)
    assert code == 2
    assert "other answers there, the file is of gpt-4" in err


def test_exchanges_are_imported_and_what_cannot_be_read_is_told(keelwatch, tmp_path):
    good = {"route": "a/b", "prompt": "x", "response": "y", "model": {"requested": "m"}, "shop": 7}
    file, out = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    file.write_text(json.dumps(good) + "\n" + json.dumps({"route": "a/b"}) + "\n")
    code, _, err = keelwatch("import", "--from", "native", file, "--out", out)
    assert code == 1
    assert "1 exchange written" in err
    assert "line 2: " in err
    (line,) = map(json.loads, out.read_text().splitlines())
    assert (line["route"], line["extra"], "ts" in line) == ("a/b", {"shop": 7}, False)
    code, _, err = keelwatch("import", "--from", "smoke", file, "--out", out)
    assert (code, err.startswith("keelwatch: --from smoke: no such format; there are ")) == (2, True)
    assert err.endswith(" and any\n")
    file.write_text("nothing\n")
    assert keelwatch("import", "--from", "any", file, "--out", out)[0] == 2
