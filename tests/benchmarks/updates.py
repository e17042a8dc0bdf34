"""Silent updates found, and clean or narrowing traffic left alone: the main job on recorded answers.

`python -m tests.benchmarks.updates` replays simulated traffic made of recorded answers (drawn with replacement; see
`keelwatch convert`) with the default monitor file, and prints one line a case with its target. Exit code 1 when a
target is missed. `--only NAME` runs the cases whose name contains NAME, `--seeds N` fewer seeds.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from schemas.alert import rank
from schemas.exchange import Exchange
from schemas.position import Position
from services import wiring
from services.ingest.recorded_answers import Conversion, Draw, RecordedAnswer, convert, read_recorded
from services.monitor import Monitor
from services.ports import Received
from services.replay.report import report
from services.replay.runner import ReplayDependencies, ReplayRunner
from services.settings import load_settings

ROUTE = "bench/prod"
BASELINE, CLEAN, AFTER = 1000, 500, 1000
CHANGE = BASELINE + CLEAN
SOON = 300
LONG = 10_000
NARROWED = 2000
TOPICS, KEPT_TOPICS = 6, 2


@dataclass(frozen=True)
class Update:
    """A recorded silent update, and what its incident must reach."""

    name: str
    file: str
    old: tuple[str, str]
    new: tuple[str, str]
    least: str = "info"
    most: str = "critical"
    where: tuple[str, str] | None = None


HARMFUL = ("prompt_harmful", "1")
UPDATES = (
    Update(
        "xstest mistral guardrail -> none",
        "xstest",
        ("mistral-7b-instruct-v0.1", "guardrail system prompt"),
        ("mistral-7b-instruct-v0.1", "no system prompt"),
        least="warning",
    ),
    Update(
        "xstest llama-2 original -> none",
        "xstest",
        ("llama-2-70b-chat", "original system prompt"),
        ("llama-2-70b-chat", "no system prompt"),
        least="warning",
    ),
    Update("sensitiveq gpt-4 0314 -> 0613", "llmdrift_sensitiveq", ("gpt-4", "0314"), ("gpt-4", "0613"), "warning"),
    Update("opinionqa gpt-4 0314 -> 0613", "llmdrift_opinionqa", ("gpt-4", "0314"), ("gpt-4", "0613")),
    Update(
        "gemma baseline -> ablation (harmful)",
        "refusal_direction",
        ("gemma-2b-it", "baseline"),
        ("gemma-2b-it", "ablation"),
        least="warning",
        where=HARMFUL,
    ),
    Update("alpaca_eval gpt-4 0314 -> 0613", "alpaca_eval_gpt4", ("gpt-4", "0314"), ("gpt-4", "0613"), most="info"),
)
CLEAN_FILE, CLEAN_MODEL = "alpaca_eval_gpt4", ("gpt-4", "0613")


@dataclass(frozen=True)
class Seen:
    """What one replay found. `first`: event index of the first incident with verdict model."""

    first: int | None
    before: int
    severity: str | None
    verdicts: tuple[str, ...]
    alerts: tuple[str, ...] = field(default=())


@cache
def _tools() -> ReplayDependencies:
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    return wiring.replay_tools(load_settings(), Monitor())


@cache
def recorded(file: str) -> tuple[RecordedAnswer, ...]:
    folder = Path(os.environ.get("KEELWATCH_DATA") or Path(__file__).resolve().parents[3] / "shared" / "data")
    return read_recorded((folder / f"{file}.jsonl").read_bytes().splitlines())


def _replay(exchanges: Iterator[Exchange]) -> dict[str, Any]:
    run = ReplayRunner(_tools())
    for offset, exchange in enumerate(exchanges):
        run.feed(Received(exchange, Position(cluster="bench", topic="bench", partition=0, offset=offset)))
    return report(run.finish(), _tools().policy)


def _seen(found: dict[str, Any]) -> Seen:
    incidents = found["incidents"]
    blamed = [one["opened_event_index"] for one in incidents if one["verdict"] == "model"]
    severities = [one["severity"] for one in incidents if one["opened_event_index"] >= CHANGE]
    return Seen(
        first=min((index for index in blamed if index >= CHANGE), default=None),
        before=sum(one["opened_event_index"] < CHANGE for one in incidents),
        severity=max(severities, key=rank, default=None),
        verdicts=tuple(one["verdict"] for one in incidents),
        alerts=tuple(
            f"{one['family']}/{one['signal'] or '-'}@{one['event_index']}"
            for one in found["alerts"]
            if one["status"] == "firing"
        ),
    )


def _update(case: Update, seed: int) -> Seen:
    draws = (Draw(*case.old, BASELINE + CLEAN), Draw(*case.new, AFTER))
    return _seen(_replay(convert(recorded(case.file), Conversion(draws, ROUTE, seed, case.where))))


def _clean(seed: int) -> Seen:
    draws = (Draw(*CLEAN_MODEL, LONG),)
    return _seen(_replay(convert(recorded(CLEAN_FILE), Conversion(draws, ROUTE, seed))))


def _narrow(seed: int) -> Seen:
    return _seen(_replay(_narrowing(seed)))


def _narrowing(seed: int) -> Iterator[Exchange]:
    """Clean traffic whose prompts, after the change, come from 2 of 6 topic clusters; the model stays."""
    pool = [row for row in recorded(CLEAN_FILE) if (row.model, row.version) == CLEAN_MODEL]
    topics = _topics()
    kept = np.random.default_rng(seed).choice(TOPICS, KEPT_TOPICS, replace=False)
    narrow = [row for row in pool if topics[row.prompt] in kept]
    wide = convert(pool, Conversion((Draw(*CLEAN_MODEL, CHANGE),), ROUTE, seed))
    yield from wide
    # The same conversion goes on in time over fewer prompts: the first part of it is skipped.
    later = Conversion((Draw(*CLEAN_MODEL, CHANGE + NARROWED),), ROUTE, seed)
    yield from list(convert(narrow, later))[CHANGE:]


@cache
def _topics() -> dict[str, int]:
    from sklearn.cluster import KMeans  # noqa: PLC0415

    prompts = sorted({row.prompt for row in recorded(CLEAN_FILE)})
    vectors = wiring.embedder(load_settings()).embed(prompts).astype(float)
    return dict(zip(prompts, KMeans(TOPICS, n_init=4, random_state=0).fit_predict(vectors).tolist(), strict=True))


def _judge_update(case: Update, seen: list[Seen]) -> tuple[bool, str]:
    enough = int(np.ceil(0.9 * len(seen)))
    delays = [one.first - CHANGE for one in seen if one.first is not None]
    soon = sum(delay < SOON for delay in delays)
    early = sum(one.before > 0 for one in seen)
    least, most = rank(case.least), rank(case.most)
    fits = sum(one.severity is not None and least <= rank(one.severity) <= most for one in seen)
    held = soon >= enough and len(seen) - early >= enough and fits >= enough
    median = f"{np.median(delays):.0f}" if delays else "never"
    n = len(seen)
    return held, (
        f"model within {SOON}: {soon}/{n} (median delay {median}); quiet before: {n - early}/{n}; "
        f"severity {case.least}..{case.most}: {fits}/{n}"
    )


def _judge_clean(seen: list[Seen]) -> tuple[bool, str]:
    opened = sum(len(one.verdicts) for one in seen)
    allowed = int(3 * len(seen) / 10)
    return opened <= allowed, f"incidents in {len(seen)} x {LONG:,} exchanges: {opened} (budget {allowed})"


def _judge_narrow(seen: list[Seen]) -> tuple[bool, str]:
    silent = sum(not {"model", "both"} & set(one.verdicts) for one in seen)
    users = sum("users" in one.verdicts for one in seen)
    held = silent >= int(np.ceil(0.9 * len(seen)))
    return held, f"no verdict model or both: {silent}/{len(seen)} (verdict users: {users}/{len(seen)})"


def _cases() -> list[tuple[str, Callable[[int], Seen], Callable[[list[Seen]], tuple[bool, str]]]]:
    from functools import partial  # noqa: PLC0415

    cases = [(case.name, partial(_update, case), partial(_judge_update, case)) for case in UPDATES]
    return [
        *cases,
        ("clean streams", _clean, _judge_clean),
        ("prompts narrow to 2 of 6 topics", _narrow, _judge_narrow),
    ]


def main() -> int:
    """Run the cases and print them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--verbose", action="store_true", help="print the alerts of every seed")
    options = parser.parse_args()
    missed = 0
    with ProcessPoolExecutor(options.processes) as pool:
        running = [
            (name, judge, [pool.submit(run, seed) for seed in range(options.seeds)])
            for name, run, judge in _cases()
            if options.only in name
        ]
        for name, judge, futures in running:
            seen = [future.result() for future in futures]
            held, words = judge(seen)
            missed += not held
            print(f"{'ok    ' if held else 'MISSED'} {name}: {words}", flush=True)
            for seed, one in enumerate(seen if options.verbose else ()):
                print(f"         seed {seed}: {' '.join(one.alerts) or 'no alert'}")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
