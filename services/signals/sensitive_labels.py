"""Words that say that what follows is somebody's: numbers, codes, passwords, postal addresses, dates of birth.

Labels are compared without case, accents, spaces and punctuation, so that `Passport No.`, `passport_number`,
`PASSPORT-NUMBER`, `passportNumber` and `P a s s p o r t` are one. English, German, French, Spanish, Italian,
Portuguese and Dutch; those of other languages stand in `label_languages`. To add one, add its letters to the list of
its kind: lower case, no accents, no spaces.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Final, NamedTuple

from services.signals._pattern_set import PatternPlaces
from services.signals.folding import code_points
from services.signals.label_languages import LABELS, LETTERS
from services.signals.unspaced_scripts import is_unspaced

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_NUM = r"(?:numbers?|num|nummer|no|nr|nbr|id|ids|code|identifier|identification)?"
_NUMBERED = r"(?:numbers?|num|no|nr|nbr|id|code|identifier)"
_DE, _NL = r"(?:nummer|nr|kennung|id)", r"(?:nummer|nr)"
_NO = (
    r"(?:(?:numero|num|nr|no|n|codigo|codice|code|cod|id|identifiant|identificativo)(?:de|del|dela|du|di|da|do|d"
    r"|della|dello|dela|des)?l?)"
)

_NUMBER = (
    # English
    rf"(?:bank|checking|savings|current|customer|client|user|giro)?(?:account|acct|acc|ac){_NUM}",
    rf"(?:account|acct)(?:holder)?{_NUMBERED}",
    rf"(?:customer|client|member|membership|subscriber|loyalty|frequentflyer|rewards?|cardholder|policyholder|guest)"
    rf"(?:card|account|ship|program|programme){{0,2}}{_NUM}",
    rf"(?:insurance|health|healthplan|healthinsurance|medical|dental)?(?:policy|insurance|plan|cover){_NUMBERED}",
    rf"policy{_NUM}",
    rf"(?:e|travel|us|uk)?passport(?:card|book)?{_NUM}",
    rf"(?:national|personal|government|state|photo|resident|citizen|civil|identity|identification|id|tribal|military)"
    rf"(?:identity|identification|id)?(?:card|document|papers?){_NUM}",
    rf"(?:national|personal|government|state|photo|resident|citizen|civil|identity|identification|military)"
    rf"(?:identity|identification|id)?{_NUMBERED}",
    r"id(?:number|no|nr|num|card|cardnumber|document)",
    rf"(?:driver|drivers|driving|pilot|marriage|birth|firearms|professional|medical|nursing)"
    rf"(?:licen[cs]e|permit|certificate){_NUM}",
    r"(?:licen[cs]e|permit|certificate|document|docu?|documentid|record|file)(?:numbers?|no|nr)",
    rf"(?:residence|resident|work|residency)permit{_NUM}",
    rf"(?:greencard|permanentresident(?:card)?|alienregistration|visa|voter|voters|veteran|medicare|medicaid|nhs|ahv"
    rf"|hic"
    rf"|beneficiary|donor|inmate|prisoner|badge|payroll|staff|personnel|employee|emp|worker|student|pupil|matriculation"
    rf"|enrol?lment|patient|hospital|chart|prescription|subscriber|taxpayer|tax|vat|unique|aadhaar|aadhar|pan|cpf"
    rf"|cnpj|curp"
    rf"|rut|dni|nie|nif|nik|bsn|nir|tfn|sin|itin|ein|nino|nin|pesel|mrn|rrn|nric|fin)(?:card|file|reference|ref|reg"
    rf"|registration"
    rf"|record|identification|identity|account|health)?{_NUMBERED}",
    r"mrn|dni|nif|cpf|cnpj|curp|cuil|cuit|nino|bsn|aadhaar|pesel|itin|nric|medicare|taxid|tin|ssn|iban|mygovid|hkid|rijksregisternummer|personnummer",
    rf"(?:patient|student|employee|medicalrecord|taxpayer|nhs|staff){_NUM}",
    rf"(?:medical|health|patient|hospital|clinical|criminal|police|student)(?:record|chart|file){_NUM}",
    rf"(?:national|social)insurance{_NUM}",
    rf"(?:social|soc)(?:security|sec){_NUM}",
    rf"routing{_NUM}|(?:bank)?sortcode|swiftaccount|creditcard{_NUM}|debitcard{_NUM}|card(?:number|no|nr)",
    rf"(?:licen[cs]e|number|registration)plate{_NUM}|vehicleregistration{_NUM}|vin(?:number|no)|imei(?:number)?",
    # German
    rf"(?:bank)?(?:konto|kunden|mitglieds?|mitgliedschafts|personal|mitarbeiter|patienten|matrikel|policen|vertrags"
    rf"|depot"
    rf"|versicherungs|versicherungsschein|versicherten|krankenkassen|sozialversicherungs|rentenversicherungs"
    rf"|krankenversicherungs|krankenversicherten|pass|reisepass|ausweis|personalausweis|fuhrerschein|fahrerlaubnis"
    rf"|steuer"
    rf"|steueridentifikations|identifikations|ident|identitats|karten|kreditkarten|schuler|studenten|dokumenten|ahv"
    rf"|aufenthaltstitel){_DE}",
    r"kdnr|kdnummer|versnr|mitglnr|steuerid|steueridnr|personalausweis|reisepass|fuhrerschein|aufenthaltstitel|krankenakte|patientenakte"
    r"|kfzkennzeichen|autokennzeichen|bankverbindung",
    # French
    rf"{_NO}(?:compte(?:bancaire|client)?|client|passeport|permis(?:deconduire)?|piecedidentite|carte(?:didentite"
    rf"|vitale"
    rf"|bancaire|desejour)?|identite|securitesociale|secu|police|contrat|assurance|assure|adherent|membre|fiscal"
    rf"|etudiant"
    rf"|patient|dossiermedical|document|titredesejour|employe|matricule|allocataire)",
    r"passeport|permisdeconduire|(?:carte(?:nationale)?|piece)didentite|cartevitale|titredesejour|dossiermedical"
    r"|numerofiscal|numeroclient|matricule|plaquedimmatriculation|comptebancaire|rib",
    # Spanish, Portuguese, Italian
    rf"{_NO}(?:cuenta(?:bancaria)?|cliente|socio|poliza|afiliado|afiliacion|pasaporte|identidad"
    rf"|identificacion(?:fiscal)?"
    rf"|documento|seguridadsocial|seguro(?:social)?|expedientemedico|historiaclinica|paciente|empleado|licencia"
    rf"|carnet|tarjeta|contribuyente|conta(?:bancaria)?|passaporte|apolice|utente|contribuinte|segurancasocial"
    rf"|identidade"
    rf"|cartao|processoclinico|carta(?:deconducao|didentita|dicredito)?|conto(?:corrente|bancario)?|passaporto|polizza"
    rf"|tessera(?:sanitaria)?|patente|fiscale|identita|matricola|paziente|cartellaclinica|previdenziale|assicurato"
    rf"|membro"
    rf"|aluno|estudante|estudiante|funcionario|dipendente|beneficiario|socioclub)",
    r"pasaporte|documentodeidentidad|cedula(?:deidentidad)?|(?:permiso|licencia|carnet|carne)de(?:conducir|conduccion"
    r"|manejo)|historiaclinica|cuentabancaria|numerodelaseguridadsocial|tarjetasanitaria"
    r"|passaporte|bilhetedeidentidade|cartaode?(?:do)?cidadao|cartadeconducao|carteirademotorista|carteiradeidentidade"
    r"|contabancaria|prontuario|titulodeeleitor"
    r"|passaporto|cartad?identita|patente(?:diguida)?|codicefiscale|tesserasanitaria|cartellaclinica|partitaiva"
    r"|contocorrente|codicecliente|permessodisoggiorno",
    # Dutch
    rf"(?:bank)?(?:rekening|klant|klanten|lid|lidmaatschaps|polis|paspoort|rijbewijs|identiteitskaart|identiteits"
    rf"|burgerservice|sofi|patient|patienten|personeels|medewerkers|studenten|student|verzekerings|kaart"
    rf"|document){_NL}",
    r"paspoort|rijbewijs|identiteitskaart|identiteitsbewijs|verblijfsvergunning|medischdossier|bankrekening|kenteken",
)
_PHONE = (
    rf"(?:home|work|office|private|cell|cellular|mobile|mob|contact|direct)?(?:phone|telephone|tel){_NUM}",
    rf"(?:mobile|cell|fax|whatsapp){_NUM}",
    r"telefon(?:nummer|nr)?|handy(?:nummer|nr)?|mobil(?:nummer|nr|telefon)?|rufnummer|numerodetelephone|telephone"
    r"|portable"
    r"|numerodetelefono|telefono|movil|celular|cellulare|telemovel|numerodetelefone|telefone|telefoon(?:nummer)?"
    r"|mobiel(?:nummer)?",
)
_CODE = (
    r"(?:card|sim|bank|atm|debit|personal|safe|phone|door|gate|alarm|login|parental)?pin(?:code|number|no|nr|nummer)?",
    r"(?:access|accesscontrol|door|doorentry|frontdoor|backdoor|gate|garage|building|apartment|entry|entrance|exit"
    r"|security"
    r"|alarm|disarm|lock|lockbox|keypad|keysafe|safe|vault|locker|elevator|room|house|home|unlock|unlocking|release"
    r"|override"
    r"|master|emergency|duress|secret|verification|authentication|authori[sz]ation|auth|authenticator|login|signin"
    r"|logon"
    r"|onetime|singleuse|twofactor|2fa|mfa|sms|recovery|backup|reset|activation|pairing|transaction|clearance|admin"
    r"|wifi"
    r"|voicemail|cvv|cvc|card|cardsecurity|cardverification)(?:pass)?code",
    r"(?:door|gate|alarm|safe|building|house|garage|apartment|office|vault|lock)s(?:pass)?(?:code|combination)",
    r"(?:code|combination|pin)(?:for|to|of|on)(?:the|your|our|my|his|her|their)?(?:back|front|main|side|garage"
    r"|office|staff"
    r"|server|store|key)?(?:door|gate|alarm|safe|building|lock|lockbox|vault|room|house|apartment|garage|entrance"
    r"|cabinet)",
    r"(?:security|alarm|door|gate|safe|vault|lock|lockbox|locker|padlock)(?:combination|combo|keycode|pin)",
    r"passcode|keycode|accesskey|accesspin|combination|otp|onetimepin|tan|cvv|cvc|cvv2|cvc2|puk|pukcode|codeword",
    r"(?:zugangs|zutritts|tur|haustur|tor|sicherheits|einmal|alarm|bestatigungs|freischalt|verifizierungs|geheim|tresor"
    r"|schloss|entsperr|aktivierungs|anmelde|karten|garagen)(?:code|kode|zahl|pin|kennwort)|geheimzahl|geheimnummer"
    r"|zahlenkombination",
    r"codes?(?:d|de|du|dela)?(?:acces|entree|securite|porte|portail|laporte|alarme|secret|pin|verification|confirmation"
    r"|activation|limmeuble|immeuble|coffre|cartebancaire|deverrouillage|usageunique|ausageunique)|digicode",
    r"(?:codigo|clave|numero)s?(?:de|del|dela)?(?:acceso|entrada|seguridad|puerta|lapuerta|porton|alarma|laalarma"
    r"|verificacion"
    r"|activacion|desbloqueo|unsolouso|pin|secreto|caja|lacaja|cajafuerte)",
    r"codice?(?:di|d|del|della)?(?:accesso|ingresso|sicurezza|porta|laporta|cancello|allarme|verifica|attivazione"
    r"|sblocco"
    r"|segreto|pin|monouso|cassaforte)",
    r"codigo(?:de|do|da)?(?:acesso|entrada|seguranca|porta|portao|alarme|verificacao|ativacao|desbloqueio|secreto|pin"
    r"|usounico|cofre)",
    r"(?:toegangs|deur|voordeur|poort|beveiligings|veiligheids|alarm|verificatie|activatie|ontgrendel|inlog|pin|kluis"
    r"|eenmalige)code|pincode",
)
_PASSWORD = (
    r"(?:login|user|account|admin|administrator|root|master|wifi|wlan|wireless|network|router|guest|portal|email"
    r"|mail|system"
    r"|database|db|server|vpn|ssh|ftp|windows|domain|temporary|temp|initial|default|new|old|current|my|onetime|app"
    r"|vault"
    r"|bank|banking|online|zip|archive|pdf|file)?(?:passwords?|passwd|passwort|pswd|pwd|passphrase|passkey)",
    r"(?:secret|recovery|seed|backup|security|safe)(?:phrase|word|words|answer|passphrase)|securityanswer|magicword"
    r"|codephrase",
    r"mothersmaidenname|securityquestionanswer|(?:wifi|wlan|network|router|wpa2?)key",
    r"kennwort|losung|losungswort|zugangskennwort|wlanschlussel|sicherheitsantwort|geheimwort",
    r"motsdepasse|motdepasse|mdp|phrasesecrete|phrasedepasse|contrasena|clavesecreta|clavewifi|palabraclave"
    r"|paroladordine|parolachiave|parolasegreta|senha|palavrapasse|palavrachave|fraseasecreta|frasesecreta"
    r"|wachtwoord|wachtzin|wachtwoordzin|toegangswachtwoord",
)
_ADDRESS = (
    r"(?:home|house|residential|residence|private|personal|postal|mailing|mail|street|billing|shipping|delivery"
    r"|permanent"
    r"|current|patient|customer|client|his|her|their|my|registered|physical|full|correspondence)?address(?:line1"
    r"|line)?",
    r"(?:wohn|privat|post|heimat|liefer|rechnungs|melde)?(?:adresse|anschrift)|wohnort|wohnsitz",
    r"adresse(?:postale|personnelle|privee|du?domicile|delivraison|complete)?|domicile|lieuderesidence",
    r"direccion(?:postal|particular|personal|dedomicilio|deenvio|completa)?|domicilio",
    r"indirizzo(?:dicasa|diresidenza|postale|privato|dispedizione|completo)?|residenza",
    r"endereco(?:residencial|postal|completo|deentrega|particular)?|morada|residencia",
    r"(?:woon|post|thuis|prive|huis|bezorg)?adres|woonplaats",
)
_BIRTH = (
    r"(?:date|day)ofbirth|dob|birthdate|birthday|dateborn|borndate",
    r"geburtsdatum|geburtstag|gebdatum|gebdat|datedenaissance|datenaissance|fechadenacimiento|fechanacimiento"
    r"|fnacimiento"
    r"|datadinascita|datanascita|datadenascimento|datanascimento|geboortedatum|geboortedag",
)
_LIVES = (
    r"(?:lives?|living|resid(?:es?|ing))at|(?:wohnt|wohnhaft|gemeldet)in(?:der|dem)?|(?:habite|domicilieea?|residea?)au"
    r"|(?:vive|reside)en(?:la)?|(?:abita|residente)in|(?:mora|reside)na|woontaande?|woontopde?",
)
_KINDS: Final = {
    "number": _NUMBER,
    "phone": _PHONE,
    "code": _CODE,
    "password": _PASSWORD,
    "address": _ADDRESS,
    "birth_date": _BIRTH,
    "lives": _LIVES,
}


def _alternatives(pattern: str) -> list[str]:
    """The alternatives of a pattern, each with and without what may stand before it.

    Of one pattern only the leftmost start is told for each end; apart, "name, passport" does not hide "passport"
    behind the e of an e-passport.
    """
    parts, depth = [""], 0
    for one in pattern:
        depth += (one == "(") - (one == ")")
        if one == "|" and not depth:
            parts.append("")
        else:
            parts[-1] += one
    return [form for part in parts for form in _with_and_without(part)]


def _with_and_without(part: str) -> list[str]:
    depth = 0
    for at, one in enumerate(part):
        depth += (one == "(") - (one == ")")
        if not depth:
            optional = part.startswith("(?:") and part[at + 1 : at + 2] == "?"
            return [part[: at + 1] + part[at + 2 :], *_with_and_without(part[at + 2 :])] if optional else [part]
    return [part]


_FORMS: Final = {
    f"{kind} {at}": form
    for kind, patterns in _KINDS.items()
    for at, form in enumerate(form for pattern in (*patterns, *LABELS.get(kind, ())) for form in _alternatives(pattern))
}
_KIND_OF: Final = {name: name.partition(" ")[0] for name in _FORMS}
_SCAN: Final = PatternPlaces(_FORMS)
_MOST = 4096
"""Labels looked at in one text: more than any record has."""

_SIZE: Final = 0x20000
_OTHER: Final = ord("~")


@dataclass(frozen=True, slots=True)
class Squeezed:
    """A text's letters and digits alone.

    Attributes:
        letters: ASCII, lower case, without accents; Cyrillic as Latin, a byte of its own for a letter of
            `label_languages`, `~` for all others.
        places: where each stands in the text.
    """

    letters: bytes
    places: NDArray[np.intp]


class SensitiveLabel(NamedTuple):
    """A label's kind and where it stands in the text."""

    kind: str
    start: int
    end: int


def squeezed(text: str) -> Squeezed:
    """The letters and digits of a text, in time linear in its length."""
    import numpy as np  # noqa: PLC0415 -- who asks for specs alone needs none

    codes = code_points(text)
    letters = _table()[np.minimum(codes, _SIZE)]
    places = np.flatnonzero(letters)
    return Squeezed(letters[places].tobytes(), places)


_NEITHER: Final = bytes(code for code in range(128) if not chr(code).isalnum())


def letters_of(value: str) -> bytes:
    """The letters and digits of a short text, as in `Squeezed.letters`."""
    return value.lower().encode().translate(None, _NEITHER) if value.isascii() else squeezed(value).letters


@cache
def _table() -> NDArray[np.uint8]:
    """Code point to its letter or digit, 0 for what is neither."""
    import numpy as np  # noqa: PLC0415 -- who asks for specs alone needs none

    table = np.zeros(_SIZE + 1, dtype=np.uint8)
    for code in range(_SIZE):
        character = chr(code)
        if character.isalnum():
            lower = character.lower()[0]
            base = lower if lower in LETTERS else unicodedata.normalize("NFD", lower)[0]
            table[code] = LETTERS.get(base, ord(base) if base.isascii() and base.isalnum() else _OTHER)
    table[_SIZE] = _OTHER
    return table


def labels(text: str, letters: Squeezed) -> list[SensitiveLabel]:
    """The labels of a text from left to right; of those that overlap the longest."""
    ends: dict[int, list[tuple[int, str]]] = {}
    for name, start, end in _SCAN.places(letters.letters, _MOST):
        ends.setdefault(start, []).append((end, _KIND_OF[name]))
    found: list[SensitiveLabel] = []
    places = letters.places.data  # gives a Python integer several times as fast
    reached = 0
    for start in sorted(ends):
        for end, kind in sorted(ends[start], reverse=True):
            if end <= reached:
                break
            label = SensitiveLabel(kind, places[start], places[end - 1] + 1)
            if _stands_alone(text, label):
                found.append(label)
                reached = end
                break
    return found


_INSIDE: Final = frozenset(" _-./'#\u00b0\u00ba")
"""What may stand between the words or letters of a label."""
_COMPOUNDS: Final = ("nummer", "passwort", "kennwort", "code", "wachtwoord")
"""How German and Dutch labels end that may begin with any other word: Bankkontonummer, Haustürcode."""
_ABBREVIATED: Final = frozenset(
    {
        "acct",
        "acc",
        "ac",
        "lic",
        "pol",
        "no",
        "nr",
        "num",
        "id",
        "soc",
        "sec",
        "ins",
        "med",
        "rec",
        "nat",
        "pers",
        "vers",
    }
    | {"kto", "kd", "n", "tel", "mob", "geb", "doc", "ref", "mr", "dl", "ni", "cust", "mem", "cod", "st"}
)


def _stands_alone(text: str, label: SensitiveLabel) -> bool:
    """Whether a label's letters are whole words, and what stands between them may stand inside a label."""
    spelled = text[label.start : label.end]
    before, after = text[label.start - 1 : label.start], text[label.end : label.end + 1]
    if is_unspaced(spelled[0]):
        return spelled.isalnum()
    compound = before.isalpha() and spelled.lower().endswith(_COMPOUNDS)
    if before.isalnum() and not compound and not (spelled[0].isupper() and not before.isupper()):
        return False
    if after.isalpha() and not (after.isupper() and spelled[-1].islower()):
        return False
    if spelled.isalnum():
        return True
    return _remembered(spelled) if len(spelled) <= _LONGEST_REMEMBERED else _joined(spelled)


_LONGEST_REMEMBERED: Final = 48


@lru_cache(maxsize=1024)
def _remembered(spelled: str) -> bool:
    """`_joined` of what is short: one spelling of a label comes again and again."""
    return _joined(spelled)


def _joined(spelled: str) -> bool:
    if "\n" in spelled:
        return False
    words, gaps = _split(spelled)
    if not set("".join(gaps)) <= _INSIDE:
        return False
    if words[-1].lower() == "s" and len(words[0]) > 1:
        return False  # "number s4471039": the letter is the value's
    if all(len(word) == 1 for word in words):
        return len(set(gaps)) <= 2 and max(map(len, gaps)) <= 3 and (len(gaps) < 3 or gaps[-1] in gaps[:-1])
    if sum(map(len, words)) <= 3 or max(map(len, gaps)) > 3:
        return False
    return all("." not in gap or gap == "." or words[at].lower() in _ABBREVIATED for at, gap in enumerate(gaps))


def _split(spelled: str) -> tuple[list[str], list[str]]:
    """Runs of letters and digits, and what stands between them."""
    words, gaps, last = [""], [], True
    for one in spelled:
        alnum = one.isalnum()
        if alnum and not last:
            words.append("")
        if not alnum and last:
            gaps.append("")
        (words if alnum else gaps)[-1] += one
        last = alnum
    return words, gaps
