"""What a newcomer is asked and told: the questions of `init`, the wait for the first exchange. Pure."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from typing import Final

from services.wording import numbers

QUESTIONS: Final[Mapping[str, str]] = {
    "route": "Which use of a model is watched first? Its route, such as support-bot/prod",
    "target": "Where does its model answer, so that a safety suite can ask it? A URL such as https://api.example.com/v1,"
    " or none",
    "model": "The model's name, as requests name it",
    "key_env": "The variable that holds the model's API key: its name, never the key; or none",
    "slack": "The Slack channel that is told, such as #llm-safety, or none",
}
"""Option of `init` -> what is asked where it is not given."""
NONE: Final = "none"


def no_terminal(missing: Sequence[str]) -> str:
    """That there is nobody to ask, and what must be given instead."""
    given = [f"--{name.replace('_', '-')}" for name in missing]
    return f"no terminal to ask at: give {numbers.listed(given)} ({NONE} leaves out what is not needed)"


def already_there(folder: str, names: Sequence[str]) -> str:
    """That files would be overwritten."""
    some = f"{'is' if len(names) == 1 else 'are'} there already"
    return f"{folder}: {numbers.listed(names)} {some}; --force writes them anew, and keeps the secrets of .env"


def written(folder: str, names: Sequence[str]) -> str:
    """What `init` has made."""
    return f"written into {folder}: {', '.join(names)}"


def fill_in(folder: str, names: Sequence[str]) -> str:
    """Secrets that only a person knows."""
    return f"fill in {numbers.listed(names)} in {folder}/.env, which is readable by you alone"


def no_text(name: str) -> str:
    """That an answer holds bytes which are no text."""
    return f"--{name.replace('_', '-')}: holds bytes that are not UTF-8; type it in a terminal whose locale is UTF-8"


def open_quote(line: int) -> str:
    """That a file `.env` ends within a quote."""
    return (
        f".env: line {line}: a quote is opened and not closed, which would take in whatever is added below; close it, "
        "or write \\ before a quote that belongs to the value. The file is as it was"
    )


def no_environment(path: str) -> str:
    """That a file cannot be carried over."""
    return f"{path}: holds NUL bytes, so that its variables cannot be kept; save it as UTF-8, or move it away"


def no_key(path: str, form: str) -> str:
    """That what should hold the first API key holds none."""
    return f"{path}: holds no API key ({form}); move it away, and a new one is made"


def folder_closed(folder: str) -> str:
    """That others of this machine could read a folder, and cannot any more."""
    return f"closed {folder} to other users of this machine (mode 700): it holds the API key"


def key_opened(path: str) -> str:
    """That a key that was kept could not have been read in a container."""
    return f"made {path} readable for the container's user (mode 644); its folder is closed to others"


def key_unread(path: str) -> str:
    """That a key was kept that whoever asked may not read."""
    return f"kept {path}, which you cannot read: whether it holds an API key is not known"


def next_steps(folder: str, compose: bool, own_host: str | None) -> tuple[str, ...]:
    """How what was written is started; `own_host` is that of a target on this machine, None for others."""
    there = shlex.quote(folder)
    alone = f"to try it on this machine alone: cd {there} && set -a && . ./.env && set +a && keelwatch up"
    if not compose:
        return (alone, NO_COMPOSE)
    return (
        alone,
        f"with Kafka and PostgreSQL in containers: cd {there} && docker-compose up --build --detach; "
        "the first API key is in secrets/api-key",
        *(() if own_host is None else (_reachable(own_host),)),
    )


def _reachable(host: str) -> str:
    """What must be changed before a container can ask a model on this machine."""
    return (
        f"before that: in a container {host} is the container itself. Let the model listen to more than {host}, put an "
        f"address that containers reach into target.url and allow_hosts of keelwatch.yaml: this machine's own, or "
        'host.docker.internal with extra_hosts: ["host.docker.internal:host-gateway"] at the service watch of '
        "docker-compose.yml"
    )


NO_COMPOSE: Final = "no compose file: this installation has no repository beside it, whose images it would build"

WAITING: Final = "Waiting for the first exchange"
"""The headline of an empty fleet."""
GOES_ON: Final = "This page goes on to the route by itself when it arrives."
WAITS: Final = "waiting"
"""The badge of a route that the monitor file lists and that had no exchange."""
SEND: Final = "How to send exchanges"
NO_EXCHANGE_YET: Final = "No exchange yet"
KEY_FIRST: Final = (
    "Each needs an API key of the role ingest in the variable KEELWATCH_API_KEY. It is made where the API runs, on its "
    "database: keelwatch key create --name NAME --role ingest; with compose: "
    "docker-compose exec api keelwatch key create --name NAME --role ingest"
)


def waiting_routes(n: int) -> str:
    """The headline of routes that the monitor file lists, before their first exchange."""
    return f"{numbers.count(n, 'route')} of the monitor file wait{'s' if n == 1 else ''} for the first exchange"


def waiting_pattern(pattern: str) -> str:
    """That no route fits a pattern of the monitor file yet.

    >>> waiting_pattern("support-bot/*")
    'any route that fits support-bot/*'
    """
    return f"any route that fits {pattern}"


def more_waiting(n: int) -> str:
    """How many are not shown."""
    return f"and {n:,} more"


def refused(n: int, reason: str, when: str | None) -> str:
    """That something came which could not be read, why, and how long ago the last of it; None: that is not known.

    >>> refused(2, "route: is missing", "3 minutes ago")
    '2 records arrived and could not be read, the last one 3 minutes ago: route: is missing'
    """
    last = "" if when is None else f", the last one {when}"
    return f"{numbers.count(n, 'record')} arrived and could not be read{last}: {reason}"
