"""What a copy of Keelwatch with newcomers says of two routes, as JSON: run in a process of its own, within the copy.

On `shouts/prod` a made-up signal's rate moves, on `repeats/prod` a made-up detector fires.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta

from detectors import registered
from services.monitor import BaselinePolicy, RoutePolicy
from services.notify.message import MessageOptions, of_incident, plain_lines
from services.ports import Received
from services.record.recorder import Recorder
from services.replay.runner import ReplayDependencies, ReplayRunner
from services.score.core import ExchangeScorer
from services.specs import reference
from services.store.engine import open_database
from tests.architecture import test_public_names, test_registries
from tests.support.api import NOW, Wire, all_asked, api_on
from tests.support.scoring import SeededEmbedder, received

LEARNED, SHOUTED, REPEATED = 120, 100, 40
POLICY = RoutePolicy(baseline=BaselinePolicy(size=100, min_size=50, per_hour=1000))


def traffic() -> Iterator[Received]:
    for i in range(LEARNED + SHOUTED):
        answer = f"this is what you can do, number {i}, and more of it"
        yield exchange("shouts/prod", i, answer if i < LEARNED else answer.upper())
    for i in range(REPEATED):
        yield exchange("repeats/prod", i, "i would rather talk of something else")


def exchange(route: str, i: int, answer: str) -> Received:
    prompt, at = f"question {i % 24} of our customers", NOW - timedelta(minutes=300 - i)
    return received(i, route=route, topic=route, id=f"{route}-{i}", prompt=prompt, response=answer, ts=at)


def main() -> None:
    # Nothing else has to be listed anywhere: the tests of the registries hold in the copy as well.
    for module in (test_registries, test_public_names):
        for name in dir(module):
            if name.startswith("test_"):
                getattr(module, name)()
    with closing(open_database("sqlite:///newcomers.db")) as database:
        score = ExchangeScorer(SeededEmbedder(), lambda _: POLICY).score
        record = Recorder(database, lambda _: POLICY).apply
        replay = ReplayRunner(ReplayDependencies(score, registered(), lambda _: POLICY, record))
        for one in traffic():
            replay.feed(one)
        seen = replay.finish()
        incidents = {route: seen.incidents(route).cases[0].incident for route in ("shouts/prod", "repeats/prod")}
        paths = ["/", *(f"/incidents/{one.id}" for one in incidents.values())]
        answers = [one.text for one in all_asked(api_on(database, Wire()), [("GET", path, {}) for path in paths])]
    json.dump(
        {
            "fleet": answers[0],
            "incident": dict(zip(incidents, answers[1:], strict=True)),
            "slack": {route: plain_lines(of_incident(one, MessageOptions())) for route, one in incidents.items()},
            "severity": {route: one.severity for route, one in incidents.items()},
            "reference": {row.name: row for row in reference()},
        },
        sys.stdout,
    )


if __name__ == "__main__":
    main()
