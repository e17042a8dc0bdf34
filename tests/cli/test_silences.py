"""`keelwatch silence`: made, listed, shortened and ended by the running API, and listed from the database."""

from __future__ import annotations

import json

from services.store.engine import open_database
from tests.support.listening import listening
from tests.support.notify import record
from tests.support.records import ROUTE, alert


def test_a_silence_is_made_listed_shortened_and_ended(keelwatch, monkeypatch, tmp_path) -> None:
    database = open_database(f"sqlite:///{tmp_path}/kw.db")
    named = ("--database", f"sqlite:///{tmp_path}/kw.db")
    record(database, alert(index=720))

    with listening(database) as there:
        monkeypatch.setenv("KEELWATCH_API_URL", there.url)
        assert keelwatch("silence", "list", *named)[1] == "no silence: people are told of every alert\n"
        code, said, _ = keelwatch("silence", "add", ROUTE, "--reason", "load test", "--actor", "mara")
        assert (code, said[:10]) == (0, "silenced: ")
        id = said.split()[1]
        assert said.split()[2] == "until", "nobody typed the 24 hours"
        there.carry()
        [one] = json.loads(keelwatch("silence", "list", "--json", "-", *named)[1])
        assert (one["id"], one["actor"], one["reason"], one["fingerprint"]) == (id, "mara", "load test", None)
        long = one["until"]
        code, _, told = keelwatch("silence", "add", ROUTE, "--reason", "again")
        assert (code, "has decided the same already (Notifications silenced until" in " ".join(told.split())) == (
            1,
            True,
        )
        assert keelwatch("silence", "end", id, "--reason", "shorter", "--hours", "2")[0] == 0
        there.carry()
        [one] = json.loads(keelwatch("silence", "list", "--json", "-", *named)[1])
        assert (one["until"] < long, one["ended_reason"]) == (True, "shorter")
        assert keelwatch("silence", "end", id, "--reason", "done")[0] == 0
        there.carry()
        assert keelwatch("silence", "list", *named)[1] == "no silence: people are told of every alert\n"
        code, _, told = keelwatch("silence", "end", id, "--reason", "done")
        assert (code, "has decided the same already (Silence ended" in " ".join(told.split())) == (1, True)
        assert keelwatch("silence", "end", "0" * 16, "--reason", "done")[0] == 2
        assert keelwatch("silence", "add", ROUTE, "--reason", "for ever", "--hours", "1000")[0] == 2
    database.close()
