"""What is wrong with a monitor file, each problem with line and remedy.

Violations of its schema, and what the schema cannot see: names that must exist, sizes that must fit, secrets.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from services.monitor.deployments import DeployMatchSection, DeploymentSection
from services.monitor.fields import CATEGORIES, MONITORED_SIGNALS, Section
from services.monitor.ingest_rules import IngestRuleSection
from services.monitor.own_heads import read_heads
from services.monitor.policy import Monitor, RoutePolicy
from services.monitor.problems import MonitorProblem, suggestion
from services.monitor.receiver_section import (
    OpsgenieSection,
    PagerDutySection,
    ReceiverSection,
    SlackSection,
    TeamsSection,
    WebhookSection,
)
from services.monitor.schema import (
    BaselineSection,
    BudgetSection,
    GuardrailsSection,
    JudgeSection,
    MonitorFile,
    PricesSection,
    RailSection,
    RouteSection,
    ScheduleSection,
    SecretFormSection,
    SignalSection,
    SlackAccessSection,
    SlackGrantSection,
    TargetSection,
)
from services.monitor.score_events import ScoreEventsSection
from services.monitor.signal_section import wrong_signals
from services.monitor.target_section import is_sent_in_clear, remedy, wrong_target
from services.monitor.yaml_document import Document, KeyPath
from services.outbound import UrlRefused, checked_url
from services.signals.custom.definition import PREFIX
from services.signals.custom.judge_rule import JudgeRule
from services.signals.heads.head import HeadError
from services.signals.own_patterns import PatternRefused
from services.signals.own_secret_forms import check_form
from services.specs import signals

SECRET_KEY: Final = re.compile(r"(?i)(?:^|[_-])(?:api[_-]?key|key|token|secret|password|authorization)$|webhook_url$")

_BY_NAME: Final[dict[str | int, type[Section]]] = {
    "match": DeployMatchSection,
    "baseline": BaselineSection,
    "target": TargetSection,
    "budget": BudgetSection,
    "prices": PricesSection,
    "slack": SlackSection,
    "webhook": WebhookSection,
    "pagerduty": PagerDutySection,
    "opsgenie": OpsgenieSection,
    "teams": TeamsSection,
    "slack_access": SlackAccessSection,
    "guardrails": GuardrailsSection,
    "score_events": ScoreEventsSection,
}
_IN_LISTS: Final[dict[str | int, type[Section]]] = {
    "deployments": DeploymentSection,
    "ingest": IngestRuleSection,
    "schedules": ScheduleSection,
    "people": SlackGrantSection,
    "secret_forms": SecretFormSection,
    "rails": RailSection,
}
_WANTED: Final = {
    "string_type": "must be text; put quotes around it",
    "int_type": "must be a whole number, without quotes",
    "float_type": "must be a number, without quotes",
    "finite_number": "must be a finite number",
    "tuple_type": "must be a list, for example [a, b]",
    "model_type": "must be a mapping of keys to values",
    "dict_type": "must be a mapping of keys to values",
    "mapping_type": "must be a mapping of keys to values",
    "missing": "is missing here",
    "too_short": "must not be empty",
}
_NAMED: Final = {
    "channel": 'must be a Slack channel in quotes, for example "#llm-safety"',
    "repository": "must be OWNER/NAME, for example acme/bot",
}


def problems_of(error: ValidationError, document: Document, file: str) -> list[MonitorProblem]:
    """One problem a violation, with the nearest line of the file."""
    return [_problem(item, document, file) for item in error.errors(include_url=False, include_input=False)]


def key_path(path: KeyPath) -> str:
    """`routes.support-bot/*.schedules[0].cron`."""
    text = ""
    for step in path:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else step
    return text


def _problem(item: ErrorDetails, document: Document, file: str) -> MonitorProblem:
    path = tuple(step for step in item["loc"] if step != "[key]")
    return MonitorProblem("error", file, document.line(path), key_path(path), _message(item, path))


def _message(item: ErrorDetails, path: KeyPath) -> str:
    kind, name = item["type"], str(path[-1]) if path else ""
    if kind == "extra_forbidden":
        return _unknown(name, path[:-1])
    if kind == "value_error":
        return item["msg"].removeprefix("Value error, ")
    if kind == "string_pattern_mismatch" and name.endswith("_env"):
        return "must be the NAME of an environment variable in capitals, for example OPENAI_API_KEY, never its value"
    if name in _NAMED:
        return _NAMED[name]
    if kind == "string_pattern_mismatch":
        return "must be a name of letters, digits and . _ @ / -"
    return _WANTED.get(kind) or _bounds(item)


def _bounds(item: ErrorDetails) -> str:
    """Pydantic's own words for ranges and choices name no value of the file."""
    return item["msg"].replace("Input should", "must").replace("String should", "must")


def _unknown(name: str, parent: KeyPath) -> str:
    if SECRET_KEY.search(name):
        return f"secrets do not belong in this file; put it in the environment and name the variable in {name}_env"
    return f"unknown key{suggestion(name, _section(parent).model_fields)}"


def _section(parent: KeyPath) -> Any:
    if not parent:
        return MonitorFile
    if parent[0] == "signals":
        return SignalSection if len(parent) == 2 else JudgeSection
    if len(parent) == 2:
        return (
            RouteSection if parent[0] == "routes" else ReceiverSection if parent[0] == "receivers" else _inner(parent)
        )
    return _inner(parent)


def _inner(parent: KeyPath) -> type[Section]:
    if isinstance(parent[-1], int):
        return _IN_LISTS.get(parent[-2], ScheduleSection)
    return _BY_NAME.get(parent[-1], RouteSection)


_SECRET: Final = re.compile(
    r"xox[a-z]-|xapp-|hooks\.slack\.com/services/|sk-[A-Za-z0-9_-]{16}|gh[opsu]_[A-Za-z0-9]{20}|github_pat_"
    r"|AKIA[A-Z0-9]{16}|AIza[A-Za-z0-9_-]{30}|glpat-|hf_[A-Za-z0-9]{20}|-----BEGIN|Bearer\s+\S{8}|eyJ[\w-]+\.[\w-]+\."
)


_REPEATS: Final = re.compile(r"[\])\w]\{\d+(?:,\d*)?\}|\][+*]")


class Remark(NamedTuple):
    """Where something is wrong, and what."""

    path: KeyPath
    message: str


def find_secrets(value: Any, path: KeyPath = ()) -> Iterator[Remark]:
    """Text that looks like a secret, wherever it stands; the text itself is not repeated."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from find_secrets(item, (*path, key))
    elif isinstance(value, tuple):
        for i, item in enumerate(value):
            yield from find_secrets(item, (*path, i))
    elif (
        isinstance(value, str)
        and not _is_pattern(path, value)
        and (_SECRET.search(value) or (path and SECRET_KEY.search(str(path[-1]))) or is_sent_in_clear(path, value))
    ):
        yield Remark(path, f"a secret in clear; revoke it, put it in the environment and {remedy(path)}")


def _is_pattern(path: KeyPath, value: str) -> bool:
    """Whether it is a form of one's own keys, and not a key that somebody pasted there."""
    own = path[:1] in (("secret_forms",), ("signals",))
    return own and path[-1] == "pattern" and _REPEATS.search(value) is not None


def find_errors(file: MonitorFile, monitor: Monitor) -> Iterator[Remark]:
    """Receivers that do not exist, schedules of one name, baselines that can never be pinned early, unusable forms."""
    yield from _unusable_forms(monitor)
    yield from _unusable_heads(monitor)
    yield from _second_rails(file)
    for place, message in wrong_signals(file, monitor):
        yield Remark(("signals", *place), message)
    yield from _unknown_events(file, monitor)
    for path, section, policy in _sections(file, monitor):
        for i, name in enumerate(section.notify or ()):
            if name not in monitor.receivers:
                yield Remark((*path, "notify", i), f"no receiver {name}{suggestion(name, monitor.receivers)}")
        yield from _no_rates(path, section, monitor)
        if section.target is not None:
            yield from (Remark((*path, "target", *place), message) for place, message in wrong_target(section.target))
        yield from _budget_without_prices(path, section)
        names = [schedule.name for schedule in section.schedules or ()]
        for i, name in enumerate(names):
            if name in names[:i]:
                yield Remark((*path, "schedules", i, "name"), f"a second schedule {name}; names must differ")
        yield from _own_questions(path, section, policy, monitor)
        if policy.baseline.min_size > policy.baseline.size:
            sizes = f"{policy.baseline.min_size} is above size {policy.baseline.size}"
            yield Remark((*path, "baseline", "min_size"), f"{sizes}; lower min_size or raise size")


def _unknown_events(file: MonitorFile, monitor: Monitor) -> Iterator[Remark]:
    """Signals of `score_events` that the file does not define."""
    own = [one.spec.name for one in monitor.signals]
    for i, name in enumerate(file.score_events.signals if file.score_events else ()):
        if name.startswith(PREFIX) and name not in own:
            yield Remark(("score_events", "signals", i), f"no signal is defined as {name}{suggestion(name, own)}")


def _own_questions(path: KeyPath, section: RouteSection, policy: RoutePolicy, monitor: Monitor) -> Iterator[Remark]:
    """Questions that are not kept, and a judge that is none."""
    reask = section.reask
    if reask is not None and policy.keep_text == "none":
        yield Remark((*path, "reask"), "needs kept text, and keep_text is none; remove one of the two")
    judges = [one.name for one in monitor.signals if isinstance(one.rule, JudgeRule)]
    if reask is not None and reask.judge is not None and reask.judge.removeprefix(PREFIX) not in judges:
        why = f"no signal with `judge` is called so{suggestion(reask.judge, judges)}"
        yield Remark((*path, "reask", "judge"), why)


def _budget_without_prices(path: KeyPath, section: RouteSection) -> Iterator[Remark]:
    """Money that nobody can count."""
    target = section.target
    if target and target.budget and target.budget.cost is not None and target.prices is None:
        yield Remark((*path, "target", "budget", "cost"), "needs `prices` of the target: `{input: ..., output: ...}`")


def _no_rates(path: KeyPath, section: RouteSection, monitor: Monitor) -> Iterator[Remark]:
    """Floors, ceilings and shadows of what has no rate."""
    for place, name in _named_signals(section):
        if (why := _no_rate(name, monitor)) is not None:
            yield Remark((*path, *place), why)
    for name in section.objectives or ():
        if (why := _no_ceiling(name, monitor)) is not None:
            yield Remark((*path, "objectives", name), why)


def _named_signals(section: RouteSection) -> Iterator[tuple[KeyPath, str]]:
    """Where a section names signals that must have a rate, and which."""
    yield from ((("floors", name), name) for name in section.floors or ())
    yield from ((("shadow_signals", i), name) for i, name in enumerate(section.shadow_signals or ()))


def _no_rate(name: str, monitor: Monitor) -> str | None:
    """Why a signal of the file cannot have a floor: it is not defined, or it counts."""
    own = {one.spec.name: one for one in monitor.signals}
    if not name.startswith(PREFIX) or (name in own and own[name].value == "share"):
        return None
    if name in own:
        return f"counts, and a number has no rate; remove the floor, or `value: count` of {name}"
    return f"signals: defines no {name.removeprefix(PREFIX)}{suggestion(name, own)}"


def _no_ceiling(name: str, monitor: Monitor) -> str | None:
    """Why a signal of the file cannot have a ceiling."""
    known = signals().get(name)
    if known is not None and known.number:
        return "counts, and a number has no rate; remove the ceiling"
    why = _no_rate(name, monitor)
    return None if why is None else why.replace("remove the floor", "remove the ceiling")


def _unusable_forms(monitor: Monitor) -> Iterator[Remark]:
    """Forms of keys that cannot be looked for, fit ordinary text, or are called as another one is."""
    names = [form.name for form in monitor.secret_forms]
    for i, form in enumerate(monitor.secret_forms):
        if form.name in names[:i]:
            yield Remark(("secret_forms", i, "name"), f"a second form {form.name}; names must differ")
        try:
            check_form(form)
        except PatternRefused as refused:
            yield Remark(("secret_forms", i, "pattern"), str(refused))


def _second_rails(file: MonitorFile) -> Iterator[Remark]:
    rails = [rail.name for rail in file.guardrails.rails] if file.guardrails else []
    for i, name in enumerate(rails):
        if name in rails[:i]:
            yield Remark(("guardrails", "rails", i, "name"), f"a second rail {name}; names must differ")


def _unusable_heads(monitor: Monitor) -> Iterator[Remark]:
    """Files of heads that cannot be read, are damaged, or are another signal's."""
    for name, path in monitor.heads.items():
        try:
            read_heads(path, name)
        except HeadError as error:
            yield Remark(("heads", name), f"{error}; name a file that `keelwatch head fit --signal {name}` wrote")


def find_warnings(file: MonitorFile, monitor: Monitor) -> Iterator[Remark]:
    """What is accepted and yet does nothing, or will be refused when it is called."""
    yield from _of_nobody(file)
    events = file.score_events
    if events is not None and events.url is not None and (why := _refused(events.url, monitor.allow_hosts)):
        yield Remark(("score_events", "url"), why)
    for name, receiver in monitor.receivers.items():
        if receiver.url is not None and (why := _refused(receiver.url, monitor.allow_hosts)):
            yield Remark(("receivers", name, receiver.name, "url"), why)
    if file.unlisted_routes == "refuse" and not file.routes:
        yield Remark(("unlisted_routes",), "no route is listed: every exchange will be refused; list routes")
    for path, section, policy in _sections(file, monitor):
        yield from _unprovided(path, section)
        if (section.schedules or section.after_change) and policy.target is None:
            yield Remark((*path, "schedules" if section.schedules else "after_change"), "needs a target to run suites")
        if section.reask is not None and policy.target is None:
            yield Remark((*path, "reask"), "needs a target to ask")
        if section.target and (why := _refused(section.target.url, monitor.allow_hosts)):
            yield Remark((*path, "target", "url"), why)


def _unprovided(path: KeyPath, section: RouteSection) -> Iterator[Remark]:
    """Slices, floors and ceilings of what no scorer measures."""
    for i, name in enumerate(section.slices or ()):
        if name in CATEGORIES - MONITORED_SIGNALS:
            yield Remark((*path, "slices", i), f"{name}: no scorer provides it in this version: not monitored")
    for key, names in (("floors", section.floors or ()), ("objectives", section.objectives or ())):
        for signal in names:
            if signal not in MONITORED_SIGNALS and not signal.startswith(PREFIX):
                yield Remark((*path, key, signal), "no scorer provides it in this version: not monitored")


def _of_nobody(file: MonitorFile) -> Iterator[Remark]:
    """What is allowed in Slack and to nobody."""
    for i, one in enumerate(file.slack_access.people if file.slack_access else ()):
        if not (one.users or one.groups):
            yield Remark(("slack_access", "people", i), "names nobody; list ids under users or groups")


def _sections(file: MonitorFile, monitor: Monitor) -> Iterator[tuple[KeyPath, RouteSection, RoutePolicy]]:
    yield ("defaults",), file.defaults, monitor.defaults
    for pattern, section in file.routes.items():
        yield ("routes", pattern), section, monitor.routes[pattern]


def _refused(url: str, allowed: tuple[str, ...]) -> str | None:
    """Why the URL will not be called, as far as it tells without being resolved."""
    try:
        host = checked_url(url, allowed).host
    except UrlRefused as refused:
        return str(refused)
    local = host == "localhost" or host.endswith((".localhost", ".local", ".internal"))
    return f"{host} is a private name; list it under allow_hosts" if local and host not in allowed else None
