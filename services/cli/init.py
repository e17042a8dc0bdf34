"""`keelwatch init`: a folder with all that a first deployment needs, after five questions."""

from __future__ import annotations

import base64
import secrets
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Final

import typer

from services.api.auth.api_key import ID_BYTES, SECRET_BYTES, new_key
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
    kept_values,
    monitor_text,
    needed_secrets,
)
from services.cli.output import OUT, OWNER_ONLY, replace_file
from services.errors import InputError
from services.settings import private_folder
from services.wording import onboarding as words

_ROOT: Final = Path(__file__).resolve().parents[2]
_READABLE: Final = 0o644
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
        _write(folder, answers, monitor, compose)
    except OSError as error:
        raise InputError(f"{folder}: {error.strerror}; name a folder that can be written") from None
    _tell(folder, answers, [name for name in names if compose is not None or name != COMPOSE_FILE])


def _asked(given: Mapping[str, str | None]) -> dict[str, str]:
    """What was given, and answers to what was not.

    Raises:
        InputError: if something is missing and there is no terminal; it names all options that are.
    """
    found = {name: value.strip() for name, value in given.items() if value is not None}
    missing = [name for name in given if name not in found]
    if found.get("target") == words.NONE:
        missing = [name for name in missing if name not in _OF_A_TARGET]
    if missing and not sys.stdin.isatty():
        raise InputError(words.no_terminal(missing))
    for name in missing:
        if not (found.get("target") == words.NONE and name in _OF_A_TARGET):
            found[name] = str(typer.prompt(words.QUESTIONS[name])).strip()
    return found


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


def _write(folder: Path, answers: FolderAnswers, monitor: str, compose: str | None) -> None:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    before, key = folder / ENVIRONMENT_FILE, folder / KEY_FILE
    kept = kept_values(before.read_text(encoding="utf-8")) if before.exists() else {}
    made = MadeSecrets(secrets.token_hex(24), base64.urlsafe_b64encode(secrets.token_bytes(16)).decode().rstrip("="))
    before.unlink(missing_ok=True)  # it would keep its mode
    environment = environment_text(answers, made, str(folder.resolve()), kept)
    replace_file(before, environment.encode(), OWNER_ONLY)
    replace_file(folder / MONITOR_FILE, monitor.encode(), _READABLE)
    if compose is not None:
        replace_file(folder / COMPOSE_FILE, compose.encode(), _READABLE)
    # The container's user must read the key, and nobody else of this machine: the folder is closed, the file is not.
    private_folder(key.parent)
    if not key.exists():
        replace_file(key, f"{new_key(secrets.token_bytes(ID_BYTES + SECRET_BYTES)).text}\n".encode(), _READABLE)


def _tell(folder: Path, answers: FolderAnswers, names: list[str]) -> None:
    lines = [words.written(str(folder), names)]
    if wanted := needed_secrets(answers):
        lines.append(words.fill_in(str(folder), wanted))
    for line in (*lines, *words.next_steps(str(folder), COMPOSE_FILE in names)):
        OUT.print(line, markup=False, soft_wrap=True)
