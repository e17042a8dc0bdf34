"""Made personal values in sentences: structured ones in many spellings, and labelled ones that an answer repeats.

Every value is drawn; none belongs to anybody but by chance. `HELD_OUT` labels and carriers were written before the
rules and never looked at while the rules were made.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from random import Random
from typing import Final, NamedTuple

from services.signals.personal_values import iban_valid, luhn

Draw = Callable[[Random], str]


class Planted(NamedTuple):
    """A text with one personal value in it."""

    kind: str
    before: str
    value: str
    after: str

    @property
    def text(self) -> str:
        """The whole text."""
        return self.before + self.value + self.after


def digits(random: Random, count: int) -> str:
    """Digits that no rule takes for made up (no 555, no sequence, no few kinds)."""
    while True:
        drawn = "".join(random.choices("0123456789", k=count))
        if "555" not in drawn and "12345" not in drawn and "98765" not in drawn and len(set(drawn)) >= min(4, count):
            return drawn


def _us(random: Random) -> tuple[str, str, str]:
    return (
        random.choice(("212", "415", "617", "703", "312", "919", "206", "504")),
        str(random.randint(2, 9)) + digits(random, 2).replace("5", "6"),
        digits(random, 4),
    )


def _card(random: Random) -> str:
    while True:
        prefix, size = random.choice((("4", 16), ("52", 16), ("37", 15), ("6011", 16), ("36", 14), ("2305", 16)))
        body = prefix + digits(random, size - 1 - len(prefix))
        drawn = next(body + last for last in "0123456789" if luhn(body + last))
        if "00000000" not in drawn:
            return drawn


def _iban(random: Random) -> str:
    country, size = random.choice((("DE", 18), ("AT", 16), ("ES", 20), ("CH", 17), ("BE", 12), ("PL", 24)))
    account = digits(random, size)
    return next(value for n in range(2, 99) if iban_valid(value := f"{country}{n:02d}{account}"))


def _groups(value: str, size: int, separator: str) -> str:
    return separator.join(value[at : at + size] for at in range(0, len(value), size))


def _ssn(random: Random) -> tuple[str, str, str]:
    area = random.choice([one for one in range(100, 899) if one != 666])
    return f"{area:03d}", f"{random.randint(1, 99):02d}", f"{random.randint(1000, 9998):04d}"


_FIRST = ("maria", "sergey", "lars", "t.okafor", "jana_roe", "k.ito", "me", "john", "aoife.byrne", "n-petrov", "zoe84")
_DOMAINS = (
    *("gmx.de", "mail.ru", "email.cz", "mail.com", "posteo.net", "orange.fr", "lindqvist-bau.de", "nordhaus-kontor.de"),
    *("proton.me", "libero.it", "uol.com.br", "ziggo.nl", "yahoo.co.uk", "web.de", "seznam.cz", "keller.berlin"),
)


def _email(random: Random) -> str:
    return f"{random.choice(_FIRST)}@{random.choice(_DOMAINS)}"


def _world(random: Random) -> str:
    shape = random.choice(
        (
            "+49 171 ### ####",
            "+44 20 7### ####",
            "+33 6 ## ## ## ##",
            "+39 347 ### ####",
            "+34 6## ### ###",
            "+31 6 ## ## ## ##",
            "+351 91# ### ###",
            "+48 6## ### ###",
            "+91 98### #####",
            "+81 90-####-####",
            "+55 11 9####-####",
            "+1 (415) 6##-####",
            "+41 79 ### ## ##",
            "0049 171 ### ####",
            "+86 138 #### ####",
        )
    )
    drawn = iter(digits(random, shape.count("#")))
    return "".join(next(drawn) if one == "#" else one for one in shape)


def _national(random: Random) -> str:
    shape = random.choice(("0171 ### ####", "020 7### ####", "06 ## ## ## ##", "0699 ### ## ##", "07### ######"))
    drawn = iter(digits(random, shape.count("#")))
    return "".join(next(drawn) if one == "#" else one for one in shape)


STRUCTURED: Final[Mapping[str, tuple[str, Draw, tuple[str, ...]]]] = {
    "email": (
        "email",
        _email,
        (
            "Write to {} about it.",
            "Her address ({}) is on file.",
            "E-Mail: {}",
            "| Jana | {} |",
            "mailto:{}?subject=x",
            '{{"contact": "{}"}}',
            "Contact:{}",
            "Sie erreichen ihn unter {}.",
            "<{}>",
            "jana,{},Leeds",
        ),
    ),
    "phone, US": (
        "phone",
        lambda random: "{}-{}-{}".format(*_us(random)),
        ("You can reach her at {}.", "Her number: {}", "| Jana | {} |", "Mr. Ortega is at {} after six.", "{}"),
    ),
    "phone, US in brackets": (
        "phone",
        lambda random: "({}) {}-{}".format(*_us(random)),
        ("You can reach her at {}.", "Cell {}", "jana, {}, Leeds", "Call {} now"),
    ),
    "phone, US with spaces": (
        "phone",
        lambda random: "{} {} {}".format(*_us(random)),
        ("Call {}.", "Her phone is {}", "Tel. {}", "mobile: {}"),
    ),
    "phone, world": (
        "phone",
        _world,
        ("Her number: {}", "Call {} after six.", "| Jana | {} |", "Rufen Sie {} an.", "tel: {}", "Il mio numero: {}"),
    ),
    "phone, national": (
        "phone",
        _national,
        (
            "His phone is {}.",
            "Call {} after six.",
            "Telefon: {}",
            "Mobil {}",
            "T\u00e9l. : {}",
            "Tel\u00e9fono: {}",
            "Telefono {}",
            "Handynummer: {}",
            "WhatsApp {}",
            "Telefoonnummer: {}",
            "Telem\u00f3vel: {}",
        ),
    ),
    "card": ("card", _card, ("The card on file is {}.", "Card: {}", "| Visa | {} |", "Kreditkarte {} wurde belastet.")),
    "card in groups": (
        "card",
        lambda random: _groups(_card(random), 4, " "),
        ("The card on file is {}.", "Card {} was charged.", "{}", "carte bancaire : {}"),
    ),
    "iban": ("iban", _iban, ("Please pay to {}.", "IBAN: {}", "| Jana | {} |", "Ihre IBAN lautet {}.")),
    "iban in groups": (
        "iban",
        lambda random: _groups(_iban(random), 4, " "),
        ("Pay to {}.", "Her IBAN is {}, she says", "IBAN {}"),
    ),
    "ssn": (
        "ssn",
        lambda random: "-".join(_ssn(random)),
        ("Her SSN is {}.", "| Jana | {} |", "social security number: {}", "{} is on file"),
    ),
    "ssn with spaces": (
        "ssn",
        lambda random: " ".join(_ssn(random)),
        ("His SSN: {}.", "Social Security number is {}", "SSN {} for Jana", "social security no. {}"),
    ),
    "ssn, bare": (
        "ssn",
        lambda random: "".join(_ssn(random)),
        ("His SSN: {}.", "Social Security number is {}", "ssn={}", "S.S.N. {}"),
    ),
}
"""Name -> (label of the mask, draw, sentences)."""

_WIDE: Final = {code: code - 0x21 + 0xFF01 for code in range(0x21, 0x7F)}
_ARABIC: Final = {ord("0") + digit: 0x0660 + digit for digit in range(10)}
_DEVANAGARI: Final = {ord("0") + digit: 0x0966 + digit for digit in range(10)}

TYPOGRAPHY: Final[Mapping[str, Callable[[str], str]]] = {
    "plain": lambda value: value,
    "non-breaking hyphen": lambda value: value.replace("-", "\u2011"),
    "en dash": lambda value: value.replace("-", "\u2013"),
    "no-break space": lambda value: value.replace(" ", "\xa0"),
    "narrow no-break space": lambda value: value.replace(" ", "\u202f"),
    "figure space": lambda value: value.replace(" ", "\u2007"),
    "full width": lambda value: value.translate({**_WIDE, ord(" "): 0x3000}),
    "Arabic digits": lambda value: value.translate(_ARABIC),
    "Devanagari digits": lambda value: value.translate(_DEVANAGARI),
    "zero width": lambda value: value[:4] + "\u200b" + value[4:-3] + "\u2060" + value[-3:],
    "soft hyphen": lambda value: value[:5] + "\xad" + value[5:],
    "Markdown": lambda value: "".join("\\" + one if one in "-_.()@+" else one for one in value),
}


def planted(random: Random, name: str, typography: str) -> Planted:
    """A sentence with one structured value."""
    label, draw, sentences = STRUCTURED[name]
    before, _, after = random.choice(sentences).replace("{{", "{").replace("}}", "}").partition("{}")
    return Planted(label, before, TYPOGRAPHY[typography](draw(random)), after)


class Label(NamedTuple):
    """A sensitive label, what its values look like and what their mask is called."""

    text: str
    kind: str
    draw: Draw


def _shape(*shapes: str) -> Draw:
    def drawn(random: Random) -> str:
        letters = {"A": "ABCDEFGHJKLMNPRSTUVWXYZ", "a": "abcdefghjkmnprstuvwxyz"}
        shape = random.choice(shapes)
        numbers = iter(digits(random, max(shape.count("#"), 1)))
        return "".join(
            next(numbers) if one == "#" else random.choice(letters[one]) if one in letters else one for one in shape
        )

    return drawn


_ACCOUNT = _shape("########", "##-####-####", "#### #### ##", "KD-######", "AA########")
_IDENTITY = _shape("A########", "AA#######", "#########", "A## ### ###", "##-#######")
_CODE = _shape("####", "######", "##-##-##", "A##A#", "#### #")
_SECRET = _shape("aaaaa-##-AAAa", "Aaaaaa#!#aa", "aa#Aaa##aaA", "Aaaaa.Aaaaa.##", "aaaa#aaaa_aaa", "AaAa$##aaAa")
_STREETS = ("Maple Lane", "Rue des Lilas", "Via Garibaldi", "Calle Mayor", "Rua Augusta", "Keizersgracht", "Elm Street")
_TOWNS = ("Leeds LS2 7HY", "69003 Lyon", "20121 Milano", "28013 Madrid", "1015 CJ Amsterdam", "Boise, ID 83702")


def _address(random: Random) -> str:
    return f"{random.randint(2, 390)} {random.choice(_STREETS)}, {random.choice(_TOWNS)}"


def _birth(random: Random) -> str:
    year, month, day = random.randint(1940, 2005), random.randint(1, 12), random.randint(13, 28)
    names = ("January", "February", "March", "April", "May", "June", "July", "August", "September", "October")
    named = (*names, "November", "December")[month - 1]
    return random.choice(
        (
            f"{year}-{month:02d}-{day}",
            f"{day}.{month:02d}.{year}",
            f"{month}/{day}/{year}",
            f"{day} {named} {year}",
            f"{named} {day}, {year}",
        )
    )


def _all(kind: str, draw: Draw, *texts: str) -> tuple[Label, ...]:
    return tuple(Label(text, kind, draw) for text in texts)


TUNED: Final = (
    *_all("number", _ACCOUNT, "account number", "customer ID", "membership no.", "policy number", "bank account"),
    *_all("number", _IDENTITY, "passport number", "driving licence number", "national insurance number", "tax ID"),
    *_all("number", _ACCOUNT, "Kontonummer", "Kundennummer", "num\u00e9ro de compte", "n\u00famero de cliente"),
    *_all("number", _IDENTITY, "Ausweisnummer", "Reisepass", "num\u00e9ro de passeport", "pasaporte"),
    *_all("code", _CODE, "PIN", "access code", "door code", "one-time code", "security code", "T\u00fcrcode"),
    *_all("code", _CODE, "code d'acc\u00e8s", "c\u00f3digo de acceso"),
    *_all("password", _SECRET, "password", "passphrase", "Passwort", "mot de passe", "contrase\u00f1a"),
    *_all("address", _address, "home address", "postal address", "Anschrift", "adresse postale"),
    *_all("birth_date", _birth, "date of birth", "DOB", "Geburtsdatum", "date de naissance"),
)
HELD_OUT: Final = (
    *_all("number", _ACCOUNT, "client number", "acct no.", "patient number", "medical record number", "loyalty number"),
    *_all("number", _IDENTITY, "identity card", "document number", "driver's license", "residence permit no."),
    *_all("number", _IDENTITY, "NHS number", "student ID", "employee number", "social insurance number"),
    *_all("number", _ACCOUNT, "numero di conto", "codice cliente", "n\u00famero da conta", "rekeningnummer"),
    *_all("number", _ACCOUNT, "klantnummer", "n\u00famero de p\u00f3liza", "numero di polizza", "Versicherungsnummer"),
    *_all(
        "number", _IDENTITY, "carta d'identit\u00e0", "passaporto", "passaporte", "paspoortnummer", "rijbewijsnummer"
    ),
    *_all("number", _IDENTITY, "permis de conduire", "codice fiscale", "Steuer-ID", "F\u00fchrerscheinnummer"),
    *_all("code", _CODE, "gate code", "alarm code", "verification code", "entry code", "safe combination", "passcode"),
    *_all("code", _CODE, "codice di sicurezza", "toegangscode", "c\u00f3digo de seguran\u00e7a", "Zugangscode", "OTP"),
    *_all("password", _SECRET, "login password", "Wi-Fi password", "Kennwort", "wachtwoord", "senha", "parola chiave"),
    *_all("address", _address, "residential address", "indirizzo", "direcci\u00f3n", "endere\u00e7o", "woonadres"),
    *_all("birth_date", _birth, "birth date", "data di nascita", "fecha de nacimiento", "geboortedatum", "birthday"),
)

TUNED_CARRIERS: Final = (
    "{}: {}",
    "The customer's {} is {}.",
    "{}={}",
    '{{"{}": "{}"}}',
    "| {} | {} |",
    "- **{}**: {}",
)
HELD_OUT_CARRIERS: Final = (
    "{} - {}",
    "{}\t{}",
    "<td>{}</td><td>{}</td>",
    "Please note that the {} will be `{}` from now on.",
    "{} => '{}',",
    "Customer record\n{}:\n{}\n",
    "* {} \u2013 {}",
)


def _snake(label: str) -> str:
    return label.lower().replace(" ", "_").replace(".", "")


def _camel(label: str) -> str:
    first, *others = label.replace("-", " ").replace(".", "").split()
    return first.lower() + "".join(one.capitalize() for one in others)


TUNED_LABELS: Final[tuple[Callable[[str], str], ...]] = (
    str,
    str.upper,
    _snake,
    lambda label: " ".join(label.replace(" ", "")),
)
HELD_OUT_LABELS: Final[tuple[Callable[[str], str], ...]] = (
    _camel,
    lambda label: label.replace(" ", "-"),
    lambda label: ".".join(label.replace(" ", "").replace(".", "")) + ".",
    lambda label: label.replace(" ", "."),
    lambda label: "-".join(label.replace(" ", "").replace("-", "").replace(".", "")),
    lambda label: label.title(),
)

ANSWERS: Final = (
    "Sure, it is {}.",
    "According to my notes: {}",
    "Of course! Here you go:\n\n**{}**\n\nAnything else?",
    "I have {} on file for you.",
    'The record says "{}".',
)


def respelled(random: Random, label: Label, value: str) -> str:
    """The value as an answer may write it: as it is, or with other separators, case or width."""
    if label.kind in {"address", "birth_date"}:
        return random.choice((value, value.upper() if label.kind == "address" else value))
    if label.kind == "password":
        return random.choice((value, value, value.replace("-", "\u2011"), value.translate(_WIDE)))
    return random.choice(
        (
            value,
            value.replace(" ", "").replace("-", ""),
            value.replace(" ", "-"),
            value.replace("-", "\u2011"),
            value.translate({**_WIDE, ord(" "): 12288}),
            value.lower(),
            value.replace("-", " "),
        )
    )
