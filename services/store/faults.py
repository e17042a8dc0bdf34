"""Why a database cannot be used, told from the driver's words: each cause with its remedy, and whether waiting helps.

PostgreSQL's client says nothing but words of a connection that failed. What they do not tell is waited for.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class DatabaseFault:
    """One cause. `heals`: it may pass by itself, as the start of a server does."""

    cause: str
    remedy: str
    heals: bool = True


_USER: Final = DatabaseFault("wrong_password", "correct user and password in KEELWATCH_DATABASE_URL", heals=False)
_MISSING: Final = DatabaseFault(
    "missing", "create the database and its user, or correct their names in KEELWATCH_DATABASE_URL", heals=False
)
_HOST: Final = DatabaseFault("unresolved", "correct the host in KEELWATCH_DATABASE_URL", heals=False)
_RIGHTS: Final = DatabaseFault(
    "not_allowed", "let this user connect (pg_hba.conf, GRANT CONNECT), or name another in the URL", heals=False
)
_NO_SERVER: Final = DatabaseFault("refused", "start the server, or correct host and port in KEELWATCH_DATABASE_URL")
_SILENT: Final = DatabaseFault("no_answer", "look for a firewall or a hung server between here and there")
_UNKNOWN: Final = DatabaseFault("unreachable", "check that the server runs and that the URL is right")

# Those that heal come first: of several hosts one that is about to start may yet let us in.
_SERVER: Final[Mapping[str, DatabaseFault]] = {
    "refused": _NO_SERVER,
    "No such file": _NO_SERVER,
    "starting up": DatabaseFault("starting", "wait until the server has started"),
    "shutting down": DatabaseFault("starting", "start the server"),
    "recovery mode": DatabaseFault("starting", "wait until the server has recovered"),
    "Temporary failure in name": DatabaseFault("unresolved", "look at the DNS of this machine"),
    "timeout": _SILENT,
    "timed out": _SILENT,
    "authentication failed": _USER,
    "no password supplied": _USER,
    "does not exist": _MISSING,
    "could not translate host": _HOST,
    "failed to resolve host": _HOST,
    "not permitted to log in": _RIGHTS,
    "pg_hba.conf": _RIGHTS,
    "permission denied": _RIGHTS,
    "does not support SSL": DatabaseFault(
        "tls", "take sslmode out of KEELWATCH_DATABASE_URL, or give the server TLS", False
    ),
    "certificate": DatabaseFault("tls", "correct sslrootcert and the host in KEELWATCH_DATABASE_URL", False),
}
_FILE: Final[Mapping[str, DatabaseFault]] = {
    "not a database": DatabaseFault("unusable", "name another path after sqlite:///", False),
    "readonly": DatabaseFault("not_writable", "give this user the right to write the file and its folder", False),
    "unable to open": DatabaseFault(
        "not_writable", "give this user the right to read and write the file and its folder", False
    ),
    "locked": DatabaseFault("locked", "stop the other process that writes to it; several writers need postgresql://"),
}


def fault_of(words: str, *, file: bool = False) -> DatabaseFault:
    """The cause that the driver's words tell; `file`: the database is a file of SQLite."""
    known = _FILE if file else _SERVER
    return next((found for part, found in known.items() if part in words), _UNKNOWN)
