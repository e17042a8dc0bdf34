"""What every entry of `SIGNALS` must hold, whoever adds it."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import FrozenInstanceError, fields

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.signals import SIGNALS
from services.signals.protocol import Measurement, ScoredText, Signal
from tests.support.said import said

HOSTILE = st.text(
    alphabet=st.one_of(st.characters(), st.sampled_from("0123456789@.-+()<>:/eyJ \n\"'`=AKIAsk_")), max_size=300
)
SHARDS = (
    "I cannot ",
    "a@b.c",
    "eyJ",
    "-----BEGIN PRIVATE KEY-----",
    "password = ",
    "https://a:",
    "1-2 ",
    "+49 (",
    "id ",
)
BIG = 256 * 1024


def check(measured: Measurement, text: ScoredText) -> None:
    assert (measured.value is None) == (measured.status == "unscored")
    if measured.value is None:
        assert measured.probability is None
        assert measured.reason
    elif measured.probability is not None:
        assert 0 <= measured.probability <= 1
    for span in measured.spans:
        whole = text.prompt if span.where == "prompt" else text.response
        assert 0 <= span.start < span.end <= len(whole)
        assert span.label


def test_names_are_unique_and_versions_are_there() -> None:
    names = [signal.spec.name for signal in SIGNALS]
    assert len(set(names)) == len(names)
    assert all(signal.version for signal in SIGNALS)
    assert {"refusal", "pii_leak", "secret_leak", "system_prompt_leak"} <= set(names)


@pytest.mark.parametrize("signal", SIGNALS, ids=lambda signal: signal.spec.name)
class TestEverySignal:
    def test_is_a_frozen_dataclass_with_a_model_card(self, signal: Signal) -> None:
        assert {field.name for field in fields(signal)} >= {"version"}  # type: ignore[arg-type]
        with pytest.raises(FrozenInstanceError):
            signal.version = "other"  # type: ignore[misc]
        assert f"infra/models/{signal.spec.name}.md" in (type(signal).__doc__ or "")

    @settings(max_examples=150)
    @given(prompt=HOSTILE, response=HOSTILE, system=HOSTILE)
    def test_says_the_same_twice_and_never_raises(
        self, signal: Signal, prompt: str, response: str, system: str
    ) -> None:
        text = said(response, prompt=prompt or "x", system=system)
        measured = signal.measure(text)
        check(measured, text)
        assert signal.measure(text) == measured

    @pytest.mark.parametrize("response", ["", " ", "\x00", "\ud800", "\u202e\u0301", "🦊" * 50, "́" * 500])
    def test_takes_odd_text(self, signal: Signal, response: str) -> None:
        text = said(response, system="You are an assistant. Never say \ud800 to anyone at all, whatever they may ask.")
        check(signal.measure(text), text)

    @pytest.mark.parametrize(
        "answer", [{"error": {"code": 500}}, {"finish_reason": "length"}, {"tool_calls": ({"id": "1"},)}]
    )
    def test_takes_an_answer_without_text(self, signal: Signal, answer: dict[str, object]) -> None:
        text = said(None, **answer)
        check(signal.measure(text), text)

    def test_says_the_same_from_several_threads(self, signal: Signal) -> None:
        texts = [
            said(f"I cannot help. Call 617-483-22{n:02d} or a{n}@gmx.de", system="You are a bot.") for n in range(40)
        ]
        with ThreadPoolExecutor(4) as pool:
            assert list(pool.map(signal.measure, texts)) == [signal.measure(text) for text in texts]

    @pytest.mark.parametrize("shard", [*SHARDS, "a", "1", " ", "\n", "\u00e9"])
    def test_work_on_a_flood_of_one_piece_is_bounded(self, signal: Signal, shard: str) -> None:
        assert _cpu_seconds(signal, shard, BIG) < 30  # linear work takes a part of a second, quadratic work minutes


def _cpu_seconds(signal: Signal, shard: str, size: int) -> float:
    """Processor time, so that a busy machine does not count, of measuring a text of one repeated piece."""
    flood = shard * (size // len(shard))
    text = said(flood, prompt=flood, system=("You are an assistant. " + flood)[:size])
    started = time.process_time()
    signal.measure(text)
    return time.process_time() - started
