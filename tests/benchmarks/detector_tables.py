"""The tables of `tests.benchmarks.detectors`, made of its figures alone: printed, and put into the docs."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from tests.benchmarks.alarms import CONDITIONS, at_rate, median_delay, poisson

BEGIN: Final = "<!-- figures: written by make bench-detectors -->"
END: Final = "<!-- end of figures -->"
SAME_RATE: Final = 10.0
GOAL: Final = 0.5
LATER, ROWS_LATER = 1.3, 8
ALIBI: Final = ("alibi-detect MMD 50", "alibi-detect MMD 150")
PEERS: Final = (*ALIBI, "river ADWIN", "river KSWIN", "river Page-Hinkley", "evidently 150")
OWN_SETTINGS: Final = {"river ADWIN": "0.002", "river KSWIN": "0.005", "river Page-Hinkley": "50"}
Figures = Mapping[str, Any]
Lines = Sequence[Mapping[str, Any]]


def render(figures: Figures) -> str:
    """All tables, as Markdown."""
    return "\n".join(
        line
        for part in (_protocol, _false_alarms, _delays, _same_rate, _sizes, _users, _power, _silent)
        for line in part(figures)
    )


def write_page(figures: Figures, page: Path) -> None:
    """Put the tables between the two marks of a page.

    Raises:
        ValueError: when the page has not both marks.
    """
    text = page.read_text(encoding="utf-8")
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{page}: needs the lines {BEGIN!r} and {END!r}")
    page.write_text(f"{before}{begin}\n\n{render(figures)}\n\n{end}{after}", encoding="utf-8")


def _protocol(figures: Figures) -> Iterator[str]:
    said = figures["protocol"]
    yield (
        f"{said['seeds']} baselines an update, {len(figures['rates'])} updates, streams of {said['rows']:,} exchanges "
        f"without an update; other libraries' detectors: {said['peer_seeds']} baselines an update."
    )


def _false_alarms(figures: Figures) -> Iterator[str]:
    yield "\n### False alarms\n"
    yield (
        "In 10,000 exchanges and streams, with the 95% interval of a Poisson rate. Nominal: 10 at an ARL of 1,000, 1 "
        "at 10,000. `user_shift` is there to find changed topics: only its first column counts false alarms. A "
        "library's detector stands at its own threshold: alibi-detect's at an expected run time of 1,000.\n"
    )
    yield from _head("drawn", "detector", "ARL", "clean", "2 of 6 topics", "daily cycle", "AR(1) mix")
    for drawing in ("population", "fresh"):
        for detector in ("model_shift", "rate_shift", "user_shift", "always", "never"):
            for arl in (1_000.0, 10_000.0):
                lines = _ours(figures, drawing, 1_000, detector, arl)
                if lines and not (detector in ("always", "never") and arl > 1_000):
                    yield _row(drawing, f"`{detector}`", f"{arl:,.0f}", *(_rate(lines, c) for c in CONDITIONS))
    for peer in PEERS:
        every = [one for one in figures["peers"] if one["peer"] == peer]
        lines = [one for one in every if _is_own(one)]
        absent = "not run (`--bootstraps`)" if every else _absent(figures)
        yield _row("population", peer, "own", _rate(lines, "clean") if lines else absent, "-", "-", "-")


def _delays(figures: Figures) -> Iterator[str]:
    yield "\n### Delay after an update\n"
    yield (
        "Median number of exchanges of the new version until the alarm, at an ARL of 1,000 / 10,000 / extrapolated to "
        "a million (about a route's default); `missed`: streams of at most 1,000 without one at 10,000. Refusals: "
        "before and after, as scored. `rate_shift` is right to stay silent where "
        "no rate moves.\n"
    )
    yield from _head("update", "refusals", "`model_shift`", "fresh", "`rate_shift`", "fresh")
    for update, rates in figures["rates"].items():
        cells = [
            _delay_pair(figures, update, drawing, detector)
            for detector in ("model_shift", "rate_shift")
            for drawing in ("population", "fresh")
        ]
        before, after = rates.get("refusal", (math.nan, math.nan))
        yield _row(update, f"{before:.1%} -> {after:.1%}", *cells)


def _same_rate(figures: Figures) -> Iterator[str]:
    yield "\n### Delay at the same measured rate of false alarms\n"
    yield (
        f"Each threshold is set so that clean streams of that update (population) give {SAME_RATE:g} false alarms in "
        "10,000 exchanges: what a method is worth when all are equally shy. `@ r`: no threshold that was tried gives "
        "that rate, the nearest gives r. A missed update counts as the 1,000 exchanges that there were.\n"
    )
    yield from _head("update", "`model_shift`", *PEERS, "to the better alibi-detect")
    ratios, later = [], []
    for update in figures["rates"]:
        ours = _equal([one for one in _ours(figures, "population", 1_000, "model_shift") if one["update"] == update])
        theirs = {
            peer: _equal([one for one in figures["peers"] if (one["update"], one["peer"]) == (update, peer)])
            for peer in PEERS
        }
        best = min((theirs[peer][0] for peer in ALIBI if theirs[peer]), default=None)
        ratio = ours[0] / best if ours and best else None
        if ratio is not None and ours and best:
            ratios.append(ratio)
            later += [update] if ours[0] > max(LATER * best, best + ROWS_LATER) else []
        cells = (_at(one, _absent(figures)) for one in (ours, *(theirs[peer] for peer in PEERS)))
        yield _row(update, *cells, "-" if ratio is None else f"{ratio:.2f}")
    yield from _judged(ratios, later)


def _judged(ratios: Sequence[float], later: Sequence[str]) -> Iterator[str]:
    """Whether the goals are met."""
    if not ratios:
        yield "\nNot compared: alibi-detect was not run (`make bench-peers`)."
        return
    mean = math.exp(sum(math.log(ratio) for ratio in ratios) / len(ratios))
    yield (
        f"\nGeometric mean of the ratios over {len(ratios)} updates: **{mean:.2f}** (goal: below {GOAL}, "
        f"{'met' if mean < GOAL else 'not met'}). Later than {LATER} times or {ROWS_LATER} exchanges, whichever is "
        f"more: {', '.join(later) or 'none'}."
    )


def _sizes(figures: Figures) -> Iterator[str]:
    yield "\n### Size of the baseline\n"
    yield "Drawn from the population, all updates together, at an ARL of 1,000; delay: geometric mean of the medians.\n"
    yield from _head("detector", "baseline", "clean", "2 of 6 topics", "delay", "missed")
    for detector in ("model_shift", "rate_shift", "user_shift"):
        for size in (300, 1_000, 5_000):
            lines = _ours(figures, "population", size, detector, 1_000.0)
            if not lines:
                continue
            medians = [max(median_delay(one["delays"], one["limit"]), 1) for one in lines]
            delay = math.exp(sum(map(math.log, medians)) / len(medians))
            clean, topics = (_rate(lines, name) for name in ("clean", "topics"))
            yield _row(f"`{detector}`", f"{size:,}", clean, topics, f"{delay:.0f}", _missed(lines))


def _users(figures: Figures) -> Iterator[str]:
    yield "\n### Users who narrow to 2 of 6 topics\n"
    yield "`user_shift`: median delay, and how many streams of 1,000 exchanges at most it missed; all updates.\n"
    yield from _head("drawn", "ARL", "delay", "missed")
    for drawing in ("population", "fresh"):
        for arl in (1_000.0, 10_000.0):
            lines = _ours(figures, drawing, 1_000, "user_shift", arl)
            if lines:
                delays = [delay for one in lines for delay in one["delays"]]
                limit = max(one["limit"] for one in lines)
                yield _row(drawing, f"{arl:,.0f}", _median(delays, limit), _missed(lines))


def _power(figures: Figures) -> Iterator[str]:
    if not figures.get("power"):
        return
    yield "\n### Shifts of known size\n"
    yield (
        "`rate_shift`, floor 2 points, on prompts of AlpacaEval whose refusals are tossed: the same rate for every "
        "prompt. Within 3,000 exchanges, at an ARL of 200,000.\n"
    )
    yield from _head("rate", "caught", "delay", "worst", "before the change")
    for one in figures["power"]:
        told = [delay for delay in one["delays"] if delay is not None]
        caught = f"{len(told)} of {len(one['delays'])}"
        middle, worst = (_median(told, 0), str(max(told))) if told else ("-", "-")
        yield _row(f"{one['before']:.0%} -> {one['after']:.0%}", caught, middle, worst, str(one["early"]))


def _silent(figures: Figures) -> Iterator[str]:
    yield "\n### Updates that leave safety as it is\n"
    for update, safety in figures["safety"].items():
        if safety is not False:
            continue
        for arl in (1_000.0, 10_000.0):
            lines = [one for one in _ours(figures, None, 1_000, "rate_shift", arl) if one["update"] == update]
            said = sum(delay is not None for one in lines for delay in one["delays"])
            of = sum(len(one["delays"]) for one in lines)
            rows = sum(one["limit"] * len(one["delays"]) for one in lines)
            yield (
                f"{update}: `rate_shift` at an ARL of {arl:,.0f} fired in {said} of {of} streams ({rows:,} exchanges "
                "in all; each watches several rates).\n"
            )


def _ours(
    figures: Figures, drawing: str | None, size: int, detector: str, arl: float | None = None
) -> list[Mapping[str, Any]]:
    """Lines of one of Keelwatch's detectors."""
    return [
        one
        for one in figures["ours"]
        if one["detector"] == detector
        and one["baseline"] == size
        and drawing in (None, one["drawing"])
        and arl in (None, one["arl"])
    ]


def _absent(figures: Figures) -> str:
    """Why a peer has no figure."""
    return "not run" if figures["protocol"]["peers_installed"] else "not installed"


def _is_own(line: Mapping[str, Any]) -> bool:
    return bool(line["setting"] == OWN_SETTINGS.get(line["peer"], "own"))


def _rate(lines: Lines, condition: str) -> str:
    """False alarms of all lines together."""
    counted = [one["alarms"][condition] for one in lines if condition in one["alarms"]]
    if not counted:
        return "-"
    rate, low, high = poisson(sum(alarms for alarms, _ in counted), sum(rows for _, rows in counted))
    return f"{rate:.1f} ({low:.1f} to {high:.1f})"


def _delay_pair(figures: Figures, update: str, drawing: str, detector: str) -> str:
    """Median delays at both ARLs and extrapolated, and what was missed at the higher one."""
    said, medians, missed = [], [], ""
    for arl in (1_000.0, 10_000.0):
        lines = [one for one in _ours(figures, drawing, 1_000, detector, arl) if one["update"] == update]
        if not lines:
            return "-"
        said.append(_median(lines[0]["delays"], lines[0]["limit"]))
        medians.append(median_delay(lines[0]["delays"], math.inf))
        count = sum(delay is None for delay in lines[0]["delays"])
        missed = f", missed {count} of {len(lines[0]['delays'])}" if count else ""
    if all(math.isfinite(one) for one in medians):
        said.append(f"~{medians[1] + 2 * max(medians[1] - medians[0], 0):.0f}")
    return " / ".join(said) + missed


def _median(delays: Sequence[int | None], limit: float) -> str:
    value = median_delay(delays, math.inf)
    return f"{value:.0f}" if math.isfinite(value) else f"> {limit:.0f}" if limit else "-"


def _missed(lines: Lines) -> str:
    delays = [delay for one in lines for delay in one["delays"]]
    return f"{sum(delay is None for delay in delays)} of {len(delays)}"


def _equal(lines: Lines) -> tuple[float, float] | None:
    """Delay at the wanted rate, and the rate reached."""
    grouped: dict[Any, Mapping[str, Any]] = defaultdict(dict)
    for one in lines:
        grouped[one.get("arl", one.get("setting"))] = one
    points = [
        (*one["alarms"]["clean"], max(median_delay(one["delays"], one["limit"]), 1.0))
        for one in grouped.values()
        if one["delays"] and one["alarms"]["clean"][1]
    ]
    return at_rate(points, SAME_RATE) if points else None


def _at(found: tuple[float, float] | None, absent: str) -> str:
    if found is None:
        return absent
    delay, rate = found
    return f"{delay:.0f}" if abs(math.log(rate / SAME_RATE)) < 0.05 else f"{delay:.0f} @ {rate:.1f}"


def _head(*names: str) -> Iterable[str]:
    return (_row(*names), _row(*("---" for _ in names)))


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"
