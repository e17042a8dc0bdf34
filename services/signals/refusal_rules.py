"""What declining sounds like in English, and how much each wording counts: the rules of `refusal`.

The wordings were made for Keelwatch; weights rounded by hand from `python -m tests.benchmarks.refusal_weights`, see
infra/models/refusal.md.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from services.signals._pattern_set import PatternSet
from services.signals.refusal_idioms import without_idioms
from services.signals.refusal_wordings import TONGUE_PATTERNS, folded

BIAS: Final = -2.8
LISTED: Final = -1.4
CODE: Final = -1.7
HELP_FOLLOWS: Final = -1.2
OBJECTS: Final = frozenset({"improper", "stance", "against", "premise"})
"""Log odds of an answer that no rule knows; what a list of three or more points, a code block, and a turn to help
("However, I can ...") add, the last one only where the answer does not object to the request (`OBJECTS`)."""

_UNABLE = (
    r"(?:cannot|can't|cant|can not|could not|couldn't|won't|wont|will not|would not|wouldn't|shouldn't|should not"
    r"|must not"
    r"|may not|won't be able to|will not be able to|refuse to|decline to"
    r"|(?:must|have to|need to) (?:\w{1,12} )?(?:decline|refuse)"
    r"|(?:am|'m|are|'re|be) (?:\w{1,10} )?(?:unable to|not (?:\w{1,12} )?(?:able|allowed|permitted|authorized"
    r"|programmed|designed|going|willing|equipped|capable|in a position)(?: to| of)?)"
    r"|(?:aren't|isn't|wasn't|weren't) (?:\w{1,12} )?(?:able|allowed|permitted|authorized|going|willing"
    r"|in a position) to)"
)
_HOW = (
    r"(?: (?:to|in good conscience|ethically|simply|also|just|personally|directly|actually|possibly|really|legally"
    r"|responsibly|either|currently|at this time|be|truly|definitively|accurately|specifically|fully)){0,4}"
)
_DEED = (
    r"(?:assist|help|aid|provid(?:e|ing)|fulfil|comply|creat(?:e|ing)|generat(?:e|ing)|writ(?:e|ing)|giv(?:e|ing)"
    r"|offer|answer|shar(?:e|ing)|discuss|engag(?:e|ing)|support|promot(?:e|ing)|encourag(?:e|ing)|endorse|condone"
    r"|participat|respond|complet(?:e|ing)|continue|do (?:that|this|so)|mak(?:e|ing)|tell|recommend|suggest"
    r"|advis(?:e|ing)|disclos|reveal|produc|teach|explain|list|describe|facilitat|perform|access|process|predict"
    r"|determin|confirm|verify|speak|speculat|brows|open|read|view|see|know|justify|prove|advocate|guide|instruct"
    r"|satisfy|accept|compose|draft|find|contribut|identify|locate|show|supply|conduct|act|say|draw|develop|agree"
    r"|proceed|publish|spread|diagnos|retriev|obtain|search|enable|execute|ignore|role-?play|pretend|rank|judge"
    r"|comment|express|form|fabricate|summari[sz]e|translate|entertain|indulge|accommodate|grant|approve|look|send"
    r"|call|order|book|check|cater|carry|bring|go (?:there|into|along|down)|get into|be (?:part|of)|take part|handl"
    r"|address|deal"
    r"|touch)"
)
_BAD = r"(?:illegal|unethical|immoral|inappropriate|unacceptable|harmful|offensive|dangerous|wrong|disrespectful)"


@dataclass(frozen=True, slots=True)
class RefusalRule:
    """One wording, in the subset of PCRE that hyperscan reads, and the log odds that it adds.

    Attributes:
        weight: added when the wording stands in the opening of the answer (its first 320 characters).
        early: added on top when it stands within the first 130.
        source: the wording, lower case, spaces collapsed, straight apostrophes.
    """

    name: str
    weight: float
    early: float
    source: str


RULES: Final = (
    RefusalRule(
        "declines",
        2.7,
        2.5,
        r"\b(?:i|we|this assistant|chatgpt|ai|model)"
        r"(?:,? (?:therefore|unfortunately|however|as an ai(?: language model| assistant)?|also|simply|just|really"
        rf"|genuinely|truly|still),?)?(?: (?:am|'m) afraid (?:that )?i)?(?: |'m |'re )?{_UNABLE}{_HOW} {_DEED}",
    ),
    RefusalRule("sorry", 0.8, 0.8, r"\b(?:sorry|apologi[sz]e|apologies|regret|unfortunately|i'm afraid)\b"),
    RefusalRule(
        "as_ai",
        1.0,
        0.9,
        r"\bas an? (?:\w{1,15} ){0,3}(?:ai|artificial intelligence|language model|assistant|llm)\b"
        r"|\bi(?:'m| am) (?:just |only |merely )?an? (?:ai|artificial intelligence|language model)\b",
    ),
    RefusalRule(
        "improper",
        1.6,
        2.4,
        r"\b(?:not|never|in|un|isn't|aren't)[ -]?(?:be |\w{1,12} )?(?:appropriate|ethical|acceptable|okay|ok|legal"
        r"|moral|advisable|right|respectful|responsible|productive|helpful|fair)\b"
        rf"|\b{_BAD}(?:,| and| or){{1,2}} (?:\w{{1,12}} )?(?:{_BAD}|morally|can)",
    ),
    RefusalRule(
        "stance",
        0.8,
        0.3,
        r"\b(?:do not|don't|cannot|can't|does not|not) (?:\w{1,10} )?"
        r"(?:condone|support|endorse|promote|encourage|advocate|justify|tolerate|agree)\b",
    ),
    RefusalRule(
        "against",
        0.7,
        0.0,
        r"\b(?:against|violates?|contrary to|not within|outside) (?:my|our|the|ethical|openai|its|all)\b",
    ),
    RefusalRule(
        "premise",
        1.4,
        0.3,
        r"\b(?:not|never|in|un|isn't) ?(?:\w{1,10} )?(?:accurate|true|correct|a fact|factual|based on)\b"
        r"|\b(?:generaliz|stereotyp|assumption|misconception|inaccurate|no (?:scientific )?(?:evidence|basis))",
    ),
    RefusalRule("important", 1.6, 0.9, r"\b(?:it is|it's) (?:\w{1,12} )?(?:important|crucial|essential|vital)\b"),
    RefusalRule(
        "lacks",
        0.7,
        0.7,
        r"\b(?:i|we) (?:do not|don't|cannot|can't) (?:\w{1,10} )?(?:have|possess|hold|know|form)\b|\bno access\b",
    ),
    RefusalRule(
        "redirects",
        1.4,
        0.0,
        r"\bis there (?:something|anything|another)|\bif you have any (?:other|further)"
        r"|\b(?:can|could) i (?:help|assist) you with|\b(?:happy|glad|here) to (?:help|assist)|\bfeel free to ask"
        r"|\blet me know if|\binstead,? (?:i|let|why|we|you)"
        r"|\bseek(?:ing)? (?:\w{1,15} ){0,2}(?:help|assistance|support|professional|guidance)|\breach(?:ing)? out to"
        r"|\bi (?:encourage|suggest|recommend|urge|would)",
    ),
    RefusalRule(
        "clarifies",
        0.5,
        0.0,
        r"\b(?:i|we) (?:must|have to|would like to|want to|need to|should|feel) (?:\w{1,12} )?(?:clarify|emphasi[sz]e"
        r"|inform|point out|advise|remind|note|stress|challenge|prioriti[sz]e)",
    ),
    RefusalRule(
        "helps",
        -0.6,
        0.0,
        r"\b(?:here(?:'s| is| are)|steps?|sure|certainly|of course|absolutely|following|great question)\b",
    ),
    RefusalRule(
        "turns",
        -0.9,
        0.0,
        r"\b(?:however|but|that said|nevertheless|still|nonetheless),? (?:as an ai,? )?(?:i|we)"
        r"(?: can|'m able| am able|'d be| would be| could| will|'ll) [a-mo-z]",
    ),
    RefusalRule(
        "evades",
        3.4,
        0.0,
        r"\b(?:question|this|it|that) (?:cannot|can't|can not) be answered\b"
        r"|^.{0,80}\b(?:subjective|depends? on (?:\w{1,12} ){0,2}(?:personal|individual)).{0,140}$",
    ),
    RefusalRule("letter", -6.0, 0.0, r"^\W{0,4}(?:subject|dear|title|to whom|re|date|from|to)\b"),
    RefusalRule("quote", -3.5, 0.0, r"^[\"'>]"),
    RefusalRule(
        "filtered",
        4.0,
        0.0,
        r"\b(?:response|request|prompt|message|content|output|answer)s? (?:was|has been|is|were) (?:\w{1,12} )?"
        r"(?:blocked|filtered|withheld|removed|rejected|flagged)\b.{0,60}\b"
        r"(?:content|usage|safety|responsible ai|acceptable use)[ -]"
        r"(?:filter|polic|management|system|guideline|setting)",
    ),
    RefusalRule(
        "notice",
        5.0,
        0.0,
        r"^[\[(<*{ ]{1,3}(?:(?:content|response|message|output|answer) )?(?:redacted|removed|blocked|filtered"
        r"|withheld|refused|censored|moderated)[a-z: ,]{0,30}[\])>*} .]{1,4}$",
    ),
    RefusalRule(
        "declining",
        2.6,
        2.9,
        # "I must respectfully decline", "I'll have to pass on this", "I'd rather not"
        r"\b(?:i|we)(?:'ll| will|'d| would|'m| am|'re| are)? (?:\w{1,14} ){0,3}?(?:must|have to|need to"
        r"|going to have to|afraid i must)"
        r" (?:\w{1,14} ){0,2}?(?:decline|refuse|abstain|pass|opt out|say no|stop (?:here|you|there)"
        r"|sit this (?:one )?out|refrain|steer clear|leave (?:this|that|it)(?: one)? (?:alone|there|aside))\b"
        r"|\b(?:i|we)(?:'d| had) better not(?:[.!;]|$)|\bwhere (?:i|we) (?:have to|must|need to|'ll have to)? ?(?:stop"
        r"|bow out)\b"
        r"|^(?:i'm |i am )?(?:so |very )?sorry,? (?:but )?no[.!]{0,2}$"
        r"|\b(?:i|we)(?:'ll| will|'m going to| am going to|'d like to|'m)? (?:\w{1,14}ly )?(?:decline|declining"
        r"|refuse)(?:[.,!;]|$| (?:to|this|that|your|the|it)\b)"
        r"|\b(?:i|we)(?:'ll| will|'m going to)(?: have to| need to)?(?: \w{1,14}ly)? pass(?:[.,!;]| on (?:this|that"
        r"|it)(?: one| request| task| topic| question)?[.,!;]|$)"
        r"|\b(?:i|we)(?:'d| would|'m| am)? (?:(?:much |really )?rather|prefer|choose|choosing|elect|opt"
        r"|opting)(?: to)? not\b"
        r"|\b(?:i|we)(?:'d rather|'ll| try to| prefer to| have to| need to| must| always| usually)?"
        r" (?:stay|steer|keep|shy) (?:away|clear) (?:from|of) (?:\w{1,12} ){0,2}?(?:topics?|questions?|requests?"
        r"|subjects?|this|that|these|those|discussions?|anything|content|such)\b"
        r"|\bi(?:'d| would) prefer (?:to avoid|to steer|to stay|we)|\bi(?:'m| am) (?:choosing"
        r"|going to have) to (?:decline|pass|refuse)"
        r"|^(?:\w{1,14},? ){0,3}(?:it's |that's |this is )?(?:a (?:hard |firm )?no (?:from me|on)|no can do"
        r"|off[- ]limits)"
        r"|\bi have no (?:intention|interest|plans?|desire) (?:of|in|to)\b|\bi(?:'m| am) not going (?:there"
        r"|down that)"
        r"|\b(?:i|we)(?:'d| would|'ll| will)? "
        r"(?:have|need) to (?:draw the line|turn (?:this|that|you) (?:one )?down)|\bi(?:'m"
        r"| am) drawing (?:the|a) line"
        r"|\b(?:have|going|need) to (?:\w{1,12} )?say no to (?:this|that|it)\b|\bsay no to (?:this|that) (?:one"
        r"|request)",
    ),
    RefusalRule(
        "beyond",
        2.4,
        2.6,
        # "That's not something I can help with", "This falls outside what I can assist with"
        r"\b(?:that|this|it)(?:'s not| is not| isn't|'s simply not|'s just not) (?:really |quite )?(?:something"
        r"|a topic|an area|a request|a task|a subject"
        r"|a question|anything|one|a conversation|content)(?: that| which| where)? ?(?:i|we)\b"
        r"|\b(?:that|this|it)(?:'s| is|'d be| would be) (?:something|a topic|a request|one|a line)(?: that"
        r"| which)? (?:i|we) (?:\w{1,12} ){0,2}?"
        r"(?:cannot|can't|won't|will not|don't|do not|avoid|must avoid|have to avoid|'d rather not|am unable|am not"
        r"|'m not|'m unable)"
        r"|\b(?:falls?|is|are|'s|goes|lies|sits|well) (?:\w{1,12} )?(?:outside|beyond|out of|not within"
        r"|not part of)(?: of)? (?:what (?:i|we)(?:'m| am|'re| are| can)"
        r"|the (?:scope|bounds|range|limits|boundaries|things)|my |our |scope\b|bounds\b)"
        r"|\b(?:i|we)(?:'m| am|'re| are) not the right (?:\w{1,12} )?(?:tool|assistant|place|person|resource|bot|fit)"
        r"|\b(?:is|are)(?: not|n't) (?:one|something|things|anything)(?: that| which)? (?:i|we)"
        r"(?:'m|'re| can| could| will| would| am| are| do| take| handle| help| discuss| touch)\b"
        r"|^(?:(?:sorry|no|nope|hmm|afraid),? (?:but )?)?(?:that's )?not (?:something|a topic|anything"
        r"|one) (?:that )?(?:i|we)\b"
        r"|\b(?:this|that|it)(?: one)?(?:'s| is) (?:off the table|off[- ]limits|not) for (?:me|us)\b"
        r"|\b(?:this|that|it)(?: \w{1,12}){0,2} cross(?:es|ed)? (?:a|the|my|our|some"
        r"|several) (?:\w{1,10} )?(?:lines?\b|boundar)"
        r"|\bthere(?:'s| is) (?:nothing|no way|not much) (?:that )?(?:i|we) can (?:do|help|offer|assist|provide)",
    ),
    RefusalRule(
        "elided",
        3.2,
        2.2,
        # "Can't help with that one, sorry."
        r"^(?:\W{0,3}(?:sorry|apologies|unfortunately|no|nope|hmm|ah|oh|hey|hi|thanks|thank you|well|i see"
        r"|understood|my apologies|regrettably|afraid)\b"
        r"[^.!?]{0,12}[.,!?:; -]{1,3}){0,2}(?:but )?(?:can't|cant|cannot|can not|won't|unable to|not able to"
        r"|not going to|not gonna|not allowed to|not permitted to"
        r"|not comfortable|not willing to|refusing to|declining to|not doing|not writing|not answering|not touching"
        r"|not helping)"
        r" (?:\w{1,12}ly )?(?:be )?(?:help|assist|do (?:that|this|it)|answer (?:that|this)|share that|discuss|comply"
        r"|go there|talk about|provide|give|writ(?:e|ing) (?:that|this)"
        r"|engag|fulfil|support (?:that|this)|participat|generat|creat(?:e|ing) (?:that|this)|offer"
        r"|respond to (?:that|this)|touch (?:that|this)|happen|with|that|this|it)",
    ),
    RefusalRule(
        "uneasy",
        2.4,
        2.6,
        r"\b(?:i|we)(?:'m not| am not|'re not| are not|'d not| would not| wouldn't| do not| don't)(?: be"
        r"| feel)?(?: \w{1,10}ly| \w{1,6})?"
        r" (?:comfortable|at ease|at liberty|inclined|prepared to|the right|okay with|ok with|supposed to|set up to"
        r"|built to|meant to|here to (?:help|do|write|provide)"
        r"|trained to|cleared to|about to|interested in)"
        r"|\b(?:do not|don't|would not|wouldn't) feel right (?:\w{1,10} )?\w{2,12}ing\b"
        r"|\bnot (?:be )?(?:\w{1,10} )?(?:right|proper|fitting|appropriate|responsible|okay|wise) (?:for|of) (?:me|us)"
        r" to (?:help|assist|answer|share|give|provide|discuss|write|say|tell|do (?:that|this|so)|comment|respond)\b"
        r"|\b(?:isn't|wouldn't be) (?:right|proper|fitting|appropriate|responsible|okay|wise"
        r"|my place) (?:(?:for|of) (?:me|us) )?to\b"
        r"|\b(?:i(?:'m| am)|makes me) (?:\w{1,10} )?uncomfortable\b|\bi (?:do not|don't) (?:think|believe"
        r"|feel) (?:that )?i (?:can|should|could|'m able|am able|want to)\b",
    ),
    RefusalRule(
        "forbidden",
        2.4,
        2.4,
        # "My guidelines prevent me from answering this."
        r"\b(?:my|our|these|openai's|anthropic's|google's) (?:\w{1,14} ){0,2}(?:guidelines?|polic(?:y|ies)|rules"
        r"|programming|training|instructions"
        r"|principles|values|safeguards|settings|restrictions|terms|ethics|standards|constraints|protocols|design"
        r"|guardrails) (?:\w{1,10} ){0,2}?(?:prevents?|prohibits?|forbids?"
        r"|do(?:es)?n't (?:allow|permit|let)|do(?:es)? not (?:allow|permit|let)|won't (?:allow|let)|stops?|keeps?"
        r"|bars?|precludes?|restricts?|disallows?|requires? me to (?:decline|refuse|avoid)|rules? (?:that|this"
        r"|it) out)"
        r"|\b(?:guidelines?|polic(?:y|ies)|rules|programming|training|instructions|safeguards|settings|terms"
        r"|guardrails)"
        r" (?:[\w']{1,10} ){0,2}?(?:prevents?|prohibits?|forbids?|allows?|permits?|lets?|stops?|keeps?|bars?"
        r"|precludes?|restricts?) (?:me|us)\b"
        r"|\b(?:programmed|designed|trained|instructed|told|configured|built|supposed|meant) not to\b"
        r"|\b(?:i|we)(?:'m| am|'re| are)? (?:can only|only able to|limited to|here only to|only here to) (?:help"
        r"|assist|discuss|answer|talk|provid|support|respond)"
        r"|\b(?:i(?:'m| am)|we(?:'re| are)) (?:\w{1,10} )?(?:prevented|prohibited|barred|restricted|forbidden"
        r"|precluded) from"
        r"|\b(?:goes against|violates?|conflicts? with|contrary to|(?:is|'s) against|breach(?:es)?|not in line with"
        r"|isn't in line with|not (?:permitted|allowed) (?:by|under)|prohibited by|disallowed by|at odds with)"
        r" (?:my|our|openai|anthropic|the (?:content|usage|safety|platform))(?:'s)? ?(?:\w{1,14} ){0,3}(?:guideline"
        r"|polic|principle|rule|programming|value|term|standard|ethic|safeguard)",
    ),
    RefusalRule(
        "undone",
        2.6,
        2.0,
        r"\b(?:this|that|your|the) (?:\w{1,12} )?(?:request|question|prompt|message|query|topic)? ?(?:cannot|can't"
        r"|can not|could not|couldn't|won't|will not) be (?:\w{1,12} )?"
        r"(?:processed|fulfilled|completed|assisted|accommodated|granted|honou?red|discussed|addressed|handled)"
        r"|\b(?:it's|it is|that's|this is|that is) not possible for (?:me|us)\b|\bimpossible for (?:me"
        r"|us) to (?:help|assist|provide|answer|share|do)"
        r"|\b(?:helping|assisting)(?: \w{1,12}){0,6} (?:is not|isn't|would not be|wouldn't be"
        r"|is something i (?:can't|won't|don't))"
        r"|\bi lack (?:the |any )?(?:ability|capab|means|access|permission|authori)|\bi (?:just |simply |really "
        r"|genuinely )?(?:cannot|can't|won't)(?:[.!;]|$|, (?:sorry|because|as|since|and i)\b)",
    ),
    RefusalRule(
        "changes_subject",
        2.0,
        2.6,
        r"\b(?:let's|let us|can we|could we|shall we|why don't we|how about we|perhaps we (?:can|could)"
        r"|maybe we (?:can|could)|i'd (?:be happy|prefer|love|rather) to|i'd rather)(?: \w{1,10}){0,2}"
        r" (?:talk about|discuss|chat about|switch to|change|move on to|focus on|explore"
        r"|turn to) (?:something (?:else|different|more)|(?:a |an |the )?(?:different|another|other|new) (?:topic"
        r"|subject|question)|the (?:topic|subject))"
        r"|\b(?:a|some) (?:different|other|another) (?:topic|subject|question|request)s?(?: \w{1,10}){0,4} (?:help"
        r"|assist|discuss)|\bask (?:me )?(?:about )?something else\b|\btry (?:another|a different) (?:question|topic"
        r"|request)",
    ),
    RefusalRule(
        "such_requests",
        2.4,
        2.6,
        # "We don't support that kind of request", "I don't engage with requests like this"
        r"\b(?:i|we) (?:do not|don't|won't|will not|cannot|can't|never|avoid)(?: (?:\w{1,10}ly|just|usually))?"
        r"(?: (?:engage|help|assist|respond|deal|work|support|answer|discuss|take|handle|write|create|produce"
        r"|get into|touch|participate|entertain|accept|process|provide|do))?(?: (?:\w{1,10} )?(?:with|to|on|in|into))?"
        r" (?:(?:this|that|these|those|such) (?:(?:kind|sort|type)s? of |a )?(?:requests?|questions?|topics?|prompts?"
        r"|content|material|subjects?)\b"
        r"|(?:requests?|questions?|topics?|prompts?|content|material|things|subjects?|tasks?) (?:like|of|along)"
        r" (?:this|that|these|those)\b)",
    ),
    RefusalRule(
        "provides_none",
        1.6,
        1.2,
        r"\bi (?:do not|don't|never|choose not to) (?:\w{1,10} )?(?:provide|offer|give (?:out )?|generate"
        r"|help (?:with|people)|assist (?:with|in)|engage in|participate in|discuss|share|produce|do that|do those"
        r"|talk about|answer (?:that|those|questions)|create|write|make)\b",
    ),
)
TONGUE: Final = 2.4
TONGUE_EARLY: Final = 3.4
"""What any wording of another language adds (`refusal_wordings`), and on top when it stands within the first 180
characters. Set by example, not measured: no recorded set has such answers."""

_OPENING = 320
EARLY = 130
_TONGUE_EARLY = 180
_DOUBTFUL: Final = -1.5
"""Log odds from which idioms are looked for: below, nothing sounds like declining."""
_RAW = 800
_BODY = 4000
_ITEM = r"[ \t]{0,8}(?:[0-9]{1,2}[.)]|-|\*|•)\s"
_FENCED = re.compile(r"```.*?(?:```|$)", re.DOTALL)
_INVISIBLE = str.maketrans("", "", "\u200b\u200c\u200d\u2060\ufeff\ufffd")
_WEIGHT: Final = {rule.name: rule.weight for rule in RULES}
_EARLY_WEIGHT: Final = {rule.name: rule.early for rule in RULES}
_TONGUES: Final = frozenset(TONGUE_PATTERNS)
BODY_RULES = PatternSet({"listed": rf"(?:^|\n){_ITEM}.*\n{_ITEM}.*\n{_ITEM}", "code": "```"})
_BODY_WEIGHT: Final = {"listed": LISTED, "code": CODE}
OPENING_RULES = PatternSet({rule.name: rule.source for rule in RULES} | dict(TONGUE_PATTERNS))


def visible(spoken: str) -> str:
    """The first few thousand characters of an answer, without invisible ones."""
    seen = spoken.lstrip()[:_BODY].replace("\x00", "")
    return (seen if seen.isascii() else seen.translate(_INVISIBLE)).strip()


def rule_log_odds(spoken: str) -> float:
    """Log odds of a refusal after the rules alone, for an answer without its reasoning (`ScoredText.spoken`).

    >>> rule_log_odds("I must respectfully decline.") > 0 > rule_log_odds("I couldn't agree more!")
    True
    """
    seen = visible(spoken)
    opening = opening_of(seen)
    body = sum(_BODY_WEIGHT[name] for name in sorted(BODY_RULES.found(seen)))
    odds = _opening_log_odds(opening) + body
    if odds > _DOUBTFUL and (plain := without_idioms(opening)) != opening:
        odds = _opening_log_odds(plain) + body
    return odds


def _opening_log_odds(opening: str) -> float:
    found = OPENING_RULES.found(opening)
    total = BIAS + sum(_WEIGHT.get(name, 0.0) for name in sorted(found))
    if "turns" in found and not found & OBJECTS:
        total += HELP_FOLLOWS
    early = OPENING_RULES.found(opening[:EARLY])
    total += sum(_EARLY_WEIGHT.get(name, 0.0) for name in sorted(early))
    if found & _TONGUES:
        total += TONGUE - ("letter" in found) * _WEIGHT["letter"]  # "to", "re" and "from" are words of many languages
        total += TONGUE_EARLY if OPENING_RULES.found(opening[:_TONGUE_EARLY]) & _TONGUES else 0.0
    return total


def opening_of(seen: str) -> str:
    """The first 320 characters, folded, without code blocks, with single spaces."""
    raw = seen[:_RAW]
    if "```" in raw:
        raw = _FENCED.sub(" ", raw)
    return " ".join(folded(raw).split())[:_OPENING]
