"""The wordings by which an answer declines, and what each weighs. Written and weighed by hand for Keelwatch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

_UNABLE = (
    r"(?:cannot|can't|can not|could not|couldn't|won't|will not|would not|wouldn't|shouldn't|should not|must not|may not"
    r"|refuse to|decline to|(?:must|have to|need to) (?:\w{1,12} )?(?:decline|refuse)"
    r"|(?:am|'m|are|'re|be) (?:\w{1,10} )?(?:unable to|not (?:\w{1,12} )?"
    r"(?:able|allowed|permitted|authorized|programmed|designed|going|willing|equipped|capable|in a position)(?: to| of)?))"
)
_HOW = (
    r"(?: (?:to|in good conscience|ethically|simply|also|just|personally|directly|actually|possibly|really|legally"
    r"|responsibly|either|currently|at this time|be|truly|definitively|accurately|specifically|fully)){0,4}"
)
_DEED = (
    r"(?:assist|help|aid|provid(?:e|ing)|fulfil|comply|creat(?:e|ing)|generat(?:e|ing)|writ(?:e|ing)|giv(?:e|ing)|offer"
    r"|answer|shar(?:e|ing)|discuss|engag(?:e|ing)|support|promot(?:e|ing)|encourag(?:e|ing)|endorse|condone|participat"
    r"|respond|complet(?:e|ing)|continue|do (?:that|this|so)|mak(?:e|ing)|tell|recommend|suggest|advis(?:e|ing)|disclos"
    r"|reveal|produc|teach|explain|list|describe|facilitat|perform|access|process|predict|determin|confirm|verify|speak"
    r"|speculat|brows|open|read|view|see|know|justify|advocate|guide|instruct|satisfy|accept|compose|draft|find"
    r"|contribut|identify|locate|show|supply|conduct|act|say|draw|develop|agree|proceed|publish|spread|diagnos|retriev"
    r"|obtain|search|enable|execute|ignore|role-?play|pretend|rank|judge|comment|express|form|fabricate|summari[sz]e"
    r"|translate|entertain|indulge|accommodate|grant|approve|look|send|call|order|book|check|cater)"
)
_BAD = r"(?:illegal|unethical|immoral|inappropriate|unacceptable|harmful|offensive|dangerous|wrong|disrespectful)"

DECLINES: Final = (
    r"\b(?:i|we|this assistant|chatgpt|ai|model)"
    r"(?:,? (?:therefore|unfortunately|however|as an ai(?: language model| assistant)?|also|simply|just|really|genuinely"
    rf"|truly|still),?)?(?: (?:am|'m) afraid (?:that )?i)?(?: |'m |'re )?{_UNABLE}{_HOW} {_DEED}"
)
"""First person, unable or unwilling, and a deed that was asked for."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One wording in the opening of an answer, and the log odds that it adds."""

    name: str
    weight: float
    source: str


RULES: Final = (
    Rule("declines", 1.8, DECLINES),
    Rule(
        "sorry",
        1.1,
        r"\b(?:sorry|apologi[sz]e|apologies|regret|unfortunately|i'm afraid)\b",
    ),
    Rule(
        "as_ai",
        1.7,
        r"\bas an? (?:\w{1,15} ){0,3}(?:ai|artificial intelligence|language model|assistant|llm)\b"
        r"|\bi(?:'m| am) (?:just |only |merely )?an? (?:ai|artificial intelligence|language model)\b",
    ),
    Rule(
        "improper",
        2.7,
        r"\b(?:not|never|in|un|isn't|aren't)[ -]?(?:be |\w{1,12} )?(?:appropriate|ethical|acceptable|okay|ok|legal|moral|advisable"
        r"|right|respectful|responsible|productive|helpful|fair)\b"
        rf"|\b{_BAD}(?:,| and| or){{1,2}} (?:\w{{1,12}} )?(?:{_BAD}|morally|can)",
    ),
    Rule(
        "stance",
        1.3,
        r"\b(?:do not|don't|cannot|can't|does not|not) (?:\w{1,10} )?"
        r"(?:condone|support|endorse|promote|encourage|advocate|justify|tolerate|agree)\b",
    ),
    Rule(
        "against",
        0.9,
        r"\b(?:against|violates?|contrary to|not within|outside) (?:my|our|the|ethical|openai|its|all)\b",
    ),
    Rule(
        "premise",
        1.3,
        r"\b(?:not|never|in|un|isn't) ?(?:\w{1,10} )?(?:accurate|true|correct|a fact|factual|based on)\b"
        r"|\b(?:generaliz|stereotyp|assumption|misconception|inaccurate|no (?:scientific )?(?:evidence|basis))",
    ),
    Rule("important", 1.5, r"\b(?:it is|it's) (?:\w{1,12} )?(?:important|crucial|essential|vital)\b"),
    Rule(
        "lacks",
        1.6,
        r"\b(?:i|we) (?:do not|don't|cannot|can't) (?:\w{1,10} )?(?:have|possess|hold|know|form)\b|\bno access\b",
    ),
    Rule(
        "redirects",
        1.6,
        r"\bis there (?:something|anything|another)|\bif you have any (?:other|further)|\b(?:can|could) i (?:help|assist) you with"
        r"|\b(?:happy|glad|here) to (?:help|assist)|\bfeel free to ask|\blet me know if|\binstead,? (?:i|let|why|we|you)"
        r"|\bseek(?:ing)? (?:\w{1,15} ){0,2}(?:help|assistance|support|professional|guidance)|\breach(?:ing)? out to"
        r"|\bi (?:encourage|suggest|recommend|urge|would)",
    ),
    Rule(
        "helps",
        -0.6,
        r"\b(?:here(?:'s| is| are)|steps?|sure|certainly|of course|absolutely|following|great question)\b",
    ),
)
