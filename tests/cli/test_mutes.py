"""`keelwatch mute`: listed from the database, ended by the running API, once."""

from __future__ import annotations

import json
from contextlib import closing
from datetime import UTC, datetime

from services.alert.state import AlertState, Mute
from services.store import routes, step_states
from services.store.codec import pack
from services.store.engine import open_database
from tests.support.listening import listening
from tests.support.records import ROUTE


def test_a_mute_is_listed_and_ended_once(keelwatch, monkeypatch, tmp_path) -> None:
    url = f"sqlite:///{tmp_path}/kw.db"
    named = ("--database", url)
    with closing(open_database(url)) as database, listening(database) as there:
        monkeypatch.setenv("KEELWATCH_API_URL", there.url)
        with database.write() as connection:
            routes.ensure(connection, ROUTE)
        code, _, told = keelwatch("mute", "end", ROUTE, "--reason", "none there")
        assert (code, "is muted" in " ".join(told.split())) == (1, True)
        assert keelwatch("mute", "list", *named)[1].startswith("nothing is muted")
        since = datetime.now(UTC)
        mutes = {
            "a" * 16: Mute("a" * 16, "false_alarm", "mara", "a load test", since, ("x",)),
            "b" * 16: Mute("b" * 16, "resolve", "theo", "rolled back", since, ("x",)),
            "c" * 16: Mute("c" * 16, "accept_baseline", "ines", "intended", since, ("x",)),
        }
        with database.write() as connection:
            step_states.save(connection, "alert", ROUTE, 0, pack(AlertState(ROUTE, mutes=mutes)))
        listed = json.loads(keelwatch("mute", "list", "--json", "-", *named)[1])
        assert [(one["fingerprint"], one["actor"]) for one in listed] == [("a" * 16, "mara"), ("b" * 16, "theo")]
        assert "a load test" in " ".join(keelwatch("mute", "list", *named)[1].split())
        one = ("mute", "end", ROUTE, "--reason", "it was none", "--fingerprint", "a" * 16)
        code, out, _ = keelwatch(*one, "--actor", "mara")
        assert (code, out.splitlines()[0]) == (0, "It is heard again when it fires.")
        for _ in range(2):  # while it is on its way, and when it is recorded
            code, out, told = keelwatch(*one, "--actor", "theo")
            assert (code, out, "mara has decided the same already (Unmuted" in " ".join(told.split())) == (1, "", True)
            there.carry()
        assert keelwatch("mute", "end", ROUTE, "--reason", "all", "--actor", "ines")[0] == 0, "the other one is muted"
        code, _, told = keelwatch("mute", "end", ROUTE, "--reason", "all", "--actor", "mara")
        assert (code, "ines has decided the same already" in " ".join(told.split())) == (1, True)
        code, _, told = keelwatch(*one, "--actor", "theo")
        assert (code, "has decided the same already" in " ".join(told.split())) == (1, True)
