"""What the signals are worth on recorded answers: python -m tests.benchmarks.signals.

Precision, recall and accuracy against each set's labels; rates before and after each recorded update beside the rates
of the labels; false alarms on ordinary traffic; planted leaks found; microseconds an exchange; and the milliseconds
that 256 KiB of every pathological family take, which alone are printed with --families (no recorded data is needed).
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from random import Random
from typing import Any

from services.signals import SIGNALS
from services.signals.personal_values import personal_values
from services.signals.pii_leak import PiiLeak
from services.signals.protocol import ScoredText, Signal
from services.signals.refusal import Refusal
from services.signals.secret_forms import FORMS, NAMED
from services.signals.secret_leak import SecretLeak
from services.signals.system_prompt_leak import SystemPromptLeak
from tests.support.keys import KEYS, draw_form, draw_named
from tests.support.pathological import FAMILIES, MEASURES, seconds
from tests.support.said import said

Row = dict[str, Any]
DATA = Path(os.environ.get("KEELWATCH_DATA") or Path(__file__).resolve().parents[3] / "shared" / "data")
LABELS: dict[str, Callable[[Row], bool]] = {
    "xstest": lambda row: str(row["labels"]["refusal"]) == "1",
    "llmdrift_sensitiveq": lambda row: str(row["labels"]["refused"]) == "1",
    "refusal_direction": lambda row: str(row["labels"]["is_jailbreak_substring_matching"]) == "0",
    "do_not_answer": lambda row: str(row["labels"]["refusal"]) == "1",
}
UPDATES = (
    ("xstest", "mistral-7b-instruct-v0.1", "guardrail system prompt", "no system prompt", None),
    ("xstest", "llama-2-70b-chat", "original system prompt", "no system prompt", None),
    ("llmdrift_sensitiveq", "gpt-4", "0314", "0613", None),
    ("llmdrift_sensitiveq", "gpt-3.5-turbo", "0301", "0613", None),
    ("refusal_direction", "gemma-2b-it", "baseline", "ablation", "1"),
    ("refusal_direction", "llama-2-7b-chat-hf", "baseline", "ablation", "1"),
    ("refusal_direction", "gemma-2b-it", "baseline", "actadd", "0"),
    ("llmdrift_opinionqa", "gpt-4", "0314", "0613", None),
    ("alpaca_eval_gpt4", "gpt-4", "0314", "0613", None),
    ("alpaca_eval_gpt35", "gpt-3.5-turbo", "0301", "0613", None),
    ("arena_hard", "gpt-4", "0314", "0613", None),
)
"""(set, model, version before, version after, only prompts with this label prompt_harmful)."""
ORDINARY = ("arena_hard", "alpaca_eval_gpt4", "alpaca_eval_gpt35", "alpaca_eval_open")
ORDERS = "You are a helpful assistant of a software house. Never mention other vendors, and reply in English. " * 5
STRUCTURED = ("EMAIL_ADDRESS", "PHONE_NUMBER", "CREDIT_CARD", "IBAN_CODE", "US_SSN")


def rows_of(name: str) -> list[Row]:
    """The rows of a recorded set."""
    with (DATA / f"{name}.jsonl").open(encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def text_of(row: Row, answer: str | None = None, system: str = "") -> ScoredText:
    """A recorded row as the score step sees it, with another answer or a system text when given."""
    return said(row["response"] if answer is None else answer, prompt=row["prompt"], system=system)


def is_true(signal: Signal, rows: Iterable[Row]) -> list[bool]:
    """Whether the signal is true, row by row."""
    return [bool(signal.measure(text_of(row)).value) for row in rows]


def quality(found: list[bool], truth: list[bool]) -> str:
    """Precision, recall, accuracy and both rates."""
    both = sum(a and b for a, b in zip(found, truth, strict=True))
    same = sum(a == b for a, b in zip(found, truth, strict=True))
    n = len(found)
    return (
        f"n {n:5} precision {both / max(sum(found), 1):.3f} recall {both / max(sum(truth), 1):.3f}"
        f" accuracy {same / n:.3f} rate {sum(found) / n:.3f} labels {sum(truth) / n:.3f}"
    )


def refusal_sets() -> Iterator[str]:
    """Refusal against the labels of each set."""
    for name, label in LABELS.items():
        rows = rows_of(name)
        yield f"refusal {name:20} {quality(is_true(Refusal(), rows), [label(row) for row in rows])}"
    rows = rows_of("do_not_answer")
    for action in "012345":
        part = [row for row in rows if str(row["labels"]["action"]) == action]
        yield f"refusal do_not_answer, action {action}: rate {share(is_true(Refusal(), part)):.3f} of {len(part)}"


def share(found: list[bool]) -> float:
    """Share of true values; 0 of nothing."""
    return sum(found) / max(len(found), 1)


def calibration() -> Iterator[str]:
    """Stated probability of a refusal beside the labelled share, in fifths, over XSTest and SensitiveQ."""
    pairs = [
        (Refusal().measure(text_of(row)).probability or 0.0, LABELS[name](row))
        for name in ("xstest", "llmdrift_sensitiveq")
        for row in rows_of(name)
    ]
    for fifth in range(5):
        part = [pair for pair in pairs if min(int(pair[0] * 5), 4) == fifth]
        stated = sum(p for p, _ in part) / max(len(part), 1)
        yield f"refusal calibration: stated {stated:.2f} labelled {share([y for _, y in part]):.2f} n {len(part)}"


def updates() -> Iterator[str]:
    """Refusal before and after each recorded update, in percent, beside the labels."""
    for name, model, before, after, harmful in UPDATES:
        rows = [
            row
            for row in rows_of(name)
            if row["model"] == model and (harmful is None or str(row["labels"]["prompt_harmful"]) == harmful)
        ]
        sides = [[row for row in rows if row["version"] == version] for version in (before, after)]
        measured = [100 * share(is_true(Refusal(), side)) for side in sides]
        label = LABELS.get(name)
        labels = [100 * share(list(map(label, side))) for side in sides] if label else []
        beside = f"labels {labels[0]:5.1f} -> {labels[1]:5.1f}" if labels else "no labels"
        yield f"update {name} {model}, {before} -> {after}: refusal {measured[0]:5.1f} -> {measured[1]:5.1f}, {beside}"


def false_alarms() -> Iterator[str]:
    """True values on ordinary traffic, where hardly any answer should have one."""
    for name in ORDINARY:
        rows = rows_of(name)
        counts = {signal.spec.name: sum(is_true(signal, rows)) for signal in (Refusal(), PiiLeak(), SecretLeak())}
        yield f"ordinary {name}: {counts} of {len(rows)}"
    orders = [row["prompt"] for row in rows_of("persona_prompts_benign")]
    answers = rows_of("arena_hard")
    texts = [text_of(row, system=orders[at % len(orders)]) for at, row in enumerate(answers)]
    found = [SystemPromptLeak().measure(text).value for text in texts]
    yield f"ordinary arena_hard under system prompts: system_prompt_leak {found.count(True)} of {len(found)}, " + (
        f"unscored {found.count(None)}"
    )


def planted() -> Iterator[str]:
    """Leaks put into ordinary answers that the signals find."""
    random = Random(1)
    answers = rows_of("arena_hard")
    for kind, draw in KEYS.items():
        rows = random.sample(answers, 50)
        texts = [text_of(row, answer=f"{row['response'][:300]} {draw(random)} {row['response'][300:]}") for row in rows]
        yield f"planted {kind}: {sum(bool(SecretLeak().measure(text).value) for text in texts)} of {len(texts)}"
    yield forms_found(answers, random)
    orders = [row["prompt"] for row in rows_of("persona_prompts_benign") if len(row["prompt"].split()) >= 40]
    leaks = [
        SystemPromptLeak().measure(text_of(row, answer=row["response"][:200] + " " + order, system=order)).value
        for row, order in zip(answers, orders, strict=False)
    ]
    yield f"planted system prompts: {leaks.count(True)} of {len(leaks)}, unscored {leaks.count(None)}"


def forms_found(answers: list[Row], random: Random, each: int = 20) -> str:
    """How many keys of the table's forms, drawn and put into ordinary answers, are confirmed or at least masked."""
    confirmed = masked = total = 0
    wholly = set(range(len(FORMS)))
    for at, form in enumerate(FORMS):
        for row in random.sample(answers, each):
            key = draw_form(form, random)
            answer = f"{row['response'][:300]} {key} {row['response'][300:]}"
            measured = SecretLeak().measure(text_of(row, answer=answer))
            total += 1
            confirmed += bool(measured.value)
            start = len(row["response"][:300]) + 1
            hidden = any(span.start <= start and span.end >= start + len(key) for span in measured.spans)
            masked += hidden
            if not hidden or (form.confirms and not measured.value):
                wholly.discard(at)
    named = sum(bool(SecretLeak().measure(said(draw_named(*one, random))).value) for one in NAMED.items())
    return (
        f"forms of keys found: {len(wholly)} of {len(FORMS)} every time, {each} keys each ({masked} of {total} masked, "
        f"{confirmed} confirmed); keys told by their name: {named} of {len(NAMED)}"
    )


def personal() -> Iterator[str]:
    """Structured values of presidio_synth found, kind by kind, and values found where the labels have none."""
    found: Counter[str] = Counter()
    total: Counter[str] = Counter()
    beside = 0
    for row in rows_of("presidio_synth"):
        marks = personal_values(row["prompt"])
        for kind, start, end in row["labels"]["spans"]:
            total[kind] += 1
            found[kind] += any(mark.start < end and start < mark.end for mark in marks)
        labelled = [(start, end) for _, start, end in row["labels"]["spans"]]
        beside += sum(not any(mark.start < end and start < mark.end for start, end in labelled) for mark in marks)
    for kind in STRUCTURED:
        yield f"pii presidio_synth {kind}: {found[kind]} of {total[kind]}"
    yield f"pii presidio_synth values beside every label: {beside}"
    rows = rows_of("presidio_synth")
    leaked = [bool(PiiLeak().measure(text_of(row, answer=row["prompt"])).value) for row in rows]
    yield f"pii presidio_synth has_pii {quality(leaked, [str(row['labels']['has_pii']) == '1' for row in rows])}"


def speed() -> Iterator[str]:
    """Microseconds an exchange, each signal and all together, after the first call has compiled its patterns."""
    texts = [text_of(row, system=ORDERS) for row in rows_of("arena_hard")]
    total = 0.0
    for signal in SIGNALS:
        signal.measure(texts[0])
        started = time.process_time()
        for text in texts:
            signal.measure(text)
        spent = (time.process_time() - started) / len(texts) * 1e6
        total += spent
        yield f"speed {signal.spec.name}: {spent:.1f} us"
    length = sum(len(text.prompt) + len(text.response) for text in texts) // len(texts)
    yield f"speed all signals: {total:.1f} us an exchange of {length} characters"
    yield from _vendor_speed(texts[:200])


def _vendor_speed(texts: list[ScoredText]) -> Iterator[str]:
    """detect-secrets without its entropy plugins on the same answers, where it is installed."""
    if find_spec("detect_secrets") is None:
        yield "speed detect-secrets: not installed"
        return
    scan, settings = import_module("detect_secrets.core.scan"), import_module("detect_secrets.settings")
    with settings.default_settings():
        settings.get_settings().disable_plugins("Base64HighEntropyString", "HexHighEntropyString")
        started = time.process_time()
        hits = sum(any(True for line in text.response.splitlines() for _ in scan.scan_line(line)) for text in texts)
        spent = (time.process_time() - started) / len(texts) * 1e6
    yield f"speed detect-secrets: {spent:.0f} us; it marks {hits} of {len(texts)} answers"


_LOOK_AGAIN_MS = 90
"""What takes longer is measured again: a machine that is shared makes twice of a figure for seconds."""


def families() -> Iterator[str]:
    """Milliseconds of 256 KiB of each pathological family, for every signal, the slowest family last."""
    slowest: dict[str, float] = dict.fromkeys(MEASURES, 0.0)
    rows = []
    for family in FAMILIES:
        spent = {name: 1000 * seconds(measure, family, 256 * 1024) for name, measure in MEASURES.items()}
        for name in [name for name, ms in spent.items() if ms > _LOOK_AGAIN_MS]:
            spent[name] = min(spent[name], 1000 * seconds(MEASURES[name], family, 256 * 1024, repeats=8))
        slowest = {name: max(slowest[name], spent[name]) for name in MEASURES}
        rows.append((max(spent.values()), family, spent))
    for _, family, spent in sorted(rows):
        yield f"256 KiB of {family}: " + ", ".join(f"{name} {ms:.0f} ms" for name, ms in spent.items())
    yield "256 KiB, slowest family: " + ", ".join(f"{name} {ms:.0f} ms" for name, ms in slowest.items())


def main() -> None:
    """Print every figure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--families", action="store_true", help="only what pathological texts take")
    everything = (refusal_sets, calibration, updates, personal, false_alarms, planted, speed, families)
    for part in (families,) if parser.parse_args().families else everything:
        for line in part():
            print(line, flush=True)


if __name__ == "__main__":
    main()
