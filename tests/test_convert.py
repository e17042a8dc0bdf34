"""Recorded answers as traffic: what is drawn, when, as whom, and what is said of bad options."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.exchange import Exchange
from schemas.identity import identity_of
from schemas.position import Position
from services.errors import InputError
from services.ingest.decode import decode
from services.ingest.recorded_answers import (
    START,
    Conversion,
    Draw,
    RecordedAnswer,
    convert,
    parse_draws,
    parse_where,
    read_recorded,
)
from services.ports import Received

ROWS = tuple(
    RecordedAnswer(
        model, version, f"prompt {i}", f"answer {i} of {version}", "test", {"harmful": i % 2, "topic": f"t{i % 3}"}
    )
    for model, version in (("bot", "v1"), ("bot", "v2 (not stated)"), ("other", "-"))
    for i in range(12)
)
TWO = (Draw("bot", "v1", 30), Draw("bot", "v2 (not stated)", 20))


def made(**changes: object) -> list[Exchange]:
    options = {"draws": TWO, "route": "bench/bot", "seed": 7, **changes}
    return list(convert(ROWS, Conversion(**options)))  # type: ignore[arg-type]


def test_first_one_model_then_the_other_under_one_identity() -> None:
    found = made()
    assert [one.extra["recorded"]["version"] for one in found] == ["v1"] * 30 + ["v2 (not stated)"] * 20
    assert len({identity_of(one.model) for one in found}) == 1
    assert found[0].model.requested == "bot"
    assert found[-1].model.served == "bot-v1"


def test_announced_changes_the_identity_at_the_second_draw() -> None:
    identities = [identity_of(one.model) for one in made(announced=True)]
    assert len(set(identities[:30])) == len(set(identities[30:])) == 1
    assert identities[29] != identities[30]


def test_ids_times_and_bytes_are_fixed_by_the_seed() -> None:
    found = made()
    assert [one.id for one in found] == [f"7-{i}" for i in range(50)]
    assert [one.ts for one in found[:3]] == [START, START + timedelta(seconds=86.4), START + timedelta(seconds=172.8)]
    assert [one.encode() for one in found] == [one.encode() for one in made()]
    assert [one.prompt for one in found] != [one.prompt for one in made(seed=8)]


def test_where_compares_the_text_of_a_label() -> None:
    assert {one.extra["recorded"]["labels"]["harmful"] for one in made(where=("harmful", "1"))} == {1}
    assert {one.extra["recorded"]["labels"]["topic"] for one in made(where=("topic", "t2"))} == {"t2"}


def test_what_is_made_decodes_unflagged() -> None:
    previous = None
    for number, one in enumerate(made(), start=1):
        position = Position(cluster="file", topic="0" * 12, partition=0, offset=number)
        result = decode(one.encode(), position, previous=previous, clock=previous)
        assert isinstance(result, Received)
        assert (result.exchange, result.flags) == (one, ())
        previous = one.ts


@given(st.integers(0, 2**32), st.integers(1, 40))
def test_draws_are_with_replacement_from_the_pool_alone(seed: int, count: int) -> None:
    found = made(draws=(Draw("other", "-", count),), seed=seed)
    assert len(found) == count
    assert {(one.prompt, one.response) for one in found} <= {(r.prompt, r.response) for r in ROWS if r.model == "other"}


def test_versions_may_hold_spaces_and_signs() -> None:
    draws = parse_draws(["gpt-4@2023 snapshot (not stated)", "m@a@b"], "1500, 1000")
    assert draws == (Draw("gpt-4", "2023 snapshot (not stated)", 1500), Draw("m", "a@b", 1000))
    assert parse_where("category=a=b") == ("category", "a=b")


@pytest.mark.parametrize(
    ("models", "counts", "words"),
    [
        (["bot"], "1", "MODEL@VERSION"),
        (["@v"], "1", "MODEL@VERSION"),
        (["bot@"], "1", "MODEL@VERSION"),
        (["bot@v1"], "1,2", "one number per --model (1)"),
        (["bot@v1", "bot@v2"], "1", "one number per --model (2)"),
        ([], "1", "one number per --model"),
        (["bot@v1"], "many", "whole numbers"),
        (["bot@v1"], "-1", "whole numbers"),
        (["bot@v1"], "²", "whole numbers"),
        (["bot@v1"], "0", "at least 1"),
        (["bot@v1"], "", "whole numbers"),
    ],
)
def test_bad_draws_say_what_to_write(models: list[str], counts: str, words: str) -> None:
    with pytest.raises(InputError, match=re.escape(words)):
        parse_draws(models, counts)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"draws": (Draw("bot", "v3", 1),)}, "which has bot@v1, bot@v2 (not stated), other@-"),
        ({"where": ("harmful", "2")}, "harmful is one of 0, 1"),
        ({"where": ("harmless", "1")}, "no label harmless, only harmful, topic"),
        ({"route": "Bench"}, "--route Bench"),
        ({"route": "_keelwatch/x"}, "--route"),
        ({"route": "a/metrics"}, "--route"),
        ({"seed": -1}, "--seed -1"),
        ({"step": -1.0}, "--step -1.0"),
        ({"step": float("nan")}, "--step nan"),
        ({"step": 1e9}, "--step"),
    ],
)
def test_bad_conversions_say_what_exists_before_the_first_exchange(changes: dict[str, object], words: str) -> None:
    with pytest.raises(InputError, match=re.escape(words)):
        convert(ROWS, Conversion(**{"draws": TWO, "route": "a", "seed": 7, **changes}))  # type: ignore[arg-type]


def test_bad_where() -> None:
    for text in ("harmful", "=1", ""):
        with pytest.raises(InputError, match="KEY=VALUE"):
            parse_where(text)


def test_recorded_lines_are_read_or_named() -> None:
    good = json.dumps({"model": "m", "version": "v", "prompt": "p\ud800", "response": "r", "labels": {"a": 1}}).encode()
    rows = read_recorded([good, b"\n", good])
    assert len(rows) == 2
    assert rows[0].prompt == "p\N{REPLACEMENT CHARACTER}"
    for bad, words in (
        (b"{", "line 2: not JSON"),
        (b"[]", "line 2: must be a JSON object"),
        (b'{"model": 1}', "line 2: model must be text"),
        (good.replace(b'{"a": 1}', b"[1]"), "line 2: labels must be an object"),
        (good.replace(b'"r"', b"NaN"), "line 2: response"),
    ):
        with pytest.raises(InputError, match=re.escape(words)):
            read_recorded([good, bad])


def test_recorded_data(data_dir: Path) -> None:
    with (data_dir / "xstest.jsonl").open("rb") as file:
        rows = read_recorded(file)
    draws = parse_draws(
        ["mistral-7b-instruct-v0.1@guardrail system prompt", "gpt-4@2023 snapshot (not stated)"], "15,10"
    )
    found = list(convert(rows, Conversion(draws, "bench/xstest", 1)))
    assert len(found) == 25
    assert found[20].model.served == "mistral-7b-instruct-v0.1-guardrail system prompt"
