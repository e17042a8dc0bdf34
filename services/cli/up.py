"""`keelwatch up`: everything on one machine with one command.

It runs for weeks beside its worker, and imports nothing that only the worker needs.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Final

import typer

from services import wiring
from services.cli.options import BootstrapOption, ConfigOption, HostOption, connected
from services.cli.output import ERR
from services.errors import InputError
from services.observability.listen import listening
from services.settings import Settings, load_settings
from services.stream import topics
from services.stream.broker import HOST, Broker, broker_of
from services.stream.consumer_groups import check_alone
from services.stream.embedded_broker import MOST_BYTES, EmbeddedBroker, EmbeddedBrokerError, start_broker
from services.stream.supervisor import EXIT_GAVE_UP, REAL_BROKER, Supervision, stoppable, supervise
from services.wiring.instance import claim_instance
from services.wording import receipts

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
        _say(receipts.starting(f"http://{host}:{port}"))
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
    if settings.kafka_security_protocol != "PLAINTEXT" or settings.kafka_username or settings.kafka_sasl_mechanism:
        raise InputError(
            "KEELWATCH_KAFKA_SECURITY_PROTOCOL, _USERNAME or _SASL_MECHANISM is set, but no broker: "
            "set KEELWATCH_KAFKA_BOOTSTRAP too"
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
        _say(receipts.embedded_broker(own.broker.bootstrap, MOST_BYTES, REAL_BROKER))
        yield own.broker, own
    finally:
        own.stop()


def _prepare(broker: Broker) -> None:
    """See that no other deployment works there, and that there are topics."""
    connected(check_alone(broker, together=True))
    made, found = connected(topics.create(broker, topics.all_topics()))
    if made:
        _say(receipts.topics_new(len(made)))
    if broker.kind == "kafka" and any(one.deviations for one in found):
        _say(receipts.TOPICS_WRONG)


def _say(line: str) -> None:
    ERR.print(f"keelwatch: {line}", markup=False, soft_wrap=True)
