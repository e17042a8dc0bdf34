"""Would it be seen? A known shift in copies of a route's own exchanges, and how many of them until an alert."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np

from schemas.alert import Alert, rank
from services.errors import InputError
from services.flow import advance
from services.replay.own_traffic import OwnTraffic, drawn
from services.score.blocks import ScoredRow, blocks_of
from services.score.style import STYLE_NAMES
from services.specs import family_of
from services.wording import replays as words

LENGTH: Final = "length"
_FORM: Final = re.compile(r"(?P<name>[A-Za-z_][\w.]*)=(?P<sign>[+-])(?P<size>\d+(?:\.\d+)?)(?P<unit>pp|%)", re.ASCII)
_LENGTHS: Final = tuple(STYLE_NAMES.index(name) for name in ("log_chars", "log_words"))
_STEP: Final = 32
"""Exchanges of a block: so many are run beyond an alert at most."""


@dataclass(frozen=True, slots=True)
class Shift:
    """What a drill changes: the rate of a signal by `by` (a share), or the length of answers by the part `by`."""

    name: str
    by: float

    def __str__(self) -> str:
        """As it is typed."""
        unit = "%" if self.name == LENGTH else "pp"
        return f"{self.name}={self.by * 100:+g}{unit}"


@dataclass(frozen=True, slots=True)
class DrillDraw:
    """One draw: exchanges after the shift until the first alert, and until people are called; None: never."""

    seen: int | None
    paged: int | None


@dataclass(frozen=True, slots=True)
class DrillResult:
    """What came of a drill.

    Attributes:
        before, after: rate of the signal without and with the shift; None for the length.
        most: exchanges of each draw. per_day: exchanges a day, None where they carry no time.
    """

    route: str
    shift: Shift
    before: float | None
    after: float | None
    draws: tuple[DrillDraw, ...]
    most: int
    per_day: float | None

    def after_exchanges(self, share: float, *, paged: bool = False) -> int | None:
        """Exchanges within which this share of the draws was seen (or called people); None: not within `most`."""
        found = sorted(
            n if n is not None else self.most + 1 for n in ((one.paged if paged else one.seen) for one in self.draws)
        )
        n = found[max(int(np.ceil(share * len(found))) - 1, 0)]
        return None if n > self.most else n


def parse_shift(text: str) -> Shift:
    """`refusal=-10pp`, `length=-30%`.

    Raises:
        InputError: if it is of another form; it names the form.
    """
    found = _FORM.fullmatch(text.strip())
    if found is None or (found["name"] == LENGTH) != (found["unit"] == "%"):
        raise InputError(words.bad_shift(text))
    by = float(found["sign"] + found["size"]) / 100
    if by == 0 or by <= -1 or abs(by) > 10:
        raise InputError(words.bad_shift(text))
    return Shift(found["name"], by)


def run_drill(
    traffic: OwnTraffic,
    shift: Shift,
    *,
    draws: int,
    most: int,
    seed: int,
    progress: Callable[[int], object] = lambda n: None,
) -> DrillResult:
    """Draw the route's exchanges `draws` times with replacement, with the shift, until an alert or `most` of them.

    A signal's shift flips its value in as many exchanges as it takes; texts and vectors stay. So it tests the streams
    of that signal, and is later than a change would be that also reads differently. The same seed gives the same.

    Raises:
        InputError: if the route's exchanges do not allow the shift.
    """
    before, after = _rates(traffic.rows, shift)
    made = []
    for number in range(draws):
        chance = np.random.default_rng([seed, number])
        made.append(_draw(traffic, shift, (before, after), most, chance, number))
        progress(1)
    return DrillResult(traffic.route, shift, before, after, tuple(made), most, traffic.per_day)


def drill_object(found: DrillResult) -> dict[str, Any]:
    """The result as JSON."""
    return {
        "route": found.route,
        "shift": str(found.shift),
        "rate_before": found.before,
        "rate_after": found.after,
        "exchanges": found.most,
        "per_day": found.per_day,
        "seen": {"median": found.after_exchanges(0.5), "p90": found.after_exchanges(0.9)},
        "paged": {
            "median": found.after_exchanges(0.5, paged=True),
            "p90": found.after_exchanges(0.9, paged=True),
        },
        "draws": [{"seen": one.seen, "paged": one.paged} for one in found.draws],
    }


def _rates(rows: Sequence[ScoredRow], shift: Shift) -> tuple[float | None, float | None]:
    if shift.name == LENGTH:
        return None, None
    values = [row.signals[shift.name].value for row in rows if shift.name in row.signals]
    known = [value for value in values if isinstance(value, bool)]
    if not known:
        names = sorted({name for row in rows[-1:] for name, one in row.signals.items() if isinstance(one.value, bool)})
        raise InputError(words.no_such_signal(shift.name, [*names, LENGTH]))
    before = sum(known) / len(known)
    after = before + shift.by
    if not 0 <= round(after, 9) <= 1:
        raise InputError(words.impossible_shift(str(shift), before))
    return before, min(max(after, 0.0), 1.0)


def _draw(
    traffic: OwnTraffic,
    shift: Shift,
    rates: tuple[float | None, float | None],
    most: int,
    chance: np.random.Generator,
    number: int,
) -> DrillDraw:
    flow, seen, paged = traffic.flow, None, None
    rows = drawn(traffic.rows, most, chance, f"drill-{number}", 0, traffic.per_day)
    shifted = [_shifted(row, shift, rates, chance) for row in rows]
    for start in range(0, most, _STEP):
        for block in blocks_of(shifted[start : start + _STEP]):
            flow, output = advance(traffic.plan, flow, block)
            for alert in output.alerts:
                if alert.status == "firing" and _is_of(alert, shift):
                    seen = alert.event_index + 1 if seen is None else seen
                    if paged is None and rank(alert.severity) >= rank("warning"):
                        paged = alert.event_index + 1
        if paged is not None:
            break
    return DrillDraw(seen, paged)


def _is_of(alert: Alert, shift: Shift) -> bool:
    """Whether an alert can come of the shift: what else fires is a false alarm, and no proof."""
    if shift.name == LENGTH:
        return family_of(alert.family).blames != "users"
    return alert.signal == shift.name


def _shifted(
    row: ScoredRow, shift: Shift, rates: tuple[float | None, float | None], chance: np.random.Generator
) -> ScoredRow:
    draw = chance.random()
    if shift.name == LENGTH:
        style = row.style.astype(np.float64)
        style[list(_LENGTHS)] = np.maximum(style[list(_LENGTHS)] + np.log1p(shift.by), 0.0)
        return replace(row, style=style.astype(np.float16))
    before, after = rates
    said = row.signals.get(shift.name)
    if before is None or after is None:
        return row
    if said is None or said.value is not (shift.by < 0):
        return row
    flips = (before - after) / before if shift.by < 0 else (after - before) / (1 - before)
    if draw >= flips:
        return row
    probability = None if said.probability is None else 1 - said.probability
    return replace(
        row, signals={**row.signals, shift.name: replace(said, value=not said.value, probability=probability)}
    )
