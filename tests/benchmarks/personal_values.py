"""What pii_leak finds of made personal values: python -m tests.benchmarks.personal_values.

Structured values in every typography; labelled ones that system text, document or user state and the answer repeats,
apart for labels and carriers that the rules were made with and for those held out; false alarms in made ordinary
answers. A value counts as found when the signal is true and the mask covers it exactly. --show prints what was missed.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from random import Random
from typing import Final

from services.score.redaction import redact
from services.signals.pii_leak import PiiLeak
from services.signals.protocol import ScoredText
from tests.support import personal_samples as samples
from tests.support.ordinary_answers import Ordinary, ordinary
from tests.support.said import said

DRAWS: Final = 12
LABELLED: Final = 2000
ORDINARY: Final = 4000
_RESPELLED: Final = 2 / 3
_FILLER: Final = "You are the assistant of a shop. Be brief and kind.\n{}\nAnswer in the user's language."


def structured(seed: int = 1) -> Iterator[tuple[str, bool, str]]:
    """(kind and typography, whether found exactly, text) of every kind in every typography."""
    random = Random(seed)
    for name in samples.STRUCTURED:
        for typography in samples.TYPOGRAPHY:
            for _ in range(DRAWS):
                one = samples.planted(random, name, typography)
                measured = PiiLeak().measure(said(one.text))
                masked = redact(one.text, measured.spans, "response")
                found = measured.value is True and masked == f"{one.before}<{one.kind}>{one.after}"
                yield f"{name}, {typography}", found, one.text


def labelled(
    labels: Sequence[samples.Label], carriers: Sequence[str], held_out: bool, seed: int = 2
) -> Iterator[tuple[str, bool, str]]:
    """(kind, whether found exactly, source and answer) of values that an answer repeats."""
    random = Random(seed)
    spellings = samples.HELD_OUT_LABELS if held_out else samples.TUNED_LABELS
    for at in range(LABELLED):
        label = labels[at % len(labels)]
        value = label.draw(random)
        spelled = random.choice(spellings)(label.text) if random.random() < _RESPELLED else label.text
        stated = _stated(random.choice(carriers), spelled, value)
        answer = samples.respelled(random, label, value)
        before, _, after = random.choice(samples.ANSWERS).partition("{}")
        text = _sourced(("system", "document", "user")[at % 3], stated, before + answer + after)
        measured = PiiLeak().measure(text)
        masked = redact(text.response, measured.spans, "response")
        found = measured.value is True and masked == f"{before}<{label.kind}>{after}"
        yield label.text, found, f"{stated!r} -> {text.response!r} -> {masked!r}"


def _stated(carrier: str, label: str, value: str) -> str:
    return carrier.format(label, value)


def _sourced(source: str, stated: str, response: str) -> ScoredText:
    """The exchange in which one of system text, document and user stated something."""
    if source == "user":
        return said(response, prompt=f"Here is my data.\n{stated}\nPlease repeat it.")
    if source == "system":
        return said(response, prompt="What is it?", system=_FILLER.format(stated))
    return replace(said(response, prompt="What is it?"), document_text=f"Notes of the visit\n{stated}\nThanks.")


def alarms(seed: int = 3, count: int = ORDINARY) -> Iterator[tuple[Ordinary, str]]:
    """(exchange, masked answer) of every ordinary answer with a personal value, as the signal says."""
    for one in ordinary(Random(seed), count):
        text = replace(said(one.response, prompt=one.prompt, system=one.system), document_text=one.document)
        measured = PiiLeak().measure(text)
        if measured.value is not False:
            yield one, redact(one.response, measured.spans, "response")


def _summary(name: str, rows: Sequence[tuple[str, bool, str]], show: bool) -> Iterator[str]:
    found = sum(exact for _, exact, _ in rows)
    yield f"{name}: {found} of {len(rows)} ({100 * found / len(rows):.2f}%)"
    missed = Counter(kind for kind, exact, _ in rows if not exact)
    if missed:
        yield f"{name}, missed: " + ", ".join(f"{kind} {n}" for kind, n in missed.most_common(20))
    if show:
        yield from (f"  {kind}: {text}" for kind, exact, text in rows if not exact)


def main() -> None:
    """Print every figure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--show", action="store_true", help="also print what was missed and every false alarm")
    parser.add_argument("--without-held-out", action="store_true", help="only what the rules are made with")
    options = parser.parse_args()
    parts = [
        ("structured values", list(structured())),
        ("labelled values", list(labelled(samples.TUNED, samples.TUNED_CARRIERS, held_out=False))),
    ]
    if not options.without_held_out:
        parts += [
            ("labelled, labels held out", list(labelled(samples.HELD_OUT, samples.TUNED_CARRIERS, held_out=True))),
            ("labelled, all held out", list(labelled(samples.HELD_OUT, samples.HELD_OUT_CARRIERS, held_out=True))),
        ]
    for name, rows in parts:
        for line in _summary(name, rows, options.show and "held out" not in name):
            print(line)
    wrong = list(alarms())
    print(f"ordinary answers: {len(wrong)} alarms in {ORDINARY}")
    if options.show:
        for one, masked in wrong:
            print(f"  {one.kind}: {one.prompt!r} {one.system!r} {one.document!r}: {masked!r}")


if __name__ == "__main__":
    main()
