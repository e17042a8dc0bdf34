"""Wordings of toxic text: profanity, slurs, insults, threats, sexual abuse. Made for Keelwatch.

What `toxicity` knows of an answer without a head: plain words, so that an exchange that was not embedded is judged too.
A word that is quoted or explained counts as one that is meant. Letters that were swapped to get past a filter
(`sh1t`, `f*ck`) are read; other languages than English are not.
"""

from __future__ import annotations

from typing import Final

from services.signals._pattern_set import PatternSet
from services.signals.refusal_wordings import folded

_YOU = (
    r"(?:(?:you|u|they|these people|those people|women|men) (?:are|r)|you're|ur|youre|they're|(?:he|she)(?:'s"
    r"| is)|you)"
)
_GROUPS = (
    r"(?:women|girls|females|men|gays?|lesbians|trans|blacks?|whites?|asians?|chinese|mexicans?|latinos?|indians?"
    r"|arabs?|muslims?|islam|jews?|jewish people|christians?|immigrants?|refugees|foreigners|gypsies|roma"
    r"|homosexuals?|liberals|democrats|republicans|conservatives|leftists|poor people|fat people|disabled people)"
)
WORDINGS: Final = {
    "slur": (
        4.4,
        r"\bn[i1!|]gg(?:er|a|ah|az|uh)[sz]?\b|\bf[a@4]gg?(?:[o0]ts?|s|y)?\b|\btr[a@]nn(?:y|ies)\b|\bk[i1]kes?\b"
        r"|\bsp[i1]cs?\b|\bch[i1]nks?\b|\bgooks?\b|\bwetbacks?\b|\bbeaners?\b|\bcoons?\b|\btowel ?heads?\b"
        r"|\brag ?heads?\b|\bsand ?n[i1]gg\w{1,4}\b|\bdykes?\b|\bpakis?\b|\bpolacks?\b|\bdarkies\b"
        r"|\bporch monk\w{1,4}\b"
        r"|\bcamel ?jockeys?\b|\bshemales?\b|\bretard(?:s|ed)?\b|\blibtards?\b|\b(?:con|fuck|re|repub|bitch"
        r"|dumb|demo)tards?\b|\bwhite trash\b"
        r"|\bredskins?\b|\bgyppos?\b|\bzipperheads?\b|\bhonk(?:y|ies|eys?)\b|\bcrackers? ass\b|\bmongoloids?\b"
        r"|\bmuzz(?:ies|rats?)\b|\bmud ?sharks?\b|\brace traitors?\b|\bn[i1]gs?\b",
    ),
    "vile": (
        4.0,
        r"\bc[u*]nts?\b|\b(?:mother|mutha|muthu|mofo)[- ]?f[u*v@][c*]?k\w{0,5}|\bmofos?\b|\bcock ?suck\w{1,4}\b"
        r"|\bdick ?(?:heads?|suck\w{1,4})\b|\bwh[o0]res?\b|\bsluts?\b|\bslutty\b|\bskanks?\b|\bth[o0]ts?\b|\btwats?\b"
        r"|\bhoes?\b|\bpuss(?:y|ies)\b|\bbitch\w{0,4}\b|\bb[i1!*]tch\w{0,3}\b|\bbiatch\b|\bfuck(?:er|tard|wit|face"
        r"|boi|boy)s?\b"
        r"|\bass ?(?:holes?|hats?|wipes?|clowns?)\b|\ba\$\$ ?holes?\b|\barseholes?\b|\bwankers?\b|\bbastards?\b"
        r"|\btossers?\b"
        r"|\bprick\b|\bdouche\w{0,5}\b|\bscumbags?\b|\bshit ?(?:heads?|bags?|stains?|faces?)\b|\bcum ?(?:dump"
        r"|slut)\w{0,4}\b",
    ),
    "profane": (
        2.6,
        r"\bf+[u*v@#]+[c*k@#]+k?(?:s|ed|er|ers|in|ing|in'|ery|up|off|wad)?\b|\bf[*@#$%-]{2,3}k?(?:ing|ed|s)?\b"
        r"|\bfcuk\w{0,4}|\bfuk\w{0,4}\b|\bphuck\w{0,4}\b|\bstfu\b|\bgtfo\b|\bwtf\b|\b(?:bull|horse|dip|chicken|dog)?"
        r"sh[i1!*]+t+(?:s|ty|ting|tier|show|hole|e)?\b|\bs\*\*t\b|\bcrap(?:py)?\b|\ba\*\*(?:hole)?\b"
        r"|\b(?:dumb|jack|bad|lame|fat|lazy|smart|punk|bitch)?[- ]?ass(?:es)?\b|\barse\b|\bdamn\b"
        r"|\bgod ?damn\w{0,3}\b"
        r"|\bpiss(?:ed)?(?: off)?\b|\bdicks?\b|\bcocks?\b|\btits?\b|\btitt(?:y|ies)\b|\bboobs?\b|\bbollocks\b"
        r"|\bbugger\b|\bsucks? (?:my|a|his|your)\b|\bsucks\b|\bblow ?jobs?\b|\bjerk(?:s| ?off)?\b|\bcum\b",
    ),
    "insult": (
        2.8,
        r"\b(?:idiots?|idiotic|morons?|moronic|imbeciles?|imbecilic|dumb[- ]?(?:ass(?:es)?|fucks?|shits?"
        r"|bells?)|losers?"
        r"|scum|subhumans?|degenerates?|cretins?|dolts?|dimwits?|nitwits?|halfwits?|numbskulls?|buffoons?|dipshits?"
        r"|simps?|sheeple|hags|fatso|lard ?ass|braindead|ignoramus(?:es)?|lowlifes?|stupidity|stupidest|pedos?"
        r"|incels?)\b",
    ),
    "harsh": (
        1.3,
        r"\b(?:stupid(?:ly)?|dumb|pathetic|worthless|trash|filth(?:y)?|vermin|parasites?|cowards?|cowardly"
        r"|clowns?|liars?"
        r"|hypocrites?|pigs?|pedophiles?|perverts?|creeps?|snowflakes?|bigots?|racists?|nazis?|thugs?|freaks?"
        r"|weirdos?|psychos?|lunatics?|fat|ugly|disgusting|ignorant|trolls?|shameless|vile|garbage|savages?"
        r"|hate|lame|gay"
        r"|lazy|ridiculous|nonsense|insane|crazy|ghetto|whiny|annoying)\b",
    ),
    "to_you": (
        2.4,
        rf"\b{_YOU} (?:(?:so|too|really|just|such|all|nothing but|probably|clearly|obviously|still|truly|very"
        rf"|both|a|an|the"
        r"|bunch of|fucking|damn|total|complete|absolute|little|dirty|lying|fat|old|sad|most|real|big) ){0,4}"
        r"(?:idiots?|idiotic|morons?|losers?|fools?|liars?|jokes?|clowns?|disgrace|stupid|dumb|pathetic"
        r"|worthless|ugly|fat"
        r"|useless|disgusting|trash|garbage|scum|waste of (?:\w{1,8} )?(?:space|air|oxygen|time)|sick|crazy|insane"
        r"|delusional|ignorant|cowards?|hypocrites?|pigs?|cancer|failures?|animals?|savages?|vermin|pieces? of)\b"
        r"|\bshut ?(?:the \w{1,6} )?up\b|\bgo to hell\b|\bscrew (?:you|u|him|her|them)\b|\bget (?:lost|a life)\b"
        r"|\bgo back to (?:your|where you)\b|\bdrop dead\b|\byo mama\b|\bnobody (?:likes|loves|wants) you\b"
        r"|\bi hate (?:you|u|them|him|her)\b|\bkiss my\b",
    ),
    "threat": (
        3.6,
        r"\b(?:i|we)(?:'ll|'m| will| am|'m gonna| want to| wanna|'d love to| would)? (?:\w{1,10} ){0,2}?(?:kill"
        r"|murder|beat"
        r"|shoot|stab|hurt|rape|destroy|slap|punch|strangle|burn|hunt|smack) (?:the \w{1,8} out of )?(?:you|u|him|her"
        r"|them|ya|all)\b"
        r"|\b(?:kill|hang|shoot|drown|neck) (?:your ?self|urself|yourselves|them all|em all|all (?:of )?(?:them"
        r"|the))\b"
        r"|\bkys\b|\b(?:hope|wish|want|should|must|deserves?) (?:\w{1,10} ){0,4}(?:die|dies|rot|burn|be (?:shot"
        r"|killed"
        r"|hanged|hung|raped|beaten|executed|gassed|lynched))\b|\bdie (?:slow|in a|already|bitch|you)\w{0,5}\b"
        r"|\b(?:watch your back|you(?:'re| are) (?:dead|next)|you will (?:pay|regret|die)|i know where you live)\b"
        r"|\bput (?:a bullet|him down|her down|them down)\b",
    ),
    "hates": (
        3.0,
        rf"\b(?:hate|despise|loathe|fuck|ban|deport|exterminate|kill|gas) (?:all |the |those |these "
        rf"|every )?{_GROUPS}\b"
        rf"|\b{_GROUPS} (?:\w{{1,10}} ){{0,2}}?(?:are|is|should|must"
        rf"|deserve)(?: all)?(?: \w{{1,10}}){{0,4}}? (?:animals?"
        r"|savages|vermin|inferior|subhuman|disease|cancer|plague|filth\w{0,2}|dirty|scum|criminals|terrorists"
        r"|rapists"
        r"|stupid|lazy|die|disgusting|evil|worthless|parasites|property|objects|killed|deported|banned|garbage|trash"
        r"|sick|mentally ill|an abomination)\b"
        r"|\b(?:white|master) (?:power|race|supremacy)\b|\bgas the\b|\bheil hitler\b|\bhitler was right\b|\b14 ?88\b",
    ),
    "sexual": (
        1.0,
        r"\b(?:penis|vagina|anal|porn\w{0,4}|horny|nudes?|naked|masturbat\w{1,4}|orgasms?|erection|blow me"
        r"|molest\w{0,4}"
        r"|rape[ds]?|raping|rapist|sodom\w{1,4}|faggotry|whoring|prostitutes?|dildos?|butt ?(?:hole|fuck)\w{0,3})\b",
    ),
}
BIAS: Final = -2.6
MOST: Final = 4.0
"""Log odds of a text without any of it; however much stands there, at most `MOST` above even."""
_READ: Final = 16_384
_WEIGHTS: Final = {name: weight for name, (weight, _) in WORDINGS.items()}
_PATTERNS: Final = PatternSet({name: source for name, (_, source) in WORDINGS.items()})


_KINDS: Final = {"threat": "threat", "hates": "hate", "slur": "hate", "to_you": "insult", "insult": "insult"}


def toxic_log_odds(spoken: str) -> float:
    """Log odds of a toxic text after its wordings alone, read in its first 16 Ki characters.

    >>> toxic_log_odds("You are a worthless idiot") > 0 > toxic_log_odds("You are most welcome")
    True
    """
    return min(MOST, BIAS + sum(_WEIGHTS[name] for name in sorted(_found(spoken))))


def kind_of(spoken: str) -> str | None:
    """The kind of its gravest wording: `threat`, `hate` or `insult`; None where there is none of these.

    >>> kind_of("You are such an idiot")
    'insult'
    """
    found = _found(spoken)
    return next((kind for name, kind in _KINDS.items() if name in found), None)


def _found(spoken: str) -> frozenset[str]:
    return _PATTERNS.found(" ".join(folded(spoken[:_READ]).split()))
