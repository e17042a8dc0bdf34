"""A record that holds several calls of a model on its way through the score step: each counts, each fails alone."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime

from schemas.dead_letter import DeadLetter
from services.monitor import Monitor
from services.monitor.ingest_rules import IngestRule
from services.monitor.route_limit import RouteLimit
from services.offload import Offload
from services.ports import Received
from services.score.core import ScoredBatch
from services.stream.handlers import ScoreHandler
from services.stream.messages import Handled, TopicMessage
from tests.ingest.malformed import calls_of, changed, fixture, raw_of

NOW = datetime(2026, 12, 1, 6, tzinfo=UTC)
RULES = (IngestRule({"format": "otlp", "service.name": "Support*"}, "by/rule"),)


def handled(raw: bytes, headers: tuple[tuple[str, bytes], ...] = (), monitor: Monitor | None = None):
    seen: list[Received] = []

    def score(batch: Sequence[Received]) -> ScoredBatch:
        seen.extend(batch)
        return ScoredBatch()

    async def cluster() -> str:
        return "c"

    async def run() -> Handled:
        cpu = Offload("cpu")
        try:
            limit = RouteLimit(monitor or Monitor())
            handler = ScoreHandler(score, cpu, cluster, limit, clock=lambda: NOW, rules=RULES)
            return await handler.handle([TopicMessage("keelwatch.exchanges", 0, 7, raw, NOW, headers)])
        finally:
            cpu.close()

    letters = [DeadLetter.decode(one.value) for one in asyncio.run(run()).outgoing]
    return seen, letters


def test_each_span_of_a_record_is_an_exchange_with_a_number_of_its_own_at_one_position() -> None:
    seen, letters = handled(raw_of(fixture("otlp_openinference_proto")))
    assert [(one.position.offset, one.part, one.exchange.route) for one in seen] == [
        (7, 0, "by/rule"),
        (7, 1, "by/rule"),
    ]
    assert len({one.exchange.id for one in seen}) == 2
    assert {one.format for one in seen} == {"otlp"}
    assert ["guardrails" in one.lacks for one in seen] == [True, True]
    assert {"model.served", "usage", "ts"}.isdisjoint(seen[0].lacks)
    assert letters == []


def test_one_bad_span_is_a_letter_and_its_neighbour_is_scored() -> None:
    value = fixture("otlp_openinference")
    seen, letters = handled(raw_of(changed(value, f"{calls_of(value)[0]}/spanId", "")))
    assert [one.part for one in seen] == [1]
    assert ["traceId, spanId" in one.reason for one in letters] == [True]


def test_spans_of_a_route_that_may_not_be_are_letters_that_can_be_sent_again() -> None:
    seen, letters = handled(raw_of(fixture("otlp_openinference")), monitor=Monitor(unlisted_routes="refuse"))
    assert seen == []
    assert len({one.sha256 for one in letters}) == len(letters) == 2


def test_the_header_gives_the_route() -> None:
    seen, _ = handled(raw_of(fixture("otlp_semconv")), (("Keelwatch-Route", b"by/header"), ("odd", b"\xff")))
    assert [one.exchange.route for one in seen] == ["by/header"]
