"""What detect keeps of a route, and what it needs to know to step."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar, Final

import numpy as np

from detectors.protocol import Detector, Rows
from schemas.change import Change
from schemas.identity import Model
from schemas.reading import Reading, ReadingStatus
from services.detect.counterparts import BaselineExamples, NearestNoted
from services.detect.floods import FloodState
from services.detect.traffic_shares import TrafficShares
from services.intake.core import IntakeState
from services.monitor import RoutePolicy
from services.specs import family_of

ABSENT: Final = ""
"""The version of a signal that the scorer does not measure."""
UNVERSIONED: Final = "1"
"""The version of every signal before states and blocks named it."""
VECTORS: Final = "response_vec"
"""What stands among signals for the vectors; its version is the engine with its precision."""
HOLDS: Final = 50
"""Exchanges running by which a version must have measured before it counts: workers of two versions may alternate."""


@dataclass(frozen=True, slots=True)
class DetectionPlan:
    """How one route is watched: the detectors in order, and the route's policy of the monitor file."""

    detectors: tuple[Detector[Any, Any], ...]
    policy: RoutePolicy


@dataclass(frozen=True, slots=True)
class Candidates:
    """Rows of one identity that may become a baseline; they are rows of detect's own table.

    Attributes:
        chunks: the rows, in pieces as they came. n: how many.
        hours: clock hour (since 1970) -> rows taken from it. first: time of the first row, seconds since 1970.
    """

    chunks: tuple[Rows, ...] = ()
    n: int = 0
    hours: dict[int, int] = field(default_factory=dict)
    first: float | None = None


@dataclass(frozen=True, slots=True)
class SignalVersion:
    """The version of a signal that counts on a route.

    Attributes:
        version: `ABSENT` where the scorer does not measure the signal.
        since, ts: event index and time (seconds since 1970) of the first exchange by which it counts.
        rival: another version that came instead, and `run`, for how many exchanges running; it counts once it held
            for `HOLDS` of them. Until then its rows are left out.
    """

    version: str
    since: int = 0
    ts: float = 0.0
    rival: str | None = None
    run: int = 0


@dataclass(frozen=True, slots=True)
class Relearned:
    """Streams that were learned anew beside a baseline: those of signals that came to be measured in another way.

    Attributes:
        versions: signal -> the version that it was learned by. n: exchanges it was learned of, between the event
            indexes `since` and `event_index`.
        arl: of the whole set of streams since then. rates, artefacts: as of a baseline, of these signals alone.
    """

    id: str
    versions: dict[str, str]
    n: int
    streams: int
    arl: float
    ts: float
    since: int
    event_index: int
    rates: dict[str, float]
    artefacts: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Relearning:
    """What is learned anew now: signal -> version, since when, and the rows so far."""

    versions: dict[str, str]
    since: int
    ts: float
    candidates: Candidates = field(default_factory=Candidates)


@dataclass(frozen=True, slots=True)
class SecondReference:
    """What one identity answers after an alarm against the baseline that stands: what its next change is held against.

    It is gathered first, and once there are enough exchanges it is fitted, has an `id`, and watches; its rows are gone
    then. It never becomes a baseline.

    Attributes:
        after, ts: event index and time (seconds since 1970) of the alarm; what is gathered came later.
        candidates: the rows so far. n: how many it was fitted of, up to event index `event_index` at time `fitted`.
        streams, arl: tests that watch, and exchanges between false alarms that each of them is held to.
        artefacts, running: detector -> what it made of the rows, and where it stands.
        last: event index of the last exchange of the identity that was judged.
    """

    after: int
    ts: float
    candidates: Candidates = field(default_factory=Candidates)
    id: str | None = None
    n: int = 0
    event_index: int = 0
    fitted: float = 0.0
    streams: int = 0
    arl: float = 0.0
    artefacts: dict[str, Any] = field(default_factory=dict)
    running: dict[str, Any] = field(default_factory=dict)
    last: int = 0


@dataclass(frozen=True, slots=True)
class Pinned:
    """The route's baseline: immutable, written once.

    `rates` holds the share of its exchanges for which each signal was true, `artefacts` what each detector made of it.
    `versions` are those of the signals and the vectors that it was learned by, `relearned` the streams that replace
    its own, the newest last. A `trial` one makes way for a full one. `examples` are its exchanges whose text is kept.
    A `given` one was learned of a file: none of its exchanges is stored.
    """

    id: str
    identity: str
    model: Model
    n: int
    streams: int
    arl: float
    ts: float
    event_index: int
    rates: dict[str, float]
    artefacts: dict[str, Any]
    versions: dict[str, str] = field(default_factory=dict)
    relearned: tuple[Relearned, ...] = ()
    trial: bool = False
    examples: BaselineExamples | None = None
    given: bool = False


@dataclass(frozen=True, slots=True)
class DetectorStates:
    """The running state of the detectors on one route.

    Attributes:
        running: `detector/identity` (`detector` when its scope is the route) -> its state.
        firing: stream keys that fire now. blind: stream keys that cannot see -> why.
        since: event index of the first crossing since all was quiet; suspect: identity of that crossing.
        spoken: stream key -> time of its last reading.
        restarts: key of `running` -> exchanges of the route when its evidence was zeroed last.
        superseded: stream key -> version by which it fired when its signal came to be measured in another way.
    """

    STORED_NAME: ClassVar[str] = "Watch"

    running: dict[str, Any] = field(default_factory=dict)
    firing: tuple[str, ...] = ()
    blind: dict[str, str] = field(default_factory=dict)
    since: int | None = None
    suspect: str | None = None
    spoken: dict[str, float] = field(default_factory=dict)
    restarts: dict[str, int] = field(default_factory=dict)
    superseded: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Acquaintance:
    """The identities and fingerprints that a route has shown.

    Attributes:
        seen: identity -> exchanges so far (fingerprints under `identity+fingerprint`), counted up to 5.
        models: identity -> what stands behind it. suspected: identity -> time of the last suspicion.
    """

    seen: dict[str, int] = field(default_factory=dict)
    models: dict[str, Model] = field(default_factory=dict)
    suspected: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class DetectState:
    """All that detect keeps of one route.

    Attributes:
        candidates: identity -> rows towards a baseline; while learning, and after a first crossing.
        accepting: identity whose rows become the next baseline once there are enough of them.
        began: time of the first exchange. gap, no_data: not used any more; stored states have them.
        decided: ids of the decisions taken in last: one delivered again changes nothing.
        versions: signal that is watched as a rate (and `VECTORS`) -> the version that counts.
        relearning: signals that are learned anew beside the baseline.
        above: signal -> its rate, of those by whose ceiling the first baseline was held back last.
        untold: whether the baseline was given to the route (`keelwatch baseline build`), and nobody was told yet.
        noted: the last exchanges, with the nearest ones of the baseline.
        second: identity whose alarm stands -> what its next change is held against.
        flood: who and what was asked last, to tell one user or one prompt from all.
        shares: who answers which share since the baseline was pinned.
    """

    route: str
    intake: IntakeState
    candidates: dict[str, Candidates] = field(default_factory=dict)
    pinned: Pinned | None = None
    accepting: str | None = None
    watch: DetectorStates = field(default_factory=DetectorStates)
    known: Acquaintance = field(default_factory=Acquaintance)
    began: float | None = None
    untimed: bool = False
    gap: float = 0.0
    no_data: bool = False
    decided: tuple[str, ...] = ()
    versions: dict[str, SignalVersion] = field(default_factory=dict)
    relearning: Relearning | None = None
    above: dict[str, float] = field(default_factory=dict)
    untold: bool = False
    noted: NearestNoted = field(default_factory=NearestNoted)
    second: dict[str, SecondReference] = field(default_factory=dict)
    flood: FloodState = field(default_factory=FloodState)
    shares: TrafficShares = field(default_factory=TrafficShares)

    @property
    def status(self) -> ReadingStatus:
        """The route in one word: firing before blind before learning before quiet.

        What is not captured (no system prompt, no conversation is sent) is a blind spot of the route, listed beside
        the word; it does not make the whole route blind.
        """
        if self.watch.firing:
            return "firing"
        if self.flood.blind or any(
            family_of(key.partition("|")[0]).kind in ("shift", "rate") for key in self.watch.blind
        ):
            return "blind"
        return "learning" if self.pinned is None else "quiet"

    @property
    def learned(self) -> int:
        """Exchanges of the baseline, or of the largest set of candidates towards the first one."""
        if self.pinned is not None:
            return self.pinned.n
        return max((kept.n for kept in self.candidates.values()), default=0)

    @classmethod
    def start(cls, route: str) -> DetectState:
        """The state of a route that was never seen."""
        return cls(route, IntakeState.start(route))


@dataclass(frozen=True, slots=True)
class DetectOutput:
    """What one step says, in the order of the exchanges."""

    readings: tuple[Reading, ...] = ()
    changes: tuple[Change, ...] = ()

    def __add__(self, other: DetectOutput) -> DetectOutput:
        return DetectOutput(self.readings + other.readings, self.changes + other.changes)


def joined_rows(chunks: tuple[Rows, ...], most: int) -> Rows:
    """The first `most` rows of the chunks as one; a signal that some chunks lack is unscored there."""

    def column(name: str) -> Any:
        return np.concatenate([getattr(chunk, name) for chunk in chunks])[:most]

    def signal(name: str) -> Any:
        """NaN where a chunk has no such column: no tool of that name was called in it, or nobody scored it yet."""
        columns = [chunk.signals.get(name, np.full(len(chunk), np.nan)) for chunk in chunks]
        return np.concatenate(columns)[:most]

    def slice(name: str) -> tuple[str | None, ...]:
        return sum((chunk.slices.get(name, (None,) * len(chunk)) for chunk in chunks), ())[:most]

    def measure(name: str) -> Any:
        return np.concatenate([chunk.measures.get(name, np.full(len(chunk), np.nan)) for chunk in chunks])[:most]

    signals = set().union(*(chunk.signals for chunk in chunks))
    measures = set().union(*(chunk.measures for chunk in chunks))
    slices = set().union(*(chunk.slices for chunk in chunks))
    return Rows(
        index=column("index"),
        ts=column("ts"),
        prompt=column("prompt"),
        response=column("response"),
        style=column("style"),
        embedded=column("embedded"),
        answered=column("answered"),
        signals={name: signal(name) for name in sorted(signals)},
        slices={name: slice(name) for name in sorted(slices)},
        ids=sum((chunk.ids for chunk in chunks), ())[:most],
        measures={name: measure(name) for name in sorted(measures)},
        user=np.concatenate([chunk.users() for chunk in chunks])[:most],
        conversation=np.concatenate([chunk.conversations() for chunk in chunks])[:most],
    )
