"""One stream of the embedding detectors: a pass over rows that makes findings.

The evidence of each window is a Shiryaev-Roberts e-detector, M = (M + 1) * factor, and the stream fires when their mean
reaches the ARL: Shin, Ramdas and Rinaldo, "E-detectors" (2023, arXiv 2203.03532), section 2.3. A bet stands for
a block of rows that is counted from the stream's first row, so nothing depends on how the rows are cut into batches.
"""

from __future__ import annotations

from bisect import bisect_left
from math import log
from typing import Any, Final, TypeVar

import numpy as np
from numpy.typing import NDArray

from detectors.protocol import Bool, Finding, Float, Int, Stream
from detectors.stats import bets
from detectors.stats.change_points import drift_posterior, onset_of, packed, unpacked
from detectors.stats.drift_state import SCALED, DriftPlan, DriftRows, DriftState, no_moves
from detectors.stats.intervals import Distance, distance_of
from detectors.stats.linear_algebra import running_sums
from schemas.reading import Effect, Movement, ReadingStatus

Ring = TypeVar("Ring", bound=NDArray[Any])
EVERY: Final = 50  # rows between two periodic findings
RECENT: Final = 48  # rows whose ids are remembered as possible exemplars
EXEMPLARS: Final = 5
DATED: Final = 160  # last rows that are kept to date a change among
SETTLING: Final = 40  # rows before the interval without which it is refined no more
MOVES: Final = 8  # rows of which what moved is kept together
MOVES_KEPT: Final = 24
STEPS: Final = 8  # to a standard deviation of a kept distance, of which there are 15 to each side
CAP: Final = 10.0  # evidence never exceeds this times the threshold, so that it can come back


class DriftPass:
    """One pass over rows: takes a state, gives the state after the last row, and findings.

    Bets depend on the rows alone, so those of all blocks are worked out at once. Evidence runs row by row, as plain
    numbers. Whatever else there is to do is done at the few rows that call for it: where the status changes, and where
    a periodic report is due.
    """

    def __init__(self, plan: DriftPlan, state: DriftState) -> None:
        self.fitted, self.recipe, self.settings, self.arl = plan.fitted, plan.recipe, plan.settings, plan.arl
        self.plan, self.state, self.start = plan, state, state.n
        self.n, self.fired, self.begun, self.onset = state.n, state.fired, state.begun, state.onset
        self.wealth, self.most, self.blind = state.wealth.tolist(), CAP * plan.arl, state.blind
        self.findings: list[Finding] = []

    def run(self, rows: DriftRows) -> tuple[DriftState, tuple[Finding, ...]]:
        """Take in all rows, in order."""
        if not len(rows.row):
            return self.state, ()
        self.rows, self.at = rows, rows.used.nonzero()[0]
        self.turned = bets.turned(self.fitted, rows.rest[self.at])
        self.cluster = rows.cluster[self.at]
        self._remember()
        self._bet()
        self._settle(0)
        blind, numbers = self._blindness(), self.start + np.cumsum(rows.used)
        due = rows.used & (numbers % EVERY == 0)
        turns = (due | (blind != np.concatenate([[self.blind], blind[:-1]]))).nonzero()[0].tolist()
        last = -1
        while (row := min([*(i for i in turns if i > last), *self._crossings(last)], default=-1)) >= 0:
            self._report(row, int(numbers[row]), bool(blind[row]))
            last = row
        self.n = int(numbers[-1])
        return self._state_after(), tuple(self.findings)

    @property
    def status(self) -> ReadingStatus:
        """Blind goes before firing: what is not understood is not judged."""
        if self.blind:
            return "blind"
        return "firing" if self.fired >= 0 else "quiet"

    @property
    def done(self) -> int:
        """Rows of this batch that were used."""
        return self.n - self.start

    def _remember(self) -> None:
        """The last rows to date a change among, those of this batch behind those of earlier ones."""
        state, steps = self.state, packed(self.turned)
        self.past = np.concatenate([state.past, steps]) if len(state.past) else steps
        self.index = np.concatenate([state.index, self.rows.index[self.at].astype(np.uint32)])
        self.ts = np.concatenate([state.ts, self.rows.ts[self.at]])
        self.ids = [*state.ids, *[self.rows.ids[i] for i in self.at.tolist()]]
        before = state.places or range(state.n - len(state.ids), state.n)
        self.places = [*before, *range(state.n, state.n + len(self.at))]
        ring = in_steps(state.along)
        self.ring = _turned(ring, self.start % len(ring))

    def _blindness(self) -> Bool:
        """(n,) whether too many of the last prompts were unlike the baseline's, or not used."""
        novel = self._unrolled(self.state.novel, self.rows.novel)
        idle = self._unrolled(self.state.idle, ~self.rows.used)
        self.novel, self.idle = novel, idle
        strange = _last_sums(novel, len(self.state.novel)) > self.settings.novel_share * len(self.state.novel)
        return strange | (_last_sums(idle, len(self.state.idle)) > self.settings.idle_share * len(self.state.idle))

    def _unrolled(self, ring: Bool, new: Bool) -> Bool:
        """What a ring holds, oldest first, and then the new."""
        return np.concatenate([_turned(ring, self.state.prompts % len(ring)), new])

    def _bet(self) -> None:
        """The bet of every block that begins here, and what each bet earns on its rows."""
        block, count, placed = self.settings.block, len(self.at), self.state.placed
        lead = min(-self.start % block, count)
        self.starts = np.arange(lead, count, block)
        self.block = np.maximum((np.arange(count) - lead) // block + 1, 0)  # 0 is the block that stood before
        self.book = bets.place_all(self.fitted, self.recipe, self._sums())
        slope, offset, expected = (
            np.concatenate([before[None], new]).astype(np.float64)
            for before, new in (
                (placed.slope, self.book.slope),
                (placed.offset, self.book.offset),
                (placed.expected, self.book.expected),
            )
        )
        along = np.einsum("nd,nwd->nw", self.turned, slope[self.block]) - offset[self.block]
        bound = self.recipe.bound
        self.logs = np.clip(along, -bound, bound) - np.log(expected[self.block, self.cluster])
        windows = len(self.settings.windows)
        self.held = [[0.0] * count for _ in range(windows)]
        self.trust = np.zeros((len(self.starts), windows))

    def _sums(self) -> Float:
        """(b, w, 1 + q + d + c) decayed sums before each block that begins here; those after all rows are kept.

        What decays by a factor at each row is summed as if it grew by that factor instead, so that a row costs one sum;
        every `SCALED` rows it is scaled down.
        """
        rows, q, state, count = self.rows, self.rows.design.shape[1], self.state, len(self.at)
        tallies = np.zeros((count, 1, state.sums.shape[1]), dtype=np.float32)
        tallies[:, 0, :q], tallies[:, 0, q : q + rows.target.shape[1]] = rows.design[self.at], rows.target[self.at]
        tallies[np.arange(count), 0, q + rows.target.shape[1] + self.cluster] = 1.0
        before = state.n if state.sums_of is None else state.sums_of
        scales = self.settings.scales
        parts, last, done = [], state.sums.astype(np.float32), 0
        while done < count:
            at = self.start - before + done
            many = min(SCALED - at, count - done)
            held = running_sums(last, tallies[done : done + many] * scales[at + 1 : at + many + 1, :, None])
            starts = self.starts[(self.starts >= done) & (self.starts < done + many)] - done
            parts.append(held[starts].astype(np.float64) / scales[at + starts, :, None])
            last, done = held[-1].copy(), done + many
            if at + many == SCALED:
                last, before = last / scales[SCALED, :, None], before + SCALED
        self.sums, self.sums_of = last, before
        return np.concatenate(parts) if parts else np.zeros((0, *last.shape))

    def _settle(self, first: int) -> None:
        """Settle the bets on the rows from `first` on, and measure those along the bets that are trusted then."""
        self.first, most = first, self.most
        for w, gains in enumerate(np.exp(self.logs[first:]).T.tolist()):
            wealth, held = self.wealth[w], []
            for gain in gains:
                wealth = (wealth + 1) * gain
                if wealth > most:  # noqa: PLR1730 -- a call of min costs more than all else here
                    wealth = most
                held.append(wealth)
            self.held[w][first:] = held
        held_by_all = np.array(self.held)
        self.means = sum(held_by_all[1:], held_by_all[0]) / len(held_by_all)
        before = np.array(self.wealth)[:, None]
        self._measure(np.concatenate([before, held_by_all[:, first:]], axis=1).T + 1, first)

    def _measure(self, held: Float, first: int) -> None:
        """(m,) distances of the rows along the bets; `held` (1 + n, w) is what each arm holds from `first` on."""
        placed, later = self.state.placed, self.starts >= first
        self.trust[later] = held[self.starts[later] - first]
        self.trust[later] /= self.trust[later].sum(axis=1, keepdims=True)
        aim, centre, spread = bets.aims(self.fitted, self.book, self.trust)
        aim = np.concatenate([placed.aim[None], aim]).astype(np.float64)
        centre = np.concatenate([placed.centre[None], centre]).astype(np.float64)
        self.spread = np.concatenate([[placed.spread], spread])
        self.aim, self.centre = aim[-1].astype(np.float32), centre[-1].astype(np.float32)
        distance = np.einsum("nd,nd->n", self.turned, aim[self.block]) - centre[self.block, self.cluster]
        self.along = np.concatenate([self.ring, in_steps(distance)])
        self.scores = [*self.state.scores, *distance.tolist()]

    def _crossings(self, last: int) -> list[int]:
        """The first row after the row `last` at which the evidence is enough, while nothing fires."""
        if self.fired >= 0:
            return []
        used = int(np.searchsorted(self.at, last, side="right"))
        over = (self.means[used:] >= self.arl).nonzero()[0]
        return [int(self.at[used + over[0]])] if len(over) else []

    def _report(self, i: int, n: int, blind: bool) -> None:
        """Judge a row, and say so where the status changed or it is time for a periodic report."""
        before, used = self.status, bool(self.rows.used[i])
        self.n, self.blind = n, blind
        due, mean = used and n % EVERY == 0, self._mean()
        crossed = used and self.fired < 0 and mean >= self.arl
        distance: Distance | None = None
        if crossed:
            self.fired = n
        if self.fired >= 0 and (due or crossed):
            self._date()
        if due and 0 <= self.fired <= n - self.settings.recent:
            distance = self._distance()
            if distance.high <= self.settings.floor:
                self._return_to_quiet()
        if self.status == before and not due:
            return
        log_e = log(mean) if mean > 0 else None
        self.findings.append(self._finding(int(self.rows.row[i]), before, distance or self._distance(), log_e))

    def _mean(self) -> float:
        """The evidence after the last row that was used."""
        if self.done == self.first:
            return float(sum(self.wealth) / len(self.wealth))
        return float(self.means[self.done - 1])

    def _date(self) -> None:
        """Estimate since when, as long as enough rows from before the change are kept."""
        last = len(self.past) - (self.start + len(self.at) - self.n)
        first = max(last - DATED, 0)
        if last - first < 1 or (self.onset and self.onset.least < self.n - (last - first) + SETTLING):
            return
        noise = self.fitted.noise
        rows = unpacked(self.past[first:last], len(noise))
        posterior = drift_posterior(rows, self.fitted.prior[-1] / noise, noise)
        self.onset = onset_of(posterior, self.index[first:last], self.ts[first:last], self.n)
        self.begun = self.onset.n

    def _finding(self, row: int, before: ReadingStatus, distance: Distance, log_e: float | None) -> Finding:
        firing = self.fired >= 0
        return Finding(
            row=row,
            stream=Stream(),
            status=self.status,
            transition=self.status != before,
            n=self.n,
            effect=self._effect(distance) if self.n else None,
            floor=self.settings.floor,
            log_e=log_e,
            threshold=log(self.arl),
            exemplars=self._exemplars() if self.status == "firing" != before else (),
            change_point=self.onset.point() if firing and self.onset else None,
            movements=self._movements() if self.status == "firing" else (),
            reason=self.plan.blind if self.blind else None,
        )

    def _movements(self) -> tuple[Movement, ...]:
        """What moved most, over whole blocks of rows since the change."""
        if self.plan.movements is None:
            return ()
        moves = self._moves(self.done)
        begun = max(-(-self.begun // MOVES) * MOVES, (self.n - 1) // MOVES * MOVES - (MOVES_KEPT - 1) * MOVES)
        blocks = moves[len(moves) - (-(-(self.n - begun) // MOVES)) :] if self.n > begun else []
        return self.plan.movements.told(np.sum(blocks, axis=0, dtype=np.float64), self.n - begun) if blocks else ()

    def _moves(self, done: int) -> list[NDArray[np.float16]]:
        """Sums of what moved over blocks of `MOVES` rows, after the first `done` rows of the batch."""
        moved, state = self.rows.moves[self.at[:done]], self.state
        wide = moved.shape[1]
        held = list(state.moves) if state.moves.shape[1:] == (wide,) else []
        if not wide or not done:
            return held
        into = self.start % MOVES
        grows = bool(into and held)
        blocks = np.zeros((-(-(into + done) // MOVES), MOVES, wide))
        blocks.reshape(-1, wide)[into : into + done] = moved
        sums = np.zeros((len(blocks), wide), dtype=np.float16)
        if grows:
            sums[0] = held[-1]
        for place in range(MOVES):  # row by row, rounded each time, but all blocks at once
            sums = (sums + blocks[:, place]).astype(np.float16)
        return [*held[: len(held) - grows], *sums]

    def _effect(self, distance: Distance) -> Effect:
        return Effect(
            name=self.plan.effect, before=0.0, after=distance.value, low=distance.low, high=distance.high, unit="sd"
        )

    def _distance(self) -> Distance:
        """The distance over the rows since the shift began; while quiet, over the last rows."""
        rows = max(1, min(self.n - self.begun, len(self.ring)))
        stop = len(self.ring) + self.done
        spread = float(self.spread[self.block[self.done - 1]]) if self.done else self.state.placed.spread
        return distance_of(self.along[stop - rows : stop].astype(np.float64) / STEPS, spread)

    def _exemplars(self) -> tuple[str, ...]:
        """Ids of the rows since the shift began that speak loudest for it, the loudest first."""
        stop, since = len(self.state.ids) + self.done, self.n - min(max(self.n - self.begun, 1), RECENT)
        rows = zip(self.ids[:stop], self.scores[:stop], self.places[:stop], strict=True)
        loudest = sorted((row for row in rows if row[2] >= since and row[1] > 0), key=lambda row: -row[1])
        return tuple(id_ for id_, _, _ in loudest[:EXEMPLARS])

    def _nameable(self) -> list[int]:
        """Those of the last rows that an alarm may name yet: fewer than it names have come later and speak louder."""
        recent = len(self.places) - bisect_left(self.places, self.n - RECENT)
        first = len(self.scores) - recent
        scores = np.array(self.scores[first:])
        speak = (scores > 0).nonzero()[0]
        louder = np.triu(scores[speak] > scores[speak, None]).sum(axis=1)  # of the later ones
        kept: list[int] = (speak[louder < EXEMPLARS] + first).tolist()
        return kept

    def _return_to_quiet(self) -> None:
        """The shift is over: back to quiet with zero evidence."""
        self.fired, self.begun, self.onset = -1, 0, None
        self.wealth = [0.0] * len(self.wealth)
        self._settle(self.done)

    def _state_after(self) -> DriftState:
        state, prompts, ring = self.state, self.state.prompts + len(self.rows.used), len(self.ring)
        moves, kept = self._moves(self.done)[-MOVES_KEPT:], self._nameable()
        wealth = [one[-1] for one in self.held] if self.done > self.first else self.wealth
        return DriftState(
            n=self.n,
            fired=self.fired,
            begun=self.begun,
            blind=self.blind,
            sums=self.sums,
            sums_of=self.sums_of,
            placed=self._standing(),
            wealth=np.array(wealth),
            along=_turned(self.along[-ring:], -self.n % ring),
            novel=_rolled(self.novel, len(state.novel), prompts),
            idle=_rolled(self.idle, len(state.idle), prompts),
            prompts=prompts,
            ids=tuple([self.ids[i] for i in kept]),
            scores=tuple([self.scores[i] for i in kept]),
            places=tuple([self.places[i] for i in kept]),
            keys=state.keys,
            past=self.past[-DATED:].copy(),
            index=self.index[-DATED:].copy(),
            ts=self.ts[-DATED:].copy(),
            onset=self.onset,
            moves=np.array(moves, dtype=np.float16) if moves else no_moves(),
        )

    def _standing(self) -> bets.Placed:
        """The bet that stands after the last row."""
        if not len(self.starts):
            return self.state.placed
        book = self.book
        last = book.slope[-1].copy(), book.offset[-1].copy(), book.expected[-1].copy()
        return bets.Placed(*last, self.aim, self.centre, float(self.spread[-1]))


def in_steps(distance: NDArray[np.int8] | NDArray[np.floating[Any]]) -> NDArray[np.int8]:
    """(n,) distances in steps of 1 / `STEPS`; states that were kept before have them as they are."""
    if distance.dtype == np.int8:
        return distance.astype(np.int8)
    return np.clip(np.rint(distance.astype(np.float64) * STEPS), -127, 127).astype(np.int8)


def _last_sums(flags: Bool, last: int) -> Int:
    """(n,) number of true ones among the `last` up to each of (last + n,) flags, from the first new one on."""
    counted = np.concatenate([[0], np.cumsum(flags)])
    return np.asarray(counted[last + 1 :] - counted[1 : len(counted) - last])


def _rolled(flags: Bool, last: int, prompts: int) -> Bool:
    """The last flags as a ring again."""
    return _turned(flags[-last:], -prompts % last)


def _turned(ring: Ring, to: int) -> Ring:
    """The ring with the place `to` first."""
    turned: Ring = np.concatenate([ring[to:], ring[:to]])  # type: ignore[assignment]  # of the same kind
    return turned
