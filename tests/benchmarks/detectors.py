"""What the detectors are worth on recorded updates, beside others': `python -m tests.benchmarks.detectors`.

Prints tables and, with `--json OUT`, writes the figures that they are made of; `--render JSON` writes the tables of
such a file into docs/detector-figures.md. Baselines and streams: see `recorded_updates`. Each alarm starts a detector
anew. Measured at ARLs of 1,000 and 10,000; the default of a route, about a million, is extrapolated from them.

What was measured for the same code, update and seed is taken from the cache (`KEELWATCH_SCORE_CACHE`), so that a run
that was stopped goes on, and `--full` (100 baselines an update, 10 for others' detectors) can be made in several runs.
Others' detectors run in an environment of their own (`make bench-peers`); without it the tables say "not installed".
"""

from __future__ import annotations

import argparse
import hashlib
import json
import multiprocessing
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from tests.benchmarks import alarms
from tests.benchmarks.detector_tables import render, write_page
from tests.benchmarks.rate_power import SHIFTS, power
from tests.benchmarks.recorded_updates import UPDATES, Answers, Drawing, Update, answers, draw, of_change

ROOT: Final = Path(__file__).resolve().parents[2]
OURS: Final = ("model_shift", "rate_shift", "user_shift")
SIZES: Final = (300, 1_000, 5_000)
SIZE: Final = 1_000
SPARSE: Final = 5
"""Other sizes of the baseline are measured for every fifth seed."""
PEER_CLEAN: Final = 1_500
_PROTOCOL: Final = "1"


@dataclass(frozen=True)
class Task:
    """One baseline of one update, and what is measured with it."""

    update: Update
    drawing: Drawing
    seed: int
    size: int
    length: int

    def key(self, code: str) -> str:
        """The name in the cache of what comes of it."""
        return hashlib.sha256(f"{_PROTOCOL} {code} {self}".encode()).hexdigest()[:24]


def _code() -> str:
    """Changes when a detector or the protocol does."""
    files = [*sorted((ROOT / "detectors").rglob("*.py"))]
    files += [ROOT / "tests/benchmarks" / f"{name}.py" for name in ("alarms", "recorded_updates")]
    return hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()[:16]


def _cache() -> Path:
    folder = Path(os.environ.get("KEELWATCH_SCORE_CACHE") or Path(tempfile.gettempdir()) / "keelwatch-scores")
    folder = folder / "detectors"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _measure(task: Task, held: Answers) -> dict[str, Any]:
    """Runs in a process of the pool."""
    drawn = draw(held, task.seed, task.drawing, task.size, task.length)
    whole = task.size == SIZE
    arls = {"model_shift": (*alarms.LOWER, *alarms.ARLS)} if whole else {}
    conditions = alarms.CONDITIONS if whole else ("clean", "topics")
    names = (*OURS, "always", "never") if whole and task.drawing == "population" and not task.seed else OURS
    return {name: alarms.measured(name, drawn, arls.get(name, alarms.ARLS), conditions) for name in names}


def tasks(options: argparse.Namespace) -> list[Task]:
    """Seed by seed, so that a run that is stopped has seen every update."""
    kinds: list[tuple[Drawing, int]] = [
        ("population", SIZE),
        ("fresh", SIZE),
        ("population", 300),
        ("population", 5_000),
    ]
    return [
        Task(update, drawing, seed, size, options.rows)
        for seed in range(options.seeds)
        for drawing, size in kinds
        if size in options.sizes and (size == SIZE or seed % SPARSE == 0)
        for update in chosen(options)
    ]


def chosen(options: argparse.Namespace) -> list[Update]:
    """The updates whose names fit the pattern of `--only`."""
    return [update for update in UPDATES if re.search(options.only, update.name)]


def ours(options: argparse.Namespace, held: dict[str, Answers]) -> Iterator[tuple[Task, dict[str, Any]]]:
    """What Keelwatch's detectors do, from the cache or measured now."""
    code, cache = _code(), _cache()
    missing = []
    for task in tasks(options):
        path = cache / f"{task.key(code)}.json"
        if path.is_file():
            yield task, json.loads(path.read_text())
        else:
            missing.append((task, path))
    if options.cached:
        return
    with ProcessPoolExecutor(options.processes, multiprocessing.get_context("spawn")) as pool:
        running = {pool.submit(_measure, task, held[task.update.name]): (task, path) for task, path in missing}
        for count, future in enumerate(as_completed(running), 1):
            task, path = running[future]
            found = future.result()
            path.write_text(json.dumps(found))
            _tell(f"{count} of {len(missing)} baselines")
            yield task, found


def known_shifts(options: argparse.Namespace, held: dict[str, Answers]) -> list[dict[str, Any]]:
    """What `rate_shift` sees of shifts of known size, on the prompts of AlpacaEval when they are among the updates."""
    name = next((name for name in held if name.startswith("AlpacaEval GPT-4")), None)
    path = _cache() / f"power-{options.power_seeds}-{_code()}.json"
    if name is None or not options.power_seeds or (options.cached and not path.is_file()):
        return []
    if not path.is_file():
        with ProcessPoolExecutor(options.processes, multiprocessing.get_context("spawn")) as pool:
            running = [pool.submit(power, held[name], shift, options.power_seeds) for shift in SHIFTS]
            path.write_text(json.dumps([one.result() for one in running]))
    found: list[dict[str, Any]] = json.loads(path.read_text())
    return found


def others(options: argparse.Namespace, held: dict[str, Answers]) -> Iterator[tuple[Update, dict[str, Any]]]:
    """Scores and alarms of others' detectors; nothing when their environment is not there."""
    folder = _cache() / f"peers-{options.bootstraps}"
    folder.mkdir(exist_ok=True)
    asked = [(update, seed) for seed in range(options.peer_seeds) for update in chosen(options)]
    for update, seed in asked:
        path = _stream_file(folder, update, seed, options.rows)
        if not path.is_file():
            drawn = draw(held[update.name], seed, "population", SIZE, options.rows)
            moved = drawn.streams["update"]
            after = moved.response[of_change(moved) :]
            stream = np.concatenate([drawn.streams["clean"].response[:PEER_CLEAN], after])
            np.savez(path, baseline=drawn.baseline.response, stream=stream)
    if options.peers.is_file() and not options.cached:
        _run_peers(options, folder)
    for update, seed in asked:
        path = _stream_file(folder, update, seed, options.rows)
        for found in sorted(folder.glob(path.name.replace(".in.npz", ".*.out.npz"))):
            with np.load(found) as arrays:
                yield update, {name: arrays[name] for name in arrays.files}


def _run_peers(options: argparse.Namespace, folder: Path) -> None:
    """Every stream of the folder through the peers, in processes of their own environment."""
    _tell("others' detectors")
    script, env = ROOT / "tests/benchmarks/peers.py", {**os.environ, "PYTHONPATH": ""}
    command = [str(options.peers), str(script), str(folder), str(options.bootstraps)]
    running = [
        subprocess.Popen([*command, str(part), str(options.processes)], stdout=subprocess.DEVNULL, env=env)
        for part in range(options.processes)
    ]
    codes = [process.wait() for process in running]
    if any(codes):
        raise SystemExit(f"{options.peers} failed; see above")


def _stream_file(folder: Path, update: Update, seed: int, rows: int) -> Path:
    name = "".join(sign if sign.isalnum() else "-" for sign in update.name)
    drawing = (ROOT / "tests/benchmarks/recorded_updates.py").read_bytes()
    mark = hashlib.sha256(drawing + f"{rows} {PEER_CLEAN}".encode()).hexdigest()[:8]
    return folder / f"{seed:03}-{name}-{mark}.in.npz"


def collected(
    options: argparse.Namespace,
    held: dict[str, Answers],
    of_ours: Iterable[tuple[Task, dict[str, Any]]],
    of_others: Iterable[tuple[Update, dict[str, Any]]],
) -> dict[str, Any]:
    """The figures as they are written to JSON: counts and delays, nothing computed from them."""
    lines: dict[tuple[Any, ...], dict[str, Any]] = {}
    for task, found in of_ours:
        for name, by_arl in found.items():
            for arl, said in by_arl.items():
                key = (task.update.name, task.drawing, task.size, name, float(arl))
                line = lines.setdefault(key, _line(*key))
                for condition, count in said["alarms"].items():
                    sums = line["alarms"].setdefault(condition, [0, 0])
                    sums[0], sums[1] = sums[0] + count, sums[1] + said["rows"][condition]
                line["delays"].append(said["delay"])
                line["limit"] = max(line["limit"], said["limit"])
                line["early"] += said["early"]
    peers: dict[tuple[str, str], list[Any]] = {}
    for update, arrays in of_others:
        for name, values in arrays.items():
            peers.setdefault((update.name, name), []).append(values)
    rates = {name: one.rates() for name, one in held.items()}
    silent = {update.name: update.safety for update in chosen(options)}
    return {
        "protocol": {
            "seeds": options.seeds, "rows": options.rows, "peer_seeds": options.peer_seeds,
            "bootstraps": options.bootstraps, "peer_clean": PEER_CLEAN,
            "peers_installed": options.peers.is_file(),
        },
        "rates": rates,
        "safety": silent,
        "ours": list(lines.values()),
        "peers": [line for key, runs in peers.items() for line in alarms.of_peer(*key, runs, PEER_CLEAN)],
    }  # fmt: skip


def as_text(figures: dict[str, Any]) -> str:
    """JSON with a line for each figure, so that two runs can be compared line by line."""
    parts = []
    for name, value in figures.items():
        lines = ",\n".join(json.dumps(one) for one in value) if isinstance(value, list) else ""
        parts.append(json.dumps(name) + ": " + ("[\n" + lines + "\n]" if lines else json.dumps(value)))
    return "{\n" + ",\n".join(parts) + "\n}\n"


def _line(update: str, drawing: str, size: int, detector: str, arl: float) -> dict[str, Any]:
    """An empty line of the figures."""
    named = {"update": update, "drawing": drawing, "baseline": size, "detector": detector, "arl": arl}
    return {**named, "alarms": {}, "delays": [], "limit": 0, "early": 0}


def _tell(text: str) -> None:
    print(f"\r{text}", end="", file=sys.stderr, flush=True)


def parsed() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5, help="baselines an update")
    parser.add_argument("--rows", type=int, default=2_000, help="rows of a stream without an update")
    parser.add_argument("--peer-seeds", type=int, default=1, help="baselines an update for others' detectors")
    parser.add_argument("--bootstraps", type=int, default=0, help="of MMDDriftOnline's own threshold; 0: without one")
    parser.add_argument("--power-seeds", type=int, default=3, help="baselines a shift of known size; 0: none")
    parser.add_argument("--full", action="store_true", help="100 baselines an update, 10 for others' detectors")
    parser.add_argument("--only", default="", help="updates whose names fit this pattern")
    parser.add_argument("--sizes", type=int, nargs="+", default=list(SIZES), help="of the baselines")
    parser.add_argument("--cached", action="store_true", help="measure nothing: what is in the cache")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--json", type=Path, help="write the figures here")
    parser.add_argument("--render", type=Path, help="measure nothing: tables of this file, also into the docs page")
    parser.add_argument("--peers", type=Path, default=ROOT / "build/peers/bin/python", help="the others' Python")
    options = parser.parse_args()
    if options.full:
        options.seeds, options.peer_seeds = max(options.seeds, 100), max(options.peer_seeds, 10)
    return options


def main() -> int:
    """Print the tables."""
    options = parsed()
    if options.render:
        figures = json.loads(options.render.read_text(encoding="utf-8"))
        print(render(figures))
        write_page(figures, ROOT / "docs/detector-figures.md")
        return 0
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    held = {update.name: answers(update) for update in chosen(options)}
    figures = collected(options, held, ours(options, held), others(options, held))
    figures["power"] = known_shifts(options, held)
    if options.json:
        options.json.write_text(as_text(figures), encoding="utf-8")
    print(render(figures))
    return 0


if __name__ == "__main__":
    sys.exit(main())
