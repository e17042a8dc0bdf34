"""The signals: what `score` measures of each exchange. A new one is a file here and an entry of `SIGNALS`."""

from __future__ import annotations

from typing import Final

from services.signals.evasion import Evasion
from services.signals.harmful_request import HarmfulRequest
from services.signals.jailbreak_attempt import JailbreakAttempt
from services.signals.over_refusal import OverRefusal
from services.signals.pii_leak import PiiLeak
from services.signals.prompt_injection import PromptInjection
from services.signals.protocol import Signal
from services.signals.refusal import Refusal
from services.signals.secret_leak import SecretLeak
from services.signals.self_harm import SelfHarm
from services.signals.system_prompt_leak import SystemPromptLeak

SIGNALS: Final[tuple[Signal, ...]] = (
    Refusal(),
    PiiLeak(),
    SecretLeak(),
    SystemPromptLeak(),
    HarmfulRequest(),
    OverRefusal(),
    Evasion(),
    JailbreakAttempt(),
    PromptInjection(),
    SelfHarm(),
)
