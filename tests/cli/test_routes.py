"""`keelwatch route`: listed with whether the monitor file lists them, deleted only when it is meant."""

from __future__ import annotations

import json

from services.monitor import RoutePolicy
from services.record.recorder import Recorder
from services.store.engine import open_database
from tests.support.blocks import blocks, rows


def test_routes_are_listed_and_one_is_deleted(keelwatch, tmp_path, monkeypatch):
    url = f"sqlite:///{tmp_path}/kw.db"
    database = open_database(url)
    sink = Recorder(database, lambda _: RoutePolicy())
    for route in ("ours/prod", "invented/1"):
        sink.apply(blocks(rows(5), 5, route))
    database.close()
    config = tmp_path / "keelwatch.yaml"
    config.write_text("max_routes: 7\nroutes: {ours/*: {}}\n")
    where = ("--database", url)

    code, out, _ = keelwatch("route", "list", *where, "--config", config)
    assert code == 0
    assert out.splitlines()[-1] == "1 of at most 7 routes that the monitor file does not list"
    code, out, _ = keelwatch("route", "list", *where, "--config", config, "--json", "-")
    assert [(one["route"], one["listed"]) for one in json.loads(out)] == [("invented/1", False), ("ours/prod", True)]

    named = tmp_path / "named.yaml"
    named.write_text("routes: {later/prod: {}, ours/*: {}}\n")
    code, out, _ = keelwatch("route", "list", *where, "--config", named, "--json", "-")
    assert [(one["route"], one["arrived"] is None) for one in json.loads(out)][1] == ("later/prod", True)

    delete = ("route", "delete", "invented/1", "--reason", "never ours", *where)
    code, _, err = keelwatch(*delete)
    assert (code, "--yes: missing" in err, "invented/1" in err) == (2, True, True)
    code, out, _ = keelwatch(*delete, "--yes")
    assert code == 0
    assert out.startswith("invented/1 is deleted: ")
    code, _, err = keelwatch(*delete, "--yes")
    assert (code, "`keelwatch route list`" in err) == (2, True)

    monkeypatch.setenv("KEELWATCH_API_URL", "http://127.0.0.1:9")
    code, _, err = keelwatch("route", "delete", "ours/prod", "--reason", "gone", "--yes")
    assert (code, "no Keelwatch API answers" in err) == (1, True)
