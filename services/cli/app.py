"""The commands of `keelwatch`, and what a person sees when something is wrong."""

from __future__ import annotations

import sys
from typing import Final

import typer

from services.cli.baselines import app as baselines
from services.cli.changes import app as changes
from services.cli.checks import check_config, doctor
from services.cli.dead_letters import app as dead
from services.cli.demo import demo
from services.cli.evaluations import app as evaluations
from services.cli.evaluations import list_runs, run_suites
from services.cli.incidents import app as incidents
from services.cli.keys import app as keys
from services.cli.offline import convert, replay, score
from services.cli.output import ERR
from services.cli.schedules import app as schedules
from services.cli.service import api, up, worker
from services.cli.suites import app as suites
from services.cli.topics import app as topics
from services.cli.topics import capture, publish
from services.errors import InputError

BAD_INPUT: Final = 2

app = typer.Typer(
    name="keelwatch",
    help="Watches the safety of LLM traffic in production, continuously.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.command("demo")(demo)
app.command("replay")(replay)
app.command("score")(score)
app.command("convert")(convert)
app.command("up")(up)
app.command("worker")(worker)
app.command("api")(api)
app.command("check-config")(check_config)
app.command("doctor")(doctor)
app.command("publish")(publish)
app.command("capture")(capture)
app.add_typer(dead, name="dead")
app.add_typer(topics, name="topics")
app.add_typer(incidents, name="incident")
app.add_typer(baselines, name="baseline")
app.add_typer(changes, name="change")
app.add_typer(keys, name="key")
evaluations.command("run")(run_suites)
evaluations.command("list")(list_runs)
app.add_typer(evaluations, name="eval")
app.add_typer(schedules, name="schedule")
app.add_typer(suites, name="suite")


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
    ERR.print(f"keelwatch: {message}", markup=False, soft_wrap=True)
    sys.exit(BAD_INPUT)
