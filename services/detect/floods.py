"""One client's flood, or a campaign of one prompt: it is no change of the model, and people are told of it. Pure.

Exchanges whose prompt is asked far more often than in the baseline, word for word or nearly, are not shown to the
detectors that judge the model or a rate: a model has one way of answering one question, and asked a hundred times that
says nothing new. All others are judged on. That so much is left out, or that one user is much of the traffic, is said.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from detectors.protocol import Bool, Detector, Rows
from detectors.stats.near_repeats import Sketches, UsualPrompts, largest_share, sketches_of
from detectors.stats.repeated_prompts import RECENT
from services.wording import floods as words

USUAL_PROMPTS: Final = "usual_prompts"
"""Among the artefacts of a baseline, which otherwise stand under the names of their detectors."""
FLOOD: Final = "flood"
"""What stands in a reading's field `detector` where it tells of a flood: it never fires."""
LAST: Final = 200
"""Exchanges over which shares are counted."""
LOOKS: Final = 10
"""They are counted at every so many-th exchange of the route."""
MUCH: Final = 0.4
LITTLE: Final = 0.25
"""A flood begins where one user or one prompt is so much of the last exchanges, and is over below the other."""
SOON: Final = 25
"""An alarm comes earlier than so many exchanges were counted: what stands out of these last ones is said with it."""
USUALLY: Final = 2.0
"""It is none where a user's share is at most so many times the largest one of the baseline."""


def _none() -> Sketches:
    return np.zeros(0, dtype=np.uint64)


def _nobody() -> NDArray[np.int64]:
    return np.zeros(0, dtype=np.int64)


def _nothing() -> Bool:
    return np.zeros(0, dtype=np.bool_)


@dataclass(frozen=True, slots=True)
class FloodState:
    """The last exchanges of a route that carry vectors.

    Attributes:
        sketches: (<= 500,) of their prompts. users: (<= 200,) of the last of them, 0 where none was told.
        left_out: (<= 200,) whether they repeat too much to be judged. index: (<= 200,) event index of each; none where
            they were held before that was kept.
        told: what was said of them, None while nothing stands out. blind: whether most of them are not judged.
    """

    sketches: Sketches = field(default_factory=_none)
    users: NDArray[np.int64] = field(default_factory=_nobody)
    left_out: Bool = field(default_factory=_nothing)
    told: str | None = None
    blind: bool = False
    index: NDArray[np.int64] = field(default_factory=_nobody)

    def counted_anew(self) -> FloodState:
        """One that has forgotten the exchanges, not what was said: people hear of it when that is over."""
        return FloodState(told=self.told, blind=self.blind)


@dataclass(frozen=True, slots=True)
class FloodFinding:
    """From row `row` on a flood is told of, or is over; `note` is what to say of alerts from there on."""

    row: int
    note: str | None
    blind: bool


@dataclass(frozen=True, slots=True)
class FollowedFlood:
    """What rows said of floods: the state after them, which rows are not judged, and what there is to say, in order.

    `before` is the state before them; `where`, `sketches`, `users` and `index` are of those rows that carry
    vectors.
    """

    state: FloodState
    left_out: Bool
    findings: tuple[FloodFinding, ...] = ()
    before: FloodState = field(default_factory=FloodState)
    usual: UsualPrompts = field(default_factory=UsualPrompts)
    where: NDArray[np.int64] = field(default_factory=_nobody)
    sketches: Sketches = field(default_factory=_none)
    users: NDArray[np.int64] = field(default_factory=_nobody)
    index: NDArray[np.int64] = field(default_factory=_nobody)

    def note_at(self, row: int) -> str | None:
        """What to say at a row beside what fires or is blind there: what was told, or stands out of the last few."""
        said = [one.note for one in self.findings if one.row <= row]
        told = said[-1] if said else self.before.told
        if told is not None:
            return told
        n = self._seen(row)
        users = np.concatenate([self.before.users, self.users[:n]])[-SOON:]
        sketches = np.concatenate([self.before.sketches, self.sketches[:n]])[-SOON:]
        if len(users) < SOON:
            return None
        by_user, alike = _largest(users), self.usual.standing_out(sketches)
        parts = [words.one_user(by_user, SOON)] if by_user >= max(MUCH, USUALLY * self.usual.user_share) else []
        parts += [words.one_prompt(alike, SOON)] if alike >= MUCH else []
        return " and ".join(parts) or None

    def judged_since(self, row: int, index: int) -> Sketches:
        """Prompts from exchange `index` up to a row, of the last `LAST` with vectors those that are judged."""
        n, before = self._seen(row), self.before
        kept = len(before.index)  # what was held before indexes were kept is not known to be of the change
        sketches = np.concatenate([before.sketches[len(before.sketches) - kept :], self.sketches[:n]])[-LAST:]
        out = np.concatenate([before.left_out[len(before.left_out) - kept :], self.left_out[self.where[:n]]])[-LAST:]
        when = np.concatenate([before.index, self.index[:n]])[-LAST:]
        held: Sketches = sketches[(when >= index) & ~out]
        return held

    def _seen(self, row: int) -> int:
        """How many rows with vectors there are up to and with a row."""
        return int(np.searchsorted(self.where, row, side="right"))


def usual_prompts(rows: Rows) -> UsualPrompts:
    """What is usual in a baseline's rows."""
    where = np.flatnonzero(rows.embedded)
    return UsualPrompts.of(rows.prompt[where], rows.users()[where])


def leaves_out(detector: Detector[Any, Any]) -> bool:
    """Whether a detector is not shown what repeats too much: it judges the model, or a rate or level of answers."""
    spec = detector.spec
    of_model = spec.blames == "model" and spec.kind == "shift"
    return detector.learns and (of_model or spec.kind in ("rate", "level"))


def follow_floods(state: FloodState, usual: UsualPrompts | None, rows: Rows, start: int, stop: int) -> FollowedFlood:
    """Take in rows `start` to `stop` of a route that has a baseline."""
    left_out = np.zeros(len(rows), dtype=np.bool_)
    where = np.arange(start, stop)[rows.embedded[start:stop]]
    if usual is None or not len(where):
        return FollowedFlood(state, left_out, before=state, usual=usual or UsualPrompts())
    before = state
    sketches = sketches_of(rows.prompt[where])
    over = usual.repeats(state.sketches, sketches)
    left_out[where] = over
    held = np.concatenate([state.sketches, sketches])
    whose = rows.users()[where]
    users = np.concatenate([state.users, whose])
    out = np.concatenate([state.left_out, over])
    findings: list[FloodFinding] = []
    for i, row in enumerate(where.tolist()):
        if rows.index[row] % LOOKS:
            continue
        last = slice(max(len(state.users) + i + 1 - LAST, 0), len(state.users) + i + 1)
        alike = slice(max(len(state.sketches) + i + 1 - LAST, 0), len(state.sketches) + i + 1)
        found = _judged(state, usual, users[last], out[last], held[alike])
        if found is not None:
            findings.append(FloodFinding(row, *found))
            state = replace(state, told=found[0], blind=found[1])
    index = np.concatenate([state.index, rows.index[where]])[-LAST:]
    after = replace(state, sketches=held[-RECENT:], users=users[-LAST:], left_out=out[-LAST:], index=index)
    return FollowedFlood(after, left_out, tuple(findings), before, usual, where, sketches, whose, rows.index[where])


def _judged(
    state: FloodState, usual: UsualPrompts, users: NDArray[np.int64], out: Bool, sketches: Sketches
) -> tuple[str | None, bool] | None:
    """What is to be said now of the last exchanges, and whether most are not judged; None where nothing is new."""
    if len(users) < LAST:
        return None
    limit = LITTLE if state.told is not None else MUCH
    by_user = _largest(users)
    left = float(out.mean())
    one_user = by_user >= max(limit, USUALLY * usual.user_share)
    blind = left >= (LITTLE if state.blind else MUCH)
    if (one_user or blind) == (state.told is not None) and blind == state.blind:
        return None
    if not (one_user or blind):
        return None, False
    told = [words.one_user(by_user, len(users))] if one_user else []
    told += [_question(sketches)] if left >= LITTLE else []
    text = " and ".join(told)
    return words.not_judged(text, left) if blind else text, blind


def _largest(users: NDArray[np.int64]) -> float:
    """The share of the user who sent most; 0 where none is known."""
    known = users[users != 0]
    return float(np.unique(known, return_counts=True)[1].max()) / len(users) if len(known) else 0.0


def _question(sketches: Sketches) -> str:
    share = largest_share(sketches)
    return words.one_prompt(share, len(sketches)) if share >= LITTLE else words.few_prompts(len(sketches))
