"""Values that models and people spell in many ways, and the dates, orders, hosts and columns that are none."""

from __future__ import annotations

import pytest

from services.score.redaction import redact
from services.signals.personal_values import personal_values
from services.signals.pii_leak import PiiLeak
from tests.support.said import said

FOUND = {
    # text with the value in double angle brackets -> exactly that is masked
    "name with an apostrophe": "<<sam.o'neil@bluebrick-homes.ie>> answered",
    "card among Han": "\u5979\u7684\u5361\u53f7\u662f<<4539 1488 0343 6467>>\u3002",
    "phone among Han": "\u8bf7\u81f4\u7535<<415-627-3384>>\u8054\u7cfb\u5979",
    "mail among Hangul": "\uba54\uc77c\uc740<<hana.kim@naver.com>>\uc785\ub2c8\ub2e4",
    "mail among Han": "\u8bf7\u8054\u7cfb<<wei.zhang@qq.com>>\u8c22\u8c22",
    "mobile among Han": "\u624b\u673a\u53f7\u662f<<13862719904>>\u3002",
    "phone among kana": "\u96fb\u8a71\u756a\u53f7\u306f<<+81 90-4127-3386>>\u3067\u3059",
    "escaped mail": "Write to <<jana\\_roe@nordhaus-kontor.de>> please.",
    "escaped at and dots": "Mail: <<t\\.okafor\\@orange\\.fr>>.",
    "mail in italics": "_<<lars.holm@posteo.net>>_ is hers",
    "mail in bold": "**<<lars.holm@posteo.net>>**",
    "mail link": "[write](mailto:<<lars.holm@posteo.net>>)",
    "entity": "<<k.ito&#64;sakura-bank.jp>>",
    "percent": "mailto:<<ana.silva%40uol.com.br>>?subject=oi",
    "zero width": "<<sergey\u200b.antonov@mail\u2060.ru>>",
    "soft hyphen": "<<peter.lind\xadqvist@mail.com>>",
    "full-width mail": "<<\uff4d\uff41\uff52\uff49\uff41\uff20\uff47\uff4d\uff58\uff0e\uff44\uff45>>",
    "mail.de": "Er schreibt von <<k.neumann@mail.de>> aus.",
    "email.it": "Scrivi a <<g.ricci@email.it>>.",
    "me.com": "Her Apple address is <<paula.v@me.com>>.",
    "post.cz": "<<novak@post.cz>>",
    "john at home": "<<john@murphy-joinery.ie>> owns it",
    "me at home": "<<me@annalindholm.se>>",
    "163": "<<lin_wei@163.com>>",
    "mail near ssh": "For ssh access please ask <<maria.keller@gmx.de>>.",
    "mail and colon": "jana <<jana@keller.berlin>>: she knows",
    "non-breaking hyphen": "call Mr. Ortega at <<415\u2011627\u20113384>> after six",
    "en dash": "<<(415)\u2009627\u20133384>>",
    "figure dash": "Cell: <<415\u2012627\u20123384>>",
    "no-break spaces": "Reach her on <<415\xa0627\xa03384>>.",
    "full-width phone": "phone <<\uff14\uff11\uff15\uff0d\uff16\uff12\uff17\uff0d\uff13\uff13\uff18\uff14>>",
    "Arabic phone": "<<+\u0669\u0667\u0661 \u0665\u0660 \u0663\u0668\u0661 \u0667\u0660\u0669\u0662>>",
    "bold group": "<<415-**627**-3384>>",
    "escaped phone": "<<\\+49 171 638 4902>>",
    "extension": "Desk <<(617) 483-2291 x204>>",
    "German": "Sie erreichen ihn unter der Handynummer <<0171 6384902>>.",
    "French": "T\u00e9l. : <<06 71 38 49 02>>",
    "Spanish": "Su m\u00f3vil es <<612 384 902>>.",
    "Italian": "cellulare: <<347 638 4902>>",
    "Portuguese": "Telem\u00f3vel: <<912 384 907>>",
    "Dutch": "Mobiel: <<06-38490271>>",
    "JSON phone": '{"phone_number": "<<0171 638 4902>>"}',
    "Swedish": "Ring <<+46 70 638 49 02>>!",
    "E.164": "tel:<<+4917163849027>>",
    "SSN with spaces": "His SSN: <<536 22 8726>>.",
    "SSN bare": "Social Security Number <<536228726>>",
    "SSN en dashes": "SSN <<536\u201322\u20138726>>",
    "SSN dots": "social security no. is <<536.22.8726>>",
    "S.S.N.": "S.S.N. <<536-22-8726>>",
    "SSN full width": "SSN\uff1a<<\uff15\uff13\uff16\uff0d\uff12\uff12\uff0d\uff18\uff17\uff12\uff16>>",
    "card no-break": "card <<4539\xa01488\xa00343\xa06467>>",
    "card hyphens": "<<4539\u20111488\u20110343\u20116467>>",
    "card and CVV": "<<4539 1488 0343 6467>> 12/27",
    "card escaped": "<<4539\\-1488\\-0343\\-6467>>",
    "iban narrow": "IBAN <<DE75\u202f5121\u202f0800\u202f1245\u202f1261\u202f99>>",
    "iban and words": "pay to <<DE75 5121 0800 1245 1261 99>> for me",
    "iban lower": "<<de75512108001245126199>> is it",
    "iban zero width": "<<DE75\u200b51210800\u200b1245126199>>",
}
NONE = {
    "order among Han": "\u8ba2\u5355\u53f7415-627-3384\u5df2\u53d1\u8d27",
    # at signs
    "icon": "Use icon@2x.png, icon@3x.jpg and hero@1.5x.webp.",
    "ssh": "Run ssh deploy@build7.corp-net.io uptime",
    "ssh options": "ssh -p 2222 -i ~/.ssh/id ops.lead@jump.keller.io",
    "ssh prose": "SSH into anna@web03.keller.io and look.",
    "scp": "scp ./a.tar.gz jonas@files.keller.io:/srv/in",
    "rsync": "rsync -avz site/ lena@www.keller.io:public/",
    "sftp": "sftp mira@drop.keller.io",
    "git": "git clone git@gitlab.keller.io:shop/web.git",
    "git https": "https://paul:ghp_x@git.keller.io/shop/web.git",
    "dsn": "amqp://worker:pw@queue.keller.io:5672/jobs and mongodb+srv://app:pw@cluster0.keller.net/db",
    "sentry": "https://9f8e7d6c@o4507.ingest.sentry.io/12",
    "host and port": "connect to reader@db.keller.io:5432",
    "prompt": "[root@web01.keller.io ~]# ls",
    "npm": "npm i react@18.2.0 @types/node@20.1.0 vite@5.0.0-beta.next",
    "go": "go get github.com/x/y@v1.2.3-rc.alpha",
    "decorator": "@app.get('/x')\n@pytest.fixture\n@functools.lru_cache",
    "matrix": "y = x@self.weight + q@k.transpose(-2, -1)",
    "systemd": "systemctl start getty@tty1.service wg-quick@wg0.service",
    "ssl": "Host: mail@2x.css",
    "twitter": "Follow @nordhaus or @jane_roe.",
    # placeholders and offices
    "rfc": "x@example.com, y@sub.example.org, z@host.test, w@a.invalid",
    "stock": "user@domain.com, name@company.com, your.name@yourcompany.com, test@test.com, jane@email.com",
    "German stock": "max.mustermann@beispiel.de und vorname.nachname@firma.de an info@keller.de",
    "office": "ventas@muebles-keller.es, kontakt@keller.de, presse@museum.de, accueil@mairie.fr, no-reply@keller.io",
    # dates and times
    "iso": "We will call you on 2026-03-15 at 10:00.",
    "German date": "You can reach the desk again on 15.03.2026 um 9 Uhr.",
    "us date": "Contact us by 03/15/2026, or text after 3-15-2026.",
    "spaced date": "Call on 15 03 2026 or 2026 03 15.",
    "compact date": "Contact: 20260315",
    "no-break date": "call on 2026\u201103\u201115",
    "date and time": "reach out 2026-03-15 0930",
    "range": "phone sales 1995-2004 and call volume 2019/2020",
    "hours": "Phone hours: 0900-1730",
    "stamp": "call at 2026-03-15T10:15:22+01:00 2026",
    # numbers of things
    "order": "Your order number is 40718823.",
    "case": "Contact us about case 4471 0392 88 or ticket 415-627-3384.",
    "epoch": "call sleep_until(1784391600) and contact(1784391600123)",
    "invoice": "Please call about invoice no. 2026-0315-778.",
    "tracking": "We text you tracking 9400 1118 9956 2211 4433 22",
    "German order": "Rufen Sie an wegen Bestellnummer 40718823.",
    "sku": "SKU 415-627-3384, part no. 212-334-4567",
    "serial as ssn": "Sample 536-22-8726 and lot 219-33-4471 passed.",
    "columns": "chunk sizes of 256 512 1024 tokens, or 576 768 1200",
    "rows": "415 627 3384\n212 448 2291\n617 483 2291",
    "call id": "call id 4155273384 took 3 ms",
    "isbn": "ISBN 978-3-16-148410-0, EAN 4006381333931, ISSN 0317-8471",
    "versions": "version 10.15.7.1 build 415.627.33, call 10.20.30.40",
    "coordinates": "cell (48.8584, 2.2945) and 33.8688 151.2093",
    "maths": "call 4155 * 3384 = 14060520; 2^31 = 2147483648",
    "table of fours": "4512 8834 1200 3301\n4539 1488 0343 6467\n5101 2207 3344 1199",
    "uuid": "550e8400-e29b-41d4-a716-446655440000",
    "555": "Call 212-555-0142, (555) 010-0199 or 555-0123.",
    "test cards": "4111 1111 1111 1111, 4242-4242-4242-4242, 5555\xa05555\xa05555\xa04444",
    "test ssn": "123-45-6789, SSN 123456789, 078\u201105\u20111120",
    "no ssn": "SSN 000-12-3456, SSN 666 12 3456, SSN 912345678",
}


@pytest.mark.parametrize("text", FOUND.values(), ids=FOUND.keys())
def test_a_value_is_found_and_masked_exactly(text: str) -> None:
    before, _, rest = text.partition("<<")
    value, _, after = rest.partition(">>")
    whole = before + value + after
    for where, exchange in (("response", said(whole)), ("prompt", said("Thanks.", prompt=whole))):
        measured = PiiLeak().measure(exchange)
        masked = redact(whole, measured.spans, where)  # type: ignore[arg-type]
        assert masked in {f"{before}<{kind}>{after}" for kind in ("email", "phone", "card", "iban", "ssn")}
        assert measured.value is (where == "response")


@pytest.mark.parametrize("text", NONE.values(), ids=NONE.keys())
def test_what_only_looks_like_a_value_is_none(text: str) -> None:
    assert PiiLeak().measure(said(text)).value is False


def test_two_values_side_by_side_are_two() -> None:
    text = "jana@gmx.de,lars@posteo.net / 415-627-3384, 212-448-2291"
    assert [value.kind for value in personal_values(text)] == ["email", "email", "phone", "phone"]
