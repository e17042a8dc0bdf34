"""`keelwatch worker` and `api`: the processes that `up` supervises, or that run apart."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import Annotated

import typer

from services import failpoints, wiring
from services.api.auth.authorization import LOOPBACK
from services.cli.options import BootstrapOption, ConfigOption, HostOption
from services.cli.output import OUT
from services.errors import InputError
from services.observability.log import open_log
from services.observability.metrics import StreamMeters
from services.settings import Settings, fail_points, load_settings
from services.stream import runner
from services.stream.broker import HOST, broker_of
from services.stream.process_health import HealthConfig
from services.wiring import api_server
from services.wiring.instance import claim_instance

API_HOST = "127.0.0.1"
API_PORT = 8400


def api(
    host: Annotated[
        str, typer.Option(metavar="HOST", help="Of this machine, until there is a key (`key create`).")
    ] = API_HOST,
    port: Annotated[int, typer.Option(metavar="PORT", help="0 chooses one.", min=0, max=65535)] = API_PORT,
    bootstrap_servers: BootstrapOption = None,
    config: ConfigOption = None,
) -> None:
    """Serve the API, the pages and the probes, and publish what people decide, until SIGTERM or Ctrl-C."""
    settings = load_settings()
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    broker = broker_of(settings, bootstrap_servers)
    watched = wiring.load_monitor(settings, config)
    with wiring.api_service(settings, watched, broker, host, port) as service:
        api_server.run(service)


PortOption = Annotated[
    int | None,
    typer.Option(min=0, max=65535, help="Serve /livez, /readyz and /metrics here; 0 chooses a port."),
]


def worker(
    only: Annotated[
        str | None, typer.Option(metavar="STEPS", help="Some steps, such as score,detect; all without it.")
    ] = None,
    bootstrap_servers: Annotated[
        str | None, typer.Option("--bootstrap", metavar="HOST:PORT", help="Else KEELWATCH_KAFKA_BOOTSTRAP.")
    ] = None,
    config: ConfigOption = None,
    port: PortOption = None,
    host: HostOption = HOST,
    together: Annotated[str | None, typer.Option(metavar="INSTANCE", hidden=True)] = None,
) -> None:
    """Run steps until SIGTERM or Ctrl-C; whoever started it restarts it when it exits with 70.

    Each step is a consumer group of its own, keelwatch.STEP; more processes share the partitions of its topics.
    """
    failpoints.arm(fail_points())
    settings = load_settings()
    broker = broker_of(settings, bootstrap_servers)
    watched = wiring.load_monitor(settings, config)
    names = _steps(settings, only, host)
    database = settings.database if set(names) - {"score"} else None
    with ExitStack() as stack:
        stack.enter_context(_ended_at_once())
        broker = replace(broker, instance=stack.enter_context(_instance(settings, names, together)))
        meters = StreamMeters()
        process = wiring.WorkerProcess(names, broker, host, port, meters.registry, _print_line)
        work = stack.enter_context(wiring.worker_setup(settings, watched, process))
        health = HealthConfig(
            broker,
            names,
            port,
            host,
            database=database,
            together=together is not None,
            extend=work.extend,
            checks=work.checks,
            meters=meters,
            progress=process.progress,
        )
        job = runner.StreamJob(
            replace(broker, deployment=work.deployment),
            work.handlers,
            settings.data_dir / "faust",
            together=together is not None,
            meters=meters,
            health=health,
            companions=work.companions,
        )
        raise typer.Exit(runner.run(job))


@contextmanager
def _ended_at_once() -> Iterator[None]:
    """SIGTERM ends a process that still starts: nothing was begun. Once the runner runs it ends in order."""
    before = signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def _instance(settings: Settings, names: tuple[str, ...], together: str | None) -> Iterator[str]:
    """This process's name; `keelwatch up` has claimed that of its worker."""
    if together is not None:
        yield together
        return
    with claim_instance(settings.data_dir, settings.instance, "-".join(names)) as instance:
        yield instance


def _steps(settings: Settings, only: str | None, host: str) -> tuple[str, ...]:
    if only is None:
        if host in LOOPBACK or wiring.has_keys(settings):
            return wiring.STEPS
        open_log().warning(
            "without the API, which answers on 127.0.0.1 alone until there is a key: `keelwatch key create`", host=host
        )
        return tuple(name for name in wiring.STEPS if name != wiring.API)
    names = tuple(name.strip() for name in only.split(","))
    for name in names:
        if name not in wiring.STEPS:
            raise InputError(f"--only {name}: must be some of {','.join(wiring.STEPS)}")
    return tuple(dict.fromkeys(names))


def _print_line(line: str) -> None:
    OUT.print(line, markup=False, soft_wrap=True)
