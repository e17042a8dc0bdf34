"""The commands of `keelwatch`, and what a person sees when something is wrong."""

from __future__ import annotations

import sys
from typing import Annotated, Final

import typer

from services.cli.lazy import PLAIN, Later, LazyGroup
from services.errors import InputError

BAD_INPUT: Final = 2


class Commands(LazyGroup):
    """Every command. A test holds the sentences to what the commands' own help says."""

    later = (
        Later(
            "demo",
            "services.cli.demo:demo",
            "Watch a simulated support bot whose model is silently replaced by one that refuses less and leaks a key.",
        ),
        Later(
            "replay",
            "services.cli.offline:replay",
            "Run the whole flow over a file, in simulated time, without a broker.",
        ),
        Later(
            "score",
            "services.cli.offline:score",
            "Measure every exchange of a file: safety signals, identity, and with --vectors its embedding.",
        ),
        Later(
            "convert",
            "services.cli.offline:convert",
            "Turn recorded answers into native exchanges, drawn with replacement.",
        ),
        Later(
            "import",
            "services.cli.offline:import_exchanges",
            "Turn exchanges of a known format into native ones, as `replay`, `score` and `publish` take them.",
        ),
        Later(
            "budget",
            "services.cli.score_replays:budget",
            "Show a route's false-page budget beside the false alarms that its own clean exchanges give.",
        ),
        Later(
            "drill",
            "services.cli.score_replays:drill",
            "Shift copies of a route's own exchanges by a known amount, and say after how many of them it would be "
            "seen.",
        ),
        Later(
            "init",
            "services.cli.init:init",
            "Write a monitor file, secrets and a compose file into a folder, after five questions or by options.",
        ),
        Later(
            "up",
            "services.cli.up:up",
            "Run all steps until SIGTERM or Ctrl-C, with an embedded broker when no other is named.",
        ),
        Later(
            "worker",
            "services.cli.service:worker",
            "Run steps until SIGTERM or Ctrl-C; whoever started it restarts it when it exits with 70.",
        ),
        Later(
            "api",
            "services.cli.service:api",
            "Serve the API, the pages and the probes, and publish what people decide, until SIGTERM or Ctrl-C.",
        ),
        Later(
            "check-config",
            "services.cli.checks:check_config",
            "Check a monitor file: exit code 0 when it can be used, 2 when it cannot.",
        ),
        Later(
            "doctor",
            "services.cli.checks:doctor",
            "Look at broker, topics, clocks, disk, database, embedder and monitor file: "
            "exit code 1 if something is wrong.",
        ),
        Later(
            "publish",
            "services.cli.topics:publish",
            "Send the lines of a file, keyed by route: exit code 1 if the broker did not acknowledge all of them.",
        ),
        Later(
            "capture",
            "services.cli.topics:capture",
            "Write the records of a topic as JSON lines: exchanges and scores as `replay` takes them.",
        ),
        Later("ingest", "services.cli.ingest:app", "What comes in: how records are read, before they are published."),
        Later("dead", "services.cli.dead_letters:app", "Dead letters: records that a step could not read."),
        Later(
            "erase",
            "services.cli.erase:erase",
            "Erase what is stored of a user, a conversation or one exchange, and say what that was.",
        ),
        Later("verify", "services.cli.verify:app", "Whether what is stored is what was written."),
        Later("ruler", "services.cli.ruler:app", "The ruler: whether our own scorers answer as they did."),
        Later("topics", "services.cli.topics:app", "Topics: made, checked, shown, adopted."),
        Later(
            "incident", "services.cli.incidents:app", "Incidents, their timelines, and what people decide about them."
        ),
        Later("baseline", "services.cli.baselines:app", "Baselines: what a route is held against."),
        Later("change", "services.cli.changes:app", "Changes of a route's model."),
        Later("silence", "services.cli.silences:app", "Silences: for a while nobody is told of a route's alerts."),
        Later("mute", "services.cli.mutes:app", "Mutes: what fires unheard since somebody resolved it."),
        Later(
            "mcp",
            "services.cli.mcp:mcp",
            "Serve the API at KEELWATCH_API_URL to agents on call, by MCP: they read incidents, and decide what a key "
            "may.",
        ),
        Later(
            "receiver", "services.cli.receivers:app", "Receivers: who is told of incidents, and whether they hear it."
        ),
        Later("key", "services.cli.keys:app", "API keys. While there is none the API answers on this machine alone."),
        Later("eval", "services.cli.evaluations:app", "Run suites against a model, and compare runs."),
        Later("route", "services.cli.routes:app", "Routes: listed, deleted, tried again after a step failed on one."),
        Later(
            "profile",
            "services.cli.profiles:profile",
            "Show what suites say of a route's model, what they did not test, and what speaks against it.",
        ),
        Later("schedule", "services.cli.schedules:app", "Schedules: when suites are run by the clock."),
        Later("signal", "services.cli.signals:app", "Signals: listed, and tried on a file before they go live."),
        Later("judge", "services.cli.judges:app", "Judges: held against labels before they are used."),
        Later("suite", "services.cli.suites:app", "Suites: what a model is asked."),
        Later("head", "services.cli.heads:app", "Heads: what decides a signal, fitted anew on labels of your own."),
    )


app = typer.Typer(
    name="keelwatch",
    help="Watches the safety of LLM traffic in production, continuously.",
    cls=Commands,
    no_args_is_help=True,
    **PLAIN,
)


def _version(asked: bool) -> None:
    if asked:
        from importlib.metadata import version  # noqa: PLC0415 -- no other start needs it

        typer.echo(f"keelwatch {version('keelwatch')}")
        raise typer.Exit


@app.callback()
def _keelwatch(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Take what stands before a command."""


def main() -> None:
    """Run the command line: exit code 0, 1 for what failed, 2 and one clear line for bad input."""
    try:
        app()
    except InputError as error:
        _complain(str(error))
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(141)


def _complain(message: str) -> None:
    from services.cli.output import ERR  # noqa: PLC0415 -- rich is of no use where nothing is wrong

    ERR.print(f"keelwatch: {message}", markup=False, soft_wrap=True)
    sys.exit(BAD_INPUT)
