"""`keelwatch key`: who may ask the API."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime
from typing import Annotated

import typer
from rich.table import Table

from schemas.base import iso
from services.api.auth.api_key import (
    ID_BYTES,
    SECRET_BYTES,
    globs_of,
    key_state,
    lifetime_of,
    name_of,
    new_key,
    parse_key,
    role_of,
)
from services.cli.options import DatabaseOption, opened
from services.cli.output import ERR, OUT, STDOUT, JsonOption, write_json
from services.errors import InputError
from services.settings import Settings, load_settings, private_folder
from services.store import api_keys
from services.store.api_keys import ApiKey
from services.store.engine import Database, open_database
from services.wording import receipts
from services.wording.numbers import moment
from services.wording.unseen import on_one_line

app = typer.Typer(help="API keys. While there is none the API answers on this machine alone.", no_args_is_help=True)


@app.command("create")
def create(
    name: Annotated[str, typer.Option(metavar="NAME", help="Whose it is; their decisions show it.")],
    role: Annotated[
        str,
        typer.Option(
            metavar="ROLE",
            help="ingest: only sends exchanges. viewer: reads. operator: also decides. admin: everything.",
        ),
    ],
    routes: Annotated[
        list[str] | None, typer.Option(metavar="GLOB", help="Only these routes, such as 'support-bot/*'; repeatable.")
    ] = None,
    expires: Annotated[
        str | None, typer.Option(metavar="TIME", help="Ends after so long, such as 90d; never without it.")
    ] = None,
    database: DatabaseOption = None,
) -> None:
    """Make a key, and print it: once, since only its hash is kept. It counts within a second."""
    now = datetime.now(UTC)
    until = None if expires is None else now + lifetime_of(expires)
    secret = new_key(secrets.token_bytes(ID_BYTES + SECRET_BYTES))
    key = ApiKey(secret.id, name_of(name), role_of(role), globs_of(routes or ()), secret.digest, now, until)
    if not _writable(database).transact(lambda connection: api_keys.add(connection, key)):
        raise InputError(f"--name {key.name}: another key has this name; choose another, or revoke that one first")
    ends = None if until is None else moment(until)
    ERR.print(receipts.key_made(key.role, key.routes, ends), markup=False)
    OUT.print(secret.text, markup=False, soft_wrap=True)


@app.command("list")
def list_keys(database: DatabaseOption = None, json: JsonOption = None) -> None:
    """List the keys, without their secrets; when one was last used is right within a minute or two."""
    now = datetime.now(UTC)
    with opened(database).read() as connection:
        found = api_keys.find(connection)
    write_json([_object(key, now) for key in found], json)
    if json == STDOUT:
        return
    table = Table("id", "name", "role", "routes", "state", "made", "ends", "last used", box=None)
    for key in found:
        worth = key_state(key.expires, key.revoked, now)
        times = (_day(key.created), _day(key.revoked or key.expires) or "never", _day(key.used) or "never")
        table.add_row(key.id, on_one_line(key.name), key.role, ", ".join(key.routes), worth, *times)
    OUT.print(table if found else receipts.NO_KEY)


@app.command("revoke")
def revoke(
    id: Annotated[str, typer.Argument(metavar="ID", help="Of the key, as `keelwatch key list` shows it.")],
    database: DatabaseOption = None,
) -> None:
    """End a key, and with it every browser that signed in with it, within a second."""
    whole = parse_key(id)  # somebody who pastes the whole key means it, and must not read it in a message
    wanted = id if whole is None else whole.id
    now = datetime.now(UTC)
    base = opened(database)
    ended = base.transact(lambda connection: api_keys.revoke(connection, wanted, now))
    with base.read() as connection:
        key = api_keys.get(connection, wanted)
    if key is None:
        shown = wanted if len(wanted) == 2 * ID_BYTES else "ID"
        raise InputError(f"key {shown}: not in this database; `keelwatch key list` names them")
    OUT.print(receipts.key_revoked(key.name, key.id, ended), markup=False)


def _writable(url: str | None) -> Database:
    """The database, made when it does not exist: the first key may be made before anything runs."""
    settings: Settings = load_settings()
    if url is None:
        private_folder(settings.data_dir)
    return open_database(url or settings.database, heads=settings.data_dir)


def _day(ts: datetime | None) -> str:
    return "" if ts is None else moment(ts)


def _object(key: ApiKey, now: datetime) -> dict[str, object]:
    times = {"created": key.created, "expires": key.expires, "revoked": key.revoked, "used": key.used}
    return {
        "id": key.id,
        "name": key.name,
        "role": key.role,
        "routes": list(key.routes),
        "state": key_state(key.expires, key.revoked, now),
        **{name: None if ts is None else iso(ts) for name, ts in times.items()},
    }
