"""What other drift detectors make of one stream; run by `tests.benchmarks.detectors` in the peers' own environment.

`python peers.py FOLDER BOOTSTRAPS PART OF` takes every `NAME.in.npz` of its part of the folder: `baseline` (n, d)
and `stream` (m, d), embeddings of responses. It writes `NAME.PEER.out.npz` for each peer that can be imported and has
not seen it:

- `PEER score`: (m,) its statistic over its own threshold, NaN where it computes none. Above 1 it would alarm. Nothing
  is reset, so that other thresholds can be tried on it.
- `PEER statistic`: the same without a threshold of its own.
- `PEER at SETTING`: (m,) whether it alarmed, for peers that have no statistic to try thresholds on.

What cannot be imported is left out. Nothing here imports Keelwatch: the two environments share no package.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

WINDOWS = (50, 150)
ERT = 1000
EVIDENTLY_WINDOW, EVIDENTLY_STRIDE = 150, 25
ADWIN_DELTAS = (0.5, 0.2, 0.05, 0.002, 1e-4)
KSWIN_ALPHAS = (0.05, 0.02, 0.005, 1e-3)
PAGE_HINKLEY = (0.2, 0.5, 1.0, 2.0, 5.0, 50.0)
Arrays = dict[str, Any]


def alibi(baseline: Any, stream: Any, bootstraps: int) -> Iterator[tuple[str, Any]]:
    """alibi-detect's MMDDriftOnline, with its own threshold for an expected run time of 1,000 or with none.

    To find its own takes minutes a baseline; its documentation asks for ten times the expected run time in bootstraps.
    """
    from alibi_detect.cd.tensorflow.mmd_online import MMDDriftOnlineTF  # noqa: PLC0415

    class Unbounded(MMDDriftOnlineTF):  # type: ignore[misc]
        """Computes its statistic alone."""

        def _configure_thresholds(self) -> None:
            self.thresholds = [np.inf] * self.window_size

    for window in WINDOWS:
        np.random.seed(0)
        make = MMDDriftOnlineTF if bootstraps else Unbounded
        detector = make(baseline, ert=ERT, window_size=window, n_bootstraps=bootstraps, verbose=False)
        told = [detector.predict(row)["data"] for row in stream]
        statistic = np.array([float(one["test_stat"]) for one in told])
        if bootstraps:
            thresholds = np.array([float(one["threshold"]) for one in told])
            yield f"alibi-detect MMD {window} score", statistic / np.maximum(thresholds, 1e-9)
        else:
            yield f"alibi-detect MMD {window} statistic", statistic


def evidently(baseline: Any, stream: Any, bootstraps: int) -> Iterator[tuple[str, Any]]:
    """evidently's embedding drift as it is by default: how well a classifier tells a window from the baseline."""
    import pandas as pd  # noqa: PLC0415
    from evidently.legacy.metrics.data_drift.embedding_drift_methods import model  # noqa: PLC0415

    method = model()
    scores = np.full(len(stream), np.nan)
    for end in range(EVIDENTLY_WINDOW, len(stream) + 1, EVIDENTLY_STRIDE):
        window = pd.DataFrame(stream[end - EVIDENTLY_WINDOW : end])
        value, _, _ = method(window, pd.DataFrame(baseline))
        scores[end - 1] = value / method.threshold
    yield f"evidently {EVIDENTLY_WINDOW} score", scores


def river(baseline: Any, stream: Any, bootstraps: int) -> Iterator[tuple[str, Any]]:
    """river's detectors on the distance to the baseline's centroid, after the baseline's own distances."""
    from river import drift  # noqa: PLC0415

    centre = baseline.mean(axis=0)
    before, after = (np.linalg.norm(rows - centre, axis=1) for rows in (baseline, stream))
    makers: dict[str, Callable[[], Any]] = {}
    makers |= {f"river ADWIN at {d:g}": lambda d=d: drift.ADWIN(delta=d) for d in ADWIN_DELTAS}
    makers |= {f"river KSWIN at {a:g}": lambda a=a: drift.KSWIN(alpha=a, seed=0) for a in KSWIN_ALPHAS}
    makers |= {f"river Page-Hinkley at {t:g}": lambda t=t: drift.PageHinkley(threshold=t) for t in PAGE_HINKLEY}
    for name, make in makers.items():
        detector = make()
        for value in before:
            detector.update(float(value))
        fired = np.zeros(len(after), dtype=bool)
        for i, value in enumerate(after):
            detector.update(float(value))
            fired[i] = detector.drift_detected
        yield name, fired


PEERS = (river, evidently, alibi)


def written(path: Path, peer: str) -> Path:
    """Where a peer's part of a stream is kept, so that a run that was stopped goes on."""
    return path.with_name(path.name.replace(".in.npz", f".{peer}.out.npz"))


def run(path: Path, bootstraps: int) -> None:
    """One stream through every peer that is there and has not seen it."""
    with np.load(path) as held:
        baseline, stream = held["baseline"].astype(np.float32), held["stream"].astype(np.float32)
    for peer in PEERS:
        out = written(path, peer.__name__)
        if out.is_file():
            continue
        try:
            found: Arrays = dict(peer(baseline, stream, bootstraps))
        except ImportError as missing:
            print(f"{peer.__name__}: not installed ({missing})", file=sys.stderr)
            continue
        half = out.with_name(f"half-{out.name}")
        np.savez(half, **found)
        half.rename(out)


def main() -> None:
    """Every stream of this part of the folder."""
    bootstraps, part, of = (int(word) for word in sys.argv[2:5])
    for path in sorted(Path(sys.argv[1]).glob("*.in.npz"))[part::of]:
        run(path, bootstraps)


if __name__ == "__main__":
    for name, value in (("CPP_MIN_LOG_LEVEL", "3"), ("NUM_INTRAOP_THREADS", "1"), ("NUM_INTEROP_THREADS", "1")):
        os.environ.setdefault(f"TF_{name}", value)
    main()
