"""What a captured topic is as lines: samples each by itself, however they travelled; routes by the rules."""

from __future__ import annotations

import json

from aiokafka.structs import ConsumerRecord

from schemas.position import Position
from schemas.sample import Sample
from schemas.topics import EXCHANGES, SAMPLES
from services.ingest.routing import Carriage
from services.monitor.ingest_rules import IngestRule
from services.stream.capture import lines_of
from services.stream.publish import route_key
from tests.ingest.malformed import changed, fixture
from tests.support.case import exchange
from tests.support.contract import EXAMPLES

PLACE = Position(cluster="c", topic="t", partition=0, offset=7)


def captured(value: bytes) -> list[str]:
    record = ConsumerRecord(SAMPLES.name, 0, 7, 0, 0, b"support-bot/prod", value, None, 0, len(value), ())
    return list(lines_of(record, "c"))


def test_the_samples_of_a_block_are_lines() -> None:
    block = (EXAMPLES / "sample_block" / "1" / "batch.json").read_bytes()
    names = ("kept", "ring", "baseline")
    alone = [Sample.decode((EXAMPLES / "sample" / "2" / f"{name}.json").read_bytes()) for name in names]
    assert captured(block) == [one.encode().decode() for one in alone]
    assert [line for one in alone for line in captured(one.encode())] == captured(block)


def test_what_is_no_block_comes_as_it_is() -> None:
    assert captured(b'{"samples": []}') == ['{"samples": []}']
    assert captured(b"no JSON") == ["no JSON"]


RULES = (
    IngestRule({"format": "litellm", "model": "gpt-4*"}, "by/rule"),
    IngestRule({"header.team": "shop"}, "by/team"),
)


def test_exchanges_that_name_no_route_have_that_of_the_rules_and_are_keyed_by_it() -> None:
    native = exchange("mine", route=...)
    for value, headers, route in (
        (fixture("litellm"), (), "by/rule"),
        (native, (("team", b"shop"),), "by/team"),
        (exchange("own", route="own/route"), (), "own/route"),
    ):
        sent = changed(value, "metadata", {}) if "call_type" in value else value
        raw = json.dumps(sent).encode()
        record = ConsumerRecord(EXCHANGES.name, 0, 7, 1_796_122_618_000, 0, None, raw, None, 0, len(raw), headers)
        [line] = lines_of(record, "c", RULES)
        assert json.loads(line)["route"] == route
        carriage = Carriage.of(headers, RULES)
        assert route_key(raw, PLACE, carriage) == route.encode()
    [line] = lines_of(ConsumerRecord(EXCHANGES.name, 0, 7, 0, 0, None, b"{}", None, 0, 2, ()), "c", RULES)
    assert line == "{}"
