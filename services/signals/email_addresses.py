"""Which strings with an at sign are a person's e-mail address, and which are an example, an office, a login target.

Texts are plain ones (`folding.fold`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from services.signals.folding import lowered

EMAIL: Final = re.compile(
    r"[^\W_](?<![^\W_][^\W_])(?<![.%+@-][^\W_])[\w.%+-]{0,63}+(?:(?<=[^\W\d_])'[^\W\d_][\w.%+-]{0,63}+)?"
    r"@((?:[\w-]{1,63}\.){1,5}([^\W\d_]{2,24}))(?![^\W_]|@)"
)
"""What may stand before it is looked at behind its first character: `re` then leaps to these.

The local part is never given back piece by piece: what follows it, an apostrophe or the at sign, is none of its
characters.
"""
SAMPLE_DOMAIN: Final = re.compile(
    r"(?:^|\.)(?:example|test|invalid|localhost|local|tld)$|(?:^|[.-])example\."
    r"|^(?:(?:your|my|our|the|some|any|mein|ihre|deine|votre|mon|tu|su|mi|tuo|mio|seu|meu|uw|mijn)-?"
    r"(?:domain|company|firma|website|site|server|organi[sz]ation|org|business|school|empresa|dominio|azienda|bedrijf"
    r"|domein|domaine|entreprise)\w{0,8}|(?:your|ihre|votre)-?(?:e?mail|host|shop|store|app|team|brand)\w{0,8}"
    r"|domain(?:name)?|company(?:name)?|corp|website|organi[sz]ation|placeholder|sample|dummy|fake|foo|bar"
    r"|foobar|acme"
    r"|acme-?corp|contoso|fabrikam|beispiel|muster|musterfirma|mustermann|exemple|ejemplo|esempio|exemplo|voorbeeld"
    r"|domaine|dominio|domein)\.[a-z.]+$|^email\.com$"
    r"|^(?:site|server|host|provider|business|university|school|school-?name|abc|xyz|test)\.(?:com|org|net|edu|co|io"
    r"|us)$",
    re.IGNORECASE,
)
SAMPLE_LOCAL: Final = re.compile(
    r"^(?:your?|user|username|name|email|e-mail|mail|first|firstname|last|lastname|someone|somebody|anyone|person"
    r"|recipient|sender|test|tester|testuser|foo|bar|john[._-]?(?:doe|smith)|jane[._-]?(?:doe|smith)|jsmith"
    r"|(?:j|jd)[._-]?doe|max[._-]?mustermann|erika[._-]?mustermann|mario[._-]?rossi|jean[._-]?dupont|juan[._-]?perez"
    r"|abc|xyz|xxx+|nobody|benutzer|utilisateur|usuario|utente|gebruiker|nombre|vorname|nachname|prenom|nome"
    r"|new|old|other|friend|email_?address)[\d._-]*$"
    r"|^(?:your|my|user|first|firstname|vorname|prenom|nombre)[._-]\w+|^your\w+|^test[._]|example|sample|placeholder"
    r"|beispiel|exemple|ejemplo|esempio|voorbeeld",
    re.IGNORECASE,
)
_STOCK_LOCAL = re.compile(
    r"^(?:john|jane|alice|bob|joe|carol|charlie|dave|eve|jim|mary|mike|sam|sarah|tom|emily|emma|jack)\d{0,3}$",
    re.IGNORECASE,
)
_STOCK_DOMAIN: Final = frozenset({"gmail.com", "yahoo.com", "hotmail.com", "outlook.com"})
"""First names that tutorials use, at the providers that tutorials use. Elsewhere they are persons."""

_ROLES = (
    "info|support|help|helpdesk|contact|contactus|sales|admin|administrator|webmaster|postmaster|hostmaster|abuse"
    "|privacy|legal|press|media|jobs|careers|recruiting|recruitment|hr|noreply|no-reply|donotreply"
    "|do-not-reply|office"
    "|service|services|customer[._-]?(?:services?|care|support|relations)|billing|orders?|security|feedback"
    "|team|hello"
    "|marketing|enquir(?:y|ies)|inquir(?:y|ies)|accounts?|accounting|invoices?|payments?|refunds?|returns|complaints?"
    "|reservations?|bookings?|reception|frontdesk|concierge|events|news|newsletter|editor|editorial|alerts"
    "|notifications?|partners|investors?|community|membership|library|shop|store|compliance|dpo|gdpr|ops"
    "|devops|noc|soc"
    "|it|pr|ir|api|bot|mailer-daemon|daemon|everyone|all|staff|general|secretary|dispatch|warehouse|logistics"
    # German, French, Spanish, Italian, Portuguese, Dutch
    "|kontakt|presse|vertrieb|verkauf|bestellung|buchhaltung|bewerbung|datenschutz|rezeption|redaktion|verwaltung"
    "|kunden(?:service|dienst|betreuung)|hilfe|zentrale|sekretariat|accueil|aide|ventes|commercial|redaction"
    "|contacto|ventas|ayuda|soporte|atencion(?:[._-]?al[._-]?cliente)?|pedidos|facturacion|contatti|contatto|vendite"
    "|assistenza|ordini|prenotazioni|segreteria|contato|vendas|atendimento|suporte|faturas|encomendas|verkoop"
    "|klantenservice|bestellingen|facturen|administratie"
    # accounts of machines
    "|git|root|deploy|deployer|ubuntu|ec2-user|centos|debian|vagrant|www|www-data|jenkins|ansible|docker"
    "|postgres|mysql"
    "|oracle|backup|cron|builder|runner|pi"
)
ROLE_LOCAL: Final = re.compile(rf"^(?:{_ROLES})(?:[._+-](?:[a-z]{{2}}|team|desk|dept|office|us|eu))?$", re.IGNORECASE)
"""An organisation's or a machine's address that belongs to no person."""

_NO_DOMAIN: Final = re.compile(r"[0-9]+x[.~-]|v?[0-9]+\.[0-9x]", re.IGNORECASE)
"""Image sizes and versions: logo@2x.png, react@18.2.0-rc.next."""
_NOT_TOP_LEVEL: Final = frozenset(
    [
        "png",
        "PNG",
        "jpg",
        "JPG",
        "jpeg",
        "gif",
        "svg",
        "webp",
        "avif",
        "heic",
        "bmp",
        "ico",
        "tif",
        "tiff",
        "pdf",
        "mp3",
        "mp4",
        "m4a",
        "m4v",
        "webm",
        "mkv",
        "avi",
        "wav",
        "html",
        "htm",
        "css",
        "scss",
        "js",
        "jsx",
        "ts",
        "tsx",
        "mjs",
        "json",
        "yaml",
        "yml",
        "toml",
        "xml",
        "csv",
        "tsv",
        "txt",
        "log",
        "ini",
        "cfg",
        "conf",
        "lock",
        "bak",
        "tmp",
        "doc",
        "docx",
        "xls",
        "xlsx",
        "ppt",
        "pptx",
        "exe",
        "dll",
        "jar",
        "war",
        "deb",
        "rpm",
        "tar",
        "tgz",
        "gz",
        "xz",
        "git",
        "whl",
        "egg",
        "service",
        "timer",
        "socket",
        "target",
        "mount",
        "slice",
        "weight",
        "bias",
        "transpose",
        "dot",
        "shape",
        "reshape",
        "inv",
        "conj",
        "values",
        "astype",
        "latest",
        "internal",
        "lan",
        "home",
        "corp",
        "intranet",
        "beta",
        "alpha",
        "rc",
        "next",
    ]
)
"""Files, units of systemd, attributes in code, names inside a network."""
_AFTER = re.compile(r"\(|:(?:[/~]|[0-9]{2,5}(?![0-9.])|[\w.-]{1,60}/)|[ :]~[\]$#/]")
"""A call, a path or port of a remote host, a shell's prompt."""
_AFTERS: Final = ("(", ":", " ~")
_VERSIONS: Final = frozenset("0123456789vV")
_USER_INFO = re.compile(r"://[^\s/?#@]{0,160}$")
_COMMANDS: Final = frozenset({"ssh", "scp", "sftp", "rsync", "mosh", "sshfs", "ssh-copy-id", "autossh", "ftp", "clone"})
_HAS_COMMAND = re.compile(r"\b(?:ssh|scp|sftp|rsync|mosh|sshfs|autossh|ftp|clone)\b")
_BETWEEN: Final = frozenset(
    {"to", "into", "in", "as", "with", "via", "onto", "user", "run", "sudo", "the", "from", "and"}
)
_ARGUMENT = re.compile(r"-|.*[/.:~=0-9\"'`]")
_LOOK_BACK = 160
_MOST_ARGUMENTS = 6
_QUOTES = "\"'`*(<[{,"


_SIGNS: Final = re.compile(r"@(?:[^@]{0,512}@)*+")
_MOST_BEFORE: Final = 1 + 63 + 2 + 63
_MOST_BEHIND: Final = 5 * 64 + 24 + 1
"""Characters before and behind its at sign that decide about an address; together less than part two stretches."""


def around_signs(text: str) -> Iterator[re.Match[str]]:
    """Every address, looked for only where at signs are: elsewhere each word would be tried as a local part."""
    for signs in _SIGNS.finditer(text):
        yield from EMAIL.finditer(text, max(signs.start() - _MOST_BEFORE, 0), signs.end() + _MOST_BEHIND)


def addresses(text: str) -> Iterator[tuple[int, int, str]]:
    """(start, end, address) of each e-mail address, an office's or an example as well."""
    commands: bool | None = None
    url, following_url = -1, text.find("://")
    for match in around_signs(text):
        start, end = match.span()
        domain, top_level = match.groups()
        if top_level in _NOT_TOP_LEVEL or (text.startswith(_AFTERS, end) and _AFTER.match(text, end)):
            continue
        if domain[0] in _VERSIONS and _NO_DOMAIN.match(domain):
            continue
        while 0 <= following_url <= start - 3:
            url, following_url = following_url, text.find("://", following_url + 1)
        if url > 0 and url >= start - _LOOK_BACK and _USER_INFO.match(text, url, start):
            continue
        if commands is None:
            commands = _HAS_COMMAND.search(lowered(text)) is not None
        if commands and _is_target(text[max(start - _LOOK_BACK, 0) : start]):
            continue
        yield start, end, text[start:end]


def _is_target(before: str) -> bool:
    """Whether the words before an address are a command that logs in somewhere, and its arguments."""
    for word in reversed(before.rpartition("\n")[2].split()[-_MOST_ARGUMENTS:]):
        bare = word.strip(_QUOTES + ").:").lower()
        if bare in _COMMANDS:
            return True
        if bare and bare not in _BETWEEN and not _ARGUMENT.match(word):
            return False
    return False


def is_nobodys(address: str) -> bool:
    """Whether an address is an example, a placeholder or an organisation's own."""
    local, _, domain = address.lower().rpartition("@")
    return bool(
        ROLE_LOCAL.search(local)
        or SAMPLE_LOCAL.search(local)
        or SAMPLE_DOMAIN.search(domain)
        or (domain in _STOCK_DOMAIN and _STOCK_LOCAL.search(local))
    )
