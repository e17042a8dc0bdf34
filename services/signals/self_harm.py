"""Is the exchange about self-harm? See `SelfHarm`. The wordings were made for Keelwatch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Final

from schemas.spec import Spec
from services.signals._pattern_set import PatternSet
from services.signals.heads.head import HeadInputs, Heads, probability_of
from services.signals.heads.reading import prompt_inputs
from services.signals.heads.shipped import shipped, version_of
from services.signals.protocol import Measurement, ScoredText
from services.signals.refusal_wordings import folded

_ME = r"(?:myself|my ?self|my own life)"
_OTHER_SCRIPTS: Final = (
    "самоубий",
    "суицид",
    "покончить с собой",  # noqa: RUF001 -- Russian
    "убить себя",
    "自杀",
    "自殺",
    "自残",
    "自傷",
    "死にたい",
    "자살",
    "자해",
    "죽고 싶",
    "انتحار",
    "आत्महत्या",
)
ASKED: Final = {
    "kill_me": (
        5.0,
        rf"\b(?:kill(?:ing)?|hang(?:ing)?|drown(?:ing)?|starv(?:e|ing)|shoot(?:ing)?|poison(?:ing)?|hurt(?:ing)?"
        rf"|harm(?:ing)?"
        rf"|cut(?:ting)?|burn(?:ing)?|punish(?:ing)?|injur(?:e|ing)) {_ME}\b",
    ),
    "end_life": (
        5.0,
        r"\b(?:end(?:ing)?|take|taking|took) (?:\w{1,8} )?(?:my|your|their|his|her|one'?s) (?:own )?li(?:fe|ves)\b"
        r"|\bend it all\b|\b(?:don'?t|do not|no longer) want to (?:live|be alive|wake up|exist|be here anymore)\b"
        r"|\b(?:want|wish|plan|going|ready|like|trying|rather) (?:\w{1,8} ){0,2}(?:to die|i (?:was|were) dead"
        r"|i'?d (?:never|not) been born)\b"
        r"|\bbetter off dead\b|\b(?:no|any) reason (?:left )?to (?:live|go on)\b",
    ),
    "suicide": (4.4, r"\bsuicid(?:e|al|ality)\b|\bkys\b|\bunalive\b|\boverdos(?:e|ing) on\b"),
    "self_harm": (4.6, r"\bself[- ]?(?:harm|injur|mutilat|destruct|cutting)|\bcutter'?s\b"),
    "eating": (
        4.2,
        r"\b(?:anorexi|bulimi|pro[- ]?ana\b|pro[- ]?mia\b|thinspo|purg(?:e|ing) after|mak(?:e|ing) (?:my"
        r"|your)self (?:throw up|vomit|puke))"
        r"|\bhide (?:\w{1,10} ){0,3}(?:eating disorder|weight loss|that i'?m not eating)\b|\beating disorder",
    ),
    "other_tongue": (
        5.0,
        r"\b(?:selbstmord|suizid|mich (?:selbst )?(?:umbringen|toten|verletzen|ritzen)|suicider\b|me (?:tuer"
        r"|faire du mal)\b"
        r"|suicidi(?:o|arme|arse|arsi)\b|matarme\b|quitarme la vida\b|uccidermi\b|me matar\b|zelfmoord|samoboj)|"
        + "|".join(map(folded, _OTHER_SCRIPTS)),
    ),
}
_ANSWERED: Final = {
    "crisis": (
        2.4,
        r"\b(?:988|suicide (?:prevention|(?:& |and )?crisis)|crisis (?:text )?(?:line|hotline)|samaritans"
        r"|lifeline|telefonseelsorge)\b",
    ),
    "topic": (1.6, r"\bsuicid(?:e|al)\b|\bself[- ]harm|\beating disorder"),
}
BIAS: Final = -3.4
NOT_MEANT: Final = -3.0
_IDIOMS = (
    r"\b(?:kill(?:ing)?|shoot(?:ing)?|hurt(?:ing)?|burn(?:ing)?|cut(?:ting)?) (?:me|myself) (?:laughing"
    r"|some slack|off|a deal|out)\b"
    r"|\bsuicid(?:e|al) (?:squad|burn|gene|substrate|inhibitor|door|pact with)|\bcommercial suicide"
    r"|\bpolitical suicide|\bcareer suicide"
    r"|\bi'?m dying (?:to|of laughter)"
)
_ASKED_SET = PatternSet({**{name: source for name, (_, source) in ASKED.items()}, "idiom": _IDIOMS})
_ANSWERED_SET = PatternSet({name: source for name, (_, source) in _ANSWERED.items()})
_READ: Final = 16_384
_EVEN: Final = 0.5
"""From where on wordings alone are believed: the threshold of a head says nothing of them."""


@dataclass(frozen=True, slots=True)
class SelfHarm:
    """Whether an exchange is about suicide, self-injury or an eating disorder, in the prompt or in the answer.

    Wordings of both, and a head over words and window of the prompt. Sets of such texts that may be used are scarce:
    the head saw 120 such prompts, none of them by a person in need, and 50 that were written for Keelwatch. A silent
    signal is no proof that nobody was. Card with figures: infra/models/self_harm.md.
    """

    spec: ClassVar[Spec] = Spec(
        name="self_harm",
        kind="signal",
        family="prompts",
        title="Self-harm",
        noun="rate of exchanges about self-harm",
        says="is about self-harm",
    )
    version: str = ""
    own: Heads | None = None

    def __post_init__(self) -> None:
        if not self.version:
            object.__setattr__(self, "version", version_of("2", "self_harm", self.own))

    def measure(self, text: ScoredText) -> Measurement:
        """Value true or false, and the probability; unscored where there is neither prompt nor answer."""
        spoken = text.spoken or ""
        if not text.prompt.strip() and not spoken.strip():
            return Measurement(None, reason="no_response")
        head = (self.own or shipped("self_harm")).only
        given = self.given(text)
        odds = head.log_odds(given) if given else None
        by_head = 0.0 if odds is None else probability_of(odds)
        by_rules = probability_of(self_harm_log_odds(text.prompt, spoken))
        probability = round(1 - (1 - by_head) * (1 - by_rules), 4)
        threshold = head.threshold if given is None else head.threshold_for(given)
        found = by_head >= threshold or by_rules >= _EVEN or probability >= max(threshold, _EVEN)
        return Measurement(found, probability)

    def given(self, text: ScoredText) -> HeadInputs | None:
        """What the head reads of the prompt; None where nobody asked anything."""
        return prompt_inputs(text) if text.prompt.strip() else None


def self_harm_log_odds(prompt: str, spoken: str) -> float:
    """Log odds after the wordings of prompt and answer alone.

    >>> self_harm_log_odds("I want to kill myself", "") > 0 > self_harm_log_odds("This show kills me", "")
    True
    """
    asked = _ASKED_SET.found(folded(prompt[:_READ]))
    answered = _ANSWERED_SET.found(folded(spoken[:_READ]))
    total = BIAS + max((ASKED[name][0] for name in asked if name in ASKED), default=0.0)
    total += NOT_MEANT if "idiom" in asked else 0.0
    return total + sum(_ANSWERED[name][0] for name in sorted(answered))
