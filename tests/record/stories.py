"""What the other steps could say of two routes: records of every topic, drawn by hypothesis or fixed."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from hypothesis import strategies as st

from schemas.alert import Alert, fingerprint_of
from schemas.base import Record, hash16
from schemas.change import Change, change_id
from schemas.dead_letter import DeadLetter
from schemas.decision import Decision
from schemas.evaluation import Comparison, Run
from schemas.identity import Model, identity_of
from schemas.position import Position
from schemas.reading import Evidence, Reading, reading_id
from schemas.sample import Sample, SampleBlock, Why
from tests.support.blocks import START, Row, blocks

ROUTES = ("support-bot/prod", "search/eu")
OLD, NEW = Model(requested="gpt-4"), Model(requested="gpt-4", served="gpt-4-0613")
A, B = identity_of(OLD), identity_of(NEW)
FAMILIES = {
    "model_shift": (None, "info"),
    "user_shift": (None, "info"),
    "rate_shift": ("refusal", "warning"),
    "events": ("secret_leak", "critical"),
}


def position(offset: int) -> Position:
    return Position(cluster="c", topic="t", partition=0, offset=offset)


def alert(route: str, family: str, hour: int, status: str = "firing") -> Alert:
    signal, severity = FAMILIES[family]
    return Alert(
        id=hash16([route, family, hour, status]),
        route=route,
        family=family,
        signal=signal,
        fingerprint=fingerprint_of(route, family, signal),
        identities=(A,),
        status=status,
        severity=severity,
        event_index=hour,
        ts=START + timedelta(hours=hour),
        evidence=Evidence(n=hour),
        exemplars=(f"e{hour}",),
        reason=None if status == "firing" else "the effect is inside the floor",
    )


def change(route: str, hour: int, kind: str = "observed") -> Change:
    return Change(
        id=change_id(route, kind, A, B, None),
        kind=kind,
        route=route,
        from_identity=A,
        to_identity=B,
        model=NEW,
        baseline=hash16("baseline") if kind == "pinned" else None,
        ts=START + timedelta(hours=hour),
        event_index=hour,
        reason="new identity",
    )


def decision(route: str, kind: str, hour: int) -> Decision:
    expires = START + timedelta(hours=hour + 6) if kind == "snooze" else None
    return Decision(
        kind=kind, route=route, actor="erika", reason="seen", ts=START + timedelta(hours=hour), expires=expires
    )


def run(route: str, hour: int) -> Run:
    ts = START + timedelta(hours=hour)
    id = hash16([route, "run", hour])
    return Run(id=id, route=route, identity=A, suite="core", suite_sha256="x", status="complete", ts=ts, items=9)


def comparison(route: str, hour: int, overall: str = "regressed") -> Comparison:
    ts = START + timedelta(hours=hour)
    id = hash16([route, "comparison", hour, overall])
    return Comparison(id=id, route=route, identity=B, suite="core", overall=overall, ts=ts)


def sample(route: str, n: int, reason: str = "sampled", why: Why = "kept") -> Sample:
    return Sample(
        id=f"e{n}",
        route=route,
        source=position(n),
        ts=START + timedelta(hours=n),
        identity=A,
        prompt="What is open today?",
        response="We are open from 9 to 5.",
        signals=("refusal",) if reason == "signal" else (),
        why=why,
    )


def travelling(record: Record) -> Record:
    """A record as it is on its topic."""
    return SampleBlock(route=record.route, samples=(record,)) if isinstance(record, Sample) else record


def reading(route: str, n: int, status: str = "quiet") -> Reading:
    return Reading(
        id=reading_id(route, A, "model_shift", None, None, None, None, n, status),
        route=route,
        identity=A,
        detector="model_shift",
        status=status,
        evidence=Evidence(n=n),
        event_index=n,
        ts=START + timedelta(hours=n),
        source=position(n),
    )


def letter(offset: int, reason: str = "not JSON") -> DeadLetter:
    dead = DeadLetter.of(b"{", "score", reason, position(offset))
    return dead.model_copy(update={"first_seen": START + timedelta(hours=offset)})


def exchanges(n: int, shift: int = 0) -> list[Row]:
    """An hour apart, so that timers run out; the second half is of another model."""
    return [
        Row(
            f"e{i + shift}",
            i,
            (i + shift) * 3600.0,
            model=OLD if i < n // 2 else NEW,
            signals={"refusal": i % 3 == 0, "pii_leak": None if i % 5 == 0 else False},
            flags=("no_response",) if i % 5 == 0 else (),
            tags={"locale": "de" if i % 2 else "en"},
            prompt=i % 3,
        )
        for i in range(n)
    ]


def scores(route: str, n: int = 60, cut: int | Sequence[int] = 16) -> list[Record]:
    return list(blocks(exchanges(n), cut, route))


def story(route: str) -> list[Record]:
    """One route's records: a shift, its evidence, what people did; 60 hours."""
    return [
        *scores(route),
        *(sample(route, n, "signal" if n % 7 == 0 else "sampled") for n in range(0, 60, 3)),
        *(reading(route, n) for n in range(0, 40, 5)),
        reading(route, 41, "firing"),
        change(route, 30, "pinned"),
        change(route, 31),
        alert(route, "model_shift", 33),
        alert(route, "rate_shift", 34),
        run(route, 35),
        comparison(route, 36),
        decision(route, "silence", 36),
        decision(route, "acknowledge", 37),
        alert(route, "rate_shift", 50, "resolved"),
        decision(route, "resolve", 55),
        *(letter(n) for n in range(5)),
    ]


HOURS = st.integers(0, 60)
FACTS = st.one_of(
    st.builds(alert, st.sampled_from(ROUTES), st.sampled_from(sorted(FAMILIES)), HOURS),
    st.builds(alert, st.sampled_from(ROUTES), st.sampled_from(sorted(FAMILIES)), HOURS, st.just("resolved")),
    st.builds(change, st.sampled_from(ROUTES), st.just(31), st.sampled_from(["observed", "suspected", "pinned"])),
    st.builds(
        decision,
        st.sampled_from(ROUTES),
        st.sampled_from(
            [
                "announce",
                "acknowledge",
                "snooze",
                "accept_baseline",
                "false_alarm",
                "silence",
                "end_silence",
                "comment",
                "unmute",
                "resolve",
            ]
        ),
        HOURS,
    ),
    st.builds(run, st.sampled_from(ROUTES), HOURS),
    st.builds(comparison, st.sampled_from(ROUTES), HOURS, st.sampled_from(["regressed", "unchanged"])),
)
OTHERS = st.one_of(
    st.builds(sample, st.sampled_from(ROUTES), HOURS, why=st.sampled_from(["kept", "ring"])),
    st.builds(reading, st.sampled_from(ROUTES), HOURS, st.sampled_from(["quiet", "firing", "blind"])),
    st.builds(letter, HOURS, st.sampled_from(["not JSON", "route: missing"])),
)


def topic(record: Record) -> str:
    return type(record).__name__


@st.composite
def streams(draw: Any) -> list[Record]:
    """Records of every topic, in an order in which the topics could bring them."""
    said = draw(st.lists(FACTS | OTHERS, max_size=25))
    measured = [block for route in ROUTES for block in scores(route, draw(st.integers(0, 50)), draw(CUTS))]
    return interleaved(draw, {"scores": measured, **by_topic(said)})


CUTS = st.lists(st.integers(1, 20), min_size=1, max_size=4)


def by_topic(records: Sequence[Record]) -> dict[str, list[Record]]:
    found: dict[str, list[Record]] = {}
    for record in records:
        found.setdefault(topic(record), []).append(record)
    return found


def interleaved(draw: Any, topics: dict[str, list[Record]]) -> list[Record]:
    """One order of all records that keeps the order within each topic."""
    turns = [name for name in sorted(topics) for _ in topics[name]]
    waiting = {name: iter(records) for name, records in topics.items()}
    return [next(waiting[name]) for name in draw(st.permutations(turns))]


def batches(draw: Any, records: Sequence[Record]) -> list[list[Record]]:
    """The records in pieces of drawn sizes."""
    pieces, rest = [], list(records)
    while rest:
        size = draw(st.integers(1, len(rest)))
        pieces.append(rest[:size])
        rest = rest[size:]
    return pieces
