"""What of a system text is meant for users' eyes: texts it orders to be said, sample answers, hours and contacts.

Read sentence by sentence, in lower case (`folding.lowered`). English, German, French, Spanish, Italian, Portuguese and
Dutch.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final, Literal, NamedTuple

from services.signals.folding import lowered

_THEM = (
    r"(?:them|him|her|users?|customers?|clients?|people|callers?|guests?|visitors?|patients?|everyone|anyone"
    r"|(?:the|a|any|every|each) (?:[\w-]+ ){0,2}(?:users?|customers?|clients?|callers?|guests?|visitors?|person"
    r"|patients?"
    r"|members?|students?|passengers?|reader|shoppers?|people))"
)
_START = re.compile(
    r"(?:^|[,:;(\u2013\u2014-]\s*|\b(?:and|or|then|please|always|just|simply|must|should|you will|you'll|you can"
    r"|you may|can|may|feel free to|to|also"
    r"|instead"
    r"|politely|kindly|so|first|und|dann|bitte|immer|et|puis|toujours|y|luego|siempre|e|poi|sempre|en"
    r"|altijd)\s+)[\"'*_>#\s-]*$",
)
"""What may stand before an imperative."""
_WITH_VERBS = (
    r"(?:respond|reply|answer|start|begin|open|end|close|conclude|finish|sign off|greet|welcome|introduce yourself"
    r"|antworte|beginne|starte|beende|schlie\u00dfe|begr\u00fc\u00dfe|er\u00f6ffne|antworten sie|beginnen sie"
    r"|beenden sie"
    r"|begr\u00fc\u00dfen sie|schlie\u00dfen sie|r\u00e9ponds|r\u00e9pondez|commence|commencez|d\u00e9bute"
    r"|d\u00e9butez|termine"
    r"|terminez|conclus|concluez|salue|saluez|accueille|accueillez|responde|responda|empieza|empiece|comienza|comience"
    r"|acaba|acabe|cierra|cierre|saluda|salude|rispondi|risponda|inizia|inizi|comincia|termini|chiudi|chiuda|concludi"
    r"|saluta|saluti|comece|comeca|termine|encerre|cumprimente|antwoord|begin|eindig|sluit|begroet)"
)
_WITH = r"(?:with|by saying|mit|par|avec|en disant|con|diciendo|dicendo|com|dizendo|met)"
_TEXT_NOUNS = (
    r"(?:(?:the |this )(?:phrase|sentence|wording|statement|notice|announcement)|note (?:for|to) (?:users|customers)"
    r"|auto-?reply|greetings?|welcome messages?|opening(?: line)?|closing(?: line)?|sign-?off|disclaimer|footer"
    r"|tagline|slogan"
    r"|template"
    r"|script|boilerplate|(?:standard|canned|sample|example|model|suggested|default|approved|fallback|ideal|typical)"
    r" (?:repl(?:y|ies)|answers?|responses?|messages?|phrases?|texts?|tones?|greetings?|wordings?|dialogues?"
    r"|conversations?)"
    r"|example(?:s)?(?: of (?:the |your |our )?(?:tone|style|voice|answers?|repl(?:y|ies)))?|tone examples?"
    r"|voice examples?"
    r"|following (?:greeting|text|message|answer|reply|response|phrase|sentence|wording|statement|disclaimer|line)s?"
    r"|(?:begr\u00fc\u00dfung|gru\u00df|standardantwort|musterantwort|beispielantwort|antwortbeispiel|textbaustein"
    r"|hinweistext"
    r"|beispiel|folgende[nmrs]? (?:text|satz|antwort|hinweis|begr\u00fc\u00dfung))"
    r"|(?:message d'accueil|formule de politesse|r\u00e9ponse type|exemple(?: de (?:r\u00e9ponse|ton))?|texte suivant"
    r"|phrase suivante)|(?:saludo|mensaje de bienvenida|respuesta tipo|ejemplo(?: de (?:respuesta|tono))?"
    r"|texto siguiente"
    r"|siguiente (?:texto|mensaje|frase))|(?:saluto|messaggio di benvenuto|risposta (?:tipo|standard)|esempio(?: di"
    r" (?:risposta|tono))?|testo seguente|seguente (?:testo|messaggio|frase))|(?:sauda\u00e7\u00e3o"
    r"|resposta padr\u00e3o|exemplo)"
    r"|(?:begroeting|standaardantwoord|voorbeeld(?:antwoord)?))"
)
_BEGINNINGS: Final = {
    "a": "ca cc d. dd dv ge lo ls nn ns nt pp ss ut",
    "b": "ee eg ei en ij oi ot y.",
    "c": "an hi ie la li lo om on um us",
    "d": "ef i. ic ig il is it iz om \u00e9b \u00ec. \u00edg",
    "e": "[.]g in je mp nc nd rk r\u00f6 se xa xe xp",
    "f": "al in ol oo or ra",
    "g": "eb iv re ru ue",
    "h": "in",
    "i": "de f. nc nd nf ni nt",
    "k": "la un",
    "l": "eg et ik",
    "m": "ak en es od us",
    "n": "ot ut",
    "o": "pe",
    "p": "ar as er hr oi or re r\u00e9",
    "q": "ue",
    "r": "ap ea ec em ep es ic is \u00e9p",
    "s": "ag al am au ay ch cr e. eg en ho i. ig lo lu pi ta tr ug",
    "t": "ag ei el em er es ex he hi on yp",
    "u": "sa se su te ti",
    "v": "er oi oo ra",
    "w": "ar ei el en he ri",
    "z": "[.]. eg um",
}
"""First letter -> the two that follow it in what begins a marker, but for the turns of one letter (`a:`, `Q 1.`).

A look ahead at these spares trying every marker at every word. It turns none away: a test takes the beginnings from the
markers themselves.
"""
_AHEAD: Final = "|".join(
    (r"[aq](?: ?\d{1,2})?\W{0,3}[:.)]", *(f"{a}(?:{two.replace(' ', '|')})" for a, two in _BEGINNINGS.items()))
)
LIKELY_MARKER: Final = rf"(?={_AHEAD})"
MARKERS: Final = re.compile(
    rf"(?<!\w){LIKELY_MARKER}(?:(?P<that>(?:tell|inform|advise|remind|notify|assure|warn"
    rf"|reassure) {_THEM}(?: (?:politely|kindly|briefly|clearly))?"
    rf"(?:,? that|:|,| to| about| of)?|let {_THEM} know(?: that)?|(?:explain|mention|state|point out|clarify|add"
    rf"|note|confirm|announce|say|respond|reply|answer|repeat|emphasi[sz]e|stress"
    rf"|make (?:it )?clear)(?: (?:to )?{_THEM})?"
    rf" that"
    r"|sage?(?: (?:ihm|ihr|ihnen|dem \w+|der \w+|den \w+))?,? (?:dass|bitte)|sagen sie(?: (?:ihm|ihr|ihnen|dem \w+"
    r"|der \w+|den"
    r" \w+))?,? dass|teilen? (?:sie )?(?:ihm|ihr|ihnen|dem \w+|der \w+|den \w+|\w+) mit,? dass|wei(?:s|se|sen)(?: sie)?"
    r" (?:\w+ ){0,3}darauf hin,? dass|erkl\u00e4ren?(?: \w+){0,3},? dass"
    r"|informieren?(?: \w+){0,3},? dass"
    r"|(?:dis|dites|indique|indiquez|explique|expliquez|pr\u00e9cise|pr\u00e9cisez|rappelle|rappelez|informe"
    r"|informez)(?:-(?:leur|lui"
    r"|les|le))?(?: (?:aux?|\u00e0 l[ae']|les?|l') ?\w+)? (?:que|qu')"
    r"|(?:di|dile|diles|diga|d\u00edgale|d\u00edgales|informa|informe|inf\u00f3rmales|explica|explique"
    r"|expl\u00edcales|indica"
    r"|indique|recuerda|comunica|recu\u00e9rdales)(?: (?:al?|a la|a los|a las) \w+)?(?: de)? que"
    r"|(?:di'|d\u00ec|di|dica|digli|dille|informa|informi|informali|spiega|spieghi|comunica|comunichi|ricorda"
    r"|precisa)(?: (?:loro|all?|al"
    r"|agli|ai|alla|ll?') ?\w*)?(?: \w+)? che"
    r"|(?:diga|diz|informe|explique)(?:-lhes?| aos? \w+| \u00e0s? \w+)? que|(?:zeg|vertel|leg)(?: (?:hun|hen"
    r"|de klant(?:en)?"
    r"|klanten|de gebruiker|uit))* dat)"
    rf"|(?P<say>say(?: (?:exactly|only|simply|something like|this|the following|hello|thank you))?[:,]?|sage?:"
    r"|sagen sie:|dis:|dites:|di:|diga:|d\u00ec:|zeg:|diz:|write:|schreibe?:|(?:respond|reply|answer|antworte"
    r"|antworten sie|r\u00e9ponds|r\u00e9pondez|responde|responda|rispondi|risponda"
    r"|antwoord)\s?:)(?=\s)"
    rf"|(?P<with>{_WITH_VERBS} (?:[\w'-]+ ){{0,7}}?{_WITH})(?: (?:the |den |le |la |el |il |de )?(?:words?|sentence"
    rf"|phrase|line"
    r"|following|text|message|greeting|worten?|satz|mots|phrase|palabras|frase|parole"
    r"|woorden)(?: [\w'-]+){0,2})?:?(?=\s)"
    rf"|(?P<noting>by (?:noting|saying|mentioning|explaining|stating|adding|telling|reminding"
    rf"|informing)(?: {_THEM})? that)"
    r"|(?P<use>(?:use|send|give|paste|add|include|show|display|verwende|benutze|utilise|utilisez|usa|utilizza|gebruik)"
    r" (?:this|the|following|diesen|folgenden|folgende|ce|cette|este|esta|questo|questa|deze|dit) [^:.!?\n]{0,40}:)"
    r"|(?P<asked>(?:when|if|whenever|wenn|falls|si|se|als) (?:[\w']+ ){0,4}?(?:asked|asks?|fragt|gefragt|demande"
    r"|pregunta"
    r"|chiede|vraagt)\b[^:.!?\n]{0,60}:)"
    rf"|(?P<text>{_TEXT_NOUNS})(?: (?:is|are|reads?|ist|lautet|est|es|\u00e8|\u00e9))?\s{{0,2}}[:\u2013\u2014]"
    r"|(?P<example>for example|for instance|e\.g\.|like this|along the lines of|zum beispiel|z\. ?b\.|par exemple"
    r"|por ejemplo|per esempio|ad esempio|por exemplo|bijvoorbeeld)[,:]?(?=\s)"
    r"|(?P<turn>(?:q|a|question|answer|customer|user|client|guest|assistant|agent|bot|frage|antwort|kunde|kundin"
    r"|nutzer|r\u00e9ponse|client|pregunta|respuesta|cliente|usuario|domanda|risposta|utente|pergunta|resposta|vraag"
    r"|antwoord|klant)(?: ?\d{1,2})?\W{0,3}[:.)]))",
)
_NEGATED: Final = re.compile(
    r"\b(?:never|not|don't|mustn't|avoid|cannot|can't|refuse to|refrain|nie|niemals|nicht|kein\w{0,2}"
    r"|vermeide\w{0,2}|jamais|pas"
    r"|nunca|jam\u00e1s|no|mai|non|evita|nooit|niet|geen|n\u00e3o|nem)\b",
)
_COMMAND: Final = re.compile(
    r"(?:[-*\u2022>#\s]|\d{1,2}[.)]\s){0,8}(?:never|always|do not|don't|keep|use|answer|respond|reply|if (?:the|a|an"
    r"|any|you|they"
    r"|asked|someone|unsure)|when(?:ever)?|you (?:are|must|should|may|can(?:not)?|will|have)|your|be|speak|write"
    r"|avoid|only"
    r"|make sure|ensure|remember|refer|escalate|ask|offer|greet|say|tell|inform|start|begin|end|close|finish|mention"
    r"|stay"
    r"|limit|treat|follow|under no|format|translate|refuse|decline|act|in case|for all|for any|then|afterwards"
    r"|the (?:user"
    r"|customer|assistant)|this (?:prompt|text)|these (?:instructions|rules)|rules?|instructions?|note|important"
    r"|internal"
    r"|confidential|du|antworte|verrate|nenne|erw\u00e4hne|wenn|sei|bleib\w*|halte|verwende|benutze|niemals|nie|gib"
    r"|frage|sprich"
    r"|sie (?:sind|m\u00fcssen|sollen|d\u00fcrfen)|tu|vous (?:\u00eates|devez)|ne|n'|r\u00e9ponds|r\u00e9pondez"
    r"|si (?:l'|le|la|un|une|el)"
    r"|utilise\w*|garde|reste|eres|usted|nunca|no|responde|responda|usa|mant\u00e9n|sei|non|rispondi|se (?:l'|il|un"
    r"|o)|usi"
    r"|mantieni|voc\u00ea|n\u00e3o|je bent|nooit|als|antwoord|gebruik)\b",
)
_FACT_LABEL: Final = re.compile(
    r"[\W\d]{0,6}(?:our |the |unsere? |notre |nos |nuestro |nuestra |nostr[oaie] )?(?:[\w-]+ ){0,2}?(?:hours?"
    r"|opening times?|address"
    r"|contacts?|contact (?:details|information|data)|phone(?: number)?|hotline|e-?mail|website|prices?|pricing"
    r"|price list|menu"
    r"|delivery|shipping|returns?(?: policy)?|refunds?(?: policy)?|parking|directions|locations?|faqs?|about us"
    r"|facts|services"
    r"|products?|check-?in|check-?out|\u00f6ffnungszeiten|adresse|anschrift|kontakt|telefon|preise|lieferung|versand"
    r"|r\u00fcckgabe"
    r"|anfahrt|horaires|heures d'ouverture|t\u00e9l\u00e9phone|tarifs|prix|livraison|retours|horario|horarios"
    r"|direcci\u00f3n"
    r"|contacto|tel\u00e9fono|precios|env\u00edos?|devoluciones|orari|orario(?: di apertura)?|indirizzo|contatti"
    r"|telefono|prezzi"
    r"|spedizion[ei]|resi|hor\u00e1rio|endere\u00e7o|contato|pre\u00e7os|openingstijden|adres|prijzen|levering"
    r"|retourneren)"
    r"\W{0,4}[:\u2013\u2014]",
)
_FACT: Final = re.compile(
    r"\b(?:we|our|ours|us|wir|uns|unser\w{0,2}|nous|notre|nos|nosotros|nuestr[oa]s?|noi|nostr[oaie]|n\u00f3s"
    r"|noss[oa]s?|wij"
    r"|ons|onze)\b"
    r"|\b(?:is|are|opens?|closed|ge\u00f6ffnet|ouvert[es]{0,2}|abiert[oa]s?|aperto|aperta|aberto"
    r"|geopend)\b[^.!?\n]{0,60}"
    r"\b(?:monday|tuesday|saturday|sunday|daily|weekdays|from \w+ to|montag|samstag|t\u00e4glich|lundi|samedi|lunes"
    r"|s\u00e1bado"
    r"|luned\u00ec|sabato|segunda|maandag|\d{1,2}[:.h]\d\d|\d{1,2} ?[ap]\.?m)\b",
)
_INTERNAL: Final = re.compile(
    r"\b(?:internal\w{0,2}|confidential\w{0,2}|secret\w{0,2}|private|margins?|cost price|not (?:public|share|tell)"
    r"|disclose|reveal"
    r"|staff only|employees?|passwords?|codes?|instructions?|prompt|vertraulich\w{0,2}|intern\w{0,3}|geheim\w{0,3}"
    r"|confidentiel\w{0,3}"
    r"|interne|confidencial\w{0,3}|interno|riservat[oaie]|vertrouwelijk)\b",
)
_FORBIDS = re.compile(
    r"(?:^\W*|[,:;] ?|\b(?:and|but|und|et|y|e|en) )(?:never|do not|don't|must not|avoid|niemals|nie|ne|nunca|no|non"
    r"|nooit|n\u00e3o)\b ?\w",
)
_BREAK = re.compile(r"(?<![\n ][0-9])(?<!\n[0-9]{2})(?<![.!?])[.!?]++[\"')\u201d]{0,2}(?=\s|$)|(?<=\n)\s*\n|\n")
"""Ends a sentence; blank lines are one."""
_LONGEST_LOOK = 200
_BULLETS = " \t*_#>\"'0123456789.)-\u2022"
_SHORTEST = 8
_WITH_TEXT = re.compile(r"\s*(?:[:\"\u201c\u00ab'\n]|[^\W\d_a-z\u00df-\u00ff])")


class Passage(NamedTuple):
    """A part of a system text: `order` is for the model, `said` it is told to say, `fact` is for users to know."""

    kind: Literal["order", "said", "fact"]
    text: str


def passages(text: str) -> Iterator[Passage]:
    """The parts of a system text from beginning to end, in time linear in its length."""
    saying, before = False, "\n"
    for sentence, low in _sentences(text):
        at: int | None = None
        blank = sentence.isspace() or not sentence
        if len(sentence) < _SHORTEST and not blank:
            at = 0 if saying else None
        elif blank:
            saying = saying and not (sentence and before.endswith("\n"))
        elif saying and not _COMMAND.match(low) and not _INTERNAL.search(low):
            at = 0
        else:
            at, saying = _told(sentence, low)
        if at is not None:
            yield Passage("order", sentence[:at])
            yield Passage("said", sentence[at:])
        else:
            fact = len(sentence) >= _SHORTEST and _is_fact(low)
            yield Passage("fact" if fact else "order", sentence)
        before = sentence


def _sentences(text: str) -> Iterator[tuple[str, str]]:
    """Each sentence, and the same in lower case."""
    start, low = 0, lowered(text)
    for found in _BREAK.finditer(text):
        end = found.end()
        yield text[start:end], low[start:end]
        start = end
    yield text[start:], low[start:]


def _told(sentence: str, low: str) -> tuple[int | None, bool]:
    """Where a text to be said begins in a sentence, and whether it may go on in the sentences that follow."""
    for match in MARKERS.finditer(low):
        kind, end = match.lastgroup, match.end()
        before = low[max(match.start() - _LONGEST_LOOK, 0) : match.start()]
        if (kind == "turn" and before.strip(_BULLETS)) or (kind in {"that", "say"} and not _START.search(before[-24:])):
            continue
        if kind != "turn" and _is_negated(low, before):
            continue
        opened = sentence[end - 3 : end].rstrip().endswith((":", "\u2013", "\u2014"))
        if kind in {"asked", "use"} and _COMMAND.match(low, end):
            continue
        opened = opened or (kind == "with" and sentence[match.start() : end].lower().endswith(_SAYING))
        quoting = kind in {"with", "say"}
        if quoting and not opened and not _WITH_TEXT.match(sentence, end):
            continue
        return end, opened or quoting
    return None, False


_SAYING: Final = (
    *("saying", "disant", "diciendo", "dicendo", "dizendo", "sentence", "words", "phrase", "line", "text", "message"),
    *("satz", "worten", "mots", "palabras", "frase", "parole", "woorden"),
)
"""What a text may follow without a mark: `by saying`, `with the words`."""


def _is_negated(low: str, before: str) -> bool:
    """Whether what follows must not be said: `never tell them that`, `do not say`."""
    if _NEGATED.search(re.split(r"[,;:]", before)[-1]):
        return True
    head = " ".join(low[:_LONGEST_LOOK].split()[:2])
    return bool(before) and _NEGATED.search(head) is not None and not _INSTEAD.search(before)


_INSTEAD = re.compile(r"\b(?:instead|but|stattdessen|sondern|mais|sino|ma|maar)\b")


def _is_fact(low: str) -> bool:
    """Whether a sentence tells users something about the organisation, and the model nothing."""
    if _COMMAND.match(low):
        return False
    if _FACT_LABEL.match(low) is None and _FACT.search(low) is None:
        return False
    return not _INTERNAL.search(low) and not _FORBIDS.search(low)
