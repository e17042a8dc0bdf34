"""Read a monitor file: all problems at once, or the monitor."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, Final, Literal

from pydantic import ValidationError

from services.errors import InputError
from services.monitor import validation
from services.monitor.deployments import deploy_rule
from services.monitor.ingest_rules import ingest_rule
from services.monitor.policy import (
    GuardrailPolicy,
    IngestLimits,
    Monitor,
    RailPolicy,
    ReaskPolicy,
    RoutePolicy,
    SchedulePolicy,
    SlackAccess,
    SlackGrant,
    SpendingLimit,
    Target,
    TokenPrices,
    default_floors,
)
from services.monitor.problems import MonitorProblem
from services.monitor.receiver_section import receiver_policy
from services.monitor.schema import (
    GuardrailsSection,
    MonitorFile,
    RouteSection,
    SlackAccessSection,
    TargetSection,
)
from services.monitor.score_events import score_events_policy
from services.monitor.signal_section import definition_of
from services.monitor.validation import Remark, key_path, problems_of
from services.monitor.yaml_document import Document, read_yaml
from services.signals.own_secret_forms import OwnForm

MAX_BYTES: Final = 1024 * 1024

_REMEDIES: Final[dict[type[OSError], str]] = {
    PermissionError: "; let user {user} read it: it holds no secret, so `chmod a+r` will do",
    IsADirectoryError: "; container engines make a folder where a file that is mounted is missing: remove it, and put "
    "the file there",
}

_TAKEN_OVER: Final = tuple(
    field.name
    for field in fields(RoutePolicy)
    if field.name not in {"baseline", "floors", "objectives", "target", "schedules", "shadow_signals", "reask"}
)


class MonitorError(InputError):
    """A monitor file that cannot be used; the text has one line per problem."""

    def __init__(self, problems: Iterable[MonitorProblem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))


def load(path: Path | str | None) -> Monitor:
    """The monitor file at `path`; None is a monitor of defaults alone. Warnings do not stop it (see `check`).

    Raises:
        MonitorError: with every error of the file, each with line, key and remedy.
    """
    if path is None:
        return Monitor()
    monitor, problems = _examine(Path(path))
    errors = [problem for problem in problems if problem.severity == "error"]
    if errors or monitor is None:
        raise MonitorError(errors)
    return monitor


def check(path: Path | str) -> tuple[MonitorProblem, ...]:
    """Everything that is wrong with, or left undone by, the monitor file at `path`, by line."""
    return _examine(Path(path))[1]


def _examine(path: Path) -> tuple[Monitor | None, tuple[MonitorProblem, ...]]:
    text = _text(path)
    if isinstance(text, MonitorProblem):
        return None, (text,)
    return examine(text, str(path))


def _text(path: Path) -> str | MonitorProblem:
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
    except OSError as error:
        why = _REMEDIES.get(type(error), "").format(user=os.geteuid())
        return MonitorProblem("error", str(path), None, "", f"cannot be read: {error.strerror or 'unknown error'}{why}")
    if len(raw) > MAX_BYTES:
        return MonitorProblem("error", str(path), None, "", "larger than 1 MiB; this is no monitor file")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        return MonitorProblem("error", str(path), line, "", "not UTF-8; save the file as UTF-8")


def examine(text: str, file: str) -> tuple[Monitor | None, tuple[MonitorProblem, ...]]:
    """The monitor that `text` describes (None when it has errors) and its problems; `file` only names it."""
    document = read_yaml(text)
    problems = [
        MonitorProblem("error", file, fault.line, key_path(fault.path), fault.message) for fault in document.faults
    ]
    problems += _problems("error", validation.find_secrets(document.value), document, file)
    parsed, violations = _validated(document, file)
    known = {problem.key for problem in problems}
    problems += [problem for problem in violations if problem.key not in known]
    if parsed is None:
        return None, _sorted(problems)
    monitor = _built(parsed, Path(file).parent)
    problems += _problems("error", validation.find_errors(parsed, monitor), document, file)
    problems += _problems("warning", validation.find_warnings(parsed, monitor), document, file)
    usable = all(problem.severity == "warning" for problem in problems)
    return monitor if usable else None, _sorted(problems)


def _validated(document: Document, file: str) -> tuple[MonitorFile | None, list[MonitorProblem]]:
    value = document.value
    if document.faults and not isinstance(value, dict):
        return None, []
    if isinstance(value, dict):
        value = {key: item for key, item in value.items() if item is not None}
    try:
        return MonitorFile.model_validate(value), []
    except ValidationError as error:
        return None, problems_of(error, document, file)


def _problems(
    severity: Literal["error", "warning"], remarks: Iterable[Remark], document: Document, file: str
) -> list[MonitorProblem]:
    return [
        MonitorProblem(severity, file, document.line(remark.path), key_path(remark.path), remark.message)
        for remark in remarks
    ]


def _sorted(problems: Iterable[MonitorProblem]) -> tuple[MonitorProblem, ...]:
    return tuple(sorted(problems, key=lambda problem: (problem.line or 0, problem.key, problem.message)))


def _built(file: MonitorFile, folder: Path) -> Monitor:
    own = tuple(definition_of(name, section) for name, section in file.signals.items())
    tried = tuple(one.spec.name for one, section in zip(own, file.signals.values(), strict=True) if section.shadow)
    defaults = _policy(RoutePolicy(floors=default_floors(own), shadow_signals=tried), file.defaults, folder)
    return Monitor(
        defaults=defaults,
        routes={pattern: _policy(defaults, section, folder) for pattern, section in file.routes.items()},
        receivers={name: receiver_policy(section) for name, section in file.receivers.items()},
        allow_hosts=file.allow_hosts,
        slack_access=None if file.slack_access is None else _slack_access(file.slack_access),
        unlisted_routes=file.unlisted_routes,
        max_routes=file.max_routes,
        multilingual=file.multilingual,
        guardrails=None if file.guardrails is None else _guardrails(file.guardrails, folder),
        secret_forms=tuple(OwnForm(**form.model_dump()) for form in file.secret_forms),
        heads={name: str(folder / path) for name, path in file.heads.items()},
        signals=own,
        ingest=tuple(map(ingest_rule, file.ingest)),
        ingest_limits=IngestLimits(**file.ingest_limits.model_dump()),
        deployments=tuple(map(deploy_rule, file.deployments)),
        github_secret_env=file.github_secret_env,
        score_events=None if file.score_events is None else score_events_policy(file.score_events),
    )


def _policy(base: RoutePolicy, section: RouteSection, folder: Path) -> RoutePolicy:
    """`section` over `base`: floors, objectives and baseline key by key, everything else as a whole.

    The file of a system prompt is looked for from the `folder` of the monitor file.
    """
    changes: dict[str, Any] = {
        name: getattr(section, name) for name in _TAKEN_OVER if getattr(section, name) is not None
    }
    if section.baseline is not None:
        changes["baseline"] = replace(base.baseline, **section.baseline.model_dump(exclude_none=True))
    if section.floors is not None:
        changes["floors"] = {**base.floors, **section.floors}
    if section.objectives is not None:
        changes["objectives"] = {**base.objectives, **section.objectives}
    if section.target is not None:
        changes["target"] = _target(section.target, folder)
    if section.reask is not None:
        changes["reask"] = ReaskPolicy(**section.reask.model_dump())
    if section.schedules is not None:
        changes["schedules"] = tuple(SchedulePolicy(**schedule.model_dump()) for schedule in section.schedules)
    if section.shadow_signals is not None:
        changes["shadow_signals"] = tuple(dict.fromkeys((*base.shadow_signals, *section.shadow_signals)))
    return replace(base, **changes)


def _target(section: TargetSection, folder: Path) -> Target:
    prompt = section.system_prompt_file
    values = {field.name: getattr(section, field.name) for field in fields(Target)}
    where = None if prompt is None else str(folder / prompt)
    return Target(**{**values, "system_prompt_file": where, **_money(section)})


def _money(target: TargetSection) -> dict[str, Any]:
    """The budget of a target, and its prices."""
    budget, prices = target.budget, target.prices
    return {
        "budget": SpendingLimit(**budget.model_dump()) if budget else SpendingLimit(),
        "prices": TokenPrices(**prices.model_dump()) if prices else None,
    }


def _guardrails(section: GuardrailsSection, folder: Path) -> GuardrailPolicy:
    """Folders are looked for from the `folder` of the monitor file."""
    rails = [
        RailPolicy(
            **one.model_dump(exclude={"arguments", "folder"}),
            arguments=json.dumps(one.arguments, sort_keys=True, default=str),
            folder=None if one.folder is None else str((folder / one.folder).resolve()),
        )
        for one in section.rails
    ]
    return GuardrailPolicy(**section.model_dump(exclude={"rails"}), rails=tuple(rails))


def _slack_access(section: SlackAccessSection) -> SlackAccess:
    grants = (SlackGrant(frozenset(one.users), one.groups, one.role, one.routes) for one in section.people)
    return SlackAccess(section.team, section.app, section.token_env, tuple(grants))
