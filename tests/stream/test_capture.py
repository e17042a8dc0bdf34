"""What a captured topic is as lines: samples each by itself, however they travelled."""

from __future__ import annotations

from aiokafka.structs import ConsumerRecord

from schemas.sample import Sample
from schemas.topics import SAMPLES
from services.stream.capture import lines_of
from tests.support.contract import EXAMPLES


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
