"""How answers decline in languages other than English. Made for Keelwatch.

Patterns are hyperscan's subset of PCRE and read bytes, so that a character of another script counts two or three in a
repetition and no class may name one. They are folded as texts are (`folded`): write them with their accents. A clause
ends at punctuation: "ich kann verstehen, dass das nicht ..., und helfe gern" must not read as "kann nicht helfen".
A language is a line of `TONGUES` with at least three ways to decline: inability and a verb of helping, an apology and
inability, and a word for refusing; tests/signals/test_refusal_tongues.py has its refusals and its helpful answers.
"""

# ruff: noqa: RUF001 -- texts of many scripts
from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from typing import Final

_LETTERS: Final = str.maketrans(
    {
        **{"\u2019": "'", "\u2018": "'", "\u02bc": "'", "\u201c": '"', "\u201d": '"', "\u0131": "i", "\u0142": "l"},
        **{"\u0111": "d", "\u00e6": "ae", "\u00f8": "o", "\u0153": "oe", "\u00df": "ss", "\u3002": ".", "\u3001": ","},
        **{"\u060c": ",", "\u061b": ";", "\u061f": "?", "\u0964": ".", "\u06cc": "\u064a", "\u0649": "\u064a"},
        "\u06a9": "\u0643",
    }
)
_MARKS: Final = re.compile("[\u0300-\u036f\u0640\u064b-\u065f]")


def folded(text: str) -> str:
    """Lower-case text in compatibility form without the accents of Latin, Greek, Cyrillic and Arabic letters.

    >>> folded("Désolé, não posso")
    'desole, nao posso'
    """
    if text.isascii():
        return text.lower()
    bare = _MARKS.sub("", unicodedata.normalize("NFKD", text.lower().translate(_LETTERS)))
    return unicodedata.normalize("NFKC", bare).translate(_LETTERS)


_C: Final = r"[^,.;:!?]{0,50}"
"""The rest of a clause; `_S` of a sentence, `_B` of a clause in a script of two or three bytes a letter."""
_S: Final = r"[^.!?]{0,60}"
_B: Final = r"[^,.;:!?]{0,130}"
_SB: Final = r"[^.!?]{0,160}"

TONGUES: Final[Mapping[str, tuple[str, ...]]] = {
    "de": (
        rf"\bhelfe ich\b{_C}\bnicht\b|\bich helfe\b{_C}\bnicht\b|\b(?:lieber|besser) nicht\b{_C}(?:sprech|beantwort"
        rf"|helf|schreib)",
        rf"\b(?:(?:ich|wir) (?:kann|können|könnte|darf|dürfen|werde|werden|möchte|möchten|will)|(?:kann|können|darf"
        rf"|dürfen"
        rf"|werde|möchte|will) (?:ich|wir))\b{_C}\b(?:nicht|kein\w{{0,2}}|nichts)\b{_C}(?:\bhilf|\bhelf|helfen"
        rf"|behilflich"
        r"|unterstütz|antwort|bereitstell|geben|anbiet|schreib|erstell|liefer|nachkomm|erfüll|eingeh|auskunft|dienen"
        r"|nennen|verfass|\bteil|generier|diskut|besprech|mitmach|beitrag|erzeug|formulier|preisgeb|durchführ"
        r"|bearbeit"
        r"|äußer|entsprech|\btun\b|weiter ?geben|dazu sagen|machen\b)",
        rf"\b(?:ich bin|bin ich|wir sind|sind wir)\b{_C}\b(?:nicht (?:\w{{1,12}} )?(?:in der lage|befugt|berechtigt"
        r"|imstande|bereit|autorisiert|dafür)|außerstande)",
        rf"\b(?:mir|uns)\b{_C}\b(?:nicht (?:\w{{1,12}} )?(?:möglich|erlaubt|gestattet)|unmöglich|untersagt|verboten)",
        rf"\b(?:ich|wir)\b{_S}\b(?:ablehnen|verweigern)\b|\b(?:lehne ich|ich lehne)\b{_S}\bab\b"
        rf"|\b(?:ich|wir) verweiger|\b(?:ich|wir) (?:muss|müssen|möchte|werde)\b{_C}\b(?:passen|absagen"
        rf"|verzichten)\b",
        rf"\b(?:das|dies|dabei|dafür)\b{_C}\b(?:ist|bin)\b (?:leider )?(?:nichts|kein thema|keine anfrage|etwas){_S}"
        r"\b(?:ich|wir) (?:\w{1,14} ){0,3}(?:nicht |keine? )?(?:helfen|kann|darf|möchte|behandle)",
        rf"\b(?:außerhalb|übersteigt|jenseits)\b{_C}\b(?:meiner|meine|unserer|dessen)\b|\bgegen (?:meine"
        rf"|unsere)\b{_C}"
        rf"\b(?:richtlinie|grundsätze|regeln|vorgaben)|\b(?:meine|unsere)\b{_C}\b(?:richtlinien|vorgaben"
        rf"|regeln)\b{_C}"
        r"\b(?:verbieten|untersagen|erlauben|lassen|hindern|verhindern|gestatten)",
        rf"\b(?:(?:mache|erstelle|schreibe|beantworte|spreche|gebe|teile|unterstütze|behandle|liefere|diskutiere"
        rf"|bespreche) ich|ich (?:mache|erstelle|schreibe"
        rf"|beantworte|spreche|gebe|teile|unterstütze|behandle|liefere|diskutiere|bespreche))\b{_C}\b(?:nicht"
        rf"|keine\w?)\b|\bmuss ich\b{_C}\b(?:passen|ablehnen|absagen)\b"
        r"|\b(?:das|dies|hier|da|dazu|so etwas) (?:kann|darf|will|möchte|werde) ich (?:\w{1,10} ){0,2}nicht[.!]"
        r"|\b(?:etwas anderes|thema) (?:reden|sprechen|wechseln)\b"
        r"|\b(?:reden|sprechen) wir (?:lieber )?über etwas anderes",
        rf"\b(?:tut mir (?:\w{{1,9}} )?leid|entschuldig|verzeih|leider|bedau\w"
        rf"|sorry)\w{{0,6}}\b{_S}\b(?:geht (?:das )?nicht"
        rf"|nicht möglich|(?:kann|darf) ich (?:das |da |dir |ihnen |hier )?(?:\w{{1,9}} )?nicht\b[.!]|nicht erlaubt"
        r"|nicht helfen|nicht weiterhelfen|keine auskunft|nicht beantwort)",
    ),
    "fr": (
        r"\bje ne (?:ferai|donnerai|répondrai|écrirai|partagerai|fournirai|participerai|discuterai|vous aiderai"
        r"|t'aiderai)"
        r"\b (?:\w{1,12} )?pas\b|\bje préfér\w{1,6}(?: \w{1,12})? ne pas\b",
        rf"\b(?:je|nous) (?:ne |n'|)(?:peux|pouvons|pourrai|pourrais|vais|veux|souhaite|dois"
        rf"|compte)(?: \w{{1,15}}){{0,2}}"
        rf" pas\b{_C}(?:\baid|\bt'aid|vous aid|assist|fourni|répond|donner|créer|écri|partag|accept|satisf|accéder"
        rf"|discut"
        r"|traiter|effectu|génér|réalis|propos|divulg|communiqu|particip|rédig|poursuivre|parler|faire (?:cela|ça"
        r"|ce)|aborder)",
        rf"\bje ne (?:saurais|puis)\b{_C}(?:\baid|assist|fourni|répond|donner|créer|écri|partag|accéder|satisf"
        rf"|discut)",
        r"\b(?:je ne suis|nous ne sommes|je suis)(?: \w{1,15}){0,2} (?:pas )?(?:en mesure|autorisé|habilité|capable"
        r"|à l'aise|incapable|dans l'incapacité|dans l'impossibilité|apte)\w{0,2} (?:de|d'|pour|à)",
        r"\b(?:il|cela|ça) (?:m'est|nous est|ne m'est|ne nous est)(?: \w{1,15}){0,2} (?:impossible|possible|interdit"
        r"|permis)",
        rf"\b(?:je|nous) (?:dois|devons|préfère|préférons|vais devoir|suis (?:contraint|obligé)\w?|me vois)\b{_C}"
        r"\b(?:décliner|refuser|m'abstenir|rejeter|ne pas)\b|\bje (?:refuse|décline)\b",
        r"\bje ne (?:fournis|donne|réponds|écris|crée|partage|discute|participe|rédige|génère|traite"
        r"|parle)\b (?:\w{1,12} )?pas\b|\bde ne pas (?:pouvoir|être en mesure)"
        r"|\b(?:parlons|discutons) (?:plutôt )?d'autre chose|\bchangeons de sujet|\b(?:va à l'encontre de|enfreint"
        r"|contraire à) (?:mes|nos)\b",
        rf"\b(?:désolée?s?|navrée?|regrette|malheureusement|pardon|excuse\w{{0,4}})\b{_S}\b(?:(?:ne |n'|)(?:peux"
        rf"|puis|pouvons"
        r"|pourrai|est) (?:\w{1,12} )?pas (?:\w{1,12} )?(?:possible|le faire|vous|t'|aider|répondre|faire)"
        r"|impossible|c'est non)",
        rf"\b(?:sort du cadre|dépasse (?:le cadre|mes|ce que)|en dehors de mes|hors de mes)"
        rf"|\bmes\b{_C}\b(?:directives|règles"
        rf"|consignes|principes)\b{_C}(?:interdi|permett|empêch)|\b(?:ce|cela) n'est pas quelque chose\b{_C}\b(?:je"
        rf"|nous)\b",
    ),
    "es": (
        r"\bme (?:es|resulta|será) imposible\b|\bno (?:pienso|planeo|tengo intención de) |\bno (?:responderé"
        r"|contestaré"
        r"|te ayudaré|le ayudaré|ayudaré|escribiré|daré|compartiré|participaré|lo haré)\b",
        r"\bno (?:te |le |les |os |lo |la )?(?:puedo|podemos|podré|podría|podremos|voy a|vamos a|deseo|quiero|debo"
        r"|(?:me|nos)"
        r" (?:es|será|resulta) posible|estoy (?:autorizad|capacitad|en condiciones|habilitad|program|diseñad"
        r"|en posición"
        rf"|dispuest)\w{{0,12}}|tengo (?:permitido|permiso|autorización|la capacidad)|me siento cómod\w|soy capaz"
        rf"|se me permite)"
        rf"{_C}(?:ayud|proporcion|ofrec|\bdar(?:te|le|les)?\b|brind|crear|escrib|respond|contest|compart|cumpl|asist"
        rf"|gener"
        r"|facilit|hablar|discut|complac|realiz|hacer (?:eso|esto)|hacerlo|acced|atender|entreg|revel|colabor"
        r"|suministr"
        r"|tratar|continuar|particip|redact|apoy)",
        rf"\b(?:debo|tengo que|prefiero|he de|me veo \w{{1,12}} a|quisiera)\b{_C}(?:declinar|rechazar|abstenerme"
        rf"|negarme"
        r"|no (?:responder|hablar|hacer))|\bme niego a\b|\b(?:declino|rechazo) (?:la|esta|esa|tu|su|responder)\b",
        rf"\b(?:lo siento|disculp\w{{0,4}}|perdón\w{{0,4}}|lamento|lamentablemente|desafortunadamente"
        rf"|me temo)\b{_S}\bno (?:te |le |lo )?"
        r"(?:puedo|podemos|es posible|me es posible|será posible|está permitido|podré|tengo permitido|puede ser)",
        r"\bno (?:proporciono|ofrezco|doy|escribo|respondo|comparto|hablo (?:de|sobre)|participo|redacto|genero)\b"
        r"|\b(?:hablemos de otra|cambiemos de tema)"
        r"|\b(?:va en contra de|viola|infringe) (?:mis|nuestras)\b",
        rf"\b(?:eso|esto|ese)\b{_C}\bno es (?:algo|un tema)\b{_S}\b(?:pued|pod|ayud|habl)|\b(?:fuera"
        rf"|más allá) de (?:mi|mis|lo que)\b"
        rf"|\bmis\b{_C}\b(?:directrices|políticas|normas|pautas|reglas)\b{_C}(?:impiden|prohíben|permiten)",
    ),
    "ca": (
        rf"\bno (?:et |us |li |ho )?(?:puc|podem|podré|vull|vaig a|em sento còmod\w{{0,2}}|estic autoritza\w{{0,3}}"
        rf"|soc capaç de|m'és possible)\b{_C}(?:ajud|proporcion|respon|escri|compart|oferi|crear|genera|donar"
        rf"|facilit|parlar|fer (?:això|aixo)|fer-ho|atend|compli|assisti|tractar)",
        rf"\b(?:ho sento|em sap greu|disculp\w{{0,4}}|lamentablement|malauradament|ho lamento)\b{_S}\bno"
        rf" (?:et |us |ho )?(?:puc|podem|podré|és possible|m'és possible)",
        rf"\b(?:he de|haig de|prefereixo|em nego a|em veig obligat a)\b{_C}(?:declinar|rebutjar|negar|no respondre"
        rf"|respondre|escriure)|\bem nego a\b|\brebutjo (?:aquesta|la)\b",
    ),
    "pt": (
        r"\b(?:isso|isto) (?:eu )?não (?:posso|vou|consigo|quero) (?:fazer|dar|responder)|\bnão (?:responderei"
        r"|ajudarei"
        r"|escreverei|darei|fornecerei|farei isso|participarei)\b|\b(?:me é|é-me) impossível\b",
        r"\bnão (?:te |lhe |o |a |vos )?(?:posso|podemos|consigo|conseguimos|poderei|poderia|vou|irei|devo|quero"
        r"|estou (?:autorizad"
        r"|apt|em condições|em posição|dispost|à vontade|habilitad|programad)\w{0,4}|sou capaz|me é (?:possível"
        r"|permitido)"
        rf"|tenho (?:permissão|autorização|como|capacidade)|me sinto)\b{_C}(?:ajud|fornec|oferec|\bdar\b|criar"
        rf"|escrev|respond"
        r"|compart|partilh|cumpr|gerar|auxili|assist|discut|falar|atend|realiz|fazer isso|divulg|revel|colabor|tratar"
        r"|continu|prossegu|particip|disponibiliz|apoiar)",
        rf"\b(?:preciso|devo|tenho que|tenho de|prefiro|vou ter)\b{_C}(?:recusar|declinar|abster|rejeitar"
        rf"|não responder)"
        r"|\b(?:recuso-me|me recuso|recuso)\b",
        rf"\b(?:desculp\w{{0,4}}|sinto muito|lament\w{{1,5}}|infelizmente|perdão)\b{_S}\bnão (?:\w{{1,4}} )?(?:posso"
        rf"|podemos"
        r"|consigo|é possível|vou|poderei|estou|tenho)\b",
        r"\bnão (?:forneço|dou|escrevo|respondo|partilho|compartilho|falo (?:de|sobre)|participo|redijo)\b"
        r"|\b(?:vamos (?:falar de outra|mudar de assunto))"
        r"|\b(?:vai contra|viola|infringe) (?:as )?(?:minhas|nossas)\b",
        rf"\b(?:isso|isto) não é (?:algo|um assunto)\b{_S}\b(?:poss|consig|ajud)|\bfora d[oae]s? (?:meu|minha|que eu"
        rf"|escopo|âmbito)"
        rf"|\bminhas\b{_C}\b(?:diretrizes|políticas|regras|orientações)\b{_C}(?:impedem|proíbem|permitem)",
    ),
    "it": (
        r"\bnon (?:risponderò|ti aiuterò|aiuterò|scriverò|fornirò|darò|parteciperò|lo farò)\b|\bmi è impossibile\b"
        r"|\b(?:questo|quello) non (?:posso|voglio) (?:farlo|fare|dirlo)",
        r"\bnon (?:ti |le |vi |ne |lo )?(?:posso|possiamo|potrei|potrò|potremo|voglio|intendo|vorrei"
        r"|sono (?:in grado|autorizzat"
        r"|programmat|abilitat|nelle condizioni|a mio agio|dispost)\w{0,2}|siamo in grado|mi è (?:possibile|permesso"
        r"|consentito)"
        rf"|ho (?:il permesso|la possibilità|modo))\b{_C}(?:aiut|assist|forni|offri|\bdar|crear|scriv|rispond"
        rf"|condivid|soddisf"
        r"|gener|discut|parlar|esaudi|proced|partecip|svolg|rivel|divulg|trattar|continu|supportar|accogli|farlo)",
        rf"\b(?:devo|dobbiamo|preferisco|sono costrett\w)\b{_C}(?:declinar|rifiutar|respinger|astenermi"
        rf"|non (?:rispond|parl))"
        r"|\bmi rifiuto\b|\b(?:declino|rifiuto) (?:la|questa|di)\b",
        rf"\b(?:mi (?:di)?spiace|scusa\w{{0,3}}|purtroppo|spiacent\w"
        rf"|mi rincresce)\b{_S}\bnon (?:\w{{1,4}} )?(?:posso|possiamo"
        r"|sono in grado|è possibile|mi è possibile|riesco|si può)\b",
        r"\bnon (?:fornisco|do|scrivo|rispondo|condivido|parlo di|partecipo|redigo)\b|\b(?:parliamo d'altro"
        r"|parliamo di altro|cambiamo argomento)"
        r"|\b(?:va contro|viola) (?:le )?(?:mie|nostre)\b",
        rf"\bnon è (?:qualcosa|una cosa)\b{_S}\b(?:posso|sono|possiamo)\b|\b(?:esula da|va oltre|al di fuori)\b{_C}"
        rf"\b(?:mi[eo]|quello che|ciò che|dalle)\b|\b(?:le mie|mie)\b{_C}\b(?:linee guida|regole"
        rf"|direttive)\b{_C}(?:consent|impedi|viet|permett)",
    ),
    "nl": (
        rf"\b(?:kan|mag|zal|wil|ga) (?:ik|we|wij)\b{_C}\b(?:niet|geen)\b{_C}(?:inwillig|honorer|toelicht|uitleg"
        rf"|vertell|openbaar)"
        rf"|\b(?:help ik|ik help)\b{_C}\bniet\b|\b(?:onmogelijk voor mij|mij niet toegestaan)\b",
        r"\b(?:(?:ik|we|wij) (?:kan|kunnen|mag|mogen|zal|zullen|wil|ga)|(?:kan|kunnen|mag|mogen|zal|wil|ga) (?:ik|we"
        r"|wij))\b"
        rf"{_C}\b(?:niet|geen|niets)\b{_C}(?:help|assister|\bgeven|verstrek|antwoord|schrijv|\bmaken|bied|lever"
        rf"|delen|genere|creër"
        r"|bespre|uitvoer|voldoen|meewerk|ingaan|\bdoen\b|behulpzaam|ondersteun|opstell|praten|van dienst|meedoen)",
        rf"\b(?:ik ben|ben ik|wij zijn)\b{_C}\bniet (?:\w{{1,12}} )?(?:in staat|bevoegd|gemachtigd|bereid"
        rf"|toegestaan)",
        rf"\b(?:ik|we)\b (?:moet|zal|wil)\b{_C}\b(?:weigeren|afwijzen|afslaan|bedanken|afzien)|\b(?:ik weiger"
        rf"|weiger ik)\b",
        rf"\b(?:sorry|helaas|spijt me|excuses|excuseer)\b{_S}\b(?:kan|mag|gaat|kunnen|is)\b{_S}\b(?:niet (?:mogelijk"
        rf"|toegestaan"
        r"|helpen|mee helpen|lukken)|niet[.!])",
        rf"\b(?:ik (?:geef|schrijf|beantwoord|verstrek|maak|deel|bespreek|doe)|(?:geef|schrijf|beantwoord|verstrek"
        rf"|maak|deel|bespreek|doe) ik)\b{_C}\b(?:niet|geen)\b"
        r"|\bwil (?:ik )?(?:\w{1,8} ){0,2}liever niet\b|\bover iets anders (?:praten|hebben)"
        r"|\bvan onderwerp veranderen|\bin strijd met (?:mijn|onze)\b",
        rf"\bbuiten (?:mijn|wat ik|de grenzen)\b|\bmijn\b{_C}\b(?:richtlijnen|regels)\b{_C}(?:verbied|staan|laten"
        rf"|toe)",
    ),
    "sv": (
        r"\b(?:(?:jag|vi) (?:kan|får|kommer|vill|tänker)|(?:kan|får|kommer|vill|tänker) (?:jag|vi))\b"
        rf"{_C}\b(?:inte|ej|inga|ingen|inget)\b{_C}(?:hjälp|svara|\bge\b|tillhandahåll|skriv|skapa|\bdela|bistå"
        rf"|diskut|uppfyll|assist"
        r"|generera|erbjud|lämna|prata|utför|göra (?:det|detta)|stödja|delta|ställa upp)",
        rf"\b(?:jag är|är jag)\b{_C}\binte (?:\w{{1,12}} )?(?:i stånd|bekväm|kapabel|behörig|villig|redo)",
        rf"\b(?:måste|vill|väljer|får)\b{_C}(?:avböja|avstå|neka|tacka nej|säga nej)|\bjag (?:avböjer|avstår"
        rf"|vägrar)\b",
        rf"\b(?:tyvärr|ledsen|ursäkta|beklagar|förlåt)\b{_S}\b(?:kan|får|går|är)\b{_S}\binte\b",
        rf"\bvill (?:jag )?(?:helst|hellre) inte\b|\b(?:jag (?:gör|skriver|svarar|ger|skapar)|(?:gör|skriver|svarar"
        rf"|ger|skapar) jag)\b{_C}\b(?:inte|inga|inget)\b",
        rf"\b(?:inget|inte något|ingenting)\b (?:som )?jag (?:kan|får|vill)\b{_C}(?:hjälp|svar|bistå|göra|diskut)",
        rf"\butanför (?:mina|mitt|vad jag)\b|\bmina\b{_C}\briktlinjer\b{_C}(?:förbjud|tillåt|hindra)",
    ),
    "da, no": (
        r"\b(?:(?:jeg|vi) (?:kan|må|vil|får|kommer)|(?:kan|må|vil|får) (?:jeg|vi))\b"
        rf"{_C}\b(?:ikke|ingen)\b{_C}(?:hjelp|hjælp|svar|\bgi\b|\bgive\b|lever|skriv|\blage\b|\blave\b|\bdele\b"
        rf"|bistå|diskut|oppfyll|opfyld"
        r"|tilby|delta|imøtekom|imødekom|assister|gjøre det|gøre det)",
        rf"\b(?:beklager|desværre|dessverre|undskyld|unnskyld|lei for)\b{_S}\b(?:kan|må|går|får)\b{_S}\bikke\b",
        rf"\b(?:må|vil|vælger|velger)\b{_C}(?:afslå|avslå|afvise|avvise|takke nei|takke nej|sige nej)"
        rf"|\bjeg (?:afviser|avviser|nekter|nægter)\b",
        rf"\b(?:er ikke i stand|ikke har lov|uden for (?:mine|mit|hvad)|utenfor (?:mine|mitt|det))\b"
        rf"|\bmine\b{_C}\bretningslin\w{{1,8}}\b{_C}(?:forb|tillad|tillat)",
    ),
    "fi": (
        r"\ben (?:vastaa|auta|kirjoita|anna|tee (?:sitä|tätä)|osallistu|keskustele)\b",
        rf"\b(?:en|emme) (?:\w{{1,16}} )?(?:voi|pysty|saa|aio|halua|kykene)\b{_C}(?:autta|auta\b|vasta|antaa|kirjoit"
        rf"|tarjo|tehdä|jaka|luoda"
        r"|toteut|keskust|tukea|kommentoi|osallis)",
        rf"\b(?:pahoittel\w{{1,5}}|anteeksi|valitettavasti|valitan|pahoillani)\b{_S}\b(?:en|emme) (?:voi|pysty|saa"
        rf"|kykene)\b",
        r"\b(?:joudun|minun (?:on|täytyy)) (?:\w{1,14} )?kieltäyty|\bkieltäydyn\b|\bohjeeni (?:estävät|kieltävät"
        r"|eivät)\b",
    ),
    "pl": (
        rf"\bnie (?:mogę|możemy|wolno mi|chcę){_C}(?:ujawni|przekaza|przygotow|tego|wyjaśni|poruszać)"
        rf"|\bnie (?:pomogę|odpowiem|udzielę"
        r"|napiszę|zrobię tego|podam|udostępnię)\b",
        r"\bnie (?:mogę|możemy|mógłbym|mogłabym|jestem w stanie|jestem (?:uprawnion|upoważnion|gotow)\w{1,3}"
        r"|będę (?:mógł |mogła )?|wolno mi"
        rf"|mam (?:możliwości|uprawnień)|potrafię|chcę|zamierzam){_C}(?:pomóc|pomog|pomaga|udziel|odpowied|odpowiad"
        rf"|podać|dostarcz|zapewn|napis|pisać|podawa|zrobić"
        r"|stworz|wygener|przedstaw|udostępn|spełni|zrealizow|omawia|rozmawia|wykona|kontynuow|wesprze|uczestnicz"
        r"|zrobić tego)",
        rf"\b(?:pomóc|odpowiedzieć|udzielić)\b{_C}\bnie (?:mogę|możemy|jestem w stanie)\b",
        rf"\b(?:muszę|musimy|zmuszon\w|wolę)\b{_C}(?:odmówić|odrzucić|nie odpowiada)|\bodmawiam\b",
        rf"\b(?:przepraszam|przykro mi|niestety|wybacz\w{{0,4}})\b{_S}\bnie (?:mogę|możemy|jestem w stanie|da się"
        rf"|wolno|mam możliwości)\b",
        rf"\b(?:wolę|wolałbym|wolałabym)\b{_C}\bnie\b|\b(?:zmieńmy temat|porozmawiajmy o czymś innym)"
        rf"|\bsprzeczn\w{{1,3}} z (?:moimi|naszymi)",
        rf"\bwykracza poza\b{_C}\b(?:moj|zakres|to)|\bmoje\b{_C}\b(?:wytyczne|zasady)\b{_C}(?:zabrani|pozwal)",
    ),
    "cs, sk": (
        r"\b(?:nemohu|nemůžu|nemůžeme|nesmím|nedokážu|nebudu|nechci|nejsem (?:schop\w{1,3}|oprávněn\w?|v pozici)"
        r"|nemôžem|nemôžeme|nesmiem"
        rf"|nedokážem|nie som schopn\w)\b{_C}(?:pomo|pomá|poskyt|odpov|napsa|napís|vytvo|sdíl|zdieľ|splni|vyhov"
        rf"|diskut|\bdát\b|zodpov|asist|provést|pokrač|bavit)",
        rf"\b(?:omlouvám se|bohužel|promi\w{{1,5}}|je mi líto|lituji|ospravedlňujem|žiaľ|prepáč\w{{0,3}}"
        rf"|ľúto mi)\b{_S}\b(?:nemohu|nemůž\w{{1,3}}"
        r"|nelze|nejsem|nejde|nesmím|nemôž\w{1,4}|nemožno|nie je možné)\b",
        r"\b(?:nepomůžu|nepomohu|nepomôžem|neposkytnu|neodpovím|nenapíšu|nevytvořím|neodpoviem)\b",
        rf"\b(?:musím|musíme)\b{_C}(?:odmítnout|odmietnuť|zamítnout)|\b(?:odmítám|odmietam)\b",
    ),
    "hu": (
        r"\bnem (?:tudok|tudom|tudunk|áll módomban|vagyok (?:képes|hajlandó|jogosult)|szeretnék|fogok)\b"
        rf"{_C}(?:seg|válasz|\badni|nyújt|\bírni|teljesít|megoszt|létrehoz|beszél|elkészít)",
        r"\bnem (?:segíthet|adhat|válaszolhat|teljesíthet|írhat|oszthat|nyújthat)\w{0,5}\b"
        r"|\bsegíteni (?:sajnos )?nem (?:tudok|tudunk)\b",
        rf"\b(?:sajnálom|sajnos|elnézést|bocsánat)\b{_S}\bnem (?:tud\w{{1,3}}|lehet\w{{0,4}}|segít\w{{1,7}}"
        rf"|áll módomban|megengedett)\b",
        r"\b(?:vissza|el) kell utasítan|\b(?:visszautasítom|elutasítom)\b",
    ),
    "ro": (
        r"\bnu (?:vă |te |îți )?(?:pot|putem|sunt în măsură|am voie|îmi este (?:permis|posibil)|voi|aș putea"
        r"|doresc)\b"
        rf"{_C}(?:ajut|ofer|răspund|furniz|scri|crea|gener|partaj|asist|discut|îndeplin|\bda\b|susțin)",
        rf"\b(?:îmi pare rău|din păcate|ne pare rău|scuze|regret)\b{_S}\bnu (?:\w{{1,4}} )?(?:pot|putem"
        rf"|sunt în măsură|este posibil|am voie)\b",
        rf"\b(?:trebuie|prefer|sunt nevoit\w?) să\b{_C}(?:refuz|declin)|\brefuz să\b",
    ),
    "hr, sr": (
        rf"\b(?:ne mogu|ne možemo|ne smijem|ne smem|neću|nisam u mogućnosti|ne želim)\b{_C}(?:pomoć|pomog|odgovor"
        rf"|pruži|\bdati|napisa|stvori|podijel|podel|ispuni|razgovar|raspravlj)",
        rf"\b(?:žao mi je|nažalost|oprosti\w{{0,2}}|ispričavam)\b{_S}\b(?:ne mogu|ne možemo|ne smijem|ne smem"
        rf"|nije moguće)\b",
        r"\b(?:moram|moramo) (?:\w{1,12} )?odbiti\b|\bodbijam\b",
    ),
    "tr": (
        r"[a-z]{2,14}m[ae]m(?:iz)? (?:mümkün değil|imkansız|doğru olmaz|uygun değil)|(?:yetkim|iznim) yok",
        r"(?:yardımcı|yardım|destek|cevap|yanıt|bilgi|talimat|içerik|isteğini|istek|talebini|konuda"
        r"|bunu)[^.;:!?]{0,50}(?:olamam|olamıyor|olamayac"
        r"|edemem|edemiyor|edemeyec|veremem|veremiyor|veremeyec|sağlayam|sunamam|sunamıyor|sunamayac|üretem"
        r"|oluşturam|paylaşam"
        r"|yazamam|yazamıyor|yazamayac|yapamam|yapamıyor|yapamayac|karşılayam|yerine getirem|konuşam)",
        r"\b(?:bu|bunu|buna|böyle|şu|bunun)\b[^.;:!?]{0,50}(?:amam|emem|amıyoru|emiyoru|amayaca|emeyece|amayız"
        r"|emeyiz)",
        r"(?:cevap|yanıt|yardım|bilgi)[^.;:!?]{0,30}(?:vermeyeceğ|etmeyeceğ|olmayacağ)|konuyu değiştir"
        r"|başka bir (?:konu|şey)(?:dan|den|yu)? konuş",
        r"(?:yanıtlayam|cevaplayam|karşılayam|gerçekleştirem|tartışam|yardımcı olmam mümkün değil)",
        r"(?:üzgünüm|maalesef|özür dileri|kusura bakma|ne yazık ki)[^.!?]{0,90}(?:amam\b|emem\b|amıyor|emiyor|amayac"
        r"|emeyec|mümkün değil"
        r"|izin verilmi|izin yok)",
        r"(?:reddetmek|reddediyorum|geri çevirmek|geri çeviriyorum) ?(?:zorunda|durumunda)?",
    ),
    "id, ms": (
        r"\b(?:tidak|tak) (?:dapat|bisa|boleh|akan) (?:saya|kami|aku) \w{4,}",
        rf"\b(?:saya|kami|aku)\b{_C}\b(?:tidak|tak|nggak|belum|enggan)(?: (?:dapat|bisa|boleh|mampu|akan|diizinkan"
        rf"|diperbolehkan|bersedia|ingin|dibenarkan))?\b"
        rf"{_C}(?:bantu|memberi|menyedia|menjawab|memenuhi|membuat|menulis|membahas|melakukan|berbagi|membagi"
        rf"|melayani|mendukung|menghasilkan"
        r"|menanggapi|mendiskusi|membincang|terlibat|berkongsi|menyokong)",
        rf"\b(?:maaf|sayangnya|maafkan|malangnya)\b{_S}\b(?:tidak|tak|belum) (?:dapat|bisa|boleh|mampu|akan"
        rf"|diizinkan)\b",
        r"\b(?:harus|terpaksa|perlu|memilih) (?:\w{1,10} )?menolak\b|\b(?:saya|kami) menolak\b",
        rf"\b(?:memilih|lebih baik|lebih suka) (?:untuk )?tidak\b{_C}(?:menjawab|membahas|membantu|membuat)"
        rf"|\b(?:bicara|bahas) hal lain|\bganti topik",
        rf"\bdi luar (?:kemampuan|cakupan|lingkup|batas)|\bpedoman\b{_C}\b(?:melarang|tidak)",
    ),
    "vi": (
        rf"\b(?:tôi|mình|em|chúng tôi)\b{_C}\b(?:không thể|không được phép|không có khả năng|không muốn|sẽ không"
        rf"|chưa thể|xin phép không)\b{_C}"
        r"(?:giúp|hỗ trợ|cung cấp|trả lời|đáp ứng|thực hiện|chia sẻ|viết|tạo|thảo luận|đưa ra|nói về|tham gia"
        r"|hướng dẫn|làm (?:điều|việc)|tiết lộ|bàn)",
        rf"\b(?:xin lỗi|rất tiếc|tiếc là|thành thật)\b{_S}\bkhông (?:thể|được|có)\b",
        r"\b(?:phải|xin|xin phép|buộc phải) từ chối\b|\b(?:tôi|mình) từ chối\b|\b(?:nói chuyện khác|đổi chủ đề)"
        r"|\bnằm ngoài (?:khả năng|phạm vi)\b",
    ),
    "ru": (
        rf"не (?:могу|можем|смогу|буду|стану|вправе|имею права){_B}(?:раскры|сообщ|разглаш|одобр|делать|готовить"
        rf"|объясн)"
        r"|(?:^|[ ,])(?:я )?не (?:помогу|отвечу|напишу|предоставлю|стану этого)",
        rf"не (?:могу|можем|смогу|сможем|буду|стану|имею (?:права|возможности)|в состоянии|вправе|готова?\b"
        rf"|уполномоч|предназнач|хочу|хотел бы){_B}"
        r"(?:помо|предостав|ответ|отвеча|созда|написа|писать|дать|дава|выполн|обсужд|подсказ|подели|сгенерир|поддерж"
        r"|содейств|участв|рассказ|сделать"
        r"|предлож|удовлетвор|продолж|консульт)",
        rf"(?:помочь|ответить|обсуждать|помогать){_B}не (?:могу|смогу|буду|можем|стану)",
        rf"(?:вынужден|должна? |должен|придется|предпочту|предпочитаю){_B}(?:отказ|отклон|воздерж|не отвеча)|(?:^"
        rf"|[ ,])(?:отказываюсь|отклоняю)",
        rf"(?:извините|извини|простите|к сожалению|сожалею|прощения|жаль){_SB}не (?:могу|можем|смогу|получится"
        rf"|имею права|вправе|буду|в состоянии)",
        r"(?:сменим|поменяем) тему|поговорим о (?:чем-то )?друг|(?:противоречит|нарушает) (?:мо|наш)",
        rf"выходит за (?:рамки|пределы){_B}(?:мо|того)|мои {_B}(?:не позволя|запреща)|мне (?:не разрешено|запрещено"
        rf"|не позволено)",
    ),
    "uk": (
        rf"не (?:можу|можемо|зможу|буду|вправі|маю права){_B}(?:розкр|повідом|розголош|поясн|робити)|(?:^"
        rf"|[ ,])(?:я )?не (?:допоможу|відповім|напишу|надам)",
        rf"не (?:можу|можемо|зможу|буду|маю (?:права|можливості|змоги)|в змозі|вправі|уповноважен|хочу){_B}"
        r"(?:допом|надат|надав|відпов|створ|напис|писати|дати|викон|обговор|поділ|підказ|згенер|розпов|зробити"
        r"|продовж|підтрим)",
        rf"(?:змушен|мушу|повин|доведеться){_B}(?:відмов|відхил)|(?:^|[ ,])відмовляюс",
        rf"(?:вибачте|перепрошую|на жаль|нажаль|пробачте|шкодую|прикро|даруйте){_SB}не (?:можу|можемо|зможу|маю|буду"
        rf"|вийде|в змозі)",
        r"змінимо тему|поговоримо про (?:щось )?інше|суперечить моїм",
        rf"мої {_B}(?:не дозволя|забороня)|виходить за (?:межі|рамки)",
    ),
    "bg": (
        rf"не (?:мога|можем|съм в състояние|ми е позволено|желая){_B}(?:помог|помаг|предостав|отговор|напиш|създа"
        rf"|дам|обсъжд|споделя|изпълн)",
        rf"(?:съжалявам|за съжаление|извинете|извинявам){_SB}не (?:мога|можем|е възможно)|(?:трябва да"
        rf"|отказвам) ?(?:откажа|да отговоря)",
    ),
    "el": (
        rf"δεν (?:μπορώ|μπορούμε|είμαι σε θέση|μου επιτρέπεται|θα){_B}(?:βοηθ|παρέχ|παράσχ|απαντ|δώσ|γράψ|δημιουργ"
        rf"|μοιραστ|εξυπηρετ|συζητ|υποστηρ)",
        rf"(?:συγγνώμη|λυπάμαι|δυστυχώς){_SB}δεν (?:μπορώ|μπορούμε|είναι δυνατ|γίνεται)",
        r"πρέπει να (?:αρνηθώ|απορρίψω)|(?:^|[ ,])αρνούμαι",
    ),
    "ar": (
        rf"(?:لا (?:أستطيع|استطيع|يمكنني|أقدر|يمكننا|نستطيع|أتمكن|يحق لي|يسمح لي|أود|أريد)|لن (?:أتمكن|أستطيع|أقوم"
        rf"|نتمكن)|لست (?:قادر|مخول|مؤهل)"
        rf"|غير (?:قادر|مخول|مسموح لي)|ليس بإمكاني|ليس بوسعي|يتعذر علي){_B}(?:مساعد|تقديم|إجاب|الرد|توفير|إعطا|كتاب"
        rf"|إنشا|مشارك|تلبي|تنفيذ"
        r"|مناقش|الحديث|أقدم|أساعد|أجيب|أوفر|أكتب|أشارك|التعامل|تزويد|القيام|الاستجابة|دعم)",
        rf"(?:عذرا|آسف|أعتذر|للأسف|معذرة|المعذرة|يؤسفني){_SB}(?:لا (?:أستطيع|يمكنني|أقدر|يمكن|أتمكن)|لن |ليس بإمكاني"
        rf"|غير قادر|لست)",
        rf"(?:يجب أن|علي أن|مضطر|أفضل أن){_B}(?:أرفض|أعتذر عن)|(?:^|[ ,])أرفض |لن (?:أساعد|أقدم|أجيب)",
        rf"خارج نطاق|إرشاداتي{_B}(?:تمنع|لا تسمح)",
    ),
    "fa": (
        rf"(?:کمک|پاسخ|ارائه|جواب|راهنمایی|اطلاعات|انجام|درخواست){_SB}(?:نمی ?توانم|نمی ?توانیم|نخواهم|قادر نیستم"
        rf"|مجاز نیستم|امکان ?پذیر نیست)|(?:قادر به|مجاز به)[^.!?]{{0,160}}(?:نیستم|نمی ?باشم)",
        rf"(?:نمی ?توانم|نمی ?توانیم|قادر نیستم|مجاز نیستم){_SB}(?:کمک|پاسخ|ارائه|جواب|راهنمایی|انجام|بنویسم)",
        rf"(?:متاسفم|متأسفم|متاسفانه|متأسفانه|ببخشید|عذر|پوزش){_SB}(?:نمی ?توانم|نمی ?توانیم|قادر نیستم|نمی ?شود"
        rf"|مجاز نیستم)",
    ),
    "he": (
        rf"(?:לא (?:יכול|אוכל|יכולה|נוכל|מורשה|מסוגל)|אי(?:נ)?ני יכול|איני יכול|אין באפשרותי"
        rf"|אין ביכולתי){_B}(?:לעזור|לסייע|לספק|לענות|להשיב|לכתוב|לתת|ליצור|לשתף|לדון|למלא)",
        rf"(?:מצטער|סליחה|לצערי|מתנצל){_SB}(?:לא (?:יכול|אוכל|נוכל|ניתן|אפשר)|אין באפשרותי|איני|אינני)",
        r"נאלץ לסרב|(?:^|[ ,])(?:אני )?מסרב",
    ),
    "hi": (
        rf"(?:मैं|मै |हम |मुझे|मेरे लिए){_SB}नही(?:ं)?{_B}(?:सकता|सकती|सकते|सकूंग|सकूँग|सकेंग|पाऊंग|पाऊँग|पाएंग"
        rf"|पाएँग|करूंग|करूँग|दूंग|दूँग|संभव|अनुमति)",
        rf"(?:मदद|सहायता|जवाब|उत्तर|जानकारी|अनुरोध){_B}नही(?:ं)?{_B}(?:सकता|सकती|सकूंग|सकूँग|पाऊंग|पाऊँग)",
        rf"(?:क्षमा|माफ|खेद|अफसोस|अफ़सोस|सॉरी|दुर्भाग्य)[^!?]{{0,220}}(?:नही(?:ं)?{_B}(?:सकत|सकूं|सकूँ|सकें"
        rf"|पाऊ|दूं|दूँ"
        rf"|करूं|करूँ|संभव|अनुमति)|असमर्थ)",
        rf"(?:मैं|मै |मेरे लिए|मुझे|क्षमा|माफ|खेद){_SB}(?:संभव|अनुमति|इजाज़त|इजाजत|उचित) (?:प्राप्त )?नही",
        rf"(?:जवाब|उत्तर|मदद|जानकारी|चर्चा){_B}नही(?:ं)? (?:दूंगा|दूँगा|दूंगी|दूँगी|करूंगा|करूँगा|करूंगी|करूँगी)",
        rf"असमर्थ (?:हूँ|हूं|हैं)|(?:मना|अस्वीकार|इनकार) कर(?:ना होगा|ता हूँ|ता हूं|ती हूँ|ती हूं)|{_B}दायरे से बाहर",
    ),
    "bn": (
        rf"(?:সাহায্য|সহায়তা|উত্তর|তথ্য|প্রদান|অনুরোধ|লিখ){_SB}(?:পারব না|পারবো না|পারছি না|পারি না|সম্ভব নয়"
        rf"|অক্ষম|অপারগ)",
        r"(?:দুঃখিত|ক্ষমা|মাফ)[^!?]{0,220}(?:পারব না|পারবো না|পারছি না|পারি না|সম্ভব নয়|অক্ষম|অপারগ|সম্ভব নয়)",
        r"প্রত্যাখ্যান কর(?:ছি|তে হ)",
    ),
    "th": (
        rf"(?:ฉัน|ผม|ดิฉัน|เรา|ทางเรา){_B}(?:ไม่สามารถ|ไม่อาจ|ไม่ได้รับอนุญาต|ไม่สะดวก){_B}(?:ช่วย|ให้|ตอบ"
        rf"|สร้าง|เขียน|แบ่งปัน"
        rf"|ดำเนิน|สนับสนุน|พูด|อภิปราย|ทำ)",
        r"(?:ขอโทษ|ขออภัย|เสียใจ)[^!?]{0,160}(?:ไม่สามารถ|ไม่อาจ|ไม่ได้รับอนุญาต|ไม่สะดวก)|(?:ฉัน|ผม|ขอโทษ|ขออภัย"
        r"|เสียใจ)[^!?]{0,120}(?:ตอบ|ช่วย|ทำ|บอก|เขียน)[^!?]{0,60}ไม่ได้|ขอปฏิเสธ|ต้องปฏิเสธ",
    ),
    "zh": (
        r"(?:我|我们|我們|本助手|本系统|小助手)[^,.;:!?]{0,36}(?:无法|無法|不能|不可以|没办法|沒辦法|没法|不便"
        r"|不方便|难以|不会|不會|拒绝|拒絕|不被允许)"
        r"[^,.;:!?]{0,36}(?:回答|回覆|回复|提供|协助|協助|帮|幫|满足|滿足|完成|讨论|討論|处理|處理|生成|撰|编写|編寫"
        r"|创作|創作|创建|支持|参与|參與|执行"
        r"|執行|分享|透露|答|继续|繼續|談論|谈论|回应|回應|奉告|给出|給出|做这|做這|满|写|寫)",
        rf"(?:抱歉|对不起|對不起|不好意思|很遗憾|很遺憾|遗憾|恕我|请原谅|請原諒){_SB}(?:无法|無法|不能|不可以|没办法"
        rf"|沒辦法|没法|不便|难以|不会|拒绝|不允许|帮不了|幫不了|做不到)",
        r"(?:这个|這個|该|該|此|这类|這類|您的|你的|这样的|這樣的)(?:问题|問題|请求|請求|话题|話題|内容|內容"
        r"|要求)[^.!?]{0,36}(?:无法|無法|不能|不便|难以|不适合)"
        r"[^.!?]{0,24}(?:回答|提供|协助|協助|帮|幫|满足|滿足|讨论|討論|处理|處理|生成|答|继续|谈论|回应)",
        r"(?:换个|換個|换一个|換一個)话?(?:话题|話題|题)|(?:聊|谈|談|说|說)(?:点|點|些|聊)?(?:别的|別的|其他)"
        r"|违反(?:了)?我的|違反(?:了)?我的",
        r"恕(?:不|难|難|我)(?:能|从|從|奉|无|無)|(?:必须|必須|只能)拒(?:绝|絕)|超出(?:了)?我的|(?:我|我们)(?:选择"
        r"|選擇)?拒(?:绝|絕)|帮不了(?:你|您)|幫不了(?:你|您)",
    ),
    "ja": (
        r"(?:お答え|回答|返答|お手伝い|手伝|お応え|応じ|協力|お教え|教え|お話し?|お伝え|支援"
        r"|コメント)[^.!?]{0,40}(?:できません|出来ません|できかね|できない(?:です|んです|の|$|\.)"
        r"|かねます|わけにはいきません|られません|えません|控えさせて|差し控え|遠慮)",
        r"(?:リクエスト|要望|質問|依頼|要求|ご相談|話題|内容|お願い|情報|そのような|このような|そういった"
        r"|こうした)[^.!?]{0,75}(?:できません|出来ません|できかね|かねます|わけにはいきません"
        r"|られません|お受けできない|控えさせて|差し控え|お断り)",
        r"(?:申し訳|すみません|すいません|ごめん|恐れ入りますが|残念ながら|恐縮)[^!?]{0,160}(?:できません|出来ません"
        r"|できない|かねます|できかね|控え|お断り|いたしません|無理です)",
        r"^(?:それ|これ|その件|この件|そちら)は(?:ちょっと)?(?:でき|お受けでき|致しかね|いたしかね|お手伝いでき"
        r"|お答えでき)|(?:別|ほか|他)の話題",
        r"お断り(?:します|いたします|させて|しなければ)|遠慮(?:させて|いたし|します)|差し控え(?:させて|ます)",
    ),
    "ko": (
        r"(?:도와|도움|답변|대답|제공|응답|알려|작성|생성|지원|안내|처리|수행|말씀|공유|응할|논의|답해|답할|이야기"
        r"|드릴|들어 ?드)[^.!?]{0,60}"
        r"(?:수(?:가|는)? ?없(?:습니다|어요|네요|다|음|겠|고|지만|어서|으며|을)|못합니다|못해|못 ?드|어렵습니다"
        r"|어려워요|어려울|불가능|않겠습니다|곤란합니다|안 ?됩니다)",
        r"(?:죄송|미안|유감|송구|안타깝)[^!?]{0,160}(?:수(?:가|는)? ?없(?:습니다|어요|네요|다|음|겠|고|지만|어서"
        r"|으며|을)|못합니다|못 ?드|어렵습니다|어려울|불가능|거절|않겠|안 ?됩니다)",
        r"거절(?:하겠|해야|합니다|할 수밖에|하고)|다른 (?:주제|이야기)(?:로|를|에)|(?:지침|정책"
        r"|가이드라인)[^.!?]{0,60}(?:허용하지|금지)",
    ),
}

TONGUE_PATTERNS: Final[Mapping[str, str]] = {
    f"{language} {at}": folded(source) for language, sources in TONGUES.items() for at, source in enumerate(sources)
}
"""Name of a wording, as `de 0`, to its folded source."""
