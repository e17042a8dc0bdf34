"""`keelwatch incident ack`, `snooze`, `resolve`, `accept`, `false-alarm`: from any machine, by the running API."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from schemas.incident import Incident
from services.store import incidents
from services.store.engine import open_database
from tests.support.access import key
from tests.support.listening import Listening, listening
from tests.support.notify import record
from tests.support.records import ROUTE, alert

Command = Callable[..., tuple[int, str, str]]


@pytest.fixture
def there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, keelwatch: Command) -> Iterator[Listening]:
    """An API with one open incident, of which the commands know the address alone."""
    with closing(open_database(f"sqlite:///{tmp_path}/kw.db")) as database:
        record(database, alert(index=720))
        with listening(database) as found:
            monkeypatch.setenv("KEELWATCH_API_URL", found.url)
            yield found


def the_incident(there: Listening) -> Incident:
    [one] = there.api.database.query(incidents.find)
    return one


def plain(text: str) -> str:
    return " ".join(text.split())


def decided(there: Listening) -> list[dict[str, Any]]:
    there.carry()
    return [
        json.loads(one.model_dump_json(include={"kind", "actor", "text"}))
        for one in the_incident(there).timeline
        if one.actor is not None
    ]


@pytest.mark.parametrize(
    ("command", "state", "kind", "told"),
    [
        ("ack", "acknowledged", "acknowledged", "You look at it. The incident stays open."),
        ("resolve", "resolved", "resolved", "The incident is resolved."),
        ("accept", "resolved", "resolved", "Accepted as the new normal. The incident is resolved, leaks and ceilings"),
        ("false-alarm", "resolved", "resolved", "Noted as a false alarm. The incident is resolved."),
    ],
)
def test_each_command_is_one_transition_and_the_second_press_is_told_who_was_first(
    there: Listening, keelwatch: Command, command: str, state: str, kind: str, told: str
) -> None:
    id = the_incident(there).id
    said = ("--reason", "we looked at it")
    code, answer, _ = keelwatch("incident", command, id[:6], *said, "--actor", "mara")
    assert (code, answer.startswith(f"{ROUTE}, incident {id}: {told}")) == (0, True)
    assert answer.splitlines()[-1].startswith("decided: ")
    again = keelwatch("incident", command, id, *said, "--actor", "theo")  # before it took effect
    assert (again[0], again[1]) == (1, "")
    assert "mara has " in again[2]
    [one] = decided(there)
    assert (the_incident(there).state, one["kind"], one["actor"]) == (state, kind, "mara")
    assert one["text"].endswith(": we looked at it")
    late = keelwatch("incident", command, id, *said, "--actor", "theo")  # and after it did
    assert (late[0], "already" in late[2]) == (1, True)
    assert decided(there) == [one]


def test_what_others_wrote_reaches_no_terminal_raw(there: Listening, keelwatch: Command) -> None:
    id = the_incident(there).id
    who = "mara\x1b[2J\nkeelwatch: all is well\u202e"
    assert keelwatch("incident", "ack", id, "--reason", who, "--actor", who)[0] == 0
    code, _, told = keelwatch("incident", "ack", id, "--actor", "theo")
    shown = r"mara\u001b[2J\nkeelwatch: all is well\u202e"
    assert (code, told.startswith(f"keelwatch: {shown} has "), told.count("\n")) == (1, True, 1)
    there.carry()
    named = ("--database", there.api.database.engine.url.render_as_string(hide_password=False))
    for words in (("show", id, "--verbose"), ("show", id), ("list",)):
        code, out, _ = keelwatch("incident", *words, *named)
        assert (code, {"\x1b", "\u202e"}.isdisjoint(out)) == (0, True), words


def test_an_api_that_is_older_is_said_to_be_and_what_it_did_is_told(
    keelwatch: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Older(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._tell(422, {"detail": "id: is no parameter here; there are cursor, limit, route, state"})

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            self._tell(202, {"id": "a" * 16, "ts": "2026-11-24T18:00:00Z"})

        def _tell(self, status: int, said: dict[str, str]) -> None:
            self.send_response(status)
            self.end_headers()
            self.wfile.write(json.dumps(said).encode())

        def log_message(self, *_: Any) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Older) as server:
        url = f"http://127.0.0.1:{server.server_port}"
        monkeypatch.setenv("KEELWATCH_API_URL", url)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        for command in (("ack",), ("snooze",), ("resolve", "--reason", "x")):
            code, out, told = keelwatch("incident", command[0], "abcdef", *command[1:])
            assert (code, out, f"the API at {url} is older than this command" in plain(told)) == (1, "", True), command
        code, out, _ = keelwatch("silence", "add", ROUTE, "--reason", "load test")
        assert (code, out) == (0, f"silenced: {'a' * 16}\n")
        server.shutdown()


def test_what_is_no_text_is_named_and_not_sent(there: Listening, keelwatch: Command) -> None:
    id, bad, said = the_incident(there).id, "load\udcff", ("--reason", "x")
    for words, named in (
        (("incident", "ack", id, "--reason", bad), "--reason"),
        (("incident", "ack", id, "--actor", bad), "--actor"),
        (("incident", "comment", id, bad), "TEXT"),
        (("silence", "add", ROUTE, "--reason", bad), "--reason"),
        (("silence", "add", bad, *said), "ROUTE"),
        (("silence", "end", bad, *said), "ID"),
        (("mute", "end", ROUTE, *said, "--fingerprint", bad), "--fingerprint"),
        (("change", "announce", ROUTE, *said, "--model", bad), "--model"),
        (("change", "announce", ROUTE, *said, "--model", "m", "--served", bad), "--served"),
    ):
        code, out, told = keelwatch(*words)
        assert (code, out) == (2, ""), words
        assert f"keelwatch: {named}: holds bytes that are not UTF-8" in plain(told), words
    assert decided(there) == []


def test_nothing_is_decided_after_resolve(there: Listening, keelwatch: Command) -> None:
    id = the_incident(there).id
    assert keelwatch("incident", "resolve", id, "--reason", "handled", "--actor", "mara")[0] == 0
    [last] = decided(there)
    for command in ("ack", "snooze", "resolve", "accept", "false-alarm"):
        code, out, told = keelwatch("incident", command, id, "--reason", "late")
        assert (code, out, "the incident was resolved already by mara" in plain(told)) == (1, "", True), command
    assert decided(there) == [last]


def test_a_snooze_says_until_when_and_nobody_has_to_say_why(there: Listening, keelwatch: Command) -> None:
    id = the_incident(there).id
    assert "[default: 24.0]" in keelwatch("incident", "snooze", "--help")[1]
    code, out, _ = keelwatch("incident", "snooze", id, "--actor", "mara", "--json", "-")
    told = json.loads(out)
    long = datetime.fromisoformat(told["until"]) - datetime.fromisoformat(told["ts"])
    assert (code, long.total_seconds(), told["incident"]) == (0, 24 * 3600, id)
    [one] = decided(there)
    assert (one["kind"], one["text"].endswith(" by mara: later")) == ("snoozed", True)
    assert the_incident(there).snoozed_until == datetime.fromisoformat(told["until"])
    code, out, _ = keelwatch("incident", "snooze", id, "--hours", "2", "--reason", "soon")
    assert (code, "Snoozed until " in out, "or until it gets worse" in out) == (0, True, True)
    for hours in ("0", "721", "nan"):
        code, _, fault = keelwatch("incident", "snooze", id, "--hours", hours)
        assert (code, f"--hours {hours}: must be above 0" in fault) == (2, True), hours


def test_an_incident_is_named_by_its_first_digits_where_only_one_begins_so(
    there: Listening, keelwatch: Command
) -> None:
    id = the_incident(there).id
    for start in ("", "xyz", id[:3], f"{id}0", f"{id[:4]}%"):
        code, _, told = keelwatch("incident", "ack", start)
        assert (code, "must be the 4 to 16 first digits" in plain(told)) == (2, True), start
    other = f"{(int(id[:4], 16) + 1) % 16**4:04x}"
    code, _, told = keelwatch("incident", "ack", other)
    assert (code, f"incident {other}: no id begins so" in plain(told)) == (2, True)
    twin = f"{id[:4]}{'0' * 12}"
    moved = the_incident(there).model_copy(update={"id": twin, "route": "other/prod"})
    with there.api.database.write() as connection:
        incidents.replace(connection, moved.route, [moved])
    code, _, told = keelwatch("incident", "ack", id[:4])
    assert (code, f"{id} ({ROUTE}, open)" in plain(told), f"{twin} (other/prod, open)" in plain(told)) == (
        2,
        True,
        True,
    )
    assert keelwatch("incident", "ack", id[:4].upper() + id[4:])[0] == 0


def test_who_may_not_is_told_so_and_nothing_happens(
    there: Listening, keelwatch: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    id = the_incident(there).id
    database = there.api.database
    for role, routes, told in (
        ("viewer", "*", "operator"),
        ("operator", "other/*", f"incident {id}: no id begins so"),
        ("operator", "*", ""),
    ):
        monkeypatch.setenv("KEELWATCH_API_KEY", key(database, role, routes, name=f"{role} of {routes}").text)
        code, out, fault = keelwatch("incident", "ack", id)
        assert (code, told in plain(fault), bool(out)) == (2 if told else 0, True, not told), (role, fault)
    [one] = decided(there)
    assert one["actor"] == "operator of *"


def test_without_an_api_nothing_is_decided(keelwatch: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("KEELWATCH_API_URL", "http://127.0.0.1:1")
    code, _, told = keelwatch("incident", "ack", "abcdef")
    assert (code, "no Keelwatch API answers" in plain(told)) == (1, True)
    nowhere = tmp_path / "no" / "folder.json"
    code, _, told = keelwatch("incident", "ack", "abcdef", "--json", nowhere)
    assert (code, "--json" in told) == (2, True), "before anything is asked"


def test_a_comment_stands_once_on_the_timeline_also_after_resolve(there: Listening, keelwatch: Command) -> None:
    id = the_incident(there).id
    text = "the vendor confirms <b>an update</b> at 16:53"
    code, out, _ = keelwatch("incident", "comment", id, text, "--actor", "mara")
    assert (code, f"incident {id}: Your comment stands on the timeline." in out) == (0, True)
    code, _, told = keelwatch("incident", "comment", id, text, "--actor", "mara")
    assert (code, "mara has written the same already" in plain(told)) == (1, True)
    assert keelwatch("incident", "comment", id, text, "--actor", "theo")[0] == 0, "somebody else says so too"
    assert keelwatch("incident", "resolve", id, "--reason", "done", "--actor", "mara")[0] == 0
    there.carry()
    assert keelwatch("incident", "comment", id, "written up", "--actor", "mara")[0] == 0
    told = sorted((one["kind"], one["text"]) for one in decided(there))
    assert told == [
        ("decision", f"Comment by mara: {text}"),
        ("decision", "Comment by mara: written up"),
        ("decision", f"Comment by theo: {text}"),
        ("resolved", "Resolved by mara: done"),
    ]
    assert the_incident(there).state == "resolved"
    assert keelwatch("incident", "comment", id, " ")[0] == 2
