"""The files that `keelwatch init` writes: monitor file, environment and compose file. Pure."""

from __future__ import annotations

import copy
import json
import re
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any, Final
from urllib.parse import urlsplit

import yaml

from services.cli.environment_file import changed_environment, new_environment
from services.errors import InputError
from services.monitor.loader import examine
from services.outbound import UrlRefused, checked_url

MONITOR_FILE: Final = "keelwatch.yaml"
ENVIRONMENT_FILE: Final = ".env"
COMPOSE_FILE: Final = "docker-compose.yml"
KEY_FILE: Final = "secrets/api-key"
SLACK_TOKEN: Final = "KEELWATCH_SLACK_TOKEN"  # noqa: S105 -- a variable's name
_KAFKA_CLUSTER: Final = "KEELWATCH_KAFKA_CLUSTER_ID"
_POSTGRES_PASSWORD: Final = "KEELWATCH_POSTGRES_PASSWORD"  # noqa: S105 -- a variable's name
_VARIABLE: Final = re.compile(r"[A-Z_][A-Z0-9_]{0,99}")
_MOUNTED: Final = {"/etc/keelwatch/keelwatch.yaml": f"./{MONITOR_FILE}", "/run/secrets/api_key": f"./{KEY_FILE}"}
"""Where containers find files -> the file of the folder."""
_LOCAL: Final = (".localhost", ".local", ".internal")


@dataclass(frozen=True, slots=True)
class FirstTarget:
    """The endpoint that suites ask; `key_env` names the variable that holds its key, None where it needs none."""

    url: str
    model: str
    key_env: str | None

    def __post_init__(self) -> None:
        """Raises InputError if the variable's name is none: a key must not end up in a file that is shared."""
        if self.key_env is not None and not _VARIABLE.fullmatch(self.key_env):
            raise InputError(
                "--key-env: must be the name of an environment variable, such as MODEL_API_KEY, never the key itself"
            )


@dataclass(frozen=True, slots=True)
class FolderAnswers:
    """What was answered.

    Attributes:
        target: None: no suite is asked. channel: in Slack; None: nobody is told.
        trial: whether the first baseline is a trial one, of the first 300 exchanges.
    """

    route: str
    target: FirstTarget | None
    channel: str | None
    trial: bool


@dataclass(frozen=True, slots=True)
class MadeSecrets:
    """What was drawn at random for this deployment."""

    postgres_password: str
    kafka_cluster: str


def monitor_text(answers: FolderAnswers) -> str:
    """The monitor file. It names variables, and holds no secret.

    Raises:
        InputError: names what was answered wrongly, an option a line.
    """
    lines = [
        "# Written by `keelwatch init`; `keelwatch check-config` says what is wrong with it, line by line. Every key:",
        "# infra/keelwatch.example.yaml of the repository.",
    ]
    if answers.trial:
        lines += [
            "defaults:",
            "  # The first 300 exchanges are what is normal, as fast as they come; a full baseline is learned beside",
            "  # it and takes its place by itself. false: 1,000 exchanges, at most 84 of an hour.",
            "  baseline: {trial: true}",
        ]
    if (host := _private_host(answers.target)) is not None:
        lines += [f"allow_hosts: [{_quoted(host)}]   # a private address that may be called"]
    lines += ["routes:", f"  {_quoted(answers.route)}:", *_route_lines(answers)]
    if answers.channel is not None:
        slack = f"{{channel: {_quoted(answers.channel)}, token_env: {SLACK_TOKEN}}}"
        lines += ["receivers:", "  oncall:", f"    slack: {slack}"]
    text = "\n".join((*lines, ""))
    _check(text, answers)
    return text


def _route_lines(answers: FolderAnswers) -> list[str]:
    target = answers.target
    made = [] if answers.channel is None else ["    notify: [oncall]"]
    if target is None:
        return made or ["    {}"]
    key = [] if target.key_env is None else [f"      api_key_env: {target.key_env}"]
    return [
        "    suites: [smoke]   # 49 questions; core asks 580",
        "    target:",
        f"      url: {_quoted(target.url)}",
        f"      model: {_quoted(target.model)}",
        *key,
        "      settings: {temperature: 0}",
        *made,
    ]


def _private_host(target: FirstTarget | None) -> str | None:
    """The host of a target that must be allowed by name, as one of this machine must."""
    try:
        host = None if target is None else urlsplit(target.url).hostname
    except ValueError:  # such as a bracket that is not closed; what is wrong with it is said by whoever reads the file
        return None
    if target is None or host is None:
        return None
    try:
        checked_url(target.url)
    except UrlRefused:
        return host
    return host if host == "localhost" or host.endswith(_LOCAL) else None


def own_host(target: FirstTarget | None) -> str | None:
    """The host of a target that is this machine itself, which in a container means the container; None for others."""
    host = None if target is None else urlsplit(target.url).hostname
    if host is None or host == "localhost" or host.endswith(".localhost"):
        return host
    try:
        address = ip_address(host)
    except ValueError:
        return None
    return host if address.is_loopback or address.is_unspecified else None


_PLACES: Final = (
    (("target", "url"), "--target"),
    (("target", "model"), "--model"),
    (("slack", "channel"), "--slack"),
    (("routes",), "--route"),
)


def _check(text: str, answers: FolderAnswers) -> None:
    found = examine(text, MONITOR_FILE)[1]
    if found:
        raise InputError("\n".join(f"{_option(one.key, answers.route)}: {one.message}" for one in found))


def _option(key: str, route: str) -> str:
    """The option by which a key of the file was given."""
    within = key.replace(route, "")
    return next((option for parts, option in _PLACES if all(part in within for part in parts)), key)


def _quoted(text: str) -> str:
    """A text as YAML and JSON write it alike."""
    return json.dumps(text, ensure_ascii=False)


def environment_text(answers: FolderAnswers, secrets: MadeSecrets, folder: str, before: str | None) -> str:
    """The file `.env`, for a shell and for compose; what one that was there `before` holds stays, and counts.

    Raises:
        InputError: if the folder's path cannot be written into it.
    """
    ours = {"KEELWATCH_CONFIG": f"{folder}/{MONITOR_FILE}", "KEELWATCH_DATA_DIR": f"{folder}/data"}
    values = {_POSTGRES_PASSWORD: secrets.postgres_password, _KAFKA_CLUSTER: secrets.kafka_cluster}
    values |= dict.fromkeys(needed_secrets(answers), "")
    return new_environment(values | ours) if before is None else changed_environment(before, ours, values)


def needed_secrets(answers: FolderAnswers) -> tuple[str, ...]:
    """The variables whose values only a person knows."""
    target = answers.target
    key = () if target is None or target.key_env is None else (target.key_env,)
    return (*key, *(() if answers.channel is None else (SLACK_TOKEN,)))


def compose_text(whole: str, source: str, answers: FolderAnswers) -> str:
    """The repository's compose file for this folder: it builds from `source`, and reads the files beside it."""
    made: dict[str, Any] = copy.deepcopy(yaml.safe_load(whole))
    for name in [name for name in made if name.startswith("x-")]:
        del made[name]
    for service in made["services"].values():
        if "build" in service:
            service["build"]["context"] = source
        for volume in service.get("volumes", ()):
            if isinstance(volume, dict) and volume["target"] in _MOUNTED:
                volume["source"] = _MOUNTED[volume["target"]]
    watch = made["services"]["watch"]["environment"]
    watch |= {name: f"${{{name}:-}}" for name in needed_secrets(answers)}
    head = (
        "# Written by `keelwatch init` after docker-compose.yml of the repository. Secrets come from .env beside it.\n"
    )
    # Through JSON: parts that services share are written out, not referred to.
    text: str = yaml.safe_dump(json.loads(json.dumps(made)), sort_keys=False, width=1000)
    return head + text.replace("see infra/docker/example.env", "see .env")
