"""An erasure takes what names the subject, and no other value that is written alike: people are called as they like."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import fields, is_dataclass
from typing import Any, get_args, get_type_hints

import msgspec
import pytest

from detectors import DETECTORS
from detectors.escalating_conversation import EscalationState
from detectors.events import EventState
from services.alert.state import AlertState, Mute
from services.detect.state import DetectState
from services.evaluate.persistence import store_run, stored_run
from services.intake.core import IntakeState
from services.store import decisions, deliveries, erasure, readings, routes, step_states
from services.store.codec import CLASS, pack, unpack
from services.store.deliveries import OutboxNotification
from services.store.engine import Database
from services.store.erasure import ERASED, NAMED, Erased, Subject
from tests.store.stored_classes import _reached
from tests.support.records import ROUTE, at, decision, event
from tests.support.results import result, suite_of

NOW = at(90)
ELSEWHERE = "support-bot/other"
STATES = (DetectState, IntakeState, AlertState, *(one.state_type for one in DETECTORS))
WORDS = {"actor", "reason"}
OTHERS = {
    *("route", "id", "identity", "baseline", "fingerprint", "fingerprints", "identities", "change", "of", "seen"),
    *("signals", "versions", "version", "rival", "running", "firing", "fires", "blind", "suspect", "superseded"),
    *("spoken", "restarts", "candidates", "second", "artefacts", "measures", "slices", "rates", "counts", "followed"),
    *("models", "suspected", "streams", "active", "families", "mutes", "waits", "accepting", "decided", "above"),
    *("told", "last", "fence", "values", "parts", "fields", "history"),
}
"""Fields of states with text that names neither exchanges nor people: hashes, names of signals, versions, keys."""


def test_of_every_text_in_a_state_it_is_known_whether_it_names_anybody() -> None:
    kinds = {kind: None for one in STATES for kind in _reached(one, {}) if is_dataclass(kind)}
    hints = {name: hint for kind in kinds for name, hint in get_type_hints(kind).items() if name in _own(kind)}
    assert {name for name, hint in hints.items() if _holds_text(hint)} <= NAMED | WORDS | OTHERS
    assert hints.keys() >= OTHERS
    assert not (NAMED | WORDS) & OTHERS


def _own(kind: type) -> set[str]:
    return {one.name for one in fields(kind)}


def _holds_text(hint: Any) -> bool:
    return hint is str or any(_holds_text(part) for part in get_args(hint))


def texts(tree: Any, key: str = "") -> Iterator[tuple[str, str]]:
    """Key and value of every text in it."""
    if isinstance(tree, str):
        yield key, tree
    elif isinstance(tree, dict):
        for name, value in tree.items():
            yield from texts(value, str(name))
    elif isinstance(tree, list):
        for value in tree:
            yield from texts(value, key)


def filled(database: Database) -> dict[str, list[str]]:
    """One of all that has words of people in JSON, as `shown` shows it."""
    run = result(suite_of(2, 2, 1, name="core", version="3"), id="1" * 16)
    told = {
        "severity": "warning",
        "mention": False,
        "text": "it refuses more",
        "fingerprint": "2" * 16,
        "fired": "info",
    }
    row = OutboxNotification("n", ROUTE, "3" * 16, "post", json.dumps(told), at())
    with database.write() as connection:
        routes.ensure(connection, ROUTE, ELSEWHERE)
        store_run(connection, run, "command", None)
        decisions.add(connection, decision("silence"), NOW)
        deliveries.reconcile(connection, ROUTE, [row])
        readings.add(connection, [event()])
    return shown(database)


def shown(database: Database) -> dict[str, list[str]]:
    with database.read() as connection:
        payloads = {
            name: [str(row.payload) for row in connection.execute(erasure.Base.metadata.tables[name].select())]
            for name in ("runs", "decisions_outbox", "outbox", "readings")
        }
    assert all(payloads.values())
    return payloads


def erased(database: Database, *names: str, ids: Sequence[str] = ()) -> None:
    found = Erased()
    found.ids[ROUTE] |= set(ids)
    with database.write() as connection:
        erasure.erase(connection, Subject("user", names), found, NOW)


def test_a_user_who_is_called_like_a_version_or_a_severity_changes_nothing(database: Database) -> None:
    before = filled(database)
    trees = [json.loads(text) for some in before.values() for text in some]
    found = [one for tree in trees for one in texts(tree)]
    alike = {value for _, value in found} - {value for key, value in found if key in erasure._WORDS | NAMED}
    assert {"3", "warning", "info", "core", "complete", "firing", "harmful_compliance", "user", ROUTE} <= alike
    erased(database, *sorted(alike), ids=sorted(alike))
    assert shown(database) == before
    with database.read() as connection:
        assert stored_run(connection, "1" * 16) is not None


def test_words_go_whatever_letters_they_are_of(database: Database) -> None:
    said = decision("silence", reason="load test of Jürgen Groß", actor="Jürgen Groß")
    with database.write() as connection:
        routes.ensure(connection, ROUTE)
        decisions.add(connection, said, NOW)
        erased_before = decisions.of_route(connection, ROUTE)
    assert erased_before == (said,)
    erased(database, "Jürgen Groß")
    with database.read() as connection:
        (left,) = decisions.of_route(connection, ROUTE)
    assert (left.actor, left.reason) == (ERASED, f"load test of {ERASED}")


def saved(database: Database, step: str, route: str, state: object) -> None:
    with database.write() as connection:
        routes.ensure(connection, route)
        step_states.save(connection, step, route, 0, pack(state))


def loaded(database: Database, step: str, route: str, kind: type) -> Any:
    found = database.query(step_states.load, step, route)
    assert found is not None
    return unpack(kind, found[1])


def test_ids_go_where_a_state_names_exchanges_of_its_route_alone(database: Database) -> None:
    held = EventState(7, 2, 0, ("2", "5"))
    walks = EscalationState(9, walks={4: (0.5, 1, 3, 0.0, ("2", "6"))})
    for route in (ROUTE, ELSEWHERE):
        saved(database, "events", route, held)
        saved(database, "walks", route, walks)
    erased(database, "nobody", ids=["2"])
    assert loaded(database, "events", ROUTE, EventState).shown == (ERASED, "5")
    assert loaded(database, "walks", ROUTE, EscalationState).walks == {4: (0.5, 1, 3, 0.0, (ERASED, "6"))}
    assert loaded(database, "events", ELSEWHERE, EventState) == held
    assert loaded(database, "walks", ELSEWHERE, EscalationState) == walks


@pytest.mark.parametrize("kind", [DetectState, IntakeState, AlertState])
def test_ids_that_are_written_like_something_else_leave_a_state_as_it_is(database: Database, kind: Any) -> None:
    state = kind.start(ROUTE)
    saved(database, "step", ROUTE, state)
    alike = {value for key, value in texts(msgspec.msgpack.decode(pack(state))) if key not in NAMED | {CLASS}}
    assert ROUTE in alike
    erased(database, "nobody", ids=sorted(alike))
    assert pack(loaded(database, "step", ROUTE, kind)) == pack(state)


def test_why_somebody_muted_an_alert_goes_from_its_state(database: Database) -> None:
    mute = Mute("4" * 16, "acknowledge", "user-4711", "asked by user-4711", at(), ())
    saved(database, "mute", ELSEWHERE, mute)
    erased(database, "user-4711")
    left = loaded(database, "mute", ELSEWHERE, Mute)
    assert (left.actor, left.reason) == (ERASED, f"asked by {ERASED}")
    assert (left.since, left.kind) == (mute.since, mute.kind)
