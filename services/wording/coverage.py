"""How much of what users ask the suites of a route ask too, in words. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

from services.wording import numbers

WEEK: Final = timedelta(days=5)
"""Of that many days, or more, the questions are those of a week: some days nobody asks."""
_HOUR: Final = timedelta(hours=1)
UNKNOWN: Final[Mapping[str, str]] = {
    "no_suite_read": "one of its suites cannot be read; `keelwatch check-config` says which, and why",
    "no_exchange": "no question of the last week was embedded; `embed_share` in the monitor file says how many are",
    "other_embedder": "the questions of the last week were embedded by another model than the suites are now; it is "
    "known again once new ones have come",
    "few_questions": "too few different questions were asked in the last week",
}
"""Why nothing can be said, by what the report names."""
NO_SUITE: Final = "no suite is run for this route; name `suites` and a `target` in the monitor file"
NOT_YET: Final = "it was not measured yet; a worker that evaluates does so within ten minutes"
NO_TEXT: Final = "no text of them is kept"
NO_GAP: Final = "No group of three or more questions that are alike is left out."
TEXT_GONE: Final = "its text is no longer kept"
GAPS: Final = (
    "Groups of questions that are alike and near no item, the worst first: large, and risky. A question is risky where "
    "a harmful request, an attempt to break the rules, a harmful answer or self-harm was seen."
)
HOW_TO_ADD: Final = (
    "To have them asked from now on, make them items of a suite of your own. Each is shown to you, and you say whether "
    "it should be answered (benign) or declined (disallowed):"
)
COLUMNS: Final = ("no.", "about", "questions", "risky", "declined", "example")
EACH_ONCE: Final = "Each question counts once, and no user's questions are more than a twentieth."


def unknown(why: str) -> str:
    """That nothing is known of it, and why; never a share."""
    return f"Not known how much of its traffic the suites ask: {UNKNOWN.get(why, why)}"


def other_suites(ts: datetime) -> str:
    """That it is of other suites than are run now."""
    return (
        f"it was measured on {numbers.moment(ts)}, before the monitor file named other suites; it is measured anew "
        "within ten minutes"
    )


def suites_changed(names: Sequence[str], ts: datetime) -> str:
    """That the suites had other items then."""
    return (
        f"it was measured on {numbers.moment(ts)}, with other items of {numbers.listed(sorted(names))} than there are "
        "now; it is measured anew within ten minutes"
    )


def other_embedder(ts: datetime) -> str:
    """That the traffic is embedded by another model than was used for it."""
    return (
        f"it was measured on {numbers.moment(ts)}, by another embedder than the route's exchanges have now; it is "
        "measured anew within ten minutes"
    )


def too_old(ts: datetime) -> str:
    """That it was to be measured since, and was not."""
    return (
        f"it was measured last on {numbers.moment(ts)}, and is to be measured every day; see in the log of the worker "
        "that evaluates why it is not"
    )


def headline(share: float, span: timedelta) -> str:
    """The share, of the questions of that long.

    >>> headline(0.623, timedelta(days=6, hours=20)), headline(0.623, timedelta(hours=9))
    ("62% of last week's questions resemble a suite item", '62% of the questions of 9 hours resemble a suite item')
    """
    asked = "last week's questions" if span >= WEEK else f"the questions of {numbers.hours_long(span / _HOUR)}"
    return f"{_whole(share)} of {asked} resemble a suite item"


def sentence(share: float, span: timedelta, gap: str | None) -> str:
    """The share, and the worst gap.

    >>> sentence(0.62, timedelta(days=7), None)
    "62% of last week's questions resemble a suite item."
    """
    return f"{headline(share, span)}{'' if gap is None else f'; worst gap: {gap}'}."


def gap(place: int, words: Sequence[str], share: float, risky: float | None, declined: float | None) -> str:
    """One cluster in a line.

    >>> gap(1, ("dose", "ibuprofen"), 0.09, None, 0.04)
    '"dose, ibuprofen", 9% of the questions, 4% of them declined'
    """
    told = [f"{_whole(declined)} of them declined"] if declined is not None else []
    told += [f"{_whole(risky)} risky"] if risky else []
    return ", ".join([name(place, words), f"{_whole(share)} of the questions", *told])


def name(place: int, words: Sequence[str]) -> str:
    """What a cluster is called: by the words that mark it, in quotes, for they are users' words."""
    return f'"{", ".join(words)}"' if words else f"group {place}"


def facts(share: float, risky: float | None, declined: float | None, questions: int, exchanges: int) -> str:
    """What is known of a cluster, in a line.

    >>> facts(0.09, None, 0.04, 12, 15)
    '9% of the questions · risky not known · declined 4% · 12 questions in 15 exchanges'
    """
    of = f"{numbers.count(questions, 'question')} in {numbers.count(exchanges, 'exchange')}"
    return f"{_whole(share)} of the questions · risky {rate(risky)} · declined {rate(declined)} · {of}"


def rate(share: float | None) -> str:
    """Of a cluster's questions.

    >>> rate(None), rate(0.0), rate(0.004)
    ('not known', '0%', '0.4%')
    """
    return numbers.UNKNOWN if share is None else _whole(share)


def basis(questions: int, exchanges: int, low: float, high: float) -> str:
    """Of how many, and how sure."""
    of = f"{numbers.count(questions, 'question')} in {numbers.count(exchanges, 'exchange')}"
    return f"95% interval {numbers.interval(low, high)}, of {of}"


def by_what(suites: Mapping[str, str]) -> str:
    """The suites that are asked, with their versions."""
    return numbers.listed([f"{suite} {version}" for suite, version in sorted(suites.items())])


def measured(ts: datetime) -> str:
    """When that was."""
    return f"measured {numbers.moment(ts)}"


def scattered(share: float) -> str:
    """What is left out, and like nothing else."""
    return f"{_whole(share)} more are near no item, and in no group that is shown (three or more questions, 1% of all)."


def to_add(route: str, place: int) -> str:
    """The command that makes a suite ask them."""
    return f"keelwatch suite add PATH --from-coverage {route} --cluster {place} --hazard HAZARD --side SIDE"


def no_cluster(asked: int, known: int) -> str:
    """That there is no such cluster."""
    have = f"there are 1 to {known}" if known else "there is none"
    return f"--cluster {asked}: {have}; `keelwatch route coverage ROUTE` lists them"


def _whole(share: float) -> str:
    """A share in whole percent; a smaller one as `numbers.percent` has it, and none that is not all is 100%."""
    if 0 < share < 0.005 or 0.995 <= share < 1:
        return numbers.percent(share)
    return f"{100 * share:.0f}%"
