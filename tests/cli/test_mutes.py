"""`keelwatch mute`: listed from the database, ended by the running API, once."""

from __future__ import annotations

import json
from contextlib import closing
from datetime import UTC, datetime

from services.alert.state import AlertState, Mute
from services.cli.output import OUT
from services.store import routes, step_states
from services.store.codec import pack
from services.store.engine import open_database
from tests.support.api import recorded
from tests.support.listening import listening
from tests.support.records import ROUTE, decision


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


def test_what_people_wrote_is_shown_as_they_wrote_it(keelwatch, monkeypatch, tmp_path) -> None:
    """Neither markup of ours, which `[/b]` would break, nor what a terminal obeys."""
    monkeypatch.setattr(OUT, "_width", 300)
    url = f"sqlite:///{tmp_path}/kw.db"
    now = datetime.now(UTC)
    for reason, shown in (
        ("[/b] done [red]x[/red] :boom:", "[/b] done [red]x[/red] :boom:"),
        ("\x1b[2Jgone\nb\u202e", "\\u001b[2Jgone\\nb\\u202e"),
    ):
        with closing(open_database(url)) as database:
            mute = Mute("a" * 16, "false_alarm", f"mara {reason[:5]}", reason, now, ("x",))
            silence = decision("silence", ts=now, actor=f"theo {reason[:5]}", reason=reason)
            recorded(database, silence)
            with database.write() as connection:
                routes.ensure(connection, ROUTE)
                version, _ = step_states.load(connection, "alert", ROUTE) or (0, b"")
                step_states.save(connection, "alert", ROUTE, version, pack(AlertState(ROUTE, mutes={"a" * 16: mute})))
        for listed in ("mute", "silence"):
            code, out, _ = keelwatch(listed, "list", "--database", url)
            assert code == 0
            assert shown in out, listed
            assert {"\x1b", "\u202e"}.isdisjoint(out), listed
