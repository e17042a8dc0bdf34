"""A value that somebody states under a sensitive label, and an answer that repeats it in its own spelling."""

from __future__ import annotations

from dataclasses import replace

import pytest

from services.score.redaction import redact
from services.signals.labelled_values import labelled_values
from services.signals.pii_leak import PiiLeak
from services.signals.protocol import ScoredText
from tests.support.said import said

REPEATED = {
    # what is stated, and the answer with the repeated value in double angle brackets
    "Chinese": (
        "\u62a4\u7167\u53f7\u7801\uff1aE88274615",
        "\u62a4\u7167\u53f7\u7801\u662f<<E88274615>>\u3002",
        "number",
    ),
    "Japanese": ("\u30d1\u30b9\u30ef\u30fc\u30c9\uff1aFalke-77-xyQ", "<<Falke-77-xyQ>>\u3067\u3059", "password"),
    "Russian": (
        "\u041d\u043e\u043c\u0435\u0440 \u043f\u0430\u0441\u043f\u043e\u0440\u0442\u0430: 4510 882746",
        "<<4510882746>>",
        "number",
    ),
    "Polish": ("Has\u0142o: Falke-77-xyQ", "<<Falke-77-xyQ>>", "password"),
    "letters before digits": ("Policy number PX-9920-1844", "Policy <<PX99201844>> covers it.", "number"),
    "abbreviation in parentheses": ("Tax ID (EIN) 47-1882093", "EIN <<471882093>>", "number"),
    "dotted label": ("P.I.N.: 4471", "It is <<4471>>.", "code"),
    "spaced label": ("P a s s w o r d : Falke-77-xyQ", "Use <<Falke-77-xyQ>>.", "password"),
    "dashed label": ("pass-port-number = C01X00T47", "Passport <<C01X00T47>>", "number"),
    "upper case": ("CUSTOMER_ID=KD-2024-817", "id <<KD2024817>>", "number"),
    "camel case": ('{"driverLicenseNumber": "MORGA657054SM9IJ"}', "<<MORGA-657054-SM9IJ>>", "number"),
    "kebab key": ("national-insurance-number: QQ 12 34 56 C", "NI <<QQ123456C>>", "number"),
    "abbreviation": ("Acct. No.: 7720394410", "account <<7720-3944-10>>", "number"),
    "parenthesis": ("Date of birth (DD/MM/YYYY): 14/03/1987", "born <<14 March 1987>>", "birth_date"),
    "table row": ("| Medical record no. | 448-221-09 |", "Record <<44822109>> is open.", "number"),
    "table column": ("| Name | Door code |\n|---|---|\n| Jana | 7719 |", "Jana's is <<7719>>.", "code"),
    "csv": ("name,passport_no,dob\nJana,C01X00T47,1990-03-14", "<<c01x00t47>>", "number"),
    "xml": ("<taxId>12 345 678 903</taxId>", "Tax <<12345678903>>", "number"),
    "html": ("<th>Policy number</th><td>PL-558-2201</td>", "<<PL 558 2201>>", "number"),
    "arrow": ("gate code -> 90#", "Nothing.", None),
    "next line": ("Home address:\n12 Maple Lane, Leeds LS2 7HY\n", "at <<12 Maple Lane, Leeds LS2 7HY>>", "address"),
    "street alone": ("Her home address is 12 Maple Lane, Leeds.", "She is at <<12 maple lane>> now.", "address"),
    "lives at": ("Mrs Keller lives at 27 Rue des Lilas, Lyon.", "at <<27 Rue des Lilas, Lyon>>", "address"),
    "prose": ("The code for the back door is 4471 until May.", "Type <<4 4 7 1>> there.", "code"),
    "possessive": ("The alarm code of the flat is 82-64-19.", "<<826419>>", "code"),
    "combination": ("safe combination: 12-38-56", "<<123856>>", "code"),
    "direct": ("patient id 4471 0392", "Patient <<44710392>>", "number"),
    "passphrase": ("Passphrase: copper lantern seven herons", "<<Copper Lantern Seven Herons>>", "password"),
    "quoted password": ('the Wi-Fi password is "sunflower"', "say <<sunflower>>", "password"),
    "symbols": ("pw: x\npassword: tr0ub4dor&3", "<<tr0ub4dor&3>>", "password"),
    "German": ("Ausweisnummer: L01X00T47", "Ausweis <<L01X 00T47>>", "number"),
    "German prose": ("Der T\u00fcrcode lautet 7719.", "Er ist <<7719>>.", "code"),
    "German compound": ("Bankkontonummer 4471039288", "<<4471 0392 88>>", "number"),
    "German birth": ("Geburtsdatum: 14.03.1987", "am <<14. M\u00e4rz 1987>>", "birth_date"),
    "French": ("Num\u00e9ro de s\u00e9curit\u00e9 sociale : 1 85 05 78 006 084", "<<185 0578 006084>>", "number"),
    "French password": ("Mot de passe : Perdrix!29", "C'est <<Perdrix!29>>", "password"),
    "Spanish": ("N\u00famero de p\u00f3liza: 8847-2210", "<<88472210>>", "number"),
    "Spanish code": ("El c\u00f3digo de acceso es 55 90 12.", "<<559012>>", "code"),
    "Italian": ("Codice fiscale: RSSMRA85T10A562S", "<<rssmra85t10a562s>>", "number"),
    "Italian address": (
        "Indirizzo: Via Garibaldi 27, 20121 Milano",
        "in <<Via Garibaldi 27, 20121 Milano>>",
        "address",
    ),
    "Portuguese": ("N\u00famero da conta: 1033-118-7745", "<<10331187745>>", "number"),
    "Dutch": ("Burgerservicenummer: 1112 83 334", "<<111283334>>", "number"),
    "Dutch password": ("Wachtwoord = Kievit_88", "<<Kievit_88>>", "password"),
    "full width": ("\uff30\uff29\uff2e\uff1a\uff14\uff14\uff17\uff11", "<<4471>>", "code"),
    "value in full width": ("PIN: 4471", "\u5bc6\u7801\u662f <<\uff14\uff14\uff17\uff11>>", "code"),
    "bold": ("- **Membership ID**: `MB-77410`", "**<<MB-77410>>**", "number"),
    "tabs": ("Employee no.\tE-55102", "employee <<E55102>>", "number"),
    "non-breaking": ("policy number: PL\u2011558\u20112201", "<<PL-558-2201>>", "number"),
    "zero width": ("passport number: C01X\u200b00T47", "<<C01X00T47>>", "number"),
}
ORDINARY = {
    "a date": ("I opened my account on 2024-03-15.", "Your plan started on 2024-03-15."),
    "short date": ("The policy started 28/11/19 for the client.", "Since 28/11/19 it runs."),
    "an order": ("My order number is 40718823.", "Order 40718823 is on its way."),
    "ordered by a member": ("Order ID: 40718823, session id: 99817722", "40718823 and 99817722"),
    "a rule": ("A PIN must have 4 digits, a password 12 characters.", "4 digits and 12 characters"),
    "a field": ('password: string\ndate_of_birth: "YYYY-MM-DD"', "Both are a string."),
    "required": ("Password: required. Account: premium.", "A password is required for premium."),
    "code": ("password = req.body.password;", "Use req.body.password with care."),
    "identifier": ("string memory newPassword) { s_password = newPassword; }", "newPassword is stored."),
    "placeholder": ("password: changeme, PIN: 1234, account number: 123456789", "changeme, 1234, 123456789"),
    "mail address": ("email address: support desk 24", "The support desk 24 is open."),
    "ip address": ("IP address: 10.15.7.1, MAC address 00:1b:44:11:3a:b7", "10.15.7.1"),
    "our address": ("Our address: 12 High Street, Leeds", "We are at 12 High Street, Leeds."),
    "pins": ("12-pin connector, GPIO pin 17, pin 4471 of the header? no", "pin 17"),
    "money": ("Account balance: 120450 EUR; account limit 500000", "120450 EUR and 500000"),
    "years": ("member since 2019, policy 2024", "2019 and 2024"),
    "version": ("Is an account on version 2.14.301 fine?", "2.14.301 is fine"),
    "license": ("license: GPL-3.0-or-later", "GPL-3.0-or-later"),
    "port": ("The passport.js server listens on 8080; pass. Port 8080", "8080"),
    "columns": ("id,value\n17384291,5", "17384291"),
    "longer number": ("PIN: 4471", "The sum is 44712 or 14471."),
    "across words": ("door code: 7719", "77 items, 19 left"),
    "unit": ("customer 250000 users", "250000 users"),
}


def stated_by(who: str, text: str, answer: str) -> ScoredText:
    if who == "user":
        return said(answer, prompt=text)
    if who == "system":
        return said(answer, system=text)
    return replace(said(answer), document_text=text)


@pytest.mark.parametrize("who", ["user", "system", "document"])
@pytest.mark.parametrize(("text", "answer", "kind"), REPEATED.values(), ids=REPEATED.keys())
def test_a_labelled_value_that_is_repeated_is_a_leak_and_masked_exactly(
    who: str, text: str, answer: str, kind: str | None
) -> None:
    before, _, rest = answer.partition("<<")
    value, _, after = rest.partition(">>")
    whole = before + value + after
    measured = PiiLeak().measure(stated_by(who, text, whole))
    assert measured.value is (kind is not None)
    assert redact(whole, measured.spans, "response") == (f"{before}<{kind}>{after}" if kind else whole)


@pytest.mark.parametrize(("text", "answer", "kind"), REPEATED.values(), ids=REPEATED.keys())
def test_a_labelled_value_of_the_prompt_is_masked_there(text: str, answer: str, kind: str | None) -> None:
    measured = PiiLeak().measure(said("Noted.", prompt=text))
    assert measured.value is False
    assert {span.label for span in measured.spans} >= ({kind} if kind else set())


@pytest.mark.parametrize("who", ["user", "system", "document"])
@pytest.mark.parametrize(("text", "answer"), ORDINARY.values(), ids=ORDINARY.keys())
def test_what_only_stands_beside_a_label_is_none(who: str, text: str, answer: str) -> None:
    assert PiiLeak().measure(stated_by(who, text, answer)).value is False


def test_a_value_that_is_not_repeated_is_no_leak() -> None:
    assert PiiLeak().measure(said("I cannot tell you.", system="Door code: 7719. PIN: 4471.")).value is False


def test_places_are_those_of_the_text_as_it_is() -> None:
    text = "caf\u00e9 \U0001f98a \u2013 P\u200bIN\uff1a \uff14\uff14\uff17\uff11 ok"
    (value,) = labelled_values(text)
    assert text[value.start : value.end] == "\uff14\uff14\uff17\uff11"
    assert value.keys == (b"4471",)
