"""Dates in their usual spellings, read into every year, month and day that they may mean.

Texts are plain ones (`folding.fold`).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from typing import Final

_MONTHS: Final = (
    "january jan januar januari janvier janv enero ene gennaio gen janeiro",
    "february feb februar februari fevrier fevr febrero febbraio fevereiro fev",
    "march mar marz maerz maart mrt mars marzo marco",
    "april apr avril avr abril abr aprile",
    "may mai mayo maggio mag maio mei",
    "june jun juni juin junio giugno giu junho",
    "july jul juli juillet juil julio luglio lug julho",
    "august aug aout agosto ago augustus",
    "september sep sept septembre septiembre settembre set setembro",
    "october oct oktober okt octobre octubre ottobre ott outubro out",
    "november nov novembre noviembre novembro",
    "december dec dezember dez decembre diciembre dic dicembre dezembro",
)
MONTH: Final = {name: number for number, names in enumerate(_MONTHS, 1) for name in names.split()}

_DAY = r"(?:0?[1-9]|[12][0-9]|3[01])"
_YEAR = r"(?:19|20)[0-9]{2}"
_NAME = r"([^\W\d_]{3,10})\.?"
_NUMERIC = re.compile(
    rf"(?<![\w.-])(?:({_YEAR})[ ./-]{{1,2}}(0?[1-9]|1[0-2])[ ./-]{{1,2}}({_DAY})"
    rf"|({_DAY})[ ./-]{{1,2}}({_DAY})[ ./-]{{1,2}}({_YEAR}|[0-9]{{2}}))(?![\w-]|\.[0-9])"
)
_DAY_FIRST = re.compile(
    rf"(?<!\w)({_DAY})(?:st|nd|rd|th|\.|\u00ba|er|e)?[ -](?:of |de |di )?{_NAME},?[ -](?:of |de |del )?({_YEAR})(?!\w)"
)
_MONTH_FIRST = re.compile(rf"(?<!\w){_NAME} ({_DAY})(?:st|nd|rd|th)?,? ({_YEAR})(?!\w)")
Day = tuple[int, int, int]


def dates(text: str, start: int = 0, end: int | None = None) -> Iterator[tuple[int, int, frozenset[Day]]]:
    """(start, end, days it may mean) of each date between two places: 3/4/1990 may be in March and in April."""
    end = len(text) if end is None else end
    for match in _NUMERIC.finditer(text, start, end):
        yield *match.span(), _numeric(match)
    for pattern, order in ((_DAY_FIRST, (3, 2, 1)), (_MONTH_FIRST, (3, 1, 2))):
        for match in pattern.finditer(text, start, end):
            year, name, day = (match[at] for at in order)
            month = MONTH.get(_plain(name))
            if month:
                yield *match.span(), frozenset({(int(year), month, int(day))})


def _numeric(match: re.Match[str]) -> frozenset[Day]:
    if match[1]:
        return frozenset({(int(match[1]), int(match[2]), int(match[3]))})
    first, second, year = int(match[4]), int(match[5]), int(match[6])
    years = (year,) if year > 99 else (1900 + year, 2000 + year)
    orders = {(month, day) for month, day in ((first, second), (second, first)) if month <= 12}
    return frozenset((one, month, day) for one in years for month, day in orders)


def _plain(name: str) -> str:
    """Lower case without accents."""
    return "".join(one for one in unicodedata.normalize("NFD", name.lower()) if one.isascii())
