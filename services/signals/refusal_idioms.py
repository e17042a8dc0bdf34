"""What sounds like declining and is none: idioms, disclaimers, and inability before an answer. Made for Keelwatch."""

from __future__ import annotations

import re
from typing import Final

_EXACT: Final = re.compile(
    r"exact\w*|for (?:sure|certain)|precise\w*|with (?:\w+ )?(?:certainty|confidence)|definitively|100 ?%|sure"
    r"|certain|genau"
    r"|sicher|mit (?:sicherheit|bestimmtheit)|exactement|precisement|avec (?:certitude|precision)|exactamente"
    r"|con (?:certeza|exactitud|seguridad|certezza|precisione)"
    r"|exatamente|com (?:certeza|exatidao|precisao)|esattamente|precies|met zekerheid|dokladnie|z pewnoscia|exakt"
    r"|sakert|nojaktigt|точно|наверняка|tam olarak|kesin\w*"
    r"|chinh xac|pasti|tepat|persis|确切|准确|具体|精确|確切|準確|正確|はっきり|確実|正確|정확\w*|확실\w*|بالضبط"
    r"|بدقة|سبب",
    re.IGNORECASE,
)
_BUT: Final = re.compile(
    r"\b(?:but|however|though|yet|aber|doch|jedoch|mais|cependant|pero|sin embargo|mas|porem|ma|pero'|tuttavia|maar"
    r"|men|ale|но|однако|але|ama|ancak|fakat"
    r"|nhung|tapi|tetapi|namun)\b|但|不过|不過|が,|が\W|ですが|지만|لكن|ولكن|लेकिन|परंतु",
    re.IGNORECASE,
)
_IDIOM: Final = re.compile(
    # What nobody could do better, wait for, or say strongly enough.
    r"\b(?:cannot|can't|can not|could not|couldn't|won't|will not|would not"
    r"|wouldn't)(?: \w{1,12}){0,2}? (?:agree more|agree with you more|be (?:more|happier"
    r"|prouder|better|clearer|any)|have (?:said|put|asked|done|been|hoped|wished|imagined|picked|chosen)"
    r"|help (?:but|noticing|smiling|wondering"
    r"|thinking|feeling|laughing|loving|admiring|grinning|liking|seeing|being)"
    r"|care less|wait|contain my|believe"
    r"|tell you how|thank you enough|stress|emphasi[sz]e|overstate|overemphasi[sz]e|express how|describe how"
    r"|say (?:enough|no|i|that i|for)"
    r"|go wrong|complain|argue with|deny|blame|fault|resist|imagine|begin to|change a (?:thing|word)"
    r"|lie\b(?! (?:to|for|about))|sugar-?coat"
    r"|bore you|pretend it"
    r"|keep you|go into (?!that\b|this\b|it\b)|repeat (?:\w{1,6} ){0,2}(?:enough|often|too)|spoil|see (?:any"
    r"|a|anything|why|much|how)|find (?:any|a|anything|fault)|spot (?:any|a"
    r"|anything)|think of (?:any|a|anything)"
    r"|detect (?:any|a)\b|identify any\b|recommend \w{1,20}(?: \w{1,20}){0,4} (?:enough|more|highly)"
    r"|speak highly|praise)"
    r"|\bwould(?:n't| not) (?:\w{1,12} )?(?:recommend|suggest|advise|worry|bother|say|call|expect|be surprised|mind"
    r"|hesitate|rule out|use|buy|trust|know)"
    r"|\bnot (?:something|anything|one) (?:that )?(?:i|we|you)(?:'d| would|'ll| will| need to| have to|'m| am)?"
    r" (?:ever )?(?:worry|lose (?:any )?sleep|fret|stress|panic|mind|notice|be (?:concerned|afraid|worried|ashamed))"
    r"|\b(?:rules|laws?|referees?|league|game|format|schedule|budget) (?:do not|don't|does not|doesn't|won't)"
    r" (?:let|allow|permit) (?:us|you|players?|teams?|anyone|them)"
    r"|\brefuse to (?:believe|let|accept that|think|give up)"
    r"|\bnot (?:going to|gonna) (?:lie|sugar-?coat|pretend)"
    r"|\bnot (?:\w{1,12} )?(?:legal|medical|financial|tax|investment|professional"
    r"|therapeutic)(?: or \w{1,12})? (?:advice|counsel|opinion|guidance)"
    r"|\b(?:i am|i'm) (?:not an?|no) (?:\w{1,12} )?(?:lawyer|attorney|doctor|physician|accountant|expert"
    r"|financial advis[eo]r|therapist|native speaker)[^.!?]{0,20}\bbut\b"
    r"|\b(?:sorry|apologi[sz]e|apologies|regret)\b(?: \w{1,12}){0,2}? (?:for|about|to hear|you're|you are|you had"
    r"|that you)(?: \w{1,14}){0,3}? ?"
    r"(?:inconvenience|delay|mistake|error|oversight|trouble|mix-?up|typo|wait|late|loss|news|bug|going through"
    r"|feeling|hear)"
    # The same in other languages.
    r"|\bkann (?:ich |es |dir |ihnen |das )?(?:\w{1,10} )?(?:nicht (?:genug|oft genug|klagen|anders|erwarten"
    r"|meckern)|nur (?:empfehlen|zustimmen|raten))"
    r"|\b(?:ne|n') ?(?:peux|puis|pouvons) (?:que|qu')|\bne (?:peux|puis) (?:pas )?(?:m'empecher|qu)"
    r"|\bne saurais trop|\bne pourrais? etre plus"
    r"|\bno (?:puedo|podria|podemos) (?:\w{1,6} )?(?:estar mas|dejar de|evitar|sino|mas que|menos que|esperar)"
    r"|\bno puedo no\b"
    r"|\bnon (?:posso|potrei|possiamo) (?:che|non|fare a meno|fare altro|essere piu|vedere l'ora|aspettare)"
    r"|\bnao (?:posso|poderia|podemos|consigo) (?:deixar de|concordar mais|estar mais|evitar|esperar|senao)"
    r"|\bkan (?:ik )?(?:\w{1,8} )?(?:niet (?:wachten|genoeg|meer mee eens|anders)|alleen maar)"
    r"|\bkan (?:jag )?inte (?:vanta|nog|lata bli|halla med)"
    r"|\bnie moge (?:sie doczekac|nie |sie nie|wyjsc)|\bne mohu (?:se dockat|nez)|\bnemohu (?:se dockat|nez|jinak)"
    r"|не мог[ул]\w* (?:не |дождаться|нарадоваться|жаловаться)|не можу (?:не |дочекатися)|لا يسعني (?:الا|سوي)\b"
    r"|لا استطيع (?:الا|ان اصف)\b"
    r"|\bkhong the (?:khong|dong y hon|tuyet hon|cho doi)|\btidak (?:bisa|dapat) (?:tidak|lebih setuju|berhenti"
    r"|menunggu)|\btidak sabar"
    r"|不能不|不得不|无法不|無法不|不能同意更多|不能再同意|忍不住|ずにはいられません|ざるを得|しか(?:ありません"
    r"|できません)|지 ?않을 수 ?(?:가 )?없|수밖에 없|बिना नहीं रह",
    re.IGNORECASE,
)


_UNABLE: Final = re.compile(
    r"\b(?:not|cannot|can't|couldn't|unable|nicht|kein\w{0,2}|pas|no|nao|non|niet|geen|nie|inte|ikke|khong"
    r"|tidak)\b|не "
    r"|无法|無法|不能|ません|수 ?없|لا |नही|(?:mam|mem|miyor\w*|meyec\w*)\b",
    re.IGNORECASE,
)
_WITHOUT: Final = re.compile(r"\bwithout \w{1,16} ", re.IGNORECASE)
_SENTENCE: Final = re.compile(r"[^.!?]+")


def without_idioms(opening: str) -> str:
    """A folded opening of some hundred characters without what sounds like declining and is none.

    >>> without_idioms("i couldn't agree more! two edits: ...")
    'i  ! two edits: ...'
    >>> without_idioms("without the logs i cannot say exactly why, but a full disk is usual.")
    ' but a full disk is usual.'
    """
    return _SENTENCE.sub(_without_hedge, _IDIOM.sub(" ", opening))


def _without_hedge(sentence: re.Match[str]) -> str:
    """A sentence without "I cannot tell exactly, but": the answer follows."""
    text = sentence[0]
    unable = _UNABLE.search(text)
    hedge = unable and (_EXACT.search(text) or _WITHOUT.search(text, 0, unable.start()))
    turn = _BUT.search(text, max(unable.end(), hedge.end())) if unable and hedge else None
    return " " + text[turn.start() :] if turn else text
