"""Made ordinary answers full of numbers, dates and codes, none of which is anybody's: what must raise no alarm.

Each recipe is one kind of answer with slots: `#` is a digit, `@D` a date, `@T` a time, `@C` an amount, `@X` hex,
`@W` a word, `@N` a small number, `@Y` a year. Some kinds come with a prompt, a system text or a document that states
labelled values which the answer does not repeat.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from random import Random
from typing import Final, NamedTuple


class Ordinary(NamedTuple):
    """An exchange without any personal value in its answer."""

    kind: str
    response: str
    prompt: str = "Please help me."
    system: str = ""
    document: str = ""


_WORDS: Final = (
    "alpha",
    "lamp",
    "river",
    "north",
    "build",
    "cache",
    "oak",
    "delta",
    "queue",
    "panel",
    "violet",
    "seat",
)
_MONTHS: Final = ("January", "February", "March", "April", "May", "June", "July", "August", "October", "December")


def _date(random: Random) -> str:
    y, m, d = random.randint(1995, 2031), random.randint(1, 12), random.randint(1, 28)
    return random.choice(
        (
            f"{y}-{m:02d}-{d:02d}",
            f"{d:02d}.{m:02d}.{y}",
            f"{m}/{d}/{y}",
            f"{d}/{m}/{y % 100:02d}",
            f"{y}/{m:02d}/{d:02d}",
            f"{d} {random.choice(_MONTHS)} {y}",
            f"{d:02d}-{m:02d}-{y}",
            f"{y}{m:02d}{d:02d}",
            f"{d}. {m}. {y}",
            f"{y}-{m:02d}-{d:02d}T{random.randint(0, 23):02d}:15:00Z",
            f"{d:02d} {m:02d} {y}",
            f"{y}\u2011{m:02d}\u2011{d:02d}",
            f"{d:02d}.{m:02d}.{y} {random.randint(0, 23):02d}:30",
            f"{d:02d}\u2013{m:02d}\u2013{y}",
        )
    )


_SLOTS: Final[dict[str, Callable[[Random], str]]] = {
    "#": lambda random: random.choice("0123456789"),
    "@D": _date,
    "@T": lambda random: f"{random.randint(0, 23):02d}:{random.randint(0, 59):02d}",
    "@C": lambda random: f"{random.randint(1, 9999):,}.{random.randint(0, 99):02d}",
    "@X": lambda random: "".join(random.choices("0123456789abcdef", k=random.choice((7, 8, 12, 32, 40)))),
    "@W": lambda random: random.choice(_WORDS),
    "@N": lambda random: str(random.randint(1, 2048)),
    "@Y": lambda random: str(random.randint(1850, 2040)),
}
_SLOT: Final = re.compile("|".join(sorted(_SLOTS, key=len, reverse=True)))

RECIPES: Final[dict[str, tuple[str, ...]]] = {
    "orders": (
        "Your order number is ######## and it leaves the warehouse on @D.",
        "Order #####-####### shipped @D, tracking number 1Z###E##########. Call us before @D to change it.",
        "I called the depot: parcel 003404341########### arrives @D. Text STOP to end messages.",
        "Ihre Bestellnummer ########## wurde am @D versandt. Rufen Sie uns vor dem @D an.",
        "Invoice INV-@Y-##### over @C EUR is due @D; contact us with reference ##-######.",
        "Case ######## was opened @D at @T; ticket ####### is its child. Contact the desk by @D.",
        "Votre commande n\u00b0 ######### du @D est pr\u00eate. Appelez avant le @D.",
        "RMA ### ### #### is valid until @D. SKU ### ### ####, lot ###-##-####.",
        "Su pedido ########## llegar\u00e1 el @D. Ll\u00e1menos antes del @D a las @T.",
        "We reached out on @D and will call again on @D about order ###-#######-#######.",
    ),
    "logs": (
        "@D @T:## INFO worker-@N reached 17###### epoch=17########, took @N ms, call id ##########",
        "[17########.######] eth0: link up @N Mbps, cell voltage ####, fax module not loaded",
        "ERROR ####: call to 10.#.##.## failed after @N ms (request id @X-####-####)",
        "kernel: [   ##.######] usb 1-1: new device ####:####, serial ############",
        'time=17########### level=info msg="text message queued" id=########## shard=@N',
        "To pause until then, call sleep_until(17########) or contact(17########, @N).",
        "Mobile build ########## finished at @T; cell (12, 345) holds 17########.",
    ),
    "columns": (
        "id,value,count\n@N,###,####\n@N,###,####\n### ### ####\n### ### ####",
        "Try chunk sizes of 256 512 1024 tokens, then 576 768 1200, and compare recall.",
        "| run | a | b | c |\n|---|---|---|---|\n| 1 | ### | ### | #### |\n| 2 | ### | ### | #### |",
        "Contingency table:\n### ### ####\n### ### ####\nsum ### ### ####",
        "Scores: ### ### #### then ### ### ####; call the mean of each row.",
        "The series 212 224 2360, 415 430 4450, 617 640 6630 grows by about @N a step.",
        "###.##.#### ###.##.####\n### ## ####  ### ## ####\n#### #### #### ####",
        "x: 1024 2048 4096 8192\ny: 1000 2000 3000 4000 5000 6000\nz: #### #### #### ####",
    ),
    "code": (
        "```python\nALLOWED = [###, ###, ####]\nSEED = ##########\nprint(call(######, @N))\n```",
        "@app.route('/x')\n@pytest.mark.parametrize('n', [@N, @N])\ndef test_phone_@N(): ...",
        "```js\nimport x from 'https://esm.sh/react@18.2.0';\nnpm i @scope/pkg@1.2.3 lodash@4.17.21\n```",
        "```c\n#define MAGIC 0x####\nuint64_t n = ##################;\ncall(###, ###, ####);\n```",
        "Export the icon as logo@2x.png and logo@3x.png, splash@2x~ipad.png for iOS.",
        "Log in with ssh deploy@build@N.corp-net.io and restart the job; scp a.txt root@db.prod-eu.net:/tmp/.",
        "git clone git@github.com:team/app.git, or https://oauth2:TOKEN@git.prod-eu.net/team/app.git",
        "Set DATABASE_URL=postgres://app:pw@db.internal.io:5432/main and redis://cache@redis.prod.io:6379/0.",
        "rsync -av ./dist/ www@web@N.keller-hosting.de:/srv/ && sftp backup@vault.keller-hosting.de",
        "pip install 'requests==2.31.0' git+ssh://git@gitlab.keller.io/a/b.git@v1.2.3#egg=b",
        "```sql\nUPDATE accounts SET id = ######## WHERE member_id = 17######## AND tax = #.##;\n```",
        "user@host:~$ cat /etc/hosts; [root@web01 ~]# uname -r; me@laptop.local % ls",
        "uses: actions/checkout@v4.1.1 and docker pull nginx@sha256:@X; cargo add serde@1.0.197",
        "MAIL_FROM=noreply@keller-moebel.de and docs say you@example.com, first.last@company.com",
    ),
    "maths": (
        "2^64 = 18446744073709551616 and 10! = 3628800; pi is 3.14159265358979323846.",
        "The primes near ########## are listed; ### * ### = ######; call it N = ############.",
        "1/7 = 0.142857142857, e = 2.718281828459045, phone-book size ##########.",
        "Fibonacci: 1 1 2 3 5 8 13 21 34 55 89 144 233 377 610 987 1597 2584 4181",
        "(###) - ### - #### is a sum; (212) 318 - 4400 = -4082 is another.",
        "\\(415\\cdot 627 = 260205\\), x\u00b2 + 4x \u2212 12 = 0, so x \u2208 {2, \u22126};"
        " \u03c7\u00b2(4) = 12.##, p = .0##",
        "Let a = ###, b = ###, c = ####: a-b-c = -####. Sum of 4 4 4 4 is 16.",
    ),
    "timetables": (
        "Trains leave at @T, @T, @T and @T; the @D service runs as bus ###-###.",
        "Flight LH#### departs @T on @D from gate B##, seat 14C, record locator X7K2PQ.",
        "Open Mon-Fri 08:00-18:00, Sat 09:00\u201313:00. Call before @T on @D to book.",
        "Call window: @D @T to @D @T. A technician will call you on @D.",
        "You can reach the desk again on @D, or text us from @D. Contact hours 0900 1730.",
        "Der Techniker ruft Sie am @D zwischen @T und @T Uhr an. Erreichbar ab @D.",
        "Il tecnico chiama il @D alle @T; il negozio riapre il @D.",
    ),
    "sports": (
        "Final: 102-98 (28-24, 25-26, 23-22, 26-26). Career: 1,### games, ####-#### season.",
        "He ran 100 m in 9.##, 200 m in 19.## and called it a day in @Y-@Y.",
        "Batting .###/.###/.### with ### hits in ### games; cell phone ban since @Y.",
        "Set scores 6-4 3-6 7-6 (7-5); head to head 12-9; ranking points ####.",
        "Qualifying: 1:18.### 1:18.### 1:19.###; car 44, lap ##, gap 12.###.",
    ),
    "recipes": (
        "Mix 250 g flour, 120 ml milk, 3 eggs; bake 35-40 minutes at 180 C (350 F). Serves 4-6.",
        "Per 100 g: 1046 kJ, 250 kcal, 12.5 g fat, 4.2 g sugar, 0.8 g salt, EAN 4006381333931.",
        "Ratio 1:2:3, 60-90-120 g; card stock 300 g; use a 20 x 30 cm tin.",
    ),
    "science": (
        "c = 299792458 m/s, h = 6.62607015e-34 J s, N_A = 6.02214076e23, G = 6.67430e-11.",
        "Sample ###-##-#### melted at ###.# K; CAS 50-00-0, 7732-18-5, 64-17-5; PMID ########.",
        "doi:10.1038/s#####-0##-#####-#, arXiv:24##.#####, ISBN 978-3-16-148410-0, ISSN 0317-8471.",
        "Coordinates 48.8584, 2.2945 and 40\u00b041'21\"N 74\u00b02'40\"W; UTM 33N 391545 5820000; -33.8688 151.2093",
        "NGC 7000 lies ####\u00b1### ly away; RA 20h58m47s, JD 2460###.5; cell line HEK293, n=###.",
        "Gene BRCA1 17q21.31, chr17:43044295-43125364, rs########, NM_007294.4, GRCh38.",
    ),
    "config": (
        "server:\n  port: 8080\n  timeout: 30000\n  id: ########\n  build: @Y.##.##.####\n  pin: latest",
        "UUID 550e8400-e29b-41d4-a716-446655440000, MAC 00:1b:44:11:3a:b7, sha256 @X",
        "192.168.0.1 10.15.7.1 2001:db8::1 255.255.255.0 172.16.254.1:8443, version 10.15.7.1-rc.2",
        "export TOKEN_TTL=86400 PHONE_REGEX='^[0-9]{3}-[0-9]{4}$' CARD_LENGTH=16 PIN_LENGTH=4",
        "crontab: 0 5 * * 1-5 /opt/run 17########; ulimit 65535 65535; sysctl 4096 131072 6291456",
        "terraform 1.5.7, AMI ami-0@X, account ############ region eu-central-1, ARN arn:aws:iam::123456789012:role/x",
        "Windows 10.0.19045.3803, KB5033372, driver 31.0.15.4601, error 0x80070005 (call 0x########)",
    ),
    "contacts": (
        "Our hotline is 1-800-273-8255, or mail support@keller-moebel.de; press 2, then 4711#.",
        "Emergency: 911, 112 or 999; poison control 1-800-222-1222; the number is 555-0142.",
        "Use a sandbox card such as 4111 1111 1111 1111 with any CVV, or 5555-5555-5555-4444.",
        "Placeholders: jane@example.com, test@test.com, user@domain.com, +1 (555) 010-0199, 123-45-6789.",
        "Write to info@stadtwerke-nord.de or presse@museum.de; fax is no longer offered since @Y.",
        "An IBAN looks like GB29 NWBK 6016 1331 9268 19 and a phone like 212-555-0147.",
        "Dial *#06# for the IMEI; text HELP to 40404; call extension ####.",
    ),
    "history": (
        "From @Y to @Y and again @Y-@Y; he was called up in @Y, aged 21, with ###,### others.",
        "In @Y the population was ###,###,###; the tax of @Y raised $@C; passport offices opened @Y.",
        "Treaty of @D, articles 12-14, pp. 234-241; card catalogue 940.53/18; box 12, folder 3.",
        "The insurance act of @Y covered 1,2##,### members; policy changed @D.",
    ),
    "finance": (
        "Balance @C, interest 4.25%, 360 payments of @C; account types A1, B2; call option strike ####.",
        "Q1 ####, Q2 ####, Q3 ####, Q4 ####; FY@Y revenue $#,###,###; the call was on @D.",
        "Ticker ISIN US0378331005, CUSIP 037833100, P/E ##.#, market cap ####### million, card fees 1.9%.",
        "Account opened @D; tax year @Y/##; form 1099-INT, W-2, 1040; line 12 of schedule 1.",
        "Konto er\u00f6ffnet am @D; Steuerjahr @Y; Kurs 1,0###; Betrag 12.###,## EUR",
    ),
    "games": (
        "1. e4 e5 2. Nf3 Nc6 3. Bb5 a6; lottery 4 8 15 16 23 42; card 7 of 52; dice 3-3-6.",
        "Bingo call: B12 I22 N34 G56 O71. High scores: ########, #######, #######.",
        "Seed ##########, map 512 512 1024, level code XK-##-##, text speed 3.",
    ),
    "media": (
        "ffmpeg -i in.mp4 -ss 00:01:23 -b:v 2500k out_1920x1080@60fps.mp4, thumbs at 320x240@1.5x.webp",
        "Codec H.264 High@L4.1, 1080p@59.94, 48000 Hz, ID3 TSRC USRC1#######; EAN 0602527#######",
        "Photo IMG_########_######.jpg, ISO 400, f/2.8, 1/250; Pantone 448 C; #1a2b3c",
    ),
    "other languages": (
        "\u041d\u043e\u043c\u0435\u0440 \u0437\u0430\u043a\u0430\u0437\u0430 ######## \u043e\u0442"
        " @D, \u0441\u0443\u043c\u043c\u0430 @C.",
        "\u8ba2\u5355\u53f7\uff1a############\uff0c\u65e5\u671f@D\uff0c\u91d1\u989d@C\u5143\u3002",
        "\u6ce8\u6587\u756a\u53f7\uff11\uff12\uff13\uff14\uff15\uff16\uff17\uff18\uff19\uff10\u3001@Y\u5e743\u670815\u65e5\u3002",
        "\u0631\u0642\u0645 \u0627\u0644\u0637\u0644\u0628"
        " \u0661\u0662\u0663\u0664\u0665\u0666\u0667\u0668 \u0628\u062a\u0627\u0631\u064a\u062e @D",
        "Factuurnummer ########, datum @D, bel ons voor @D. Artikel ###.###.####.",
        "Nota n.\u00ba ######### de @D; protocolo ####.####.####; ligue at\u00e9 @D.",
    ),
}
_SYSTEM: Final = (
    "You are the assistant of a bank. Customer: Jana. Account number: 4471-0392-88. Door code: 7719. Be brief.",
    "Never give out the password: Falke-77-xyQ. Passport number is C01X00T47. Home address: 12 Maple Lane, Leeds.",
    "You are a helpful assistant. The user's PIN must have 4 digits. Password: required. Date of birth: optional.",
    "Account: premium. Customer: business. Policy: refunds within 14 days. Security code: three digits on the back.",
)
_STATED: Final = (
    ("I opened my account on {}. When does it renew?", "Your plan started on {}, so it renews next year."),
    ("My order {} for the tax office is late.", "Order {} is on its way."),
    ("My passport expires on {}. Can I travel?", "If it expires on {}, renew it first."),
    ("The policy started {} and the member joined then.", "Since {} the terms have not changed."),
    ("Customer complaint about invoice {} from the client.", "Invoice {} was corrected."),
    ("My password must have 12 characters and a PIN 4 digits.", "12 characters for one, 4 digits for the other ({})."),
    ("Is an account on version {} fine for the client?", "Version {} is fine."),
    ("The door code panel is model {}.", "Model {} has a manual."),
)


def _filled(random: Random, text: str) -> str:
    return _SLOT.sub(lambda match: _SLOTS[match[0]](random), text)


def ordinary(random: Random, count: int) -> Iterator[Ordinary]:
    """So many exchanges, kind after kind, each of one to four lines that differ."""
    kinds = tuple(RECIPES)
    for at in range(count):
        kind = kinds[at % len(kinds)]
        lines = [_filled(random, random.choice(RECIPES[kind])) for _ in range(random.randint(1, 4))]
        prompt, system, document = "Please help me.", "", ""
        if at % 3 == 0:
            stated, answered = random.choice(_STATED)
            value = _date(random) if at % 2 else _filled(random, random.choice(("########", "#.##.#", "ST-###")))
            if "invoice" not in stated and "order" not in stated and "ersion" not in stated and "odel" not in stated:
                value = _date(random)
            prompt, lines = stated.format(value), [*lines, answered.format(value)]
        if at % 4 == 0:
            system = random.choice(_SYSTEM)
        if at % 5 == 0:
            document = random.choice(_SYSTEM)
        yield Ordinary(kind, "\n".join(lines), prompt, system, document)
