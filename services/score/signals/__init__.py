"""The signals: what `score` measures of each exchange. One signal a file, and one line in `SIGNALS`."""

from __future__ import annotations

from typing import Final

from services.ports import Signal
from services.score.signals.pii_leak import PiiLeak
from services.score.signals.refusal import Refusal
from services.score.signals.secret_leak import SecretLeak

SIGNALS: Final[tuple[Signal, ...]] = (Refusal(), PiiLeak(), SecretLeak())
