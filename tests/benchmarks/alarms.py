"""When detectors fire on drawn streams: alarms, delays, and the two at the same measured rate of false alarms.

A detector is anything with the `Detector` protocol. It starts anew after each alarm. What it decides does not depend on
how its rows are cut, and its evidence does not depend on the ARL until it fires, so that all ARLs share one pass up to
where the lowest of them fires.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any, Final

import numpy as np
from scipy.stats import chi2

from detectors.model_shift import ModelShift
from detectors.protocol import Baseline, Finding, Rows, Stream
from detectors.rate_shift import RateShift
from detectors.user_shift import UserShift
from tests.benchmarks.recorded_updates import Drawn, floors, of_change

CHUNK: Final = 100
ARLS: Final = (1_000.0, 10_000.0)
LOWER: Final = (20.0, 80.0, 320.0)
"""Thresholds below those in use: where alarms are counted to compare at the same measured rate."""
CONDITIONS: Final = ("clean", "topics", "daily", "ar1")


@dataclass(frozen=True)
class Dummy:
    """Fires at every row, or never."""

    fires: bool

    def streams(self, baseline: Baseline) -> tuple[Stream, ...]:
        """One."""
        return (Stream(),)

    def fit(self, baseline: Baseline) -> float:
        """Nothing to learn."""
        return baseline.arl

    def start(self, artefact: float) -> None:
        """Nothing to remember."""

    def step(self, artefact: float, state: None, rows: Rows) -> tuple[None, tuple[Finding, ...]]:
        """Fire at the first row that is seen, or not."""
        return None, (Finding(0, Stream(), "firing", True, 1),) if self.fires else ()


DETECTORS: Final[Mapping[str, Callable[[], Any]]] = {
    "model_shift": ModelShift,
    "rate_shift": RateShift,
    "user_shift": UserShift,
    "always": lambda: Dummy(fires=True),
    "never": lambda: Dummy(fires=False),
}


def at_arl(artefact: Any, arl: float) -> Any:
    """The artefact of the same baseline held to another ARL: every field of that name is changed, at any depth."""
    if isinstance(artefact, tuple):
        return tuple(at_arl(one, arl) for one in artefact)
    if not is_dataclass(artefact) or isinstance(artefact, type):
        return artefact
    held = {field.name: getattr(artefact, field.name) for field in fields(artefact) if field.init}
    return replace(artefact, **{name: arl if name == "arl" else at_arl(value, arl) for name, value in held.items()})


def firings(
    detector: Any, artefacts: Mapping[float, Any], stream: Rows, enough: int | None = None
) -> dict[float, list[int]]:
    """ARL -> rows at which the detector fires; the artefacts differ in their ARL alone.

    Args:
        detector: of the protocol.
        artefacts: ARL -> the baseline as `step` needs it.
        stream: the rows.
        enough: an ARL ends with its first alarm from this row on.
    """
    found: dict[float, list[int]] = {arl: [] for arl in artefacts}
    lowest = min(artefacts)
    pending = [(0, detector.start(artefacts[lowest]), sorted(artefacts))]
    chunks: dict[tuple[int, int], Rows] = {}
    while pending:
        at, state, arls = pending.pop()
        while at < len(stream) and arls:
            upto = min(at + CHUNK - at % CHUNK, len(stream))
            if (at, upto) not in chunks:
                chunks[at, upto] = stream.take(np.arange(at, upto))
            after, told = detector.step(artefacts[arls[0]], state, chunks[at, upto])
            row = next((f.row for f in told if f.transition and f.status == "firing"), None)
            if row is None:
                at, state = upto, after
                continue
            fired = at + row
            found[arls[0]].append(fired)
            if enough is None or fired < enough:
                pending.append((fired + 1, detector.start(artefacts[arls[0]]), arls[:1]))
            arls = arls[1:]
    return found


def measured(name: str, drawn: Drawn, arls: Sequence[float], conditions: Sequence[str]) -> dict[str, Any]:
    """What one detector does on one baseline and its streams, by ARL: plain numbers, ready for JSON.

    `rows` counts a row once for each stream that the detector watches: each is held to the ARL by itself. `delay` is
    the number of rows of the new version up to and with the alarm, None where there was none.
    """
    detector = DETECTORS[name]()
    baseline = Baseline(drawn.baseline, floors(), min(arls))
    fitted = detector.fit(baseline)
    artefacts = {arl: at_arl(fitted, arl) for arl in arls}
    watched = max(len(detector.streams(baseline)), 1)
    out: dict[str, Any] = {str(arl): {"alarms": {}, "rows": {}} for arl in arls}
    for condition in conditions:
        if condition not in drawn.streams:
            continue
        stream = drawn.streams[condition]
        held = {arl: one for arl, one in artefacts.items() if condition == "clean" or arl in ARLS}
        for arl, rows in firings(detector, held, stream).items():
            out[str(arl)]["alarms"][condition] = len(rows)
            out[str(arl)]["rows"][condition] = watched * len(stream)
    moved = drawn.streams["narrowing" if name == "user_shift" else "update"]
    change = of_change(moved)
    for arl, rows in firings(detector, artefacts, moved, enough=change).items():
        late = [row - change + 1 for row in rows if row >= change]
        out[str(arl)]["delay"] = late[0] if late else None
        out[str(arl)]["early"] = sum(row < change for row in rows)
        out[str(arl)]["limit"] = len(moved) - change
    return out


def poisson(alarms: int, rows: int) -> tuple[float, float, float]:
    """Alarms per 10,000 rows with their exact 95% interval."""
    if not rows:
        return (float("nan"),) * 3
    scale = 1e4 / rows
    low = float(chi2.ppf(0.025, 2 * alarms)) / 2 if alarms else 0.0
    return alarms * scale, low * scale, float(chi2.ppf(0.975, 2 * alarms + 2)) / 2 * scale


def median_delay(delays: Sequence[int | None], limit: float) -> float:
    """Median over the streams; one that was missed counts as the `limit`, the rows there were."""
    return float(np.median([limit if delay is None else delay for delay in delays])) if delays else float("nan")


def at_rate(points: Sequence[tuple[int, int, float]], wanted: float) -> tuple[float, float]:
    """Delay at the measured rate of false alarms `wanted`, and the rate that it is of.

    Between two thresholds the logarithm of the delay is taken as linear in that of the rate; no alarm counts as half a
    one. Where every threshold fires more rarely than wanted, the delay and rate are those of the loosest; where every
    one fires more often, of the strictest.

    Args:
        points: of each threshold the false alarms, the rows they are of, and the median delay.
        wanted: false alarms per 10,000 rows.

    >>> at_rate([(20, 10_000, 10.0), (5, 10_000, 40.0)], wanted=10.0)
    (20.0, 10.0)
    """
    rates = np.array([1e4 * max(alarms, 0.5) / rows for alarms, rows, _ in points])
    delays = np.array([delay for _, _, delay in points])
    order = np.lexsort((-delays, rates))
    x, y = np.log(rates[order]), np.log(np.minimum.accumulate(delays[order]))
    last = np.r_[np.diff(x) > 0, True]
    goal = float(np.clip(np.log(wanted), x[0], x[-1]))
    return round(float(np.exp(np.interp(goal, x[last], y[last]))), 6), round(float(np.exp(goal)), 6)


QUANTILES: Final = (0.5, 0.8, 0.9, 0.95, 0.97, 0.98, 0.99, 0.995, 0.998, 0.999)
"""Of its scores on clean streams: the thresholds that are tried on a peer, beside its own (a score of 1)."""


def of_peer(update: str, name: str, runs: Sequence[Any], change: int) -> list[dict[str, Any]]:
    """Alarms and delays of a peer, by threshold.

    Args:
        update: its name.
        name: as `tests.benchmarks.peers` calls what the runs hold: "PEER at SETTING", "PEER score", "PEER statistic".
        runs: (m,) of each stream: whether it alarmed, or its score, NaN where it computed none.
        change: the first row of the new version.
    """
    values = [np.asarray(run) for run in runs]
    if values[0].dtype == np.bool_:
        of, _, setting = name.partition(" at ")
        return [_peer_line(update, of, setting, values, change, 0)]
    of, _, kind = name.rpartition(" ")
    window = int(of.rpartition(" ")[2])
    own = {"own": 1.0} if kind == "score" else {}
    clean = np.concatenate([one[:change] for one in values])
    tried = {f"quantile {q}": float(np.nanquantile(clean, q)) for q in QUANTILES}
    return [
        _peer_line(update, of, setting, [_above(one, threshold) for one in values], change, window)
        for setting, threshold in {**own, **tried}.items()
    ]


def _above(scores: Any, threshold: float) -> Any:
    return np.nan_to_num(scores, nan=-np.inf) > threshold


def _peer_line(update: str, name: str, setting: str, fired: Sequence[Any], change: int, window: int) -> dict[str, Any]:
    """One threshold of a peer. After an alarm its window refills: these rows neither count nor alarm."""
    count, rows, delays, early = 0, 0, [], 0
    for one in fired:
        at = 0
        while at < change:
            ahead = np.flatnonzero(one[at:change])
            if not len(ahead):
                rows += change - at
                break
            count, rows = count + 1, rows + int(ahead[0]) + 1
            at += int(ahead[0]) + 1 + window
        if window and one[:change][-window // 2 :].any():
            early += 1  # above its threshold when the change came: no delay can be told
            continue
        late = np.flatnonzero(one[change:])
        delays.append(int(late[0]) + 1 if len(late) else None)
    named = {"update": update, "peer": name, "setting": setting}
    return {
        **named,
        "alarms": {"clean": [count, rows]},
        "delays": delays,
        "early": early,
        "limit": len(fired[0]) - change,
    }
