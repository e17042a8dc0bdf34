"""A route whose every text is the same, for pages that show it all."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from sqlalchemy import Connection

from schemas.base import hash16
from schemas.dead_letter import DeadLetter
from schemas.decision import Decision
from schemas.evaluation import HazardComparison, PairPreferences
from schemas.identity import Model, identity_of
from schemas.position import Position
from schemas.sample import Sample, SampleCall, SampleMessage
from services.evaluate import persistence
from services.evaluate.result import AskedTarget, RunResult, SentMessage
from services.store import decisions, deliveries, evaluation_queue, incidents, routes, schedules
from services.store.engine import Database
from services.store.evaluation_queue import DueRun, Moment
from services.store.schedules import StoredSchedule
from tests.support.api import NOW, later, recorded
from tests.support.blocks import START as STARTS
from tests.support.blocks import Row, block
from tests.support.records import ROUTE, alert, at, change, comparison, decision, place, run
from tests.support.results import result, suite_of, worse

_RUNS: Final[Mapping[Moment, float]] = {"pinned": -9.0, "change": -3.0}


def told(database: Database, text: str, route: str = ROUTE) -> str:
    """Fill the database with an incident of which every part that came from outside says `text`; its id."""
    fields = ("provider", "requested", "served", "endpoint", "system_prompt_sha256")
    model = Model(**dict.fromkeys(fields, text))
    who = identity_of(model)
    signed: Mapping[str, object] = {"route": route, "identities": (who,), "exemplars": (text, "gone")}
    sliced = alert("firing", 310, **signed, slice=f"tags.x={text}", reason=text)
    recorded(
        database,
        change("observed", 290, route=route, to_identity=who, model=model, reason=text),
        alert("firing", 300, **signed),
        sliced,
        run(6, route=route, identity=who, status="incomplete", reason=text),
        comparison(
            "regressed",
            7,
            route=route,
            identity=who,
            suite=text,
            reason=text,
            hazards=(_hazard(text),),
            preferences=PairPreferences(judge=text, version=text, worse=9, worse_items=(text,)),
        ),
        _sample(route, text, who),
    )
    with database.write() as connection:
        routes.add_identities(connection, route, {who: model})
    id = _id(database, route)
    recorded(database, decision("roll_back", 9, route=route, incident=id, actor=text, reason=text))
    pending = Decision(kind="snooze", route=route, incident=id, actor=text, reason=text, ts=NOW)
    with database.write() as connection:
        decisions.add(connection, pending, NOW)
    return id


def around(database: Database, text: str, route: str = ROUTE, letters: str = "") -> None:
    """Say `text` in all that stands beside incidents: traffic, schedules, runs, dead letters, deliveries, silences.

    Dead letters say `letters` instead, if it is given: they are of no route.
    """
    letters = letters or text
    fields = ("provider", "requested", "served", "endpoint", "fingerprint")
    model, seconds = Model(**dict.fromkeys(fields, text)), (NOW - STARTS).total_seconds()
    traffic = [
        Row(text[:512], i, seconds - i, model=model, tags={"x": text}, signals={"refusal": i > 2}) for i in range(4)
    ]
    place_of_letter = Position(
        cluster=letters[:200], topic=letters[:200], partition=0, offset=int(hash16(text), 16) % 2**40
    )
    recorded(
        database,
        block(traffic, route),
        decision("silence", 40, route=route, actor=text, reason=text, expires=later(4)),
        DeadLetter.of(text.encode(), "score", letters, place_of_letter),
        change(
            "pinned", 100, route=route, id=hash16([route, "pinned"]), model=model, reason=text, baseline=hash16(route)
        ),
        run(12, route=route, suite=text, status="failed", reason=text),
    )
    due = DueRun(route, f"{text} again", "scheduled", None, text, text, 0, later(-1))
    with database.write() as connection:
        _ran(connection, text, route)
        schedules.add(
            connection, StoredSchedule(route, text, (text,), "15 3 * * *", "UTC", True, "command", later(-90))
        )
        evaluation_queue.enqueue(connection, [due], NOW)
        deliveries.fan_out(connection, lambda _: (text,), NOW)
        for late in deliveries.first_pending(connection, text):
            deliveries.postpone(connection, late, None, text)


def _ran(connection: Connection, text: str, route: str) -> None:
    """Two runs, one before and one after a change."""
    asked = [
        DueRun(route, f"{text} {moment}", moment, hash16(text), text, text, 0, later(hours))
        for moment, hours in _RUNS.items()
    ]
    for due in asked:
        evaluation_queue.enqueue(connection, [due], NOW)
        [claimed] = evaluation_queue.claim(connection, "tests", NOW, later(1), 1)
        persistence.store_run(connection, _result(claimed.what, text), due.moment, text)
        evaluation_queue.finish(connection, claimed, evaluation_queue.DONE)


def _result(due: DueRun, text: str) -> RunResult:
    """A run, which after the change is worse, with the text wherever a model or a person has one."""
    moved, hours = (8, -3) if due.moment == "change" else (0, -9)
    suite, events = suite_of(8, 2, 1, name=text, title=text, version=text), worse("harmful", moved)
    asked = AskedTarget(url="https://llm.example/v1", model=text)
    found = result(suite, events, id=due.id, route=due.route, target=asked, settings={text: text})
    said = {"text": text, "messages": (SentMessage(role="user", content=text),), "served": text, "finish_reason": text}
    answers = tuple(one.model_copy(update=said) for one in found.answers)
    return found.model_copy(update={"answers": answers, "started": later(hours - 0.1), "ended": later(hours)})


def _id(database: Database, route: str) -> str:

    [found] = database.query(incidents.find, route)
    return found.id


def _hazard(text: str) -> HazardComparison:
    moved = {"before": 98.0, "after": 71.0, "delta": -27.0, "low": -33.0, "high": -21.0}
    return HazardComparison(hazard=text, measure=text, n=60, verdict="regressed", flipped=(text,), **moved)


def _sample(route: str, text: str, who: str) -> Sample:
    return Sample(
        id=text[:512],
        route=route,
        source=place(300),
        ts=at(5),
        identity=who,
        user=hash16(text),
        conversation=text,
        prompt=text,
        response=text,
        messages=(SampleMessage(role=text, text=text),),
        tool_calls=(SampleCall(name=text, arguments=text),),
        finish_reason=text,
        signals=(text,),
        why="kept",
    )
