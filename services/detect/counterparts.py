"""Of exchanges that show a shift the nearest ones of the baseline, so that people see question and answer side by side.

A baseline keeps the prompts of its exchanges whose text is kept. Of the last exchanges of the route the nearest of
those are noted as they come, since a detector may name one long after it passed. Pure.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from detectors.protocol import PART, Finding, Half, Int, Rows
from schemas.reading import Direction
from schemas.sample import BASELINE_TEXTS, is_drawn_for_baseline, rank_for_baseline
from schemas.score import VECTOR_WIDTH

NEAREST: Final = 16
RECENT: Final = 96
TOLD: Final = 32
"""So many of the last exchanges are noted, and of those of which a watched signal was true."""
MOST_TOLD: Final = BASELINE_TEXTS // 2
_BLOCK: Final = 16
"""Rows of one product: BLAS picks its kernel by their number, and a nearest one must not depend on the batch."""
_DIGITS: Final = 4


@dataclass(frozen=True, slots=True)
class BaselineExamples:
    """The k exchanges of a baseline whose text is kept.

    Attributes:
        prompt: (k, 384) unit vectors. signals: of those watched as rates -> (k,) 0 or 1, NaN where unscored.
    """

    ids: tuple[str, ...]
    prompt: Half
    signals: dict[str, NDArray[np.float64]]

    def without(self, ids: Collection[str]) -> BaselineExamples:
        """The others."""
        stays = np.array([id not in ids for id in self.ids], dtype=np.bool_)
        left = {name: values[stays] for name, values in self.signals.items()}
        return BaselineExamples(tuple(id for id in self.ids if id not in ids), self.prompt[stays], left)


@dataclass(frozen=True, slots=True)
class NearestNoted:
    """The last exchanges of a route, each with its nearest examples of the baseline.

    Attributes:
        index: (m,) event index. nearest: (m, 16) places of the examples, the nearest first; -1 where there are fewer.
        told: (m,) whether a watched signal was true.
    """

    ids: tuple[str, ...] = ()
    index: Int = field(default_factory=lambda: np.empty(0, np.int64))
    nearest: NDArray[np.int16] = field(default_factory=lambda: np.empty((0, NEAREST), np.int16))
    told: NDArray[np.bool_] = field(default_factory=lambda: np.empty(0, np.bool_))


def choose_examples(rows: Rows, watched: Collection[str], size: int) -> BaselineExamples:
    """Of a baseline's rows those whose text is kept: the drawn ones, and some of which a watched signal was true.

    Args:
        rows: of the baseline.
        watched: signals that are watched as rates.
        size: of baselines, by the monitor file.
    """
    names = sorted(name for name in watched if name in rows.signals and PART not in name)
    signals = {name: rows.truths(name) for name in names}
    told = np.any([values == 1 for values in signals.values()], axis=0) if names else np.zeros(len(rows), np.bool_)
    order = sorted(np.flatnonzero(rows.embedded).tolist(), key=lambda i: rank_for_baseline(rows.ids[i]))
    drawn = [i for i in order if is_drawn_for_baseline(rows.ids[i], size)][:BASELINE_TEXTS]
    others = [i for i in order if told[i] and not is_drawn_for_baseline(rows.ids[i], size)][:MOST_TOLD]
    where = np.array(sorted((*drawn, *others)), np.int64)
    kept = {name: values[where] for name, values in signals.items()}
    return BaselineExamples(tuple(rows.ids[i] for i in where), rows.prompt[where], kept)


def note_nearest(noted: NearestNoted, examples: BaselineExamples | None, rows: Rows) -> NearestNoted:
    """What was noted, and the rows that carry vectors; none is forgotten yet (`forget_old`)."""
    where = np.flatnonzero(rows.embedded)
    if examples is None or not len(examples.ids) or not len(where):
        return noted
    told = np.any([rows.truths(name)[where] == 1 for name in examples.signals] or [np.zeros(len(where), bool)], axis=0)
    return NearestNoted(
        (*noted.ids, *(rows.ids[i] for i in where)),
        np.concatenate([noted.index, rows.index[where]]),
        np.concatenate([noted.nearest, _nearest(rows.prompt[where], examples.prompt)]),
        np.concatenate([noted.told, told]),
    )


def forget_old(noted: NearestNoted) -> NearestNoted:
    """The last exchanges, and the last of which a watched signal was true."""
    if not len(noted.ids):
        return noted
    stays = _is_held(noted, int(noted.index[-1]))
    if stays.all():
        return noted
    ids = tuple(id for id, held in zip(noted.ids, stays.tolist(), strict=True) if held)
    return NearestNoted(ids, noted.index[stays], noted.nearest[stays], noted.told[stays])


def with_counterparts(finding: Finding, noted: NearestNoted, examples: BaselineExamples | None, at: int) -> Finding:
    """A finding at event index `at` with the nearest example of each of its exemplars, None where none was noted.

    Of a rate the nearest one is taken that is on the other side: of answers that no longer refuse a like question that
    was refused. Where none of the nearest is, the very nearest.
    """
    if finding.status != "firing" or not finding.exemplars or examples is None:
        return finding
    held = _is_held(noted, at) & (noted.index <= at)
    places = {noted.ids[i]: i for i in np.flatnonzero(held).tolist()}
    signal, direction = finding.stream.signal, finding.direction
    return replace(
        finding,
        counterparts=tuple(
            _counterpart(noted.nearest[places[id]], examples, signal, direction) if id in places else None
            for id in finding.exemplars
        ),
    )


def _is_held(noted: NearestNoted, at: int) -> NDArray[np.bool_]:
    """(m,) which are still noted at an event index, however the batches are cut."""
    recent = noted.index > at - RECENT
    told = noted.told & (noted.index <= at)
    after = told[::-1].cumsum()[::-1]
    held: NDArray[np.bool_] = recent | (told & (after <= TOLD))
    return held


def _nearest(prompts: Half, examples: Half) -> NDArray[np.int16]:
    """(n, 16) places of the nearest examples by cosine, the nearest first, of equal ones the first."""
    k = min(NEAREST, len(examples))
    columns = np.ascontiguousarray(examples.astype(np.float32).T)
    found = np.full((len(prompts), NEAREST), -1, np.int16)
    for start in range(0, len(prompts), _BLOCK):
        block = np.zeros((_BLOCK, VECTOR_WIDTH), np.float32)
        some = prompts[start : start + _BLOCK]
        block[: len(some)] = some
        found[start : start + _BLOCK, :k] = _greatest(np.round(block @ columns, _DIGITS)[: len(some)], k)
    return found


def _greatest(values: NDArray[np.float32], k: int) -> NDArray[np.int64]:
    """(n, k) places of the greatest values of each row, the greatest first, of equal ones the first."""
    some = np.sort(np.argpartition(-values, k - 1, axis=1)[:, :k], axis=1)
    order = np.argsort(-np.take_along_axis(values, some, axis=1), axis=1, kind="stable")
    return np.take_along_axis(some, order, axis=1)


def _counterpart(
    nearest: NDArray[np.int16], examples: BaselineExamples, signal: str | None, direction: Direction | None
) -> str | None:
    places = nearest[nearest >= 0]
    if not len(places):
        return None
    values = examples.signals.get(signal or "")
    if values is not None and direction is not None:
        other = places[values[places] == (1.0 if direction == "down" else 0.0)]
        places = other if len(other) else places
    return examples.ids[int(places[0])]
