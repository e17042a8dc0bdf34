"""`keelwatch up`, `worker` and `api`: the processes of the service."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Final

import typer

from services import failpoints, wiring
from services.api.auth.authorization import LOOPBACK
from services.cli.options import BootstrapOption, ConfigOption, connected
from services.cli.output import ERR, OUT
from services.errors import InputError
from services.observability.health import listening
from services.observability.log import open_log
from services.observability.metrics import StreamMeters
from services.settings import Settings, fail_points, load_settings
from services.stream import runner, topics
from services.stream.broker import Broker, broker_of
from services.stream.consumer_groups import check_alone
from services.stream.embedded_broker import MOST_BYTES, EmbeddedBroker, EmbeddedBrokerError, start_broker
from services.stream.process_health import HOST, HealthConfig
from services.stream.supervisor import EXIT_GAVE_UP, REAL_BROKER, Supervision, stoppable, supervise
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
HostOption = Annotated[
    str, typer.Option(metavar="ADDRESS", help="Where --port listens; 0.0.0.0 lets other machines ask.")
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
            broker, names, port, host, database=database, extend=work.extend, checks=work.checks, meters=meters
        )
        job = runner.StreamJob(
            broker,
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


PORT: Final = 8400
_ROOT: Final = Path(__file__).resolve().parents[2]

BrokerPortOption = Annotated[
    int | None, typer.Option(metavar="PORT", help="Port of the embedded broker; else a free one.", min=1, max=65535)
]


def up(
    port: Annotated[
        int, typer.Option(metavar="PORT", help="Of /livez, /readyz and /metrics.", min=1, max=65535)
    ] = PORT,
    host: HostOption = HOST,
    bootstrap_servers: BootstrapOption = None,
    broker_port: BrokerPortOption = None,
    config: ConfigOption = None,
) -> None:
    """Run all steps until SIGTERM or Ctrl-C, with an embedded broker when no other is named.

    The embedded broker keeps everything in memory: what was not done is lost when it ends. Topics are made when they
    are missing. The worker is started again when it ends by itself. Exit code 0 after a signal, 1 for what failed, 2
    for what a person must mend.
    """
    settings = load_settings()
    wiring.load_monitor(settings, config)
    given = _given(settings, bootstrap_servers, broker_port)
    listening(host, port).close()
    with (
        stoppable() as stop,
        claim_instance(settings.data_dir, settings.instance, "up") as instance,
        _broker(given, broker_port) as (broker, own),
    ):
        _prepare(broker)
        _say(f"starting a worker of all steps; http://{host}:{port}/readyz tells when it is ready; Ctrl-C ends all")
        raise typer.Exit(
            supervise(Supervision(worker_command(broker, instance, (host, port), config), own, _say), stop)
        )


def worker_command(broker: Broker, instance: str, probes: tuple[str, int], config: str | None) -> tuple[str, ...]:
    """The worker of all steps as a child. It imports this very code, whatever lies in the current folder.

    `probes`: address and port of its probes.
    """
    program = f"import sys; sys.path.insert(0, {str(_ROOT)!r}); from services.cli import main; main()"
    options = ("--together", instance, "--bootstrap", broker.bootstrap, "--host", probes[0], "--port", str(probes[1]))
    file = () if config is None else ("--config", config)
    return (sys.executable, "-P", "-c", program, "worker", *options, *file)


def _given(settings: Settings, bootstrap_servers: str | None, broker_port: int | None) -> Broker | None:
    """The broker that was named, None if none was and the embedded one is to be started."""
    if bootstrap_servers or settings.kafka_bootstrap:
        if broker_port:
            raise InputError("--broker-port is of the embedded broker, but another one is named: leave it out")
        return broker_of(settings, bootstrap_servers)
    if settings.kafka_security_protocol != "PLAINTEXT" or settings.kafka_username:
        raise InputError(
            "KEELWATCH_KAFKA_SECURITY_PROTOCOL or _USERNAME is set, but no broker: set KEELWATCH_KAFKA_BOOTSTRAP too"
        )
    return None


@contextmanager
def _broker(given: Broker | None, port: int | None) -> Iterator[tuple[Broker, EmbeddedBroker | None]]:
    if given is not None:
        yield given, None
        return
    try:
        own = start_broker(port)
    except EmbeddedBrokerError as error:
        _say(str(error))
        raise typer.Exit(EXIT_GAVE_UP) from None
    try:
        _say(
            f"embedded broker on {own.broker.bootstrap}, for one machine and for trying out: all that it holds is in "
            f"memory, and gone when this ends; at {MOST_BYTES / 1e9:.1f} GB it is ended; {REAL_BROKER}"
        )
        yield own.broker, own
    finally:
        own.stop()


def _prepare(broker: Broker) -> None:
    """See that no other deployment works there, and that there are topics."""
    connected(check_alone(broker, together=True))
    made, found = connected(topics.create(broker, topics.all_topics()))
    if made:
        _say(f"{len(made)} topics made")
    if broker.kind == "kafka" and any(one.deviations for one in found):
        _say("some topics are not as they should be: `keelwatch topics check` names them")


def _say(line: str) -> None:
    ERR.print(f"keelwatch: {line}", markup=False, soft_wrap=True)
