"""The signals: what `score` measures of each exchange. A new one is a file here and an entry of `SIGNALS`."""

from __future__ import annotations

from typing import Final

from services.signals.pii_leak import PiiLeak
from services.signals.protocol import Signal
from services.signals.refusal import Refusal
from services.signals.secret_leak import SecretLeak
from services.signals.system_prompt_leak import SystemPromptLeak

SIGNALS: Final[tuple[Signal, ...]] = (
    Refusal(),
    PiiLeak(),
    SecretLeak(),
    SystemPromptLeak(),
)
