"""Which signals measure each exchange: the built-in ones, and what the monitor file adds to them."""

from __future__ import annotations

from services.monitor import Monitor
from services.signals import SIGNALS
from services.signals.custom.definition import CustomSignal
from services.signals.protocol import Signal
from services.signals.secret_leak import SecretLeak
from services.signals.sensitive_tool_argument import SensitiveToolArgument


def configured_signals(watched: Monitor) -> tuple[Signal, ...]:
    """The signals of this deployment, in the order of the registry; own ones of the monitor file come last.

    Scoring, redaction, suites, replays and commands all ask here, so that none of them measures by other rules.
    """
    built_in = (_configured(signal, watched) for signal in SIGNALS)
    return (*built_in, *(CustomSignal(definition) for definition in watched.signals))


def _configured(signal: Signal, watched: Monitor) -> Signal:
    """A built-in signal as the monitor file wants it."""
    if isinstance(signal, SecretLeak) and watched.secret_forms:
        return SecretLeak(own=watched.secret_forms)
    if isinstance(signal, SensitiveToolArgument) and watched.secret_forms:
        return SensitiveToolArgument(secrets=SecretLeak(own=watched.secret_forms))
    return signal
