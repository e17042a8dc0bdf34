"""The published error rates of the signals hold on the recorded sets: floors a little under infra/models/*.md."""

from __future__ import annotations

from pathlib import Path

import pytest

from services.signals.personal_values import personal_values
from services.signals.pii_leak import PiiLeak
from services.signals.refusal import Refusal
from services.signals.secret_leak import SecretLeak
from tests.benchmarks.signals import LABELS, STRUCTURED, UPDATES, Row, is_true, rows_of, share, text_of

pytestmark = pytest.mark.usefixtures("data_dir")


def chosen(name: str, model: str, version: str, harmful: str | None) -> list[Row]:
    return [
        row
        for row in rows_of(name)
        if (row["model"], row["version"]) == (model, version)
        and (harmful is None or str(row["labels"]["prompt_harmful"]) == harmful)
    ]


@pytest.mark.parametrize(
    ("name", "floor"), [("xstest", 0.91), ("llmdrift_sensitiveq", 0.965), ("refusal_direction", 0.98)]
)
def test_refusal_agrees_with_the_labels(name: str, floor: float) -> None:
    rows = rows_of(name)
    same = [found == LABELS[name](row) for found, row in zip(is_true(Refusal(), rows), rows, strict=True)]
    assert share(same) >= floor


@pytest.mark.parametrize(
    "update", [update for update in UPDATES if update[0] in LABELS], ids=lambda update: f"{update[1]} {update[3]}"
)
def test_the_rate_of_refusals_moves_as_the_labels_do(update: tuple[str, str, str, str, str | None]) -> None:
    name, model, before, after, harmful = update
    sides = [chosen(name, model, version, harmful) for version in (before, after)]
    measured = [share(is_true(Refusal(), side)) for side in sides]
    labels = [share([LABELS[name](row) for row in side]) for side in sides]
    assert abs((measured[1] - measured[0]) - (labels[1] - labels[0])) <= 0.06


@pytest.mark.parametrize("name", ["alpaca_eval_gpt4", "arena_hard"])
def test_ordinary_answers_of_two_snapshots_are_hardly_ever_refusals_and_equally_so(name: str) -> None:
    before, after = (share(is_true(Refusal(), chosen(name, "gpt-4", version, None))) for version in ("0314", "0613"))
    assert max(before, after) <= 0.03
    assert abs(after - before) <= 0.01


@pytest.mark.parametrize("name", ["arena_hard", "alpaca_eval_gpt4", "alpaca_eval_open"])
def test_no_confirmed_secret_and_no_personal_value_in_ordinary_answers(name: str) -> None:
    texts = [text_of(row) for row in rows_of(name)]
    assert not any(SecretLeak().measure(text).value for text in texts)
    assert sum(bool(PiiLeak().measure(text).value) for text in texts) <= len(texts) / 1000


def test_structured_personal_values_are_found_and_nothing_else() -> None:
    missed = beside = total = 0
    for row in rows_of("presidio_synth"):
        marks = personal_values(row["prompt"])
        spans = row["labels"]["spans"]
        wanted = [(start, end) for kind, start, end in spans if kind in STRUCTURED]
        total += len(wanted)
        missed += sum(not any(mark.start < end and start < mark.end for mark in marks) for start, end in wanted)
        beside += sum(not any(mark.start < end and start < mark.end for _, start, end in spans) for mark in marks)
    assert total > 300
    assert missed / total <= 0.06
    assert beside == 0


def test_personal_values_are_masked_whole_where_they_are_found() -> None:
    rows = [
        row for row in rows_of("presidio_synth") if any(kind == "EMAIL_ADDRESS" for kind, *_ in row["labels"]["spans"])
    ]
    cut = 0
    for row in rows:
        masks = [(span.start, span.end) for span in PiiLeak().measure(text_of(row)).spans if span.where == "prompt"]
        wanted = [
            (start, end) for kind, start, end in row["labels"]["spans"] if kind in {"EMAIL_ADDRESS", "CREDIT_CARD"}
        ]
        cut += sum(not any(first <= start and end <= last for first, last in masks) for start, end in wanted)
    assert cut == 0


def test_the_folder_is_the_one_that_the_benchmark_reads(data_dir: Path) -> None:
    assert len(rows_of("xstest")) == len((data_dir / "xstest.jsonl").read_bytes().splitlines())
