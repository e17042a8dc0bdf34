"""Whether the real Inspect reads the logs that `eval export --to inspect` writes, and finds in them what was put in.

    python -m venv inspect-environment && inspect-environment/bin/pip install inspect_ai
    python -m tests.evaluate.inspect_reader --python inspect-environment/bin/python

A person runs this when Inspect or the exporter changes; the tests look at the log's structure without the package.
"""

from __future__ import annotations

import argparse
import json
import math
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from services.evaluate.exporters.inspect_log import InspectLog
from services.evaluate.exporters.protocol import answer_event
from services.evaluate.profile import profile_of
from services.evaluate.result import RunResult, read_results
from services.evaluate.suite import POOLED
from tests.support.results import exported_runs

_READER: Final = """
import json, math, sys
import inspect_ai
from inspect_ai.log import read_eval_log, read_eval_log_sample_summaries
log = read_eval_log(sys.argv[1])
header = read_eval_log(sys.argv[1], header_only=True)
assert header.eval == log.eval and header.samples is None
nan = lambda value: None if isinstance(value, float) and math.isnan(value) else value
print(json.dumps({
    "inspect": inspect_ai.__version__,
    "status": log.status,
    "error": log.error and log.error.message,
    "task": [log.eval.task, log.eval.task_version, log.eval.model],
    "samples": {f"{one.id} {one.epoch}": {
        "score": {name: nan(score.value) for name, score in one.scores.items()},
        "hazard": one.metadata["hazard"],
        "error": one.error and one.error.message,
        "answer": one.output.completion,
        "calls": [[call.function, call.arguments] for call in (one.output.message.tool_calls or [])]
            if one.output.choices else [],
        "input": len(one.input),
    } for one in log.samples},
    "summaries": len(read_eval_log_sample_summaries(sys.argv[1])),
    "metrics": {score.name: {name: nan(metric.value) for name, metric in score.metrics.items()}
        for score in log.results.scores},
}))
"""


def read_by_inspect(python: str, log: bytes) -> dict[str, Any]:
    """What the Inspect of another environment finds in a log."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "run.eval"
        path.write_bytes(log)
        done = subprocess.run(
            [python, "-I", "-c", _READER, str(path)], capture_output=True, text=True, check=False, timeout=300
        )
    if done.returncode != 0:
        raise SystemExit(f"Inspect does not read it: {done.stderr[-3000:]}")
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def differences(run: RunResult, found: dict[str, Any]) -> list[str]:
    """What Inspect found that is not what the run holds."""
    items = {item.id: item for item in run.suite.items}
    events = run.events
    wanted = {
        f"{answer.item} {answer.repeat + 1}": {
            "score": {items[answer.item].measure: _number(answer_event(answer, items[answer.item], events))},
            "hazard": items[answer.item].hazard,
            "error": answer.error,
            "input": len(answer.messages),
        }
        for answer in run.answers
    }
    told = [] if found["samples"].keys() == wanted.keys() else ["other samples"]
    for name, sample in wanted.items():
        told += [f"{name}: {key}" for key, value in sample.items() if found["samples"].get(name, {}).get(key) != value]
    for rate in profile_of(run):
        name = "rate" if rate.hazard == POOLED else f"rate of {rate.hazard}"
        value = found["metrics"][rate.measure][name]
        if (value is None) != (rate.rate is None) or (
            value is not None and not math.isclose(100 * value, rate.rate or 0)
        ):
            told.append(f"{rate.measure} {name}")
    told += ["status"] if (found["status"] == "success") != (run.status == "complete") else []
    return told + (["reason"] if found["error"] != run.reason else [])


def _number(event: bool | None) -> float | None:
    return None if event is None else float(event)


def main() -> None:
    """Export made runs, and files of `eval run --json` where some are named, and read them back."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--python", required=True, help="the Python of an environment that has inspect_ai")
    parser.add_argument("runs", nargs="*", help="files of `eval run --json`")
    given = parser.parse_args()
    named = [run for file in given.runs for run in read_results(Path(file).read_text(encoding="utf-8"), file)]
    wrong = 0
    for run in [*exported_runs(), *named]:
        found = read_by_inspect(given.python, InspectLog().export([run]))
        told = differences(run, found)
        wrong += bool(told)
        scored = sum(value is not None for one in found["samples"].values() for value in one["score"].values())
        said = f"{scored} scored: {'; '.join(told) or 'as it was put in'}"
        print(f"inspect_ai {found['inspect']}: {run.status} run of {len(found['samples'])} samples, {said}")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
