"""What pages and files say of exchanges: how many were found, how far was looked, why there is no text. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, Literal
from urllib.parse import quote, urlencode

from schemas.sample import Sample
from services.wording import nouns, numbers

NOT_MEASURED: Final = "not measured"
UNKNOWN_EXCHANGE: Final = "there is no such exchange, or it is no longer kept; the list shows those that there are"
SCORES_GONE: Final = "Its scores are no longer kept: of each model of a route those of the last 5,000 exchanges are."
NO_MORE: Final = "That is all."
VALUES: Final[Mapping[str, str]] = {"true": "yes", "false": "no", "unscored": NOT_MEASURED}
"""What may be asked of a signal beside the name of a category."""
LONGEST_ASKED: Final = 500
"""Characters of the name of a conversation that the list takes: what an index holds."""
_SNIPPET: Final = 200


def link(route: str, id: str) -> str:
    """Where the page of an exchange is.

    >>> link("support-bot/prod", "a/b c")
    '/exchanges/a%2Fb%20c?route=support-bot%2Fprod'
    """
    return f"/exchanges/{quote(id, safe='')}?{urlencode({'route': route})}"


def list_link(**asked: str | None) -> str:
    """Where the list with these filters is."""
    given = {name.rstrip("_"): value for name, value in asked.items() if value}
    return f"/exchanges?{urlencode(given)}" if given else "/exchanges"


def conversation_link(route: str, conversation: str) -> str:
    """Where the exchanges of a route's conversation are listed: each route names its conversations by itself.

    Nothing where its name is longer than what can be asked for.
    """
    return list_link(route=route, conversation=conversation) if len(conversation) <= LONGEST_ASKED else ""


def heading(shown: int, more: bool, narrowed: bool, later: bool = False) -> str:
    """The list in one line; `later` is a page behind the first one.

    >>> heading(50, True, True), heading(1, False, True), heading(0, False, False)
    ('The first 50 exchanges like that', '1 exchange like that', 'No exchange is stored')
    >>> heading(50, True, False, later=True), heading(1, False, True, later=True), heading(0, True, True, later=True)
    ('The next 50 exchanges', 'The last exchange like that', 'No more exchanges like that were found')
    """
    like = " like that" if narrowed else ""
    if not shown and later:
        return f"No more exchanges{like} {'were found' if narrowed else 'are stored'}"
    if not shown:
        return f"No exchange{like} {'was found' if narrowed else 'is stored'}"
    counted = f"{numbers.count(shown, 'exchange')}{like}"
    if not later and not more:
        return counted
    which = "first" if not later else "next" if more else "last"
    return f"The {which} {counted.removeprefix('1 ')}"


def looked(n: int, until: datetime, *, oldest_first: bool) -> str:
    """How far a page looked that had looked at enough."""
    way = "on" if oldest_first else "back"
    return f"Looked at {n:,} exchanges, {way} to {numbers.moment(until)}. There may be more beyond."


def look_further(*, oldest_first: bool) -> str:
    """The link that goes on from there."""
    return "Look at later ones" if oldest_first else "Look further back"


def snippet(sample: Sample | None) -> str:
    """The beginning of what was answered; nothing where no text is kept."""
    said = "" if sample is None else " ".join((sample.response or sample.prompt).split())
    return said if len(said) <= _SNIPPET else f"{said[:_SNIPPET]}…"


def value(measured: Any) -> str:
    """What was measured of a signal.

    >>> value(True), value(None), value(120.0), value("de")
    ('yes', 'not measured', '120', 'de')
    """
    if measured is None:
        return NOT_MEASURED
    if isinstance(measured, bool):
        return "yes" if measured else "no"
    return f"{measured:,.6g}" if isinstance(measured, float) else str(measured)


def found(signals: Iterable[str]) -> str:
    """The signals that are true of an exchange, in one line."""
    return nouns.signal_titles(signals)


def parts(said: Mapping[str, bool]) -> str:
    """The tools or guardrails of which a signal is true, and those of which it is not.

    >>> parts({"refund": True, "search": False})
    'refund: yes, search: no'
    """
    return ", ".join(f"{name}: {value(one)}" for name, one in sorted(said.items()))


def no_text(kept: bool | None, keep: Literal["all", "default", "none"], days: int, ring: int, hours: int) -> str:
    """Why there is no text of an exchange."""
    if kept:
        return f"Its text was kept, and is gone: kept text stays {days} days, and of a full day not all of it."
    if keep == "none":
        return "No text of this route is kept: its part of the monitor file says keep_text: none."
    return (
        f"Its text is not kept. Of each route the last {ring} exchanges of {hours} hours have theirs; it stays where a "
        "safety signal is true, of 5% of the others, and where a baseline or an incident names it."
    )


def why_kept(signals: Sequence[str]) -> str:
    """Why a text is there."""
    return f"Kept because of: {found(signals)}" if signals else ""


def exported(most: int) -> str:
    """What the links to files say beside them."""
    return f"with these filters, at most {most:,} exchanges; narrow the time for others"
