"""Three hours of one route: a baseline is pinned, then another model answers under a new name and refuses less."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from schemas.change import Pinning
from schemas.identity import Model, identity_of
from schemas.reading import Evidence, Reading
from schemas.sample import Sample
from services.monitor import RoutePolicy
from services.record.recorder import Recorder
from services.store.engine import Database
from tests.support.blocks import START, Row, blocks
from tests.support.records import BASELINE, FELL, alert, change, decision, place, reading

LIFE: Final = "support-bot/prod"
BEFORE: Final = Model(provider="openai", requested="gpt-4", served="gpt-4-0314")
AFTER: Final = Model(provider="openai", requested="gpt-4", served="gpt-4-0613")
FIRST, SECOND = identity_of(BEFORE), identity_of(AFTER)
EXCHANGES, CHANGED = 360, 240
"""How many exchanges there are, 30 s apart, and from which on the other model answers."""
LOCALES: Final = ("de", "en")


def at(exchange: float) -> datetime:
    """When it was, the first one at `START`."""
    return START + timedelta(seconds=30 * exchange)


def rows(text: str = "de") -> list[Row]:
    """Its exchanges; `text` is the first locale. Of every 10th the refusal could not be measured."""
    return [
        Row(
            f"e{i}",
            i,
            30.0 * i,
            model=BEFORE if i < CHANGED else AFTER,
            signals={"refusal": None if i % 10 == 9 else i % (5 if i < CHANGED else 40) == 0, "pii_leak": False},
            tags={"locale": (text, "en")[i % 2]},
            prompt=i % 97,
        )
        for i in range(EXCHANGES)
    ]


def live(database: Database, route: str = LIFE, text: str = "de") -> None:
    """Let the record step take in all of it; everything that came from outside says `text`."""
    sink = Recorder(database, lambda _: RoutePolicy(slices=("tags.locale",)))
    for one in blocks(rows(text), 90, route):
        sink.apply([one])
    sink.apply([sample(route, i, text) for i in (0, 100, 250, 359)])
    sink.apply(readings(route))
    signed = {"route": route, "from_identity": FIRST, "to_identity": SECOND}
    model = AFTER if text == "de" else named(text)
    pinning = Pinning(n=200, streams=8, arl=1e6, rates={"refusal": 0.2, "pii_leak": 0.0})
    sink.apply(
        [
            change("pinned", 200, **signed | {"to_identity": FIRST}, baseline=BASELINE, pinning=pinning, ts=at(200)),
            decision("announce", route=route, actor=text, model=model, ts=at(239)),
            change("observed", 244, **signed, id="a" * 16, model=model, reason=text, ts=at(244)),
            change("suspected", 290, **signed, id="b" * 16, model=model, reason=text, ts=at(290)),
            alert("firing", 300, route=route, ts=at(300), effect=FELL, identities=(SECOND,), reason=text),
        ]
    )


def named(text: str) -> Model:
    """A model whose name is this text."""
    return AFTER.model_copy(update={"served": text})


def readings(route: str) -> list[Reading]:
    """A stream that was quiet and fires, one that is blind, one that is learning, and one in a slice."""
    signed = {"route": route, "identity": SECOND}
    sure = Evidence(log_e=20.0, threshold=13.1, n=60, baseline=BASELINE)
    return [
        reading("quiet", 250, **signed, ts=at(250), effect=None),
        reading("firing", 300, **signed, ts=at(300), effect=FELL, evidence=sure),
        reading("quiet", 300, **signed, ts=at(300), signal="pii_leak", slice="tags.locale=en"),
        reading("blind", 310, **signed, ts=at(310), detector="model_shift", signal=None, effect=None, reason="too few"),
        reading("learning", 150, route=route, identity=None, ts=at(150), detector="baseline", signal=None, effect=None),
    ]


def sample(route: str, i: int, text: str) -> Sample:
    """The redacted text of exchange `i`."""
    return Sample(
        id=f"e{i}",
        route=route,
        source=place(i),
        ts=at(i),
        identity=FIRST if i < CHANGED else SECOND,
        conversation=text,
        prompt=f"prompt {text}",
        response=f"response {text}",
        signals=("refusal",) if i % 20 == 0 else (),
        why="kept",
    )
