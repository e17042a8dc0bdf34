"""`keelwatch change`: what is about to change is told before it does."""

from __future__ import annotations

import getpass
from typing import Annotated, Any, Final

import httpx
import typer

from services.api.auth.api_key import FORM, parse_key
from services.cli.output import ERR, OUT
from services.errors import InputError
from services.settings import Settings, load_settings
from services.wording import commands as words
from services.wording.unseen import on_one_line

app = typer.Typer(help="Changes of a route's model.", no_args_is_help=True)
_SECONDS = 30.0
_TYPED_AS: Final = {"route": "ROUTE", "requested": "--model"}
"""How a field is given on the command line, where that is no option of its name."""
API_URL = "http://127.0.0.1:8400"
"""Where commands find the API when KEELWATCH_API_URL does not say."""


@app.callback()
def _group() -> None:
    """Keeps `announce` a command of its own although it is the only one."""


@app.command("announce")
def announce(
    route: Annotated[str, typer.Argument(metavar="ROUTE", help="Such as support-bot/prod.")],
    model: Annotated[str, typer.Option(metavar="NAME", help="The model that will be requested.")],
    reason: Annotated[str, typer.Option(metavar="TEXT", help="Why; it stays in the timeline.")],
    served: Annotated[str | None, typer.Option(metavar="NAME", help="The model that will answer, if known.")] = None,
    provider: Annotated[str | None, typer.Option(metavar="NAME", help="Who serves it.")] = None,
    actor: Annotated[
        str | None, typer.Option(metavar="NAME", help="Who announces it; else the key's name, or the user's.")
    ] = None,
    share: Annotated[
        str | None, typer.Option(metavar="SHARE", help="Of a canary: the share of exchanges it answers, such as 5%.")
    ] = None,
    new: Annotated[bool, typer.Option("--new", help="The route is a new one: nothing of it was ever seen.")] = False,
) -> None:
    """Announce that another model will answer on a route, to the running service at KEELWATCH_API_URL."""
    named = {"requested": model, "served": served, "provider": provider}
    settings = load_settings()
    body = {
        "route": route,
        "model": {name: value for name, value in named.items() if value is not None},
        "reason": reason,
        "share": None if share is None else _share(share),
        "new": new,
    } | named_actor(settings, actor)
    told = post_to_api(settings, "/v1/changes", body)
    OUT.print(f"announced: {told['id']}", markup=False)


def _share(text: str) -> float:
    """A share as people write it: `5%` or `0.05`."""
    number, percent, rest = text.strip().partition("%")
    try:
        value = float(number) / (100 if percent else 1)
    except ValueError:
        value = 0.0
    if rest or not 0 < value <= 1:
        raise InputError("--share: must be above 0% and at most 100%, such as 5% or 0.05")
    return value


def named_actor(settings: Settings, given: str | None) -> dict[str, Any]:
    """Who decides, as a body says it: with a key its name is known there."""
    return {"actor": given or (None if settings.shows_key else getpass.getuser())}


def post_to_api(settings: Settings, path: str, body: dict[str, Any]) -> dict[str, Any]:
    """What the API answers to a body, as `ask_api` does."""
    return ask_api(settings, "POST", path, json=body)


def ask_api(settings: Settings, method: str, path: str, **sent: Any) -> dict[str, Any]:
    """What the API answers. One that cannot be reached, or refuses for no fault of the caller, ends with exit code 1.

    Raises:
        InputError: if the API says what the caller must mend, or the key of the environment is none, or what is
            to be sent is no text.
    """
    _check_text(path, sent.get("json", {}))
    url = settings.api_url or API_URL
    headers = credentials(settings)
    try:
        with httpx.Client(base_url=url, headers=headers, timeout=_SECONDS, trust_env=False) as client:
            answer = client.request(method, path, **sent)
        told: dict[str, Any] = answer.json()
    except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
        raise failed(
            f"no Keelwatch API answers at {url} ({type(error).__name__}): start `keelwatch api` or `keelwatch up`, "
            "or set KEELWATCH_API_URL"
        ) from None
    if answer.is_success:
        return told
    detail = on_one_line(str(told.get("detail", answer.reason_phrase)))  # other people's words are in it
    if answer.status_code < 500 and answer.status_code != 409:
        raise InputError(detail)
    raise failed(detail)


def _check_text(path: str, body: dict[str, Any]) -> None:
    """That what was typed is text: a terminal may send bytes that are no UTF-8, which JSON cannot hold.

    Raises:
        InputError: names the option, or the argument.
    """
    if not _is_text(path):
        raise InputError(words.no_text("ID"))
    for name, value in (*body.items(), *body.get("model", {}).items()):
        if isinstance(value, str) and not _is_text(value):
            comment = name == "reason" and body.get("kind") == "comment"
            raise InputError(words.no_text("TEXT" if comment else _TYPED_AS.get(name, f"--{name}")))


def _is_text(typed: str) -> bool:
    try:
        typed.encode()
    except UnicodeEncodeError:
        return False
    return True


def credentials(settings: Settings) -> dict[str, str]:
    """The header that shows the API the key of the environment; none without one.

    Raises:
        InputError: if it is no key.
    """
    shown = settings.shown_key()
    if shown is None:
        return {}
    named, text = shown
    key = parse_key(text)
    if key is None:
        raise InputError(f"{named}: is no key; it must be what `keelwatch key create` printed ({FORM})")
    return {"authorization": f"Bearer {key.text}"}


def failed(line: str) -> typer.Exit:
    """What ends a command that could not be done, for no fault of who typed it: the line is printed, exit code 1."""
    ERR.print(f"keelwatch: {line}", markup=False, soft_wrap=True)
    return typer.Exit(1)
