"""What is done in a run to which process, where or when: the seed's, and nothing else's. Pure."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass
from itertools import cycle, islice

STEPS = {"score": "score", "detect": "detect,evaluate,alert", "record": "record"}
"""Victim -> the steps of its process."""

FIRST = ("score.before-produce", "score.after-produce-before-snapshot")
"""Where a process dies in every run: what was acknowledged too early is lost at the first, the second is made again."""

PLACES = {
    "score.before-produce": 200,
    "score.after-produce-before-snapshot": 200,
    "detect.inside-snapshot-transaction": 1000,
    "record.inside-record-transaction": 200,
    "score.before-dead-letter": 500,
    "detect.after-snapshot-before-ack": 1000,
    "detect.after-ack": 1000,
}
"""Fail point, each where its step has most to lose -> after how many exchanges it is surely reached once more."""

AT_RANDOM = 0.3
"""Share of the kills that come at any moment, not at a fail point; of many kills more: points take exchanges."""


@dataclass(frozen=True)
class Point:
    """`victim` dies when it has come by its place `count` times since it was started."""

    place: str
    count: int

    @property
    def victim(self) -> str:
        """Whose place it is."""
        return self.place.partition(".")[0]

    def __str__(self) -> str:
        return self.place


SERVERS = ("broker", "database")
"""What else can be away: it is stopped and started again."""


@dataclass(frozen=True)
class Moment:
    """`victim` is killed, suspended past its session, or restarted, when this share of the exchanges is sent."""

    victim: str
    share: float
    how: str = "killed"

    def __str__(self) -> str:
        return f"{self.victim} {self.how} at a random moment"


@dataclass(frozen=True)
class Plan:
    """The kills of a run: those of one victim come one after the other."""

    points: tuple[Point, ...]
    moments: tuple[Moment, ...]

    @property
    def names(self) -> list[str]:
        """Everything that is done, by its name."""
        return [str(kill) for kill in (*self.points, *self.moments)]


def plan(seed: int, exchanges: int, kills: int, suspensions: int = 0, restarts: int = 0) -> Plan:
    """`FIRST`, then every fail point before one comes again; the rest at random moments, the earliest first.

    `suspensions` of workers and `restarts` of servers, these by turns, come at random moments besides.
    """
    chance = random.Random(seed)
    random_ones = max(round(AT_RANDOM * kills), kills - len(PLACES))
    others = [place for place in PLACES if place not in FIRST]
    places = [*FIRST, *chance.sample(others, len(others))]
    some = list(islice(cycle(places), kills - random_ones))
    moments = [Moment(chance.choice(list(STEPS)), chance.uniform(0.05, 0.8)) for _ in range(random_ones)]
    dies = Counter([Point(place, 1).victim for place in some] + [one.victim for one in moments])

    def most(place: str) -> int:
        """Of all that is sent each death of a victim has its part: it counts anew after each."""
        return max(1, exchanges // PLACES[place] // dies[Point(place, 1).victim])

    points = [Point(place, chance.randint(1, most(place))) for place in some]
    moments += [Moment(chance.choice(list(STEPS)), chance.uniform(0.05, 0.7), "suspended") for _ in range(suspensions)]
    moments += [Moment(name, chance.uniform(0.1, 0.7), "restarted") for name in islice(cycle(SERVERS), restarts)]
    return Plan(tuple(points), tuple(sorted(moments, key=lambda one: one.share)))
