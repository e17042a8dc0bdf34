"""`keelwatch api`: what people and programs see, send and decide, as a process of its own."""

from __future__ import annotations

from typing import Annotated

import typer

from services import bootstrap, serving
from services.cli.broker import BootstrapOption
from services.cli.options import ConfigOption
from services.settings import load_settings
from services.stream.config import broker_of

HOST = "127.0.0.1"
PORT = 8400


def api(
    host: Annotated[
        str, typer.Option(metavar="HOST", help="Of this machine, until there is a key (`key create`).")
    ] = HOST,
    port: Annotated[int, typer.Option(metavar="PORT", help="0 chooses one.", min=0, max=65535)] = PORT,
    bootstrap_servers: BootstrapOption = None,
    config: ConfigOption = None,
) -> None:
    """Serve the API, the pages and the probes, and publish what people decide, until SIGTERM or Ctrl-C."""
    settings = load_settings()
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    broker = broker_of(settings, bootstrap_servers)
    watched = bootstrap.monitor(settings, config)
    with bootstrap.api(settings, watched, broker, host, port) as service:
        serving.run(service)
