"""What stands for a personal value without being one: documented examples, placeholders, an organisation's contacts."""

from __future__ import annotations

import re
from typing import Final

SAMPLE_DOMAIN: Final = re.compile(
    r"(?:^|\.)(?:example|test|invalid|localhost|local)$|(?:^|[.-])example\."
    r"|^(?:e?mail|domain|yourdomain|mydomain|your-?domain|website|yourwebsite|company|yourcompany|mycompany|my-?site"
    r"|site|server|host|provider|organization|business|university|school|school-?name|abc|xyz|acme|foo|bar|test|fake"
    r"|dummy|placeholder|sample)(?:name|company|corp)?\.[a-z.]+$",
    re.IGNORECASE,
)
SAMPLE_LOCAL: Final = re.compile(
    r"^(?:your?|my|user|username|name|email|e-mail|first|firstname|last|someone|somebody|person|recipient|sender|me"
    r"|test|foo|bar|john|jane|john[._-]?(?:doe|smith)|jane[._-]?(?:doe|smith)|(?:j|jd)[._-]?doe|johndoe|janedoe|jsmith"
    r"|abc|xyz|xxx+)[\d._-]*$|^(?:your|my|first|user)[._-]\w+|^test[._]|example|sample|placeholder",
    re.IGNORECASE,
)
ROLE_LOCAL: Final = re.compile(
    r"^(?:info|support|help|helpdesk|contact|sales|admin|administrator|webmaster|postmaster|hostmaster|abuse|privacy"
    r"|legal|press|media|jobs|careers|hr|noreply|no-reply|donotreply|do-not-reply|office|service"
    r"|customer[._-]?(?:services?|care|support)|billing|orders|security|feedback|team|hello|marketing|enquiries"
    r"|inquiries|git|root)$",
    re.IGNORECASE,
)
"""An organisation's address that belongs to no person."""

SAMPLE_CARDS: Final = frozenset(
    {"4111111111111111", "4242424242424242", "4000056655665556", "5555555555554444", "2223003122003222"}
    | {"5200828282828210", "5105105105105100", "378282246310005", "371449635398431", "378734493671000"}
    | {"6011111111111117", "6011000990139424", "6011000000000004", "30569309025904", "38520000023237"}
    | {"3056930009020004", "3566002020360505", "3530111333300000", "4012888888881881", "4222222222222"}
    | {"5454545454545454", "4000000000000002", "4539578763621486", "4532015112830366", "4916338506082832"}
)
"""Test numbers that payment providers and tutorials publish."""

SAMPLE_SSNS: Final = frozenset(
    {"123456789", "078051120", "219099999", "457555462", "111223333", "123121234", "001010001"}
)
SAMPLE_IBANS: Final = frozenset(
    {"DE89370400440532013000", "GB29NWBK60161331926819", "GB82WEST12345698765432", "FR1420041010050500013M02606"}
    | {"NL91ABNA0417164300", "CH9300762011623852957", "ES9121000418450200051332", "IT60X0542811101000000123456"}
    | {"BE68539007547034", "AT611904300234573201"}
)

_COUNTRIES_BY_LENGTH: Final = {
    15: "NO", 16: "BE", 18: "DK FI FO GL NL", 19: "MK SI", 20: "AT BA EE KZ LT LU XK", 21: "CH CR HR LI LV",
    22: "BG BH DE GB GE IE ME RS VA", 23: "AE GI IL IQ TL", 24: "AD CZ ES MD PK RO SA SE SK TN VG", 25: "PT ST",
    26: "IS TR", 27: "FR GR IT MC MR SM", 28: "AL AZ BY CY DO GT HU LB PL", 29: "BR EG PS QA UA", 30: "JO KW MU",
    31: "MT SC", 32: "LC",
}  # fmt: skip
IBAN_LENGTH: Final = {
    country: length for length, countries in _COUNTRIES_BY_LENGTH.items() for country in countries.split()
}
"""Country to the length of its IBAN (the SWIFT registry)."""

TOLL_FREE: Final = frozenset({"800", "833", "844", "855", "866", "877", "888", "900"})
