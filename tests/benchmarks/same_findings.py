"""Whether a change of the detectors' code changes what they say: `python -m tests.benchmarks.same_findings --write F`.

Run it once in a checkout of before, and once as `--against F` in this one. Six streams of recorded answers go through
every detector of a default route, 700 exchanges of the version that the baseline is of and then 900 of another, in
batches of 64; some exchanges have no vector, no answer or no value, some repeat a question. Printed is, a detector,
how many findings there are, whether row, stream, status, direction, n, exemplars and ids are the same, and by how much
numbers differ at most: evidence (natural logarithms), effects in their unit, dates in exchanges.
"""

from __future__ import annotations

import argparse
import pickle
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np

from detectors import DETECTORS
from detectors.protocol import Finding, Rows, probability_column
from detectors.stats.topic_map import TopicMap
from services.specs import roles
from tests.benchmarks.detector_cost import ID, cut, default_baseline
from tests.benchmarks.recorded_scores import recorded

STREAMS: Final = (
    ("llmdrift_opinionqa", ("gpt-4", "0314"), ("gpt-4", "0613")),
    ("llmdrift_opinionqa", ("gpt-4", "0613"), ("gpt-4", "0314")),
    ("llmdrift_opinionqa", ("gpt-3.5-turbo", "0301"), ("gpt-3.5-turbo", "0613")),
    ("llmdrift_opinionqa", ("gpt-3.5-turbo", "0613"), ("gpt-4", "0314")),
    ("llmdrift_sensitiveq", ("gpt-4", "0314"), ("gpt-4", "0613")),
    (
        "xstest",
        ("mistral-7b-instruct-v0.1", "guardrail system prompt"),
        ("mistral-7b-instruct-v0.1", "no system prompt"),
    ),
)
BASELINE, CLEAN, AFTER, ARL = 1000, 700, 900, 1e4
Told = tuple[Any, ...]


def stream_of(file: str, old: tuple[str, str], new: tuple[str, str], seed: int) -> tuple[Rows, Rows]:
    """A baseline and the exchanges after it, with all that detectors read."""
    every, chance = recorded(file), np.random.default_rng(seed)
    n = BASELINE + CLEAN + AFTER
    drawn = chance.choice(every.where(*old), BASELINE + CLEAN), chance.choice(every.where(*new), AFTER)
    rows = every.rows(np.concatenate(drawn))
    signals = {name: values.copy() for name, values in rows.signals.items() if not np.isnan(values).all()}
    for values in signals.values():
        values[chance.random(n) < 0.02] = np.nan
        values[BASELINE + 300 : BASELINE + 520] = np.where(chance.random() < 0.3, np.nan, values[1300:1520])
    for name in sorted({name for role in ("risk", "level") for name in roles()[role]}):
        odds = chance.normal(-3.0, 1.0, size=n)
        signals[probability_column(name)] = 1 / (1 + np.exp(-odds - np.repeat([0.0, 1.0], [n - AFTER, AFTER])))
    rows = replace(
        rows,
        signals=signals,
        measures={"latency_ms": np.exp(chance.normal(6.5, 0.4, size=n) + np.repeat([0.0, 0.8], [n - 400, 400]))},
        user=chance.integers(1, 400, size=n),
        conversation=chance.integers(1, 1 + n // 5, size=n),
        ids=tuple(ID.format(i) for i in range(n)),
        embedded=np.arange(n) % 37 != 5,
        answered=rows.answered & (np.arange(n) % 53 != 7),
    )
    topics = TopicMap.of(rows.prompt[:BASELINE])
    rows = replace(rows, slices={"topic": topics.name(rows.prompt, rows.embedded)})
    return rows.take(np.arange(BASELINE)), rows.take(np.arange(BASELINE, n))


def told(finding: Finding, at: int) -> tuple[Told, Told]:
    """A finding as words, which must stay the same, and as numbers, which may differ in their last places."""
    effect, since = finding.effect, finding.change_point
    words = (
        at,
        (finding.stream.signal, finding.stream.slice),
        finding.status,
        finding.transition,
        finding.n,
        finding.direction,
        finding.exemplars,
        finding.reason,
        tuple(one.name for one in finding.movements),
    )
    numbers = (
        finding.log_e,
        *((effect.before, effect.after, effect.low, effect.high) if effect else ()),
        *((since.event_index, since.low, since.high) if since else ()),
    )
    return words, numbers


def findings(files: list[str]) -> Iterator[tuple[str, list[tuple[Told, Told]]]]:
    """What each detector says of the streams of these recordings."""
    streams = [stream_of(*one, seed) for seed, one in enumerate(STREAMS) if one[0] in files]
    for detector in DETECTORS:
        said = []
        for place, (rows, stream) in enumerate(streams):
            full = default_baseline(rows, ARL)
            baseline = full if detector.learns else replace(full, rows=rows.take(np.arange(0)))
            artefact, at = detector.fit(baseline), 0
            state = detector.start(artefact)
            for part in cut(stream, 64):
                state, found = detector.step(artefact, state, part)
                said += [told(one, 10_000 * place + at + one.row) for one in found]
                at += len(part)
        yield detector.spec.name, said


def compared(name: str, before: list[tuple[Told, Told]], now: list[tuple[Told, Told]]) -> str:
    """A line: how many findings there are, and how they differ."""
    other = [pair for pair in zip(before, now, strict=False) if pair[0][0] != pair[1][0]]
    if len(before) != len(now) or other:
        shown = "".join(f"\n    {a[0]}\n    {b[0]}" for a, b in other[:3])
        return f"{name:24} {len(before)} findings before, {len(now)} now; {len(other)} differ in words{shown}"
    pairs = [(a, b) for one, two in zip(before, now, strict=True) for a, b in zip(one[1], two[1], strict=True)]
    unknown = sum((a is None) != (b is None) for a, b in pairs)
    apart = [abs(a - b) for a, b in pairs if a is not None and b is not None]
    return f"{name:24} {len(now)} findings, the same words; numbers differ by {max(apart, default=0.0):.1e} at most" + (
        f", {unknown} are missing on one side" if unknown else ""
    )


def main() -> None:
    """Write the findings, or compare them with those that were written."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", type=Path)
    parser.add_argument("--against", type=Path)
    parser.add_argument("--sets", nargs="+", default=sorted({file for file, *_ in STREAMS}))
    options = parser.parse_args()
    now = dict(findings(options.sets))
    if options.write:
        options.write.write_bytes(pickle.dumps(now))
    if options.against:
        before = pickle.loads(options.against.read_bytes())
        for name, said in now.items():
            print(compared(name, before[name], said), flush=True)


if __name__ == "__main__":
    main()
