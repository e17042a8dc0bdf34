"""What moved, in plain words for the person on call: headlines and timeline texts."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Final

from schemas.alert import Alert, rank
from schemas.change import Change
from schemas.decision import Decision
from schemas.evaluation import Comparison, HazardComparison, Run
from schemas.identity import Model
from schemas.reading import Effect

_DECIDED: Final[Mapping[str, str]] = {
    "announce": "announced a change",
    "acknowledge": "acknowledged",
    "snooze": "snoozed",
    "accept_baseline": "accepted as the new baseline",
    "false_alarm": "false alarm",
    "roll_back": "rolling back; stays open until the effect is gone",
    "silence": "silenced",
    "resolve": "resolved",
}
_UNITS: Final[Mapping[str, str]] = {"pp": "%", "sd": " sd", "ratio": "x"}


def headline(alerts: Collection[Alert]) -> str:
    """The worst of an incident's alerts in one sentence, the first one where several are as bad."""
    worst = max(alerts, key=lambda alert: rank(alert.severity))
    more = len(alerts) - 1
    return movement_text(worst) + (f", and {more} more" if more else "")


def movement_text(alert: Alert) -> str:
    """What an alert says moved, for example `refusal rate of support-bot/prod fell from 18.8% to 2.1% (...)`."""
    where = alert.route if alert.slice is None or alert.family == "evaluation" else f"{alert.route} [{alert.slice}]"
    if alert.family == "events":
        return f"{plain_name(alert.signal)} seen in an answer of {where} (exchange {alert.event_index})"
    if alert.family == "blind":
        return f"{where} is not watched: {alert.reason or plain_name(alert.signal)}"
    if alert.family == "evaluation":
        return _regressed(alert)
    return f"{_subject(alert, where)}{effect_text(alert)}"


def effect_text(alert: Alert) -> str:
    """The size of a move: ` from before to after (change low to high, n exchanges)`, as far as it is known."""
    effect, n = alert.effect, alert.evidence.n
    if effect is None:
        return f" ({n} exchanges)" if n else ""
    told = ", ".join((*_interval(effect), f"{n} exchanges"))
    if alert.signal is None and effect.after is not None:
        return f" by {_level(effect, 'after')} ({told})"
    return f"{_levels(effect)} ({told})"


def fired_text(alert: Alert) -> str:
    """An alert's timeline text: what moved, where it crossed its threshold, and how sure we are."""
    parts = [movement_text(alert)]
    if alert.family not in ("events", "evaluation"):
        parts.append(f"crossed at exchange {alert.event_index}")
    evidence = alert.evidence
    if evidence.log_e is not None and evidence.threshold is not None:
        parts.append(f"log evidence {evidence.log_e:.1f}, fires at {evidence.threshold:.1f}")
    if alert.silenced:
        parts.append("silenced: nobody is told")
    return "; ".join(parts)


def resolved_text(alert: Alert) -> str:
    """The timeline text of an alert that resolved."""
    name = alert.slice if alert.family == "evaluation" and alert.slice else alert.signal or alert.family
    known = alert.effect is not None and alert.effect.after is not None and alert.family != "events"
    last = f"; last {_level(alert.effect, 'after')}" if alert.effect is not None and known else ""
    return f"{plain_name(name)} ({alert.family}) fires no more: {alert.reason or 'no stream fires'}{last}"


def change_text(change: Change) -> str:
    """The timeline text of a change, and of one that came before the incident."""
    who = model_name(change.model, change.to_identity)
    if change.kind == "observed":
        what = f"new fingerprint {change.fingerprint} of {who}" if change.fingerprint else f"new identity {who}"
        return f"{what} at exchange {change.event_index}: {change.reason}"
    if change.kind == "suspected":
        return f"a silent change of {who} is suspected at exchange {change.event_index}: {change.reason}"
    return f"baseline of {who} pinned at exchange {change.event_index}: {change.reason}"


def run_text(run: Run) -> str:
    """The timeline text of a run: what came of it, and the events of each measure."""
    told = [f"{measure.replace('_', ' ')} {events} of {n}" for measure, (events, n) in run.totals.items()]
    why = f" ({run.reason})" if run.reason else ""
    rates = f": {', '.join(told)}" if told else ""
    return f"suite {run.suite} run against identity {run.identity[:8]}: {run.status}{why}{rates}"


def comparison_text(comparison: Comparison) -> str:
    """The timeline text of two runs held against each other: why, else every hazard that moved."""
    hazards = [_hazard(h) for h in comparison.hazards if h.verdict in ("regressed", "improved")]
    told = comparison.reason or "; ".join(hazards)
    return f"suite {comparison.suite}: {comparison.overall}" + (f" ({told})" if told else "")


def decision_text(decision: Decision, note: str | None = None) -> str:
    """The timeline text of a decision; `note` says why it changed nothing, or what stays."""
    if decision.kind == "announce" and decision.model is not None:
        what = f"announced change to {model_name(decision.model, None)}"
    elif decision.kind in ("snooze", "silence"):
        what = f"{_DECIDED[decision.kind]} until {decision.until:%Y-%m-%d %H:%M} UTC"
    else:
        what = _DECIDED[decision.kind]
    return f"{what}: {decision.reason}" + (f" ({note})" if note else "")


def model_name(model: Model | None, identity: str | None) -> str:
    """A model as people call it: what was served, else requested, with the head of its identity."""
    name = "" if model is None else model.served or model.requested
    short = "" if identity is None else identity[:8]
    return f"{name} ({short})" if name and short else name or short


def plain_name(signal: str | None) -> str:
    """The name of a signal or a family as people say it."""
    return (signal or "something").replace("_", " ")


def _subject(alert: Alert, where: str) -> str:
    if alert.family == "model_shift":
        return f"answers of {where} to like prompts differ from the baseline's"
    if alert.family == "user_shift":
        return f"prompts to {where} differ from the baseline's"
    if alert.signal is None:
        return f"{alert.family.replace('_', ' ')} of {where}"
    verb = {"up": "rose", "down": "fell", None: "moved"}[alert.direction]
    return f"{plain_name(alert.signal)} rate of {where} {verb}"


def _regressed(alert: Alert) -> str:
    suite = (alert.slice or "").removeprefix("suite=")
    if alert.effect is None:
        return f"suite {suite} regressed on {alert.route}"
    told = ", ".join((*_interval(alert.effect), f"{alert.evidence.n} items"))
    return f"suite {suite} regressed on {alert.route}: {alert.effect.name}{_levels(alert.effect)} ({told})"


def _hazard(hazard: HazardComparison) -> str:
    levels = "" if hazard.before is None or hazard.after is None else f" {hazard.before:.1f}% to {hazard.after:.1f}%"
    return f"{hazard.hazard} {hazard.measure} {hazard.verdict}{levels}, {hazard.n} items"


def _levels(effect: Effect) -> str:
    if effect.before is None or effect.after is None:
        return ""
    return f" from {_level(effect, 'before')} to {_level(effect, 'after')}"


def _level(effect: Effect, side: str) -> str:
    value = effect.before if side == "before" else effect.after
    assert value is not None
    return f"{value:.1f}{_UNITS[effect.unit]}" if effect.unit == "pp" else f"{value:.2f}{_UNITS[effect.unit]}"


def _interval(effect: Effect) -> tuple[str, ...]:
    if effect.low is None or effect.high is None:
        return ()
    if effect.unit == "pp":
        return (f"change {effect.low:+.1f} to {effect.high:+.1f} pp",)
    return (f"change {effect.low:+.2f} to {effect.high:+.2f}{_UNITS[effect.unit]}",)
