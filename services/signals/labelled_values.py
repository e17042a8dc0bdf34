"""Values that a text states under a sensitive label: account numbers, door codes, passwords, home addresses."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Final, NamedTuple

from services.signals import phone_numbers
from services.signals.dates import Day, dates
from services.signals.folding import Folded, fold
from services.signals.number_context import DATE, OTHERS, is_date
from services.signals.personal_values import SAMPLE_CARDS, SAMPLE_IBANS, SAMPLE_SSNS
from services.signals.sensitive_labels import SensitiveLabel, labels, letters_of, squeezed
from services.signals.unspaced_scripts import set_apart

MOST_VALUES: Final = 256
"""Values of one source that are looked for in an answer."""


class LabelledValue(NamedTuple):
    """A value under a label: where it stands, and its keys, the most telling first.

    Attributes:
        keys: letters and digits alone, as `sensitive_labels.squeezed` gives them.
        days: of a date of birth, what it may mean.
    """

    kind: str
    start: int
    end: int
    keys: tuple[bytes, ...]
    days: frozenset[Day] = frozenset()


_QUOTE = "\"'`*_<>\\[(\u201c"
_EXPLICIT: Final = re.compile(
    r"(?:[ _.-]{0,2}(?:numbers?|no|nr|#|n[\u00b0\u00ba]))? ?\.?"
    r"(?: ?\([^()\n]{0,40}\))?"
    r"[\"'`*_\])]{0,4}"
    r"(?: (?:for|of|to|on|del?|du|pour|f\u00fcr|zum|zur|der|des|voor|van|per|d[oai])(?: [\w'-]{1,16}+){1,4}(?=:))?"
    r"(?:\s{0,4}(?::=|=>|->|[:=|\u2192]){1,2}[ \t]{0,40}(?:\r?\n[ \t>]{0,8}(?![^\n:]{1,30}:))?"
    r"|[ \t]{0,4}\t[ \t]{0,4}|[ \t]{2,12}|[ \t]{1,3}--?[ \t]{1,3}"
    r"|\s{0,2}(?:</\w{1,10}>\s{0,8}){1,3}(?:<\w{1,10}[^<>\n]{0,40}>\s{0,8}){1,3}|>"
    r"|,?(?: [^\W\d_][\w'-]{0,15}+){0,6}? (?:is|was|are|be|being|reads?|equals|to|as|ist|lautet|war|sind|est"
    r"|sera|es|era"
    r"|\u00e9|\u00e8|e'|luidt)(?: (?:now|still|currently|set to|changed to|as follows|exactly|jetzt|maintenant"
    r"|ora))?:? {1,2})"
    rf"[{_QUOTE}]{{0,5}}"
)
"""What may stand between a label and its value when it says clearly that the value comes: `: `, `=`, ` is `, a cell.""
"""
_LOOSE: Final = re.compile(
    r"(?: ?\([^()\n0-9]{0,40}\))?[^0-9\n;|]{0,40}?(?=(?<![^\W_])(?<![A-Z]-)(?:[A-Z]{1,5}-)?[A-Za-z]{0,9}[0-9])"
)
_LOOSE_STOP = re.compile(
    r"[.!?]\s|[({=<$\u20ac\u00a3]|\b(?:balance|limit|since|opened?|expires?|expir\w+|from|until|due|dated|on|in|at"
    r"|by|after"
    r"|before|version|about|types?|level|fee|fees|rate|every|within|than|over|under|least|most|up|page|pages|section"
    r"|for|and"
    r"|or|with|of|has|have|had|must|should|needs?|contains?|port|seit|vom|am|ab|bis|depuis|desde|dal|sinds|v)\b",
    re.IGNORECASE,
)
"""Words after which the next digits are no value of the label before them."""

_NUMBER: Final = re.compile(
    r"(?:[A-Za-z]{1,6}[-/]|[A-Z]{1,5} ){0,2}[A-Za-z]{0,9}[0-9][A-Za-z0-9]*"
    r"(?:[./_-][A-Za-z0-9]+| [-/] [0-9][A-Za-z0-9]*| [A-Za-z]{0,3}[0-9][A-Za-z0-9]*| [A-Z]{1,4}(?![A-Za-z0-9]))*"
)
_CAPITALS: Final = re.compile(r"[A-Z][A-Z0-9]{2,}(?:[ -][A-Z0-9]{2,}){0,4}(?![A-Za-z])")
_WORDS_OF_PHRASE: Final = re.compile(r"[^\W\d_]{2,20}(?:[ -][^\W_]{1,20}){1,24}")
_SOLID: Final = re.compile(r"[^\s\"`|<>]{3,128}")
_ADDRESS: Final = re.compile(r"[^\n|\"<>;\t]{6,200}")
_UNIT = re.compile(
    r"\s?(?:%|\u20ac|\$|\u00a3|(?:EUR|USD|GBP|CHF|dollars?|euros?|pounds|days?|Tage|jours|d[i\u00ed]as|digits?"
    r"|characters?|chars"
    r"|years?|months?|weeks?|hours?|minutes?|seconds?|km|kg|MB|GB|points?|users?|times|Stellen|Zeichen"
    r"|chiffres)(?!\w))",
    re.IGNORECASE,
)
_DOTTED = re.compile(r"[0-9]{1,3}(?:\.[0-9]{1,3}){2,}(?![-/0-9])")
_SENTENCE = re.compile(
    r"[.!?](?=\s|$)(?<!\bSt[.!?])(?<!\bStr[.!?])(?<!\bApt[.!?])(?<!\bAve[.!?])(?<!\bRd[.!?])(?<!\bNo[.!?])"
    r"(?<!\bDr[.!?])|, (?:and|und|et|y|e) "
)
_LETTERS_AND_DIGIT = re.compile(r"[^\W\d_]{3}")
_PLACEHOLDER: Final = re.compile(
    r"(?:required|optional|none|null|nil|undefined|string|str|text|varchar|char|bool(?:ean)?|int|integer|number|true"
    r"|false"
    r"|password\d{0,4}|passwort|passwd|secret|changeme|change_me|admin\d{0,3}|qwerty\d*|letmein|welcome\d?|hunter2"
    r"|example\w*|sample\w*|test\w{0,4}|demo|placeholder|redacted|hidden|masked|encrypted|hashed|unknown|missing"
    r"|invalid"
    r"|incorrect|wrong|correct|valid|empty|blank|default|input|value|your\w*|my\w*|the|this|that|not|and|with|here"
    r"|below"
    r"|above|pending|n/?a|tbd|xxx+|abc\d*|foo\w*|bar\w*|user\w*|os|process|request|req|self|env|getenv|config"
    r"|settings"
    r"|\w{0,24}(?:passw(?:or)?d|passwort|passphrase|pwd|secret|token|credential|hash)[A-Za-z_]{0,12}\d{0,4}"
    r"|hash|token|key|strong|weak|secure|case-sensitive|forgotten|expired|reset|same|only|never|always|please)",
    re.IGNORECASE,
)
_CODE_LIKE = re.compile(r"^[<{$(\[%]|[(\[{<]|[)\]}>;]$|\$[{(]|\*\*|\.\.\.|://|\\|^[A-Za-z_]+(?:\.[A-Za-z_]+)+$|^--")


def labelled_values(text: str) -> tuple[LabelledValue, ...]:
    """The values that a text states under a label, from left to right; places are those of `text` as it is."""
    return labelled_values_of(fold(text))


def labelled_values_of(folded: Folded) -> tuple[LabelledValue, ...]:
    """The same of a folded text."""
    return tuple(
        value._replace(start=start, end=end)
        for value in _stated(folded.text)
        for start, end in (folded.original(value.start, value.end),)
    )


@lru_cache(maxsize=64)
def remembered_values(text: str) -> tuple[LabelledValue, ...]:
    """`labelled_values` of a text that comes again and again, such as a system text."""
    return labelled_values(text)


def _stated(text: str) -> Iterator[LabelledValue]:
    found = labels(text, squeezed(text))
    text = set_apart(text)
    reached = count = 0
    for at, label in enumerate(found):
        if label.start < reached or count >= MOST_VALUES:
            continue
        stop = found[at + 1].start if at + 1 < len(found) else len(text)
        value = _after(text, label, stop)
        if value:
            yield value
            reached, count = value.end, count + 1
    for value in _columns(text, found, MOST_VALUES - count) if found else ():
        yield value


def _after(text: str, label: SensitiveLabel, next_label: int) -> LabelledValue | None:
    """The value that follows a label on its line, if one does."""
    read = _READERS[label.kind]
    if label.kind == "lives":
        return read(text, label.end + 1, True)
    explicit = _EXPLICIT.match(text, label.end)
    if explicit and not _of_another(text, label):
        value = read(text, explicit.end(), True)
        if value:
            return value
    if label.kind == "birth_date":
        return read(text, label.end + 1, False)
    if label.kind in {"number", "phone", "code"}:
        abbreviated = text[label.end - 2 : label.end + 1].lower() in {"no.", "nr.", "id.", "um."}
        end = label.end + abbreviated
        gap = _LOOSE.match(text, end)
        if (
            gap
            and gap.end() <= next_label
            and not (_LOOSE_STOP.search(gap[0].rpartition(")")[2]) or OTHERS.search(text, end, gap.end()))
        ):
            return read(text, gap.end(), False)
    return None


_ANOTHERS: Final = frozenset(
    [
        "email",
        "mail",
        "ip",
        "mac",
        "web",
        "wallet",
        "memory",
        "contract",
        "bitcoin",
        "return",
        "url",
        "http",
        "site",
        "our",
        "store",
        "shop",
        "office",
        "company",
        "hotel",
        "restaurant",
        "venue",
        "branch",
        "clinic",
        "headquarters",
        "headquarter",
        "showroom",
        "warehouse",
        "museum",
        "library",
        "school",
        "business",
        "pickup",
        "property",
        "listing",
        "event",
        "meeting",
        "unsere",
        "notre",
        "nuestra",
        "nostro",
        "firmen",
        "geschäfts",
        "order",
        "session",
        "product",
        "request",
        "post",
        "zip",
        "area",
        "country",
        "error",
        "status",
        "promo",
        "discount",
        "coupon",
        "source",
        "color",
        "colour",
        "gpio",
        "input",
        "output",
        "connector",
    ]
)
_WORD_BEFORE = re.compile(r"[^\W\d_]+|\d+")


def _of_another(text: str, label: SensitiveLabel) -> bool:
    """Whether the word before a label makes it something else: `email address`, `our address`, `GPIO pin`, `12 pin`."""
    before = text[max(label.start - 16, 0) : label.start]
    if "\n" in before[-3:]:
        return False
    words = _WORD_BEFORE.findall(before.lower().removesuffix("'s "))
    return (
        bool(words)
        and len(before.rstrip(" _.'-")) >= len(before) - 3
        and (words[-1] in _ANOTHERS or words[-1].isdigit())
    )


def _made_up(key: bytes) -> bool:
    """Repeated or sequential characters, which stand for a value; or one that is published as an example."""
    text = key.decode("latin-1")
    return (
        len(set(key)) < 3
        or text in "0123456789012345678901234567890"
        or text in "9876543210"
        or text.upper() in SAMPLE_CARDS | SAMPLE_IBANS | SAMPLE_SSNS
        or "xxx" in text
    )


def _number(text: str, start: int, explicit: bool) -> LabelledValue | None:
    value = _digits(text, start, "number", least=4 if explicit else 6)
    if value and not explicit:
        key = value.keys[0]
        few = sum(byte <= _NINE for byte in key) < _FEWEST_DIGITS
        if few or (len(key) < _UNGROUPED and text[value.start : value.end].isalnum()):
            return None
    spelled = text[value.start : value.end] if value else ""
    if not explicit and _OF_A_YEAR.fullmatch(spelled):
        return None
    dated = is_date(spelled) and (not explicit or not _HYPHENS.fullmatch(spelled))
    return None if dated else value


_OF_A_YEAR = re.compile(r"(?:19|20)[0-9]{2}[-/.][0-9]{1,3}")
"""The second of that year: of a policy, a decision."""
_FEWEST_DIGITS = 4
_UNGROUPED = 7
"""Characters of a number without separators that nothing but its place behind a label makes a value."""
_HYPHENS = re.compile(r"[0-9]{1,2}(?:-[0-9]{2}){2}")
"""A sort code looks like a date with a short year."""


def _phone(text: str, start: int, explicit: bool) -> LabelledValue | None:
    if text[start : start + 1] in {"+", "("}:
        start += 1
    value = _digits(text, start, "phone", least=6)
    return None if value is None or phone_numbers.is_nobodys(value.keys[0].decode("latin-1")) else value


def _code(text: str, start: int, explicit: bool) -> LabelledValue | None:
    if text[start : start + 1] in {"#", "*"}:
        start += 1
    value = _digits(text, start, "code", least=3 if explicit else 4)
    capitals = _CAPITALS.match(text, start) if explicit and value is None else None
    if capitals and not _PLACEHOLDER.fullmatch(capitals[0]):
        return LabelledValue("code", *capitals.span(), (letters_of(capitals[0]),))
    return value


def _digits(text: str, start: int, kind: str, least: int) -> LabelledValue | None:
    """A number in groups: of its leading groups each that is long enough is a key as well, since prose may follow."""
    match = _NUMBER.match(text, start, start + 64)
    if match is None or DATE.match(text, start) or _UNIT.match(text, match.end()) or _DOTTED.match(text, start):
        return None
    keys: list[bytes] = []
    end = start
    for stop in reversed([at.start() for at in re.finditer(r" |$", match[0])]):
        key = letters_of(match[0][:stop])
        wanted = max(least, 6) if keys else least
        if len(key) >= wanted and any(byte <= _NINE for byte in key) and not _made_up(key):
            keys.append(key)
            end = max(end, start + stop)
    if not keys or (kind == "number" and len(keys[0]) == _A_YEAR and keys[0][:2] in {b"18", b"19", b"20", b"21"}):
        return None
    return LabelledValue(kind, start, end, tuple(keys))


_NINE = ord("9")
_A_YEAR = 4


def _password(text: str, start: int, explicit: bool) -> LabelledValue | None:
    match = _SOLID.match(text, start)
    if match is None:
        return None
    phrase = _phrase(text, start)
    word = match[0].rstrip("*_'\"`").rstrip(".,;:!?)]}'\"")
    word = word.rstrip("*_'")
    key = letters_of(word)
    if _PLACEHOLDER.fullmatch(word) or _CODE_LIKE.search(word) or len(key) < _SHORTEST or _made_up(key):
        return phrase
    mixed = text[start - 3 : start] in {"is ", "st ", "et ", "es "} and not (word.islower() or word.istitle())
    varied = mixed or not word.isalpha()
    if phrase and not any(map(str.isdigit, word)) and phrase.end > start + len(word):
        return phrase
    if varied or _closed(text, start, start + len(word)):
        return LabelledValue("password", start, start + len(word), (key,))
    return None


_SHORTEST = 4


def _phrase(text: str, start: int) -> LabelledValue | None:
    """A pass phrase: words that fill a line or a quotation."""
    match = _WORDS_OF_PHRASE.match(text, start)
    if match and _closed(text, start, match.end()) and len(match[0].split()) <= _MOST_WORDS:
        return LabelledValue("password", *match.span(), (letters_of(match[0]),))
    return None


_MOST_WORDS = 24


def _closed(text: str, start: int, end: int) -> bool:
    """Whether a value stands in quotation marks, or alone between a delimiter and the end of its line or cell."""
    before, after = text[start - 1 : start], text[end : end + 1]
    if before and before in "\"'`*" and before == after:
        return True
    line = re.compile(r"[.*`\"' \t]{0,3}(?:$|\r?\n|\||<)").match(text, end)
    return line is not None and re.search(r"[:=|\t>] {0,3}[\"'`*]{0,3}$", text[max(start - 8, 0) : start]) is not None


def _address(text: str, start: int, explicit: bool) -> LabelledValue | None:
    match = _ADDRESS.match(text, start)
    if match is None:
        return None
    quote = text[start - 1 : start]
    line = match[0].partition(quote)[0] if quote and quote in "'`*" else match[0]
    sentence = _SENTENCE.search(line)
    whole = (line[: sentence.start()] if sentence else line).rstrip(" ,.*`')]}\r")
    if (
        "@" in whole
        or "://" in whole
        or not _THREE_LETTERS.search(whole)
        or not any(map(str.isdigit, whole))
        or _DOTTED.match(whole)
    ):
        return None
    keys = [letters_of(whole), *(letters_of(part) for part in _street(whole))]
    usable = tuple(dict.fromkeys(key for key in keys if len(key) >= _STREET))
    return LabelledValue("address", start, start + len(whole), usable) if usable else None


_STREET = 8
_PARTS = re.compile(r",| - ")
_ONE_DIGIT = re.compile(r"[0-9]")
_THREE_LETTERS = re.compile(r"[^\W\d_]{3}")
_FOUR_LETTERS = re.compile(r"[^\W\d_]{4}")


def _street(address: str) -> Iterator[str]:
    """The parts of an address that name a house: letters and a number of it."""
    parts = [part.strip() for part in _PARTS.split(address)]
    for part in parts[:2]:
        if _ONE_DIGIT.search(part) and _FOUR_LETTERS.search(part):
            yield part


def _birth(text: str, start: int, explicit: bool) -> LabelledValue | None:
    for first, last, days in dates(text, start, min(start + 40, len(text))):
        if first <= start + 1:
            return LabelledValue("birth_date", first, last, (), days)
    return None


_READERS: Final[dict[str, Callable[[str, int, bool], LabelledValue | None]]] = {
    "number": _number,
    "phone": _phone,
    "code": _code,
    "password": _password,
    "address": _address,
    "birth_date": _birth,
    "lives": _address,
}


_CELL: Final = re.compile(r"[|,;\t]")
_MOST_LINES = 512


def _columns(text: str, found: list[SensitiveLabel], most: int) -> Iterator[LabelledValue]:
    """Values below a header of labels: a table of cells with the same separator on each line."""
    reached = 0
    for label in found:
        if label.start < reached or most <= 0:
            continue
        begin, end = text.rfind("\n", 0, label.start) + 1, text.find("\n", label.end)
        end = len(text) if end < 0 else end
        reached = end
        separator = _CELL.search(text, begin, end)
        if separator is None or end - begin > _LONGEST_LINE:
            continue
        names = [one.strip(" *`\"'") for one in text[begin:end].split(separator[0])]
        for value in _below(text, end + 1, separator[0], names, [one for one in found if begin <= one.start < end]):
            yield value
            most -= 1


_LONGEST_LINE = 2000


def _below(
    text: str, start: int, separator: str, names: list[str], found: list[SensitiveLabel]
) -> Iterator[LabelledValue]:
    labelled = {text[one.start : one.end].strip(" .").lower(): one.kind for one in found}
    kinds = {
        at: labelled[name.lower().rstrip(".")] for at, name in enumerate(names) if name.lower().rstrip(".") in labelled
    }
    for _ in range(_MOST_LINES if kinds else 0):
        end = text.find("\n", start)
        line = text[start : end if end >= 0 else len(text)]
        cells = line.split(separator)
        if len(cells) != len(names) or len(line) > _LONGEST_LINE:
            return
        for at, kind in kinds.items():
            cell = cells[at]
            place = start + sum(len(one) + 1 for one in cells[:at]) + len(cell) - len(cell.lstrip(" *`\"'"))
            value = _READERS[kind](text, place, True) if cell.strip(" -:") else None
            if value:
                yield value
        if end < 0:
            return
        start = end + 1
