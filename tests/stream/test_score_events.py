"""Scores that leave as events: what a collector takes, what is tried again, what is refused for good."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from schemas.identity import Model
from schemas.score import ScoreBlock
from services.errors import InputError
from services.evaluate.exporters.otel_events import OtelEvents
from services.evaluation_events import EVENT
from services.monitor.loader import examine
from services.observability.metrics import ScoreEventMeters
from services.outbound import Outbound
from services.score.score_events import MOST_EVENTS, score_events
from services.stream.broker import Broker
from services.stream.score_events import LONGEST_PAUSE, NotTaken, OtlpSink, ScoreEventExporter
from services.wiring.score_events import score_event_companion
from tests.support import otlp_collector
from tests.support.blocks import ROUTE, START, Row, block, rows
from tests.support.otlp_collector import OtlpCollector, decoded
from tests.support.results import exported_runs

SPAN = "otlp:4bf92f3577b34da6a3ce929d0e0e4736/00f067aa0ba902b7"
MODEL = Model(provider="openai", requested="gpt-4", served="gpt-4-0613")
SIGNALS = {"refusal": True, "pii_leak": False, "evasion": None}


@pytest.fixture
def collector() -> Iterator[OtlpCollector]:
    with otlp_collector.running() as found:
        yield found


def one(id: str = "e0", **signals: bool | None) -> ScoreBlock:
    return block([Row(id, 0, 0.0, model=MODEL, signals=signals or SIGNALS, tags={"locale": "de"})])


def record(of: ScoreBlock | bytes) -> Any:
    return SimpleNamespace(topic="keelwatch.scores", value=of if isinstance(of, bytes) else of.encode())


def exporter(url: str, **headers: str) -> tuple[ScoreEventExporter, CollectorRegistry]:
    registry = CollectorRegistry()
    sink = OtlpSink(lambda: Outbound(url, ["127.0.0.1"]), headers)
    made = ScoreEventExporter(Broker("127.0.0.1:1"), sink, lambda _: SIGNALS, ScoreEventMeters(registry))
    return made, registry


def handed_over(made: ScoreEventExporter, *some: ScoreBlock | bytes) -> None:
    async def work() -> None:
        async with made._sink.connected(Broker("127.0.0.1:1")):
            for each in some:
                await made.hand_over(record(each))

    asyncio.run(work())


def counted(registry: CollectorRegistry) -> tuple[float | None, float | None]:
    value = registry.get_sample_value
    return tuple(value("keelwatch_score_events_total", {"outcome": one}) for one in ("sent", "refused"))  # type: ignore[return-value]


def test_a_collector_takes_an_event_for_each_signal_and_no_text(collector: OtlpCollector) -> None:
    made, registry = exporter(collector.url, authorization="Bearer t")
    handed_over(made, one(SPAN), one("chatcmpl-17"))
    spanned, named = collector.taken[:3], collector.taken[3:]
    assert {each.event for each in collector.taken} == {EVENT}
    by_name = {each.attributes["gen_ai.evaluation.name"]: each for each in spanned}
    found = {
        name: [each.attributes.get(f"gen_ai.evaluation.score.{part}") for part in ("value", "label")]
        for name, each in by_name.items()
    }
    assert found == {"refusal": [1.0, "true"], "pii_leak": [0.0, "false"], "evasion": [None, "unknown"]}
    assert {(each.trace, each.span) for each in spanned} == {tuple(SPAN.removeprefix("otlp:").split("/"))}
    assert {(each.trace, each.span) for each in named} == {("", "")}
    assert {each.attributes.get("gen_ai.response.id") for each in spanned} == {None}
    assert {each.attributes["gen_ai.response.id"] for each in named} == {"chatcmpl-17"}
    refusal = by_name["refusal"]
    assert refusal.resource == {"service.name": "keelwatch", "keelwatch.route": ROUTE}
    assert refusal.nanoseconds == int(START.timestamp()) * 10**9
    told = refusal.attributes
    assert (told["gen_ai.provider.name"], told["gen_ai.request.model"]) == ("openai", "gpt-4")
    assert told["gen_ai.response.model"] == "gpt-4-0613"
    assert told["keelwatch.exchange.id"] == SPAN
    assert {each["authorization"] for each in collector.seen} == {"Bearer t"}
    assert counted(registry) == (6, 0)
    allowed = {"gen_ai.evaluation.", "gen_ai.response.", "gen_ai.request.", "gen_ai.provider.", "keelwatch."}
    keys = {key for each in collector.taken for key in each.attributes}
    assert all(key.startswith(tuple(allowed)) for key in keys)
    assert not [raw for raw in collector.bodies if b"locale" in raw]


def test_a_large_block_leaves_in_pieces_and_only_what_is_wanted() -> None:
    big = block(rows(128, signals=dict.fromkeys([f"s{i}" for i in range(9)], True)))
    pieces = list(score_events(big, {f"s{i}" for i in range(5)}))
    assert [n for _, n in pieces] == [MOST_EVENTS, 128 * 5 - MOST_EVENTS]
    every = [each for logs, _ in pieces for each in decoded(json.dumps(logs).encode())]
    assert (
        len({(each.attributes["keelwatch.exchange.id"], each.attributes["gen_ai.evaluation.name"]) for each in every})
        == 640
    )
    assert max(len(json.dumps(logs)) for logs, _ in pieces) < 1024 * 1024
    assert list(score_events(big, ())) == []


def test_runs_of_suites_leave_in_the_form_that_a_collector_takes() -> None:
    lines = OtelEvents().export(exported_runs()).splitlines()
    assert {each.event for line in lines for each in decoded(line)} == {EVENT}


@pytest.mark.parametrize(
    ("answer", "wait"),
    [
        ((503, {}, b""), None),
        ((429, {"retry-after": "7"}, b"{}"), 7.0),
        ((429, {"retry-after": "99999"}, b"{}"), LONGEST_PAUSE),
        ((502, {"retry-after": "soon"}, b"<html>"), None),
        ((401, {}, b"{}"), None),
        ((307, {"location": "http://127.0.0.1/"}, b""), None),
    ],
)
def test_what_may_be_taken_later_is_sent_again(collector: OtlpCollector, answer: Any, wait: float | None) -> None:
    made, registry = exporter(collector.url)
    collector.answers.append(answer)
    with pytest.raises(NotTaken) as refused:
        handed_over(made, one())
    assert refused.value.seconds == wait
    assert (counted(registry), collector.taken) == ((0, 0), [])
    handed_over(made, one())
    assert (counted(registry), len(collector.taken)) == ((3, 0), 3)


def test_an_endpoint_that_is_away_is_waited_for() -> None:
    with otlp_collector.running() as gone:
        pass
    made, registry = exporter(gone.url)
    with pytest.raises(NotTaken, match="cannot connect"):
        handed_over(made, one())
    assert counted(registry) == (0, 0)


@pytest.mark.parametrize(
    ("answer", "refused"),
    [
        ((400, {}, b"{}"), 3),
        ((413, {}, b""), 3),
        ((500, {}, b""), 3),
        ((200, {}, b'{"partialSuccess": {"rejectedLogRecords": "2", "errorMessage": "x"}}'), 2),
        ((200, {}, b'{"partialSuccess": {"rejectedLogRecords": 99}}'), 3),
        ((200, {}, b'{"partialSuccess": {"rejectedLogRecords": 1e999}}'), 0),
        ((200, {}, b'{"partialSuccess": {"rejectedLogRecords": NaN}}'), 0),
        ((200, {}, b'{"partialSuccess": {}}'), 0),
        ((200, {}, b"\xff"), 0),
        ((200, {}, b"[" * 100_000), 0),
    ],
)
def test_what_is_refused_for_what_it_is_is_counted_and_keeps_nothing_waiting(
    collector: OtlpCollector, answer: Any, refused: int
) -> None:
    made, registry = exporter(collector.url)
    collector.answers.append(answer)
    handed_over(made, one(), b"no block", one())
    assert counted(registry) == (6 - refused, refused)
    assert registry.get_sample_value("keelwatch_score_blocks_lost_total") == 1
    assert len(collector.taken) == 3


class FailingSink:
    """A sink that breaks at every other block in a way that nobody foresaw."""

    def __init__(self) -> None:
        self.asked = self.connections = 0

    @asynccontextmanager
    async def connected(self, _broker: Broker) -> AsyncIterator[None]:
        self.connections += 1
        yield

    async def send(self, _route: str, _body: bytes, _n: int) -> int:
        self.asked += 1
        if self.asked % 2:
            raise ZeroDivisionError(_body.decode())
        return 0


def test_a_block_that_fails_in_an_unforeseen_way_is_counted_and_the_next_one_is_sent(
    caplog: pytest.LogCaptureFixture,
) -> None:
    registry = CollectorRegistry()
    sink = FailingSink()
    made = ScoreEventExporter(Broker("127.0.0.1:1"), sink, lambda _: SIGNALS, ScoreEventMeters(registry))
    handed_over(made, one(), one())
    assert (counted(registry), sink.asked) == ((3, 0), 2)
    assert registry.get_sample_value("keelwatch_score_blocks_lost_total") == 1
    assert "ZeroDivisionError" in caplog.text
    assert "e0" not in caplog.text


def test_nothing_that_fails_ends_the_export(monkeypatch: pytest.MonkeyPatch) -> None:
    registry = CollectorRegistry()
    made = ScoreEventExporter(Broker("127.0.0.1:1"), FailingSink(), lambda _: SIGNALS, ScoreEventMeters(registry))
    tries = asyncio.Event()

    async def connected(_broker: Broker) -> Broker:
        if getattr(connected, "before", False):
            tries.set()
        connected.before = True  # type: ignore[attr-defined]
        raise LookupError

    async def work() -> None:
        task = asyncio.create_task(made.run(lambda _: None))  # type: ignore[arg-type, return-value]
        await asyncio.wait({task, waiting := asyncio.create_task(tries.wait())}, return_when=asyncio.FIRST_COMPLETED)
        assert waiting.done()
        assert not task.done()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    monkeypatch.setattr("services.stream.score_events.connected_broker", connected)
    monkeypatch.setattr("services.stream.score_events._RECONNECT_SECONDS", 0.01)
    asyncio.run(work())
    assert registry.get_sample_value("keelwatch_score_events_failing_seconds") > 0  # type: ignore[operator]


def watched(text: str) -> Any:
    monitor, problems = examine(text, "keelwatch.yaml")
    return monitor, [f"{one.key}: {one.message}" for one in problems]


@pytest.mark.parametrize(
    ("text", "key", "words"),
    [
        ("score_events: {}", "score_events", "give either topic or url"),
        ("score_events: {topic: a, url: 'https://a.example/v1/logs'}", "score_events", "give either topic or url"),
        ("score_events: {topic: keelwatch.scores}", "score_events.topic", "Keelwatch's own records"),
        ("score_events: {topic: a, headers: {x-team: b}}", "score_events", "there is none; remove them"),
        (
            "score_events: {url: 'https://a.example', signals: [refusl]}",
            "score_events.signals[0]",
            "did you mean refusal",
        ),
        ("score_events: {topic: a, signals: [custom.none]}", "score_events.signals[0]", "no signal is defined as"),
        ("score_events: {url: 'https://u:p@a.example'}", "score_events.url", "must not hold user or password"),
        (
            "score_events: {url: 'https://a.example', headers: {api-key: abc}}",
            "score_events.headers.api-key",
            "{env: NAME}",
        ),
        ("score_events: {url: 'http://collector:4318/v1/logs'}", "score_events.url", "allow_hosts"),
        ("score_events: {topics: a}", "score_events.topics", "did you mean topic"),
    ],
)
def test_a_mistake_of_the_section_is_named_with_its_remedy(text: str, key: str, words: str) -> None:
    _, problems = watched(text)
    assert any(one.startswith(key) and words in one for one in problems), problems


def test_signals_are_those_that_are_watched_on_the_route_or_named() -> None:
    some, _ = watched("routes: {a: {floors: {cut_off: 0.1}, objectives: {toxicity: 0.1}}}\nscore_events: {topic: t}")
    held = some.policy("a")
    assert {"cut_off", "toxicity", "refusal"} <= some.score_events.chosen(held.floors, held.objectives)
    named, _ = watched("score_events: {topic: t, signals: [cut_off]}")
    assert named.score_events.chosen({"refusal": 0.02}, {}) == {"cut_off"}


def test_a_key_that_is_missing_is_said_at_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OTLP_KEY", raising=False)
    text = "score_events: {url: 'https://a.example/v1/logs', headers: {authorization: {env: OTLP_KEY}}}"
    monitor, _ = watched(text)
    with pytest.raises(InputError, match="OTLP_KEY"):
        score_event_companion(monitor, Broker("127.0.0.1:1"), CollectorRegistry())
    assert score_event_companion(watched("")[0], Broker("127.0.0.1:1"), CollectorRegistry()) is None
    monkeypatch.setenv("OTLP_KEY", "Bearer x")
    assert score_event_companion(monitor, Broker("127.0.0.1:1"), CollectorRegistry()) is not None
