"""Which signals measure each exchange: the built-in ones, and what the monitor file adds to them."""

from __future__ import annotations

from dataclasses import replace

from services.errors import InputError
from services.monitor import Monitor
from services.monitor.own_heads import read_heads, with_heads
from services.score.rails.plan import plan_version
from services.signals import SIGNALS
from services.signals.custom.definition import CustomSignal
from services.signals.guardrail_blocked import GuardrailBlocked
from services.signals.guardrail_modified import GuardrailModified
from services.signals.heads.head import HeadError, Heads
from services.signals.protocol import Signal
from services.signals.secret_leak import SecretLeak
from services.signals.sensitive_tool_argument import SensitiveToolArgument


def configured_signals(watched: Monitor) -> tuple[Signal, ...]:
    """The signals of this deployment, in the order of the registry; own ones of the monitor file come last.

    Scoring, redaction, suites, replays and commands all ask here, so that none of them measures by other rules.

    Raises:
        InputError: if the file of a head is no longer one.
    """
    built_in = tuple(_configured(signal, watched) for signal in SIGNALS)
    if watched.heads or watched.multilingual:
        built_in = with_heads(built_in, _heads(watched), multilingual=watched.multilingual)
    return (*built_in, *(CustomSignal(definition) for definition in watched.signals))


def _heads(watched: Monitor) -> dict[str, Heads]:
    try:
        return {name: read_heads(path, name) for name, path in watched.heads.items()}
    except HeadError as error:
        raise InputError(f"heads: {', '.join(watched.heads.values())}: {error}") from error


def _configured(signal: Signal, watched: Monitor) -> Signal:
    """A built-in signal as the monitor file wants it."""
    if isinstance(signal, SecretLeak) and watched.secret_forms:
        return SecretLeak(own=watched.secret_forms)
    if isinstance(signal, SensitiveToolArgument) and watched.secret_forms:
        return SensitiveToolArgument(secrets=SecretLeak(own=watched.secret_forms))
    if isinstance(signal, (GuardrailBlocked, GuardrailModified)) and watched.guardrails is not None:
        return replace(signal, version=f"{signal.version}, rails {plan_version(watched.guardrails)}")
    return signal
