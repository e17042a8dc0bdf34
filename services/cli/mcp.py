"""`keelwatch mcp`: an MCP server for agents on call."""

from __future__ import annotations

import asyncio
import re
from importlib.metadata import version
from typing import Annotated, Any, Final

import typer

from services.cli.changes import API_URL, credentials
from services.errors import InputError
from services.mcp.api import ApiClient
from services.settings import load_settings

_PLACE: Final = re.compile(r"(\[[0-9a-fA-F:]+\]|[^:\s]+):(\d{1,5})")
_EXTRA: Final = frozenset({"mcp", "mcp_types"})


def mcp(
    listen: Annotated[
        str | None,
        typer.Option(metavar="HOST:PORT", help="Serve streamable HTTP at /mcp there; else stdio, as agents start it."),
    ] = None,
    read_only: Annotated[bool, typer.Option("--read-only", help="Offer no tool that decides something.")] = False,
) -> None:
    """Serve the API at KEELWATCH_API_URL to agents on call, by MCP: they read incidents, and decide what a key may.

    Over stdio the key is KEELWATCH_API_KEY; over HTTP each caller shows one of their own, `Authorization: Bearer ...`.
    """
    settings = load_settings()
    place = None if listen is None else _place(listen)
    try:
        from services.mcp.server import make_server  # noqa: PLC0415 -- an extra
    except ModuleNotFoundError as missing:
        if (missing.name or "").split(".")[0] not in _EXTRA:
            raise
        raise InputError(
            f"keelwatch mcp needs {missing.name}, which the core install leaves out: install keelwatch[mcp] "
            "(README, Install)"
        ) from None
    api = ApiClient(str(settings.api_url or API_URL))
    shown = credentials(settings).get("authorization")
    server = make_server(api, version("keelwatch"), shown, decides=not read_only)
    asyncio.run(_served(server, api, place))


async def _served(server: Any, api: ApiClient, place: tuple[str, int] | None) -> None:
    try:
        if place is None:
            await server.run_stdio_async()
        else:
            await server.run_streamable_http_async(host=place[0], port=place[1], stateless_http=True)
    finally:
        await api.close()


def _place(text: str) -> tuple[str, int]:
    found = _PLACE.fullmatch(text)
    if found is None or not 0 < int(found[2]) < 1 << 16:
        raise InputError(f"--listen {text}: is no HOST:PORT, such as 127.0.0.1:8401")
    return found[1].strip("[]"), int(found[2])
