"""People who press the same button: on a page, over REST, in Slack; at once, in threads of their own."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final, Protocol
from unittest.mock import patch
from urllib.parse import urlencode

from fastapi import FastAPI
from sqlalchemy import select

from schemas.decision import Decision
from schemas.incident import Incident, TimelineEntry
from services.api.app import Api, make
from services.api.auth.csrf import FORM_COOKIE
from services.notify.buttons import Press, value_of
from services.notify.receivers import slack_actions
from services.store import incidents
from services.store.decisions import DecisionRow
from services.store.engine import Database, open_database
from services.store.tables import table
from services.wiring.slack_presses import actions_of
from services.wording.notifications import FOLLOWS
from tests.support.api import NOW, Wire, api_on, asked, recorded
from tests.support.databases import opened
from tests.support.outline import outline
from tests.support.slack import APP, TEAM

SECRET = "of the app"
HTML = {"accept": "text/html", "origin": "http://127.0.0.1:8400", "sec-fetch-site": "same-origin"}


@dataclass(frozen=True)
class Said:
    """What came of a press: whether it was taken, and all that the person reads."""

    taken: bool
    words: str


@dataclass(frozen=True)
class Seat:
    """One process: an API, and the application that it is."""

    api: Api
    app: FastAPI


class Person(Protocol):
    """Somebody who has looked at an incident, and presses later."""

    name: str

    def press(self, kind: str) -> Said:
        """Press one button."""
        ...


@dataclass
class OnPage:
    """Looks at the incident's page when made; presses what stood there then."""

    seat: Seat
    incident: Incident
    name: str
    fields: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        shown = outline(asked(self.seat.app, "GET", f"/incidents/{self.incident.id}", headers=HTML).text)
        self.fields = {name: shown.named(name) for name in ("token", "seen")}

    def press(self, kind: str) -> Said:
        """Send the form."""
        data = {**self.fields, "kind": kind, "actor": self.name, "reason": "seen", "hours": "4"}
        headers = {**HTML, "cookie": f"{FORM_COOKIE}={self.fields['token']}"}
        answer = asked(self.seat.app, "POST", f"/incidents/{self.incident.id}/decisions", data=data, headers=headers)
        assert answer.status_code in (303, 409), answer.text
        return Said(answer.status_code == 303, " ".join(outline(answer.text).text.split()))


@dataclass
class OverRest:
    """A program that decides for somebody; two of them never name the same time."""

    seat: Seat
    incident: Incident
    name: str

    def press(self, kind: str) -> Said:
        """Post the decision."""
        expires = {"expires": (self.seat.api.decisions.clock() + timedelta(hours=4)).isoformat()}
        body = {"kind": kind, "route": self.incident.route, "incident": self.incident.id, "actor": self.name}
        body |= {"reason": "seen"} | (expires if kind in ("snooze", "silence") else {})
        answer = asked(self.seat.app, "POST", "/v1/decisions", json=body)
        assert answer.status_code in (202, 409), answer.text
        return Said(answer.status_code == 202, answer.json().get("detail", ""))


_PATIENT: Final = 60.0


async def anybody(press: Press, route: str) -> None:
    """Everybody may decide: who may is not what these tests ask."""


def pressed(action: dict[str, Any], name: str = "mara", user: str = "U1", home: str = TEAM) -> dict[str, Any]:
    """What Slack says of a press."""
    place = {"type": "block_actions", "team": {"id": TEAM}, "api_app_id": APP}
    return {**place, "user": {"id": user, "username": name, "team_id": home}, "actions": [action]}


@dataclass
class InSlack:
    """Sees the message as it was when made."""

    seat: Seat
    incident: Incident
    name: str
    pressed: int = 0

    def press(self, kind: str) -> Said:
        """What Slack sends of a press, signed."""
        self.pressed += 1
        now = self.seat.api.decisions.clock() + timedelta(seconds=self.pressed)
        action = {"action_id": f"keelwatch.{kind}", "value": value_of(self.incident), "action_ts": f"{now.timestamp()}"}
        payload = pressed(action, self.name)
        body, ts = urlencode({"payload": json.dumps(payload)}).encode(), str(int(now.timestamp()))
        mac = hmac.new(SECRET.encode(), b"v0:%s:%s" % (ts.encode(), body), hashlib.sha256).hexdigest()
        answer = asyncio.run(actions_of(SECRET, self.seat.api, anybody).handle(body, ts, f"v0={mac}"))
        assert answer.status == 200
        return Said((answer.words or "").endswith(FOLLOWS), answer.words or "")


@dataclass
class World:
    """Two processes' worth of the API on one database."""

    seats: Sequence[Seat]

    @property
    def database(self) -> Database:
        """Of the first one."""
        return self.seats[0].api.database

    def incident(self) -> Incident:
        """The only one, as it stands."""
        [found] = self.seats[0].api.database.query(incidents.find)
        return found

    def written(self) -> list[Decision]:
        """What waits for its topic, or went there."""
        outbox = table(DecisionRow)
        with self.database.read() as connection:
            rows = connection.execute(select(outbox.c.payload).order_by(outbox.c.seq)).scalars().all()
        return [Decision.decode(row.encode()) for row in rows]

    def told(self) -> list[TimelineEntry]:
        """Entries of the timeline that a person is behind."""
        return [entry for entry in self.incident().timeline if entry.actor is not None]

    def carry(self) -> list[Decision]:
        """Publish what waits, and let the record step take it in, twice: it is delivered at least once."""
        wire = Wire()
        self.seats[0].api.relay._send = wire.send
        asyncio.run(self.seats[0].api.relay.once())
        sent = [Decision.decode(value) for _, _, value in wire.sent]
        for _ in range(2):
            recorded(self.database, *sent)
        return sent


@contextmanager
def world(url: str, **more: Any) -> Iterator[World]:
    """Two APIs with connections and clocks of their own; the second one's is 20 s ahead.

    What Slack would not wait for is waited for here: a busy machine is no refusal.
    """
    patient = patch.object(slack_actions, "SECONDS", _PATIENT)
    with patient, opened(url) as [first], closing(open_database(url)) as second:
        apis = [api_on(database, Wire(), **more) for database in (first, second)]
        apis[1].decisions.clock = _ahead
        yield World([Seat(api, make(api)) for api in apis])


def _ahead() -> datetime:
    return NOW + timedelta(seconds=20)


def at_once(*some: Callable[[], Said]) -> list[Said]:
    """All of them in threads of their own, started together."""
    gate = threading.Barrier(len(some))
    said: dict[int, Said] = {}

    def work(place: int) -> None:
        gate.wait(20)
        said[place] = some[place]()

    threads = [threading.Thread(target=work, args=(place,)) for place in range(len(some))]
    for one in threads:
        one.start()
    for one in threads:
        one.join(30)
    return [said[place] for place in range(len(some))]
