"""The memory of a detect step that watches many routes: `python -m tests.benchmarks.detector_cost --routes 10000`.

Every route has the artefacts and running states of all detectors, of a baseline of 1,000 recorded exchanges. As in the
step, a route is loaded when one of its exchanges comes, stays in `RouteMemory` (48 MiB, 1,024 routes) while there is
room, and is saved and leaves when there is none. The bytes lie in a file, where the step has its database; artefacts
are stored once and read for each route anew, since 10,000 baselines would say no more than one.
"""

from __future__ import annotations

import resource
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from detectors import DETECTORS
from services.store.codec import pack, unpack
from services.stream.route_memory import MIB, RouteMemory
from tests.benchmarks.detector_cost import cut, default_baseline, route_rows, stored_artefact, walked

BATCH: Final = 8


@dataclass(frozen=True)
class RunningRoute:
    """Artefacts and states of a route, by detector."""

    artefacts: dict[str, Any]
    states: dict[str, Any]


@dataclass(frozen=True)
class LoadedRoute:
    """A route in memory."""

    now: RunningRoute
    is_dirty: bool = True


def watched(routes: int) -> None:
    """Print what the process takes before the first route, and after batches of so many."""
    rows, stream = route_rows(1000, 900)
    baseline = default_baseline(rows)
    artefacts = {one.spec.name: stored_artefact(one, one.fit(baseline)) for one in DETECTORS}
    states = {one.spec.name: walked(one, artefacts[one.spec.name], cut(stream, 64)) for one in DETECTORS}
    artefact_bytes = {name: pack(made) for name, made in artefacts.items()}
    state_bytes = {name: pack(state) for name, state in states.items()}
    part, size = stream.take(np.arange(BATCH)), sum(map(len, state_bytes.values()))
    del artefacts, states, baseline, rows
    memory: RouteMemory[LoadedRoute] = RouteMemory()
    whole = sum(map(len, artefact_bytes.values()))
    print(
        f"a route: artefacts {whole / 1e6:.2f} MB, running states {size / 1e3:.0f} kB; "
        f"the process before the first: {_now() / MIB:.0f} MiB",
        flush=True,
    )
    start, loads = time.thread_time(), 0
    order = np.random.default_rng(0).permutation(routes).tolist()
    with tempfile.TemporaryDirectory() as folder:
        kept = Path(folder)
        for turn, number in enumerate([*order, *order[: routes // 100]], 1):
            name = f"route-{number}/prod"
            loaded = memory.get(name)
            if loaded is None:
                loads += 1
                loaded = _load(kept / f"{number}", artefact_bytes, state_bytes)
            memory.use({name: _stepped(loaded.now, part)})
            if memory.is_crowded or turn % 64 == 0:
                memory.saved({route: _saved(kept, route, one) for route, one in memory.items() if one.is_dirty})
            if turn % max(routes // 10, 1) == 0:
                took = (time.thread_time() - start) / turn * 1e3
                print(
                    f"{min(turn, routes):6,} routes: {_peak() / MIB:.0f} MiB at most, {_now() / MIB:.0f} MiB now, of "
                    f"which {memory.weight / MIB:.0f} MiB are {len(memory.items())} routes in memory; {loads:,} loads; "
                    f"{took:.1f} ms a batch of {BATCH} with loading and saving",
                    flush=True,
                )


def _load(path: Path, artefacts: dict[str, bytes], states: dict[str, bytes]) -> LoadedRoute:
    stored = states
    if path.is_file():
        stored = unpack(dict[str, bytes], path.read_bytes())
    made = {one.spec.name: unpack(one.artefact_type, artefacts[one.spec.name]) for one in DETECTORS}
    return LoadedRoute(
        RunningRoute(made, {one.spec.name: unpack(one.state_type, stored[one.spec.name]) for one in DETECTORS})
    )


def _stepped(route: RunningRoute, rows: Any) -> LoadedRoute:
    states = {}
    for one in DETECTORS:
        name = one.spec.name
        states[name], _ = one.step(route.artefacts[name], route.states[name], rows)
    return LoadedRoute(RunningRoute(route.artefacts, states))


def _saved(folder: Path, route: str, loaded: LoadedRoute) -> LoadedRoute:
    number = route.partition("/")[0].rpartition("-")[2]
    (folder / number).write_bytes(pack({name: pack(state) for name, state in loaded.now.states.items()}))
    return LoadedRoute(loaded.now, is_dirty=False)


def _peak() -> int:
    """The most bytes of this process that lay in memory."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _now() -> int:
    """Bytes of this process that lie in memory."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * resource.getpagesize()
