"""What commands say of signals and judges: what they found in a file, and whether a judge may be used. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from services.wording import numbers

TEST_COLUMNS: Final = ("signal", "scored", "hits", "share", "not scored")
LIST_COLUMNS: Final = ("signal", "kind", "looks at", "floor")
CHECK_COLUMNS: Final = ("what", "share", "95% interval", "of")
NO_OWN: Final = "the monitor file defines no signals; write them under signals:, or name a built-in one by --signal"
NOT_WATCHED: Final = "not watched"
FIRST_ALERTS: Final = "the first one alerts"
_WHY: Final[Mapping[str, str]] = {
    "no_response": "no answer",
    "not_asked": "the judge was not asked",
    "not_checked": "its judge was not checked: `keelwatch judge check`",
    "no_key": "the judge's key is not set",
    "daily_limit": "the calls of the day are used up",
    "not_masked": "could not be masked",
    "judge_timeout": "the judge did not answer in time",
    "judge_unreachable": "the judge could not be reached",
    "judge_paused": "the judge is left alone for a while, since it did not answer",
    "address_refused": "the judge's address is not called",
    "judge_error": "the judge answered with an error",
    "other_model": "another model answered",
    "inconclusive": "the judge did not say yes or no in the form that was asked for",
    "instructs_the_judge": "the text speaks to its judge",
    "no_system_prompt": "no system prompt",
    "no_documents": "no documents",
    "no_tool_calls": "no calls of tools",
    "cut_in_reasoning": "the answer was cut inside its reasoning",
    "nested_too_deep": "JSON nested too deep",
    "truncated": "only the beginning of the text is known",
    "no_json": "no JSON",
    "several_json_blocks": "several blocks of JSON",
    "not_allowed_by_the_schema": "not allowed by the schema",
}
_NOT_USED: Final[Mapping[str, str]] = {
    "few": "label at least 10 exchanges of either kind, then check again",
    "inconclusive": "it says nothing of more than 20%: ask a clearer question, or another model",
    "kappa": "it agrees with people hardly more than chance would (kappa under 0.4): ask another question, or model",
}


def why(reason: str) -> str:
    """A reason of a measurement, for people."""
    return _WHY.get(reason, reason.replace("_", " "))


def unscored(reasons: Mapping[str, int]) -> str:
    """Why exchanges were not scored, and how many."""
    return "; ".join(f"{n:,} {why(reason)}" for reason, n in sorted(reasons.items(), key=lambda one: -one[1])) or "-"


def taken_in(exchanges: int, dead: int) -> str:
    """What a file held."""
    lost = f", and {numbers.count(dead, 'line')} without one" if dead else ""
    return f"{numbers.count(exchanges, 'exchange')}{lost}"


def example(id: str, before: str, match: str, after: str) -> str:
    """A hit as it stands in its text, which is masked already."""
    return f"  {id}: {before}[{match}]{after}"


def example_as_whole(id: str, reason: str | None) -> str:
    """A hit that is no place in the text."""
    return f"  {id}: {why(reason or 'true')}" if reason else f"  {id}"


def no_signal(name: str, known: str) -> str:
    """A signal that the file does not define."""
    return f"--signal {name}: no such signal{known}"


def no_judge(name: str) -> str:
    """A signal that has no judge."""
    return f"--signal {name}: asks no judge; only a signal with `judge:` can be checked"


def no_label(name: str) -> str:
    """A file without labels."""
    return f"no line has a label; write label, or labels.{name}: true or false on each line"


def rate(told: Mapping[str, Any]) -> tuple[str, str, str]:
    """A share with its interval, and of how many."""
    return numbers.percent(told["share"]), numbers.interval(told["low"], told["high"]) or "-", f"{told['n']:,}"


def kappa(value: float | None) -> str:
    """Agreement beyond chance."""
    return "agreement beyond chance (kappa): " + (numbers.UNKNOWN if value is None else f"{value:.2f}")


def checked(signal: str, model: str, why_not: str | None) -> str:
    """Whether a judge may be used from now on."""
    if why_not is None:
        return f"{signal}: {model} may be used; it is asked of live traffic from the next start of a worker on"
    return f"{signal}: {model} is not used: {_NOT_USED[why_not]}"


def judge_unusable(signal: str, reason: str) -> str:
    """Why a run that a judge is to score cannot begin."""
    return f"{signal} cannot score suites: {why(reason)}"


def over_daily_calls(signal: str, needed: int, most: int) -> str:
    """That no day holds what a run asks of a judge."""
    return f"{signal}: a run asks the judge {needed:,} times, and `daily_calls` is {most:,}; raise it"


def calls_left(signal: str, needed: int, left: int) -> str:
    """That today does not hold it."""
    return f"{signal}: {needed:,} calls of the judge are needed, {left:,} are left today; raise `daily_calls`"


def judge_silent(signal: str, reason: str) -> str:
    """That a judge is not asked, at the start of a worker."""
    return f"{signal} is not scored: {why(reason)}"
