"""What else a number may be: a date, a time, or the number of an order, a case, a part, as the words before it say.

Texts are plain ones (`folding.fold`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cached_property
from typing import Final

from services.signals.folding import lowered

_DAY = r"(?:0?[1-9]|[12][0-9]|3[01])"
_MONTH = r"(?:0?[1-9]|1[0-2])"
_YEAR = r"(?:18|19|20|21)[0-9]{2}"
_TWO_DAY, _TWO_MONTH = r"(?:0[1-9]|[12][0-9]|3[01])", r"(?:0[1-9]|1[0-2])"
_APART = r"[ ./-]{1,2}"
DATE: Final = re.compile(
    rf"\(?(?:{_YEAR}(?P<a>{_APART}){_MONTH}(?P=a){_DAY}|{_DAY}(?P<b>{_APART}){_MONTH}(?P=b){_YEAR}"
    rf"|{_MONTH}(?P<c>{_APART}){_DAY}(?P=c){_YEAR}|{_YEAR}(?:[ /-]{{1,3}}{_YEAR}){{1,6}}(?! ?-?[0-9])"
    rf"|{_YEAR}{_TWO_MONTH}{_TWO_DAY}|{_TWO_DAY}{_TWO_MONTH}{_YEAR}|{_TWO_MONTH}{_TWO_DAY}{_YEAR})(?![0-9])"
)
"""A date with a year of four digits in any order and separator, a range of years, a date without separators."""
_SHORT_DATE = re.compile(rf"(?:{_DAY}([./-]){_MONTH}\1|{_MONTH}([./-]){_DAY}\2)[0-9]{{2}}(?: (?:[01][0-9]|2[0-3]).*)?$")
_TIMES = re.compile(
    r"(?:[01][0-9]|2[0-3])(?:[0-5][0-9][ -]{1,3}(?:[01][0-9]|2[0-3])[0-5][0-9]"
    r"|[.][0-5][0-9][ -]{1,3}(?:[01][0-9]|2[0-3])[.][0-5][0-9])$"
)

_THINGS = (
    "order|purchase|case|ticket|invoice|tracking|parcel|shipment|shipping|package|consignment|delivery|booking"
    "|reservation|confirmation|reference|ref|serial|part|article|item|product|sku|upc|ean|gtin|isbn|issn|asin|lot"
    "|batch|sample|model|version|build|release|revision|commit|issue|bug|job|run|task|process|pid|port|error|status"
    "|flight|train|bus|gate|room|seat|row|column|line|page|chapter|figure|table|step|level|seed|epoch|timestamp|time"
    "|claim|complaint|incident|request|transaction|payment|rma|awb|doi|pmid|cas|patent|docket|file|form|section"
    "|catalog|catalogue|gene|protein|lottery|score|total|sum|quantity|amount|price|balance|size|count|value|width|height"
    "|length|distance|population|year|date|protocol|receipt|quote|offer|contract|project|campaign|session|thread|event"
    # German, French, Spanish, Italian, Portuguese, Dutch
    "|bestellung|bestell|auftrag|auftrags|rechnung|rechnungs|sendung|sendungs|vorgang|vorgangs|artikel|artikelnr"
    "|bestellnr|buchung|buchungs|lieferung|lieferschein|aktenzeichen|commande|facture|colis|suivi|dossier|article"
    "|pedido|factura|envio|env\u00edo|reserva|expediente|articulo|ordine|fattura|spedizione|prenotazione|pratica|articolo"
    "|encomenda|fatura|protocolo|processo|nota|bestelling|bestel|factuur|zending|boeking|dossiernummer"
)
_NUMBERED = r"(?:[ _-]?(?:numbers?|nummer|numero|n\u00famero|num|nr|no|id|code|ref|key|n\u00b0|n\u00ba|#))?"
OTHERS: Final = re.compile(
    rf"(?<![^\W_])(?:{_THINGS})s?{_NUMBERED}"
    r"(?:[\s.,:#=|\"'*`(\[-]|n[\u00b0\u00ba]|\b(?:is|was|are|ist|lautet|war|est|es|\u00e9|e|of|and|to|the|with|de|del|da|der|het)\b)*$",
    re.IGNORECASE,
)
"""Words right before a number that say whose it is: nobody's."""
_LOOK_BACK = 48


_STRETCH = re.compile(r"[0-9](?:[^0-9]{0,64}[0-9])*+")
_REACH = 64
_BEHIND = 2
"""Characters behind the last digit that patterns look ahead at."""


class DigitText:
    """A text that is read for numbers: its patterns are looked for only where digits are.

    Every form of number asks for one text, so where its digits are, and its lower case, is found once for all.
    """

    def __init__(self, text: str) -> None:
        self.text = text

    @cached_property
    def low(self) -> str:
        """The text in lower case (`folding.lowered`)."""
        return lowered(self.text)

    @cached_property
    def _stretches(self) -> list[tuple[int, int]]:
        """Where digits stand, no two of one stretch more than 64 characters apart."""
        return [match.span() for match in _STRETCH.finditer(self.text)]

    def matches(self, pattern: re.Pattern[str]) -> Iterator[re.Match[str]]:
        """All matches of a pattern that begins at most 64 characters before a digit and ends with one.

        Nor may it bridge more than 64 characters without a digit, or look further than two behind its last one.
        """
        return self._near(pattern, self.text)

    def matches_in_lower_case(self, pattern: re.Pattern[str]) -> Iterator[re.Match[str]]:
        """The same of the text in lower case; places are those of the text."""
        return self._near(pattern, self.low)

    def _near(self, pattern: re.Pattern[str], text: str) -> Iterator[re.Match[str]]:
        reached = 0
        for first, last in self._stretches:
            end = last + _BEHIND
            yield from pattern.finditer(text, max(first - _REACH, reached), end)
            reached = end


def leaping(words: str) -> str:
    """Alternatives grouped by their first letter, none of which begins inside a word: `re` leaps to those letters."""
    groups: dict[str, list[str]] = {}
    for word in words.split("|"):
        groups.setdefault(word[0], []).append(word[1:])
    begun = [rf"{first}(?<![^\W_]{first})(?:{'|'.join(rests)})" for first, rests in groups.items()]
    return f"(?:{'|'.join(begun)})"


def is_date(number: str) -> bool:
    """Whether digits with separators begin with a date or are a pair of times."""
    return bool(DATE.match(number) or _SHORT_DATE.match(number) or _TIMES.match(number))


def of_a_thing(text: str, start: int) -> bool:
    """Whether the words right before `start` name the number of an order, a case, a part and the like."""
    return OTHERS.search(text[max(start - _LOOK_BACK, 0) : start]) is not None
