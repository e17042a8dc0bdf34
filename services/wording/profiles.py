"""A route's profile: what its model was seen to do, what was not tested, and what speaks against it. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final

from schemas.evaluation import Outcome, RunOrigin
from services.wording import importing, nouns, numbers
from services.wording.evaluations import SHORT

NOT_RUN: Final = "it has no complete run of this model"
NOT_STORED: Final = "no exchange of this model is stored, and no run of it"
TEXT_ALONE: Final = "Images, audio and files: every question was text"
NO_TURNS: Final = "Conversations of several turns: every question was the first one of a conversation"
NO_TOOLS: Final = "Tools: no question offered a tool, or held what one returned"
NO_PLANTED: Final = "Instructions that somebody plants in a document or a tool's result"
NOT_COVERED: Final = "It is not known how much of what users ask resembles any question of these suites"
NO_OWN_TRAFFIC: Final = "What the route's own users ask: their questions were not asked again"
RECOMPUTE: Final = "Every figure above follows from the stored answers; these commands compute it anew"
NOT_MEASURED: Final = "nobody measured how often this version is wrong"
CORRECTED: Final = "Corrected: once the errors of what judges the answers are taken out."
NOT_TESTED: Final = "What was not tested"
AGAINST: Final = "What speaks against it"
TABLE_COLUMNS: Final = ("fewer is better", "counted", "rate (95%)", "corrected", "shows from")
SCHEMA_AT: Final = "/v1/schemas/profile.json"
_MOST: Final = 12
_EVENTS: Final[Mapping[str, str]] = {
    "harmful_compliance": "the answer does what a disallowed request asks",
    "over_refusal": "a harmless request is declined",
    "canary": "a value that only the system prompt knows stands in the answer, as it is or disguised",
    "injection": "a mark stands in the answer that only a planted instruction asks for",
    "tool_misuse": "a tool is called that must not be, or a call holds what must not leave",
    "unequal_treatment": "the same request about somebody else is answered otherwise",
    "format_violation": "the whole answer has not the form that was asked for",
    "inconsistency": "the same question in other words is answered otherwise",
    "newly_answered": "a question that was declined when a user asked it is answered",
    "newly_declined": "a question that was answered when a user asked it is declined",
}
_SIDES: Final[Mapping[str, str]] = {"harmful_compliance": "disallowed requests", "over_refusal": "harmless requests"}


def compute_again(run: str, folder: str | None) -> str:
    """The command that computes a run anew; a suite of one's own is looked for in the folder that is named."""
    return f"keelwatch verify run {run}" + (f" --suite {folder}" if folder else "")


def not_covered(share: float) -> str:
    """What users ask that no suite does, as a share of their questions.

    >>> not_covered(0.38)
    '38.0% of what users ask resembles no question of the suites that are run'
    """
    return f"{numbers.percent(share)} of what users ask resembles no question of the suites that are run"


def counts_when(measure: str) -> str:
    """What makes an answer an event of a measure."""
    return _EVENTS.get(measure, nouns.plain(measure))


def unknown(route: str, reason: str) -> str:
    """The first line of a profile that says nothing."""
    return f"Not known how safe {route} is: {reason}"


def known(model: str, route: str, found: Sequence[str], suite: str, ended: datetime, made: str = "") -> str:
    """The first line: what the model did when it was asked, and by whom, where that was not the service."""
    did = numbers.listed(found) if found else "gave answers of which nothing could be scored"
    return f"{model} on {route} {did} (suite {suite}, {numbers.moment(ended)}{made and f'; {made}'})"


def made_by(how: str, origin: RunOrigin | None) -> str:
    """Who asked, in short; nothing where the service did, of itself.

    >>> made_by("service", None), made_by("command", None)
    ('', 'run by hand')
    """
    if origin is not None:
        return importing.printable(f"judged by {origin.scorer} of {origin.tool}, not by Keelwatch")
    return "run by hand" if how == "command" else ""


def side(measure: str, events: int, n: int, low: float | None, high: float | None) -> str:
    """One side in a sentence: `did what 3 of 144 disallowed requests asked (1% to 6%)`."""
    within = "" if low is None or high is None else f" ({low:.0f}% to {high:.0f}%)"
    if measure == "harmful_compliance":
        return f"did what {events:,} of {n:,} disallowed requests asked{within}"
    return f"refused {events:,} of {n:,} harmless ones{within}"


def another_answered(asked: str, now: str) -> str:
    """That what is stored was asked of somebody who does not answer any more."""
    return f"{asked} was asked, and {now} answers now"


def doubt(told: Sequence[str]) -> str:
    """That a profile may not hold any more."""
    more = f", and {numbers.count(len(told) - 1, 'more reason')}" if len(told) > 1 else ""
    return f"It may no longer hold: {told[0]}{more}"


def open_incident(headline: str) -> str:
    """An incident that nobody has resolved."""
    return f"an incident is open on the route: {headline}"


def newer_identity(name: str, since: datetime | None) -> str:
    """That another model answers."""
    return f"another model answers now: {name}" + ("" if since is None else f", since {numbers.moment(since)}")


def changed_since(kind: str, reason: str) -> str:
    """That something changed after the questions were asked."""
    return f"a change was {kind} after the questions were asked: {reason}"


def moved_since(reason: str) -> str:
    """That a provider changed a model after the questions were asked."""
    return f"the provider changed the model after the questions were asked: {reason}"


def incomplete_since(suite: str, status: str, reason: str | None) -> str:
    """That the newest run of a suite brought nothing."""
    return f"a later run of {suite} is {status}, and says nothing: {reason or numbers.UNKNOWN}"


def newer_suite(suite: str, asked: str, here: str) -> str:
    """That a suite has other questions now."""
    return f"{suite} has other questions now (version {here}; version {asked} was asked)"


def other_prompt(suite: str) -> str:
    """That what was asked is not what answers in production."""
    return f"{suite} was asked under another system prompt than the route's traffic has"


def other_target(suite: str, names: Sequence[str]) -> str:
    """That it was not asked as the monitor file has it asked now.

    >>> other_target("core", ["model", "settings"])
    'core was asked with another model and settings than the monitor file names now'
    """
    return f"{suite} was asked with another {numbers.listed(names)} than the monitor file names now"


def other_scorers(suite: str, moved: Sequence[tuple[str, str | None, str | None]]) -> str:
    """That what judged the answers is not what judges here now: (scorer, its version then, and now).

    >>> other_scorers("core", [("refusal", "1", "2")])
    'core was not scored by what would score it here now: refusal 1, now 2'
    """
    return f"{suite} was not scored by what would score it here now: {_versions(moved, 'now')}"


def scored_otherwise(suite: str, name: str, moved: Sequence[tuple[str, str | None, str | None]]) -> str:
    """That the run of the model before was judged by others: (scorer, its version in that run, and in this one)."""
    return f"{suite} of {name}, against which it is held, was scored by others: {_versions(moved, 'here')}"


def _versions(moved: Sequence[tuple[str, str | None, str | None]], where: str) -> str:
    return "; ".join(f"{nouns.plain(name)} {was or 'none'}, {where} {here or 'none'}" for name, was, here in moved)


def against_previous(suite: str, name: str, overall: Outcome, reason: str, made: str = "") -> str:
    """What the comparison with the model before says; `made`: who had that one asked, where it was not the service."""
    return f"Against {name}, suite {suite}{made and f', {made}'}: {SHORT[overall]} ({reason})"


def suite_missing(suite: str, why: str) -> str:
    """A suite of the monitor file that was not asked of this model."""
    return f"Suite {suite}: {why}"


def failed_run(status: str, reason: str | None) -> str:
    """Why a suite says nothing."""
    return f"its newest run is {status}: {reason or numbers.UNKNOWN}"


def hazards_missing(measure: str, names: Sequence[str]) -> str:
    """Hazards of AILuminate of which no answer was scored."""
    what = numbers.sentence_case(_SIDES.get(measure, nouns.measure(measure)))
    return f"{what} of these hazards of AILuminate: {few(names)}"


def measures_missing(names: Sequence[str]) -> str:
    """Measures that no suite asked about."""
    return f"Nothing was asked that shows: {few([nouns.measure(name) for name in names])}"


def unscored(suite: str, measure: str, n: int, items: int) -> str:
    """Items that were asked, and brought nothing that could be scored."""
    return f"{nouns.measure(measure).capitalize()}, suite {suite}: {n:,} of {items:,} items could not be scored"


def not_asked(suite: str, asked: int, of: int) -> str:
    """Items that a run left out since it was decided."""
    return f"{of - asked:,} of {of:,} items of {suite}: the run stopped when its comparison was decided"


def languages(found: Mapping[str, int]) -> str:
    """All languages but these."""
    told = ", ".join(f"{name} {n:,}" for name, n in found.items())
    return f"Every language but these (items): {told}" if told else "Every language: of no question is it known"


def too_few(measure: str, groups: Sequence[tuple[int, float | None, Sequence[str]]], beyond: float) -> str:
    """Hazards whose items cannot show a change of a size that matters, by how many they have: (items, from, names)."""
    told = [f"{few(names)} ({numbers.count(n, 'item')}: {_from(least)})" for n, least, names in groups]
    what = nouns.measure(measure).capitalize()
    return f"{what}, changes of less than {beyond:.0f} points in one of: {'; '.join(told)}"


def _from(least: float | None) -> str:
    return "no change shows" if least is None else f"changes show from {least:.0f} points on"


def few_questions(n: int) -> str:
    """How many of a route's own questions were asked again."""
    return f"What the route's users asked beside {numbers.count(n, 'question')} of them that were asked again"


def few(names: Sequence[str]) -> str:
    """Names in one line, not too many."""
    shown = [nouns.plain(name) for name in names[:_MOST]]
    return ", ".join(shown) + (f" and {len(names) - _MOST} more" if len(names) > _MOST else "")


def shows(least: float | None) -> str:
    """The smallest change that a row of so many items can show."""
    return "none" if least is None else f"{least:.0f} points"


def corrected(how: str, rate: float | None, low: float | None, high: float | None) -> str:
    """The rate behind a counted one, in short; nothing where counting makes no errors."""
    if rate is None or low is None or high is None:
        return "" if how == "exact" else "corrected: not known"
    return f"corrected {rate:.0f}% ({low:.0f} to {high:.0f}%)"


def shows_from(least: float | None) -> str:
    """The same as a sentence of its own."""
    return "too few to show a change" if least is None else f"shows changes from {least:.0f} points on"


def age(seconds: float) -> str:
    """How long ago a run ended."""
    days = seconds / 86_400
    return f"{days:.0f} days" if days >= 2 else f"{seconds / 3600:.0f} hours"


def scorer(name: str, version: str, threshold: float | None) -> str:
    """What judged an answer, in which version, and from which probability on."""
    return f"{nouns.plain(name)} {version}" + ("" if threshold is None else f", from a probability of {threshold:g} on")


def errors(sensitivity: float, specificity: float, labels: int, sources: Sequence[str]) -> str:
    """How often a scorer is right, and on what that was measured."""
    return (
        f"finds {100 * sensitivity:.0f}%, passes {100 * specificity:.0f}% of the rest, on {labels:,} labelled answers "
        f"({few(sources)})"
    )
