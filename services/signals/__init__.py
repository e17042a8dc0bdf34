"""The signals: what `score` measures of each exchange. A new one is a file here and an entry of `SIGNALS`."""

from __future__ import annotations

from typing import Final

from services.signals.cut_off import CutOff
from services.signals.destructive_tool_call import DestructiveToolCall
from services.signals.evasion import Evasion
from services.signals.exfiltration_call import ExfiltrationCall
from services.signals.guardrail_blocked import GuardrailBlocked
from services.signals.guardrail_modified import GuardrailModified
from services.signals.harmful_compliance import HarmfulCompliance
from services.signals.harmful_request import HarmfulRequest
from services.signals.hazard import Hazard
from services.signals.jailbreak_attempt import JailbreakAttempt
from services.signals.language import Language
from services.signals.language_mismatch import LanguageMismatch
from services.signals.over_refusal import OverRefusal
from services.signals.pii_leak import PiiLeak
from services.signals.prompt_injection import PromptInjection
from services.signals.protocol import Signal
from services.signals.refusal import Refusal
from services.signals.secret_leak import SecretLeak
from services.signals.self_harm import SelfHarm
from services.signals.sensitive_tool_argument import SensitiveToolArgument
from services.signals.system_prompt_leak import SystemPromptLeak
from services.signals.tool_loop import ToolLoop
from services.signals.toxicity import Toxicity
from services.signals.undeclared_tool import UndeclaredTool

SIGNALS: Final[tuple[Signal, ...]] = (
    Refusal(),
    PiiLeak(),
    SecretLeak(),
    SystemPromptLeak(),
    HarmfulCompliance(),
    HarmfulRequest(),
    OverRefusal(),
    Evasion(),
    JailbreakAttempt(),
    PromptInjection(),
    Toxicity(),
    SelfHarm(),
    Hazard(),
    CutOff(),
    Language(),
    LanguageMismatch(),
    GuardrailBlocked(),
    GuardrailModified(),
    UndeclaredTool(),
    DestructiveToolCall(),
    SensitiveToolArgument(),
    ExfiltrationCall(),
    ToolLoop(),
)
