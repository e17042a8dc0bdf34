"""What the schema cannot see: names that must exist, sizes that must fit, secrets, and what is not done yet."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

from services.monitor.document import Path
from services.monitor.model import PLANNED_SLICES, SIGNALS, MonitorFile, RouteSection
from services.monitor.policy import Monitor, RoutePolicy
from services.monitor.problems import suggestion
from services.monitor.violations import SECRET_KEY
from services.outbound import Refused, checked

_SECRET: Final = re.compile(
    r"xox[a-z]-|xapp-|hooks\.slack\.com/services/|sk-[A-Za-z0-9_-]{16}|gh[opsu]_[A-Za-z0-9]{20}|github_pat_"
    r"|AKIA[A-Z0-9]{16}|AIza[A-Za-z0-9_-]{30}|glpat-|hf_[A-Za-z0-9]{20}|-----BEGIN|Bearer\s+\S{8}|eyJ[\w-]+\.[\w-]+\."
)


class Remark(NamedTuple):
    """Where something is wrong, and what."""

    path: Path
    message: str


def secrets(value: Any, path: Path = ()) -> Iterator[Remark]:
    """Text that looks like a secret, wherever it stands; the text itself is not repeated."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from secrets(item, (*path, key))
    elif isinstance(value, tuple):
        for i, item in enumerate(value):
            yield from secrets(item, (*path, i))
    elif isinstance(value, str) and (_SECRET.search(value) or (path and SECRET_KEY.search(str(path[-1])))):
        yield Remark(path, "a secret in clear; revoke it, put it in the environment and name the variable here")


def errors(file: MonitorFile, monitor: Monitor) -> Iterator[Remark]:
    """Receivers that do not exist, schedules of one name, baselines that can never be pinned early."""
    for path, section, policy in _sections(file, monitor):
        for i, name in enumerate(section.notify or ()):
            if name not in monitor.receivers:
                yield Remark((*path, "notify", i), f"no receiver {name}{suggestion(name, monitor.receivers)}")
        names = [schedule.name for schedule in section.schedules or ()]
        for i, name in enumerate(names):
            if name in names[:i]:
                yield Remark((*path, "schedules", i, "name"), f"a second schedule {name}; names must differ")
        if policy.baseline.min_size > policy.baseline.size:
            sizes = f"{policy.baseline.min_size} is above size {policy.baseline.size}"
            yield Remark((*path, "baseline", "min_size"), f"{sizes}; lower min_size or raise size")


def warnings(file: MonitorFile, monitor: Monitor) -> Iterator[Remark]:
    """What is accepted and yet does nothing, or will be refused when it is called."""
    for path, section, policy in _sections(file, monitor):
        for i, name in enumerate(section.slices or ()):
            if name in PLANNED_SLICES:
                yield Remark((*path, "slices", i), f"{name}: no scorer provides it in this version: not monitored")
        for signal in section.floors or ():
            if signal not in SIGNALS:
                yield Remark((*path, "floors", signal), "no scorer provides it in this version: not monitored")
        if (section.schedules or section.after_change) and policy.target is None:
            yield Remark((*path, "schedules" if section.schedules else "after_change"), "needs a target to run suites")
        if section.target and (why := _refused(section.target.url, monitor.allow_hosts)):
            yield Remark((*path, "target", "url"), why)


def _sections(file: MonitorFile, monitor: Monitor) -> Iterator[tuple[Path, RouteSection, RoutePolicy]]:
    yield ("defaults",), file.defaults, monitor.defaults
    for pattern, section in file.routes.items():
        yield ("routes", pattern), section, monitor.routes[pattern]


def _refused(url: str, allowed: tuple[str, ...]) -> str | None:
    """Why the URL will not be called, as far as it tells without being resolved."""
    try:
        host = checked(url, allowed).host
    except Refused as refused:
        return str(refused)
    local = host == "localhost" or host.endswith((".localhost", ".local", ".internal"))
    return f"{host} is a private name; list it under allow_hosts" if local and host not in allowed else None
