"""`keelwatch init`: a folder with all that a first deployment needs, after five questions."""

from __future__ import annotations

import base64
import os
import secrets
import stat
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final

import typer

from services.api.auth.api_key import FORM, ID_BYTES, SECRET_BYTES, new_key, parse_key
from services.cli.environment_file import without_value
from services.cli.new_folder import (
    COMPOSE_FILE,
    ENVIRONMENT_FILE,
    KEY_FILE,
    MONITOR_FILE,
    FirstTarget,
    FolderAnswers,
    MadeSecrets,
    compose_text,
    environment_text,
    monitor_text,
    needed_secrets,
    own_host,
)
from services.cli.output import OUT, OWNER_ONLY, replace_file
from services.errors import InputError
from services.settings import private_folder
from services.wording import onboarding as words

_ROOT: Final = Path(__file__).resolve().parents[2]
_READABLE: Final = 0o644
_OF_OTHERS: Final = 0o077
_BYTES: Final = ("utf-8", "surrogateescape")  # bytes that are no UTF-8 are kept too
_OF_A_TARGET: Final = ("model", "key_env")


def init(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="Where the files are written; it may be new.")],
    route: Annotated[
        str | None, typer.Option(metavar="ROUTE", help="Which use of a model is watched first: support-bot/prod.")
    ] = None,
    target: Annotated[
        str | None, typer.Option(metavar="URL", help="Where its model answers, to be asked safety suites; or none.")
    ] = None,
    model: Annotated[str | None, typer.Option(metavar="NAME", help="The model, as requests name it.")] = None,
    key_env: Annotated[
        str | None, typer.Option(metavar="NAME", help="The variable that holds the model's API key; or none.")
    ] = None,
    slack: Annotated[
        str | None, typer.Option(metavar="CHANNEL", help="The Slack channel that is told; or none.")
    ] = None,
    trial: Annotated[
        bool,
        typer.Option(
            "--trial/--full",
            help="Begin with a baseline of the first 300 exchanges, or learn a full one over half a day.",
        ),
    ] = True,
    force: Annotated[bool, typer.Option("--force", help="Write files anew that are there already.")] = False,
) -> None:
    """Write a monitor file, secrets and a compose file into a folder, after five questions or by options.

    Secrets are never asked: the monitor file names variables, and `.env` has a place for each.
    """
    names = [MONITOR_FILE, ENVIRONMENT_FILE, COMPOSE_FILE, KEY_FILE]
    there = [name for name in names if (folder / name).exists()]
    if there and not force:
        raise InputError(words.already_there(str(folder), there))
    given = {"route": route, "target": target, "model": model, "key_env": key_env, "slack": slack}
    answers = _answers(_asked(given), trial)
    monitor = monitor_text(answers)
    compose = _compose(answers)
    try:
        done = _write(folder, answers, monitor, compose)
    except OSError as error:
        raise InputError(f"{error.filename or folder}: {error.strerror}; name a folder that can be written") from None
    _tell(folder, done)


def _asked(given: Mapping[str, str | None]) -> dict[str, str]:
    """What was given, and answers to what was not.

    Raises:
        InputError: if something is missing and there is no terminal; it names all options that are.
    """
    found = {name: _text(name, value) for name, value in given.items() if value is not None}
    missing = [name for name in given if name not in found]
    if found.get("target") == words.NONE:
        missing = [name for name in missing if name not in _OF_A_TARGET]
    if missing and not sys.stdin.isatty():
        raise InputError(words.no_terminal(missing))
    for name in missing:
        if not (found.get("target") == words.NONE and name in _OF_A_TARGET):
            found[name] = _text(name, str(typer.prompt(words.QUESTIONS[name])))
    return found


def _text(name: str, value: str) -> str:
    """An answer without blanks around it. Bytes that are no text would be blamed on the file that they end up in."""
    try:
        value.encode()
    except UnicodeEncodeError:
        raise InputError(words.no_text(name)) from None
    return value.strip()


def _answers(found: Mapping[str, str], trial: bool) -> FolderAnswers:
    named = {name: None if value in ("", words.NONE) else value for name, value in found.items()}
    url, target = named["target"], None
    if url is not None:
        target = FirstTarget(url, named["model"] or "", named["key_env"])
    return FolderAnswers(named["route"] or "", target, named["slack"], trial)


def _compose(answers: FolderAnswers) -> str | None:
    """The compose file; None where there is no repository from which images are built."""
    whole, recipe = _ROOT / COMPOSE_FILE, _ROOT / "infra" / "docker" / "Dockerfile"
    if not (whole.is_file() and recipe.is_file()):
        return None
    return compose_text(whole.read_text(encoding="utf-8"), str(_ROOT), answers)


@dataclass(frozen=True, slots=True)
class _Written:
    """What was done: files written, places of `.env` still to be filled in, what else whoever asked should know.

    Attributes:
        own_host: of a target on this machine, which containers reach by another name; None for others.
    """

    names: tuple[str, ...]
    wanted: tuple[str, ...]
    remarks: tuple[str, ...]
    own_host: str | None


def _write(folder: Path, answers: FolderAnswers, monitor: str, compose: str | None) -> _Written:
    """Write the files. Everything is read, and may be refused, before the first one changes.

    Raises:
        InputError: if what is there already cannot be kept. OSError: if a file cannot be written.
    """
    environment_file, key = (folder / ENVIRONMENT_FILE).resolve(), folder / KEY_FILE
    before = _before(environment_file)
    made = MadeSecrets(secrets.token_hex(24), base64.urlsafe_b64encode(secrets.token_bytes(16)).decode().rstrip("="))
    environment = environment_text(answers, made, str(folder.resolve()), before)
    kept = _is_kept(key)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if before is not None:
        environment_file.chmod(OWNER_ONLY)  # the new one takes the mode of the old one
    replace_file(environment_file, environment.encode(*_BYTES), OWNER_ONLY)
    replace_file(folder / MONITOR_FILE, monitor.encode(), _READABLE)
    if compose is not None:
        replace_file(folder / COMPOSE_FILE, compose.encode(), _READABLE)
    remarks = _write_key(key, kept)
    names = (MONITOR_FILE, ENVIRONMENT_FILE, *(() if compose is None else (COMPOSE_FILE,)))
    wanted = without_value(environment, needed_secrets(answers))
    return _Written(names if kept else (*names, KEY_FILE), wanted, remarks, own_host(answers.target))


def _before(path: Path) -> str | None:
    """A file `.env` that is there, every byte of it; None if there is none."""
    try:
        text = path.read_bytes().decode(*_BYTES)
    except (FileNotFoundError, NotADirectoryError):
        return None
    if "\0" in text:
        raise InputError(words.no_environment(str(path)))
    return text


def _is_kept(key: Path) -> bool:
    """Whether there is a key already, which is one."""
    try:
        text = key.read_bytes().decode("utf-8", "replace").strip()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except PermissionError:  # it may be the container's user's alone, as infra/docker/example.env has it
        return True
    if parse_key(text) is None:
        raise InputError(words.no_key(str(key), FORM))
    return True


def _write_key(key: Path, kept: bool) -> tuple[str, ...]:
    """Write the first key, unless one is kept. The container's user must read it, and nobody else of this machine.

    Hence the folder is closed, and the file is not.
    """
    open_before = key.parent.is_dir() and key.parent.stat().st_mode & _OF_OTHERS
    private_folder(key.parent)
    is_closed = not key.parent.stat().st_mode & _OF_OTHERS
    remarks = [words.folder_closed(str(key.parent))] if open_before and is_closed else []
    if not kept:
        replace_file(key, f"{new_key(secrets.token_bytes(ID_BYTES + SECRET_BYTES)).text}\n".encode(), _READABLE)
    elif is_closed and key.stat().st_uid == os.geteuid() and stat.S_IMODE(key.stat().st_mode) != _READABLE:
        key.chmod(_READABLE)
        remarks.append(words.key_opened(str(key)))
    elif not os.access(key, os.R_OK):
        remarks.append(words.key_unread(str(key)))
    return tuple(remarks)


def _tell(folder: Path, done: _Written) -> None:
    lines = [words.written(str(folder), done.names), *done.remarks]
    if done.wanted:
        lines.append(words.fill_in(str(folder), done.wanted))
    for line in (*lines, *words.next_steps(str(folder), COMPOSE_FILE in done.names, done.own_host)):
        OUT.print(line, markup=False, soft_wrap=True)
