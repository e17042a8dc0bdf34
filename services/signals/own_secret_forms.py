"""Forms of keys that a deployment names itself, in `secret_forms` of its monitor file.

They are found by RE2 alone (`OwnPatterns`), so whatever is written there stays linear in the text.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from services.signals.own_patterns import OwnPatterns, PatternRefused, check_pattern

DEFAULT_MIN_LENGTH: Final = 12

_ORDINARY: Final = """\
The quick brown fox jumps over the lazy dog, and nobody had expected anything else of it this afternoon.
Passwords, passports, passengers and passionate secretaries: ordinary words, although some begin like a secret.
tokenization tokenizer keyboard keynote keyword accessible accessories accountability authentication authorization
administration application internationalization representative responsibilities configuration understanding
secretariat monkey turkey hockey whiskey apikeys credentialing certification passwordless passionately productions
DONAUDAMPFSCHIFFFAHRTSGESELLSCHAFT Rechtsschutzversicherung Geschwindigkeit incomprehensibilities anticonstitucional
snake_case_names_of_functions camelCaseNamesOfMethods CONSTANTS_OF_A_PROGRAM kebab-case-names-of-files some.dotted.name
self.assertEqual(len(response.headers), 42); return Math.max(first, second) + getElementsByClassName('container')
https://www.example.org/articles/2024/05/17/how-to-write-a-letter?utm_source=newsletter&utm_medium=email#comments
/usr/local/lib/python3.12/site-packages/requests/__init__.py C:\\\\Users\\\\Public\\\\Documents\\\\report-final-v2.docx
3f2504e0-4f89-11d3-9a0c-0305e82c3301 550e8400-e29b-41d4-a716-446655440000 6BA7B810-9DAD-11D1-80B4-00C04FD430C8
d41d8cd98f00b204e9800998ecf8427e da39a3ee5e6b4b0d3255bfef95601890afd80709 9c1185a5c5e9fc54612808977ee8f548b2258d31
e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855 sha256:ba7816bf8f01cfea414140de5dae2223b00361a3
sha384-oqVuAfXRKap7fdgcCY5uykM6+R9GqQ8K/uxy9rx7HNQlGYl1kPzQho1wx4JwY8wC iVBORw0KGgoAAAANSUhEUgAAAAUAAAAFCAYAAACNbyblAAAA
VGhlIHF1aWNrIGJyb3duIGZveCBqdW1wcyBvdmVyIHRoZSBsYXp5IGRvZw== R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIB
2024-05-17T09:30:00.000Z 17.05.2024 09:30 1715938200 1715938200123 +49 30 901820 (617) 555-0134 4111 1111 1111 1111
1234567890 0987654321 100000000000 3.14159265358979323846 299,792,458 0xDEADBEEFCAFE 00:1A:2B:3C:4D:5E 192.168.100.200
2001:0db8:85a3:0000:0000:8a2e:0370:7334 DE89370400440532013000 ORD-2024-0017-4471 INV20240517001 ISBN 978-3-16-148410-0
SKU-AB12-CD34-EF56 1Z999AA10123456784 MSFT-AAPL-GOOG v1.2.3-beta.4+build.567 python-3.12.4-amd64.exe node_modules
#ff8800 rgba(255,128,0,0.5) margin-bottom: 12px; font-family: 'Helvetica Neue', Helvetica, Arial, sans-serif; !important
<div class="navbar navbar-expand-lg"><a href="#top">Back to top</a></div> {"name": "order", "items": [1, 2], "ok": 1}
SELECT customer_id, COUNT(*) FROM orders WHERE created_at > '2024-01-01' GROUP BY customer_id HAVING COUNT(*) > 10;
aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA 000000000000000000000000000000000000
------------------------------------ ==================================== ....................................
"""
"""What a form of key must not fit: words, names, addresses, numbers, hashes, ids, dates, code."""


@dataclass(frozen=True, slots=True)
class OwnForm:
    """A form of key of the monitor file.

    Attributes:
        name: what the mask is called; lower-case letters, digits, underscores.
        pattern: as RE2 reads it, ASCII, with regard to case.
        min_length: characters; a shorter match is none.
    """

    name: str
    pattern: str
    min_length: int = DEFAULT_MIN_LENGTH


def check_form(form: OwnForm) -> None:
    """Whether a form can be used.

    Raises:
        PatternRefused: if its pattern cannot, or fits ordinary text: words, numbers, hashes, ids.
    """
    check_pattern(form.pattern)
    shortest = min(
        (
            found
            for found in OwnPatterns({form.name: form.pattern}).find(_ORDINARY)
            if found.end - found.start >= form.min_length
        ),
        default=None,
        key=lambda one: one.end - one.start,
    )
    if shortest is not None:
        fits = _ORDINARY[shortest.start : shortest.end].strip()[:40]
        raise PatternRefused(
            f"too broad: it fits ordinary text such as {fits!r}; begin it with the letters that every such key "
            "begins with, or raise min_length"
        )


def version_of(forms: Sequence[OwnForm]) -> str:
    """8 hex digits that change with the forms; empty without any."""
    if not forms:
        return ""
    told = "\x1e".join("\x1f".join((one.name, one.pattern, str(one.min_length))) for one in forms)
    return hashlib.sha256(told.encode("utf-8", "surrogatepass")).hexdigest()[:8]
